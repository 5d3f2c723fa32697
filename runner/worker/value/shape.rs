//! The type of a value, resolved once per guest so that a call does not walk the runtime's type tables.

use std::fmt;

use wasmtime::component::Type;

use crate::guest::ValueType;

/// A component type whose values have a JSON form.
///
/// It nests as deep as the runtime lets types nest, which is less than JSON text may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<u8>`
    Bytes,
    /// `list<T>` of anything but `u8`.
    List(Box<Shape>),
    /// `tuple<…>`
    Tuple(Vec<Shape>),
    /// A record's fields, in declared order.
    Record(Vec<(String, Shape)>),
    /// A variant's cases, each with its payload's type if it has one.
    Variant(Vec<(String, Option<Shape>)>),
    /// An enum's cases.
    Enum(Vec<String>),
    /// The names of flags.
    Flags(Vec<String>),
    /// `option<T>`
    Option(Box<Shape>),
    /// `result<ok, err>`
    Result {
        /// What comes with `ok`.
        ok: Option<Box<Shape>>,
        /// What comes with `err`.
        err: Option<Box<Shape>>,
    },
}

impl Shape {
    /// Resolves a type of the runtime.
    ///
    /// # Errors
    /// If values of this type, or of one inside it, have no JSON form; one line.
    pub fn new(ty: &Type) -> Result<Self, String> {
        let boxed = |ty: &Type| Self::new(ty).map(Box::new);
        let named = |name: &str, ty: Type| Ok::<_, String>((name.to_owned(), Self::new(&ty)?));
        Ok(match ty {
            Type::Bool => Self::Bool,
            Type::S8 => Self::S8,
            Type::U8 => Self::U8,
            Type::S16 => Self::S16,
            Type::U16 => Self::U16,
            Type::S32 => Self::S32,
            Type::U32 => Self::U32,
            Type::S64 => Self::S64,
            Type::U64 => Self::U64,
            Type::Float32 => Self::F32,
            Type::Float64 => Self::F64,
            Type::Char => Self::Char,
            Type::String => Self::String,
            Type::List(list) if list.ty() == Type::U8 => Self::Bytes,
            Type::List(list) => Self::List(boxed(&list.ty())?),
            Type::Tuple(tuple) => {
                Self::Tuple(tuple.types().map(|ty| Self::new(&ty)).collect::<Result<_, _>>()?)
            }
            Type::Record(record) => Self::Record(
                record.fields().map(|field| named(field.name, field.ty)).collect::<Result<_, _>>()?,
            ),
            Type::Variant(variant) => Self::Variant(
                variant
                    .cases()
                    .map(|case| {
                        Ok::<_, String>((case.name.to_owned(), case.ty.as_ref().map(Self::new).transpose()?))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Type::Enum(names) => Self::Enum(names.names().map(str::to_owned).collect()),
            Type::Flags(names) => Self::Flags(names.names().map(str::to_owned).collect()),
            Type::Option(option) => Self::Option(boxed(&option.ty())?),
            Type::Result(result) => Self::Result {
                ok: result.ok().as_ref().map(boxed).transpose()?,
                err: result.err().as_ref().map(boxed).transpose()?,
            },
            Type::Own(_) | Type::Borrow(_) => return Err(refused("handles to resources")),
            Type::Future(_) => return Err(refused("futures")),
            Type::Stream(_) => return Err(refused("streams")),
            Type::ErrorContext => return Err(refused("error contexts")),
            Type::Map(_) => return Err(refused("maps")),
            Type::FixedLengthList(_) => return Err(refused("lists of fixed length")),
        })
    }
}

impl Shape {
    /// Resolves a type that a guest's description tells; none if its values cannot be passed.
    #[must_use]
    pub fn of(ty: &ValueType) -> Option<Self> {
        let boxed = |ty: &ValueType| Self::of(ty).map(Box::new);
        let named = |(name, ty): &(String, ValueType)| Some((name.clone(), Self::of(ty)?));
        let optional = |ty: Option<&ValueType>| ty.map_or(Some(None), |ty| Self::of(ty).map(Some));
        Some(match ty {
            ValueType::Bool => Self::Bool,
            ValueType::S8 => Self::S8,
            ValueType::U8 => Self::U8,
            ValueType::S16 => Self::S16,
            ValueType::U16 => Self::U16,
            ValueType::S32 => Self::S32,
            ValueType::U32 => Self::U32,
            ValueType::S64 => Self::S64,
            ValueType::U64 => Self::U64,
            ValueType::F32 => Self::F32,
            ValueType::F64 => Self::F64,
            ValueType::Char => Self::Char,
            ValueType::String => Self::String,
            ValueType::List(_) if ty.is_bytes() => Self::Bytes,
            ValueType::List(element) => Self::List(boxed(element)?),
            ValueType::Tuple(types) => Self::Tuple(types.iter().map(Self::of).collect::<Option<_>>()?),
            ValueType::Record(fields) => Self::Record(fields.iter().map(named).collect::<Option<_>>()?),
            ValueType::Variant(cases) => {
                let case = |(name, payload): &(String, Option<ValueType>)| {
                    Some((name.clone(), optional(payload.as_ref())?))
                };
                Self::Variant(cases.iter().map(case).collect::<Option<_>>()?)
            }
            ValueType::Enum(names) => Self::Enum(names.clone()),
            ValueType::Flags(names) => Self::Flags(names.clone()),
            ValueType::Option(value) => Self::Option(boxed(value)?),
            ValueType::Result { ok, err } => Self::Result {
                ok: optional(ok.as_deref())?.map(Box::new),
                err: optional(err.as_deref())?.map(Box::new),
            },
            ValueType::Other(_) => return None,
        })
    }
}

fn refused(what: &str) -> String {
    format!("{what} cannot be passed as JSON")
}

/// As in an error's `expected …`: WIT, with the members of large types left out.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Bool => "bool",
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            Self::Bytes => "list<u8>",
            Self::Tuple(_) => "tuple",
            Self::Record(_) => "record",
            Self::Variant(_) => "variant",
            Self::Enum(_) => "enum",
            Self::Flags(_) => "flags",
            Self::Result { .. } => "result",
            Self::List(element) => return write!(f, "list<{element}>"),
            Self::Option(value) => return write!(f, "option<{value}>"),
        };
        f.write_str(name)
    }
}
