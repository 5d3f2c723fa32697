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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// How its exports are called.
    pub kind: GuestKind,
    /// Its exported functions, in the order the guest declares them.
    pub exports: Vec<Export>,
    /// The names of what it imports, sorted: `wasi:cli/environment@0.2.6`, `wasi_snapshot_preview1.fd_write`.
    pub imports: Vec<String>,
}

/// One exported function.
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
    /// A type that cannot be passed yet; its WIT name.
    Other(String),
}

impl Description {
    /// The export of this full name, see [`Export::full_name`].
    #[must_use]
    pub fn export(&self, full_name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.full_name() == full_name)
    }

    /// The `merge-f` that goes with `export`: in the same interface, of type `func(a: T, b: T) -> T` where `T` is
    /// the result of `export`.
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

impl Export {
    /// The name that is unique in the guest: `package:name/interface@version#function`, or just the function's.
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
        write!(f, "{}(", self.function)?;
        for (position, (name, param)) in self.params.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{name}: {param}")?;
        }
        f.write_str(")")?;
        match &self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

impl ValueType {
    /// The inclusive bounds of an integer type; none for any other.
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
            | Self::Other(_) => None,
        }
    }
}

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
            Self::List(element) => return write!(f, "list<{element}>"),
            Self::Option(value) => return write!(f, "option<{value}>"),
            Self::Tuple(elements) => {
                f.write_str("tuple<")?;
                for (position, element) in elements.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(f, "{separator}{element}")?;
                }
                return f.write_str(">");
            }
            Self::Record(fields) => {
                f.write_str("record {")?;
                for (position, (name, field)) in fields.iter().enumerate() {
                    let separator = if position == 0 { " " } else { ", " };
                    write!(f, "{separator}{name}: {field}")?;
                }
                return f.write_str(" }");
            }
        };
        f.write_str(name)
    }
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
