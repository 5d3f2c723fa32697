//! What a guest offers, as plain data: its kind, its exports with their types, its imports.
//!
//! The compile worker makes a [`Description`] from the guest's bytes and sends it to the host, which decides
//! with it whether the arguments fit. It comes from a process that parsed hostile bytes: it is a claim, used for
//! messages and for choosing an export, never for safety.

use std::cell::Cell;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// How many types may be inside each other in a description that is read; deeper ones are refused.
pub const MAX_NESTING: u32 = 64;

/// Which of the ways to be called a guest knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestKind {
    /// A component; a core wasip1 module that carries a component type has become one.
    Component,
    /// A plain core module: exported functions over numbers.
    Module,
}

/// What a plain core module's integers are taken for. Its `i32` and `i64` are bits without a sign; only who wrote the
/// module knows. The types of a component say it themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Integers {
    /// `s32` and `s64`.
    #[default]
    Signed,
    /// `u32` and `u64`.
    Unsigned,
}

/// Everything the host knows about a guest.
///
/// ```no_run
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// for (name, guest) in pool.guests() {
///     println!("{}: {:?}, imports {}", name.display(), guest.kind, guest.imports.join(" "));
/// }
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// How its exports are called.
    pub kind: GuestKind,
    /// Its exported functions, in the order the guest declares them.
    pub exports: Vec<Export>,
    /// The names of what it imports, sorted: `wasi:cli/environment@0.2.6`, `wasi_snapshot_preview1.fd_write`.
    pub imports: Vec<String>,
    /// Bytes of all its memories and tables together when it starts.
    pub initial_memory: u64,
}

/// One exported function.
///
/// ```no_run
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let function = pool.function("count-primes")?;
/// assert_eq!(function.export().to_string(), "count-primes(start: u64, end: u64) -> u64");
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The interface that holds it, `package:name/interface@version`; none for a function of the world itself.
    pub interface: Option<String>,
    /// Its own name, `count-primes`.
    pub function: String,
    /// What it takes: names and types, in order. A plain module's parameters are named `p0`, `p1`, ….
    pub params: Vec<(String, ValueType)>,
    /// What it returns, if anything.
    pub result: Option<ValueType>,
}

/// A type of the component model, or of a plain module's numbers.
///
/// ```
/// use wasmpool::{ValueType, WitType};
///
/// let pairs = ValueType::List(Box::new(ValueType::Tuple(vec![ValueType::U64, ValueType::String])));
/// assert_eq!(Vec::<(u64, String)>::wit_type(), pairs);
/// assert_eq!(pairs.to_string(), "list<tuple<u64, string>>");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueType {
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
    /// `s32`, and a plain module's `i32`
    S32,
    /// `u32`
    U32,
    /// `s64`, and a plain module's `i64`
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
    /// `list<T>`
    List(#[serde(deserialize_with = "nested")] Box<ValueType>),
    /// `option<T>`
    Option(#[serde(deserialize_with = "nested")] Box<ValueType>),
    /// `tuple<…>`
    Tuple(#[serde(deserialize_with = "nested")] Vec<ValueType>),
    /// A record's fields, in order.
    Record(#[serde(deserialize_with = "nested")] Vec<(String, ValueType)>),
    /// A variant's cases, in order, each with its payload if it has one.
    Variant(#[serde(deserialize_with = "nested")] Vec<(String, Option<ValueType>)>),
    /// An enum's cases, in order.
    Enum(Vec<String>),
    /// The names of flags, in order.
    Flags(Vec<String>),
    /// `result<ok, err>`
    Result {
        /// What comes with `ok`, if anything.
        #[serde(deserialize_with = "nested")]
        ok: Option<Box<ValueType>>,
        /// What comes with `err`, if anything.
        #[serde(deserialize_with = "nested")]
        err: Option<Box<ValueType>>,
    },
    /// A type whose values cannot be passed: a resource, a future, a stream; as WIT writes it.
    Other(String),
}

impl Description {
    /// The export of this full name, see [`Export::full_name`].
    #[must_use]
    pub fn export(&self, full_name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.full_name() == full_name)
    }

    /// A plain module with its integers read without a sign.
    #[must_use]
    pub(crate) fn unsigned(mut self) -> Self {
        for export in &mut self.exports {
            export
                .params
                .iter_mut()
                .map(|(_, param)| param)
                .chain(&mut export.result)
                .for_each(ValueType::lose_sign);
        }
        self
    }

    /// The `merge-f` that goes with `export`: in the same interface, of type `func(a: T, b: T) -> T` where `T` is
    /// the result of `export`.
    #[doc(hidden)]
    #[must_use]
    pub fn merge_of(&self, export: &Export) -> Option<&Export> {
        let name = format!("merge-{}", export.function);
        let value = export.result.as_ref()?;
        self.exports.iter().find(|candidate| {
            candidate.interface == export.interface
                && candidate.function == name
                && candidate.result.as_ref() == Some(value)
                && candidate.params.len() == 2
                && candidate.params.iter().all(|(_, param)| param == value)
        })
    }
}

impl Description {
    /// The `finish-f` that goes with `export`, where that can be merged: in the same interface, of type
    /// `func(merged: T) -> U` where `T` is the result of `export`.
    #[doc(hidden)]
    #[must_use]
    pub fn finish_of(&self, export: &Export) -> Option<&Export> {
        let name = format!("finish-{}", export.function);
        self.merge_of(export)?;
        self.exports.iter().find(|candidate| {
            candidate.interface == export.interface
                && candidate.function == name
                && candidate.result.as_ref().is_some_and(ValueType::is_passable)
                && candidate.params.iter().map(|(_, param)| param).eq(&export.result)
        })
    }

    /// What `export` is there for, if it is not there for itself.
    #[doc(hidden)]
    #[must_use]
    pub fn service_of(&self, export: &Export) -> Option<(Service, &Export)> {
        let served = |function: &str| {
            self.exports
                .iter()
                .find(|served| served.function == function && served.interface == export.interface)
        };
        if let Some(served) = export.function.strip_prefix("merge-").and_then(served)
            && self.merge_of(served) == Some(export)
        {
            return Some((Service::Merge, served));
        }
        let served = export.function.strip_prefix("finish-").and_then(served)?;
        (self.finish_of(served) == Some(export)).then_some((Service::Finish, served))
    }
}

/// What one export does for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// It merges two of its values.
    Merge,
    /// It makes what is printed of the value that all were merged into.
    Finish,
}

impl Export {
    /// The name that is unique in the guest: `package:name/interface@version#function`, or just the function's.
    ///
    /// ```no_run
    /// # let pool = wasmpool::Pool::new("primes.wasm")?;
    /// let function = pool.function("count-primes")?;
    /// println!("{}", function.export().full_name());
    /// # Ok::<(), wasmpool::Error>(())
    /// ```
    #[must_use]
    pub fn full_name(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.function),
            None => self.function.clone(),
        }
    }
}

/// WIT-like, as users read it: `count-primes(start: u64, end: u64) -> u64`.
impl fmt::Display for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        listed(f, ["(", ")"], &self.params, |f, (name, param)| write!(f, "{name}: {param}"))?;
        match &self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

impl ValueType {
    /// The inclusive bounds of an integer type; none for any other.
    #[doc(hidden)]
    #[must_use]
    pub fn integer_bounds(&self) -> Option<(i128, i128)> {
        match self {
            Self::S8 => Some((i8::MIN.into(), i8::MAX.into())),
            Self::U8 => Some((0, u8::MAX.into())),
            Self::S16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::U16 => Some((0, u16::MAX.into())),
            Self::S32 => Some((i32::MIN.into(), i32::MAX.into())),
            Self::U32 => Some((0, u32::MAX.into())),
            Self::S64 => Some((i64::MIN.into(), i64::MAX.into())),
            Self::U64 => Some((0, u64::MAX.into())),
            Self::Bool
            | Self::F32
            | Self::F64
            | Self::Char
            | Self::String
            | Self::List(_)
            | Self::Option(_)
            | Self::Tuple(_)
            | Self::Record(_)
            | Self::Variant(_)
            | Self::Enum(_)
            | Self::Flags(_)
            | Self::Result { .. }
            | Self::Other(_) => None,
        }
    }

    /// Whether values of this type can cross between host and guest.
    #[must_use]
    pub fn is_passable(&self) -> bool {
        match self {
            Self::Other(_) => false,
            Self::List(element) | Self::Option(element) => element.is_passable(),
            Self::Tuple(elements) => elements.iter().all(Self::is_passable),
            Self::Record(fields) => fields.iter().all(|(_, field)| field.is_passable()),
            Self::Variant(cases) => {
                cases.iter().all(|(_, payload)| payload.as_ref().is_none_or(Self::is_passable))
            }
            Self::Result { ok, err } => [ok, err].into_iter().flatten().all(|payload| payload.is_passable()),
            Self::Bool
            | Self::S8
            | Self::U8
            | Self::S16
            | Self::U16
            | Self::S32
            | Self::U32
            | Self::S64
            | Self::U64
            | Self::F32
            | Self::F64
            | Self::Char
            | Self::String
            | Self::Enum(_)
            | Self::Flags(_) => true,
        }
    }

    /// Makes the same number of bits unsigned; a plain module's types have no more to them than this.
    fn lose_sign(&mut self) {
        match self {
            Self::S32 => *self = Self::U32,
            Self::S64 => *self = Self::U64,
            Self::Tuple(elements) => elements.iter_mut().for_each(Self::lose_sign),
            Self::Bool
            | Self::S8
            | Self::U8
            | Self::S16
            | Self::U16
            | Self::U32
            | Self::U64
            | Self::F32
            | Self::F64
            | Self::Char
            | Self::String
            | Self::List(_)
            | Self::Option(_)
            | Self::Record(_)
            | Self::Variant(_)
            | Self::Enum(_)
            | Self::Flags(_)
            | Self::Result { .. }
            | Self::Other(_) => {}
        }
    }

    /// Whether this is `list<u8>`, which is passed as bytes.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        matches!(self, Self::List(element) if **element == Self::U8)
    }
}

/// As WIT writes a type where it is used; one that has a name there is written out.
impl fmt::Display for ValueType {
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
            Self::Other(name) => name,
            Self::Result { ok: None, err: None } => "result",
            Self::Result { ok: Some(ok), err: None } => return write!(f, "result<{ok}>"),
            Self::Result { ok: None, err: Some(err) } => return write!(f, "result<_, {err}>"),
            Self::Result { ok: Some(ok), err: Some(err) } => return write!(f, "result<{ok}, {err}>"),
            Self::List(element) => return write!(f, "list<{element}>"),
            Self::Option(value) => return write!(f, "option<{value}>"),
            Self::Tuple(elements) => {
                return listed(f, ["tuple<", ">"], elements, |f, element| element.fmt(f));
            }
            Self::Enum(cases) => return listed(f, ["enum { ", " }"], cases, |f, case| f.write_str(case)),
            Self::Flags(names) => return listed(f, ["flags { ", " }"], names, |f, name| f.write_str(name)),
            Self::Record(fields) => {
                return listed(f, ["record { ", " }"], fields, |f, (name, field)| {
                    write!(f, "{name}: {field}")
                });
            }
            Self::Variant(cases) => {
                return listed(f, ["variant { ", " }"], cases, |f, (name, payload)| match payload {
                    Some(payload) => write!(f, "{name}({payload})"),
                    None => f.write_str(name),
                });
            }
        };
        f.write_str(name)
    }
}

/// Things between brackets, with commas.
fn listed<T>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [&str; 2],
    things: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str(open)?;
    for (position, thing) in things.iter().enumerate() {
        f.write_str(if position == 0 { "" } else { ", " })?;
        write(f, thing)?;
    }
    f.write_str(close)
}

thread_local! {
    /// How many types are being read, each inside the one before.
    static NESTING: Cell<u32> = const { Cell::new(0) };
}

/// One more type inside another, for as long as it lives.
struct Nested;

impl Nested {
    fn enter() -> Option<Self> {
        let nesting = NESTING.get();
        (nesting < MAX_NESTING).then(|| {
            NESTING.set(nesting + 1);
            Self
        })
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        NESTING.set(NESTING.get() - 1);
    }
}

/// Reads what is inside a type. Reading is recursive and one byte is enough for a level, so that without a bound
/// a hostile description would use up the stack.
fn nested<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let _level = Nested::enter().ok_or_else(|| D::Error::custom("types are nested too deep"))?;
    T::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::ValueType::{self, Bool, Enum, F64, Flags, List, Other, Record, String, Tuple, U8, Variant};

    fn boxed(value: ValueType) -> Option<Box<ValueType>> {
        Some(Box::new(value))
    }

    fn name(name: &str) -> std::string::String {
        name.to_owned()
    }

    #[track_caller]
    fn check(value: &ValueType, wit: &str, is_passable: bool) {
        assert_eq!((value.to_string().as_str(), value.is_passable()), (wit, is_passable));
    }

    #[test]
    fn types_are_written_as_in_wit() {
        check(&List(Box::new(ValueType::Option(Box::new(U8)))), "list<option<u8>>", true);
        check(&Tuple(vec![String, Bool]), "tuple<string, bool>", true);
        check(&Record(vec![(name("x"), F64), (name("y"), F64)]), "record { x: f64, y: f64 }", true);
        check(
            &Variant(vec![(name("circle"), Some(F64)), (name("none"), None)]),
            "variant { circle(f64), none }",
            true,
        );
        check(&Enum(vec![name("red"), name("green")]), "enum { red, green }", true);
        check(&Flags(vec![name("read"), name("write")]), "flags { read, write }", true);
    }

    #[test]
    fn a_result_leaves_out_what_it_does_not_carry() {
        let result = |ok, err| ValueType::Result { ok, err };
        check(&result(boxed(U8), boxed(String)), "result<u8, string>", true);
        check(&result(boxed(U8), None), "result<u8>", true);
        check(&result(None, boxed(String)), "result<_, string>", true);
        check(&result(None, None), "result", true);
    }

    #[test]
    fn what_holds_something_that_cannot_be_passed_cannot_be_passed() {
        let file = || Other(name("borrow<file>"));
        check(&file(), "borrow<file>", false);
        check(&List(Box::new(file())), "list<borrow<file>>", false);
        check(&Variant(vec![(name("open"), Some(file()))]), "variant { open(borrow<file>) }", false);
        check(&ValueType::Result { ok: None, err: boxed(file()) }, "result<_, borrow<file>>", false);
    }

    #[test]
    fn a_list_of_u8_is_bytes() {
        assert!(List(Box::new(U8)).is_bytes());
        assert!(!List(Box::new(Bool)).is_bytes());
    }
}
