//! Stands in for the runtime's `component`: its values as they are, and its types, of which there are none here.

/// A value.
#[expect(missing_docs, reason = "it is as the runtime has it")]
#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    Float32(f32),
    Float64(f64),
    Char(char),
    String(String),
    List(Vec<Self>),
    Record(Vec<(String, Self)>),
    Tuple(Vec<Self>),
    Variant(String, Option<Box<Self>>),
    Enum(String),
    Option(Option<Box<Self>>),
    Result(Result<Option<Box<Self>>, Option<Box<Self>>>),
    Flags(Vec<String>),
}

/// A type. Those that hold others cannot be made.
#[expect(missing_docs, reason = "it is as the runtime has it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    Float32,
    Float64,
    Char,
    String,
    List(Compound),
    Record(Compound),
    Tuple(Compound),
    Variant(Compound),
    Enum(Compound),
    Option(Compound),
    Result(Compound),
    Flags(Compound),
    Own(Compound),
    Borrow(Compound),
    Future(Compound),
    Stream(Compound),
    ErrorContext,
    Map(Compound),
    FixedLengthList(Compound),
}

/// What is never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compound {}

/// A field of a record.
#[expect(missing_docs, reason = "it is as the runtime has it")]
#[derive(Debug)]
pub struct Field<'a> {
    pub name: &'a str,
    pub ty: Type,
}

/// A case of a variant.
#[expect(missing_docs, reason = "it is as the runtime has it")]
#[derive(Debug)]
pub struct Case<'a> {
    pub name: &'a str,
    pub ty: Option<Type>,
}

#[expect(missing_docs, reason = "it is as the runtime has it")]
impl Compound {
    #[must_use]
    pub fn ty(&self) -> Type {
        match *self {}
    }

    #[must_use]
    pub fn ok(&self) -> Option<Type> {
        match *self {}
    }

    #[must_use]
    pub fn err(&self) -> Option<Type> {
        match *self {}
    }

    pub fn types(&self) -> std::vec::IntoIter<Type> {
        match *self {}
    }

    pub fn fields(&self) -> std::vec::IntoIter<Field<'_>> {
        match *self {}
    }

    pub fn cases(&self) -> std::vec::IntoIter<Case<'_>> {
        match *self {}
    }

    pub fn names(&self) -> std::vec::IntoIter<&str> {
        match *self {}
    }
}
