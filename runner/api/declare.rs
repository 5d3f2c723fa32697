//! The macro that declares Rust types for the records, enums and variants of WIT.

/// Declares Rust types that stand for records, enums and variants of WIT: an ordinary `struct` or `enum`, with
/// [`WitType`](crate::WitType) implemented.
///
/// A `struct` with named fields is a record; an `enum` is a WIT enum, or, if a case carries something, a variant. Names
/// are those of WIT with `_` for `-`, cases in camel case: `word_count` is `word-count`, `DarkBlue` is `dark-blue`.
/// Fields and cases are in the order of the WIT file.
///
/// ```
/// use wasmpool::{WitType, wit_type};
///
/// wit_type! {
///     /// What `analyze` returns.
///     #[derive(Clone, Debug, PartialEq)]
///     pub struct Analysis {
///         pub word_count: u64,
///         pub unique_words: u64,
///         pub avg_word_length: f64,
///     }
///
///     #[derive(Debug)]
///     pub enum Shape {
///         Nothing,
///         Circle(f64),
///     }
/// }
///
/// let wit = "record { word-count: u64, unique-words: u64, avg-word-length: f64 }";
/// assert_eq!(Analysis::wit_type().to_string(), wit);
/// assert_eq!(Shape::wit_type().to_string(), "variant { nothing, circle(f64) }");
/// ```
#[macro_export]
macro_rules! wit_type {
    () => {};
    (
        $(#[$meta:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $type:ty),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $visibility struct $name {
            $($(#[$field_meta])* $field_visibility $field: $type,)*
        }

        impl $crate::WitType for $name {
            fn wit_type() -> $crate::guest::ValueType {
                $crate::guest::ValueType::Record(vec![$((
                    $crate::api::kebab(stringify!($field)),
                    <$type as $crate::WitType>::wit_type(),
                )),*])
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                let mut separator = b'{';
                $(
                    out.push(separator);
                    $crate::api::write_plain(&$crate::api::kebab(stringify!($field)), out);
                    out.push(b':');
                    <$type as $crate::WitType>::write_json(&self.$field, out);
                    separator = b',';
                )*
                if separator == b'{' {
                    out.push(separator);
                }
                out.push(b'}');
            }

            fn read_json(json: &$crate::api::RawValue) -> ::std::result::Result<Self, $crate::Mismatch> {
                let members = $crate::api::members(json, <Self as $crate::WitType>::wit_type())?;
                ::std::result::Result::Ok(Self {
                    $($field: {
                        let name = $crate::api::kebab(stringify!($field));
                        let member = members.get(name.as_str());
                        let member = member.ok_or_else(|| {
                            $crate::Mismatch::new(<Self as $crate::WitType>::wit_type(), json)
                        })?;
                        <$type as $crate::WitType>::read_json(member)
                            .map_err(|mismatch| mismatch.inside(&format!(".{name}")))?
                    },)*
                })
            }
        }

        $crate::wit_type! { $($rest)* }
    };
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$case_meta:meta])* $case:ident $(($payload:ty))?),* $(,)?
        }
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $visibility enum $name {
            $($(#[$case_meta])* $case $(($payload))?,)*
        }

        impl $crate::WitType for $name {
            fn wit_type() -> $crate::guest::ValueType {
                $crate::api::cases(vec![$((
                    $crate::api::kebab(stringify!($case)),
                    $crate::wit_type!(@payload $($payload)?),
                )),*])
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                match self {
                    $($crate::wit_type!(@pattern payload $case $($payload)?) => {
                        let name = $crate::api::kebab(stringify!($case));
                        $crate::wit_type!(@write name payload out $($payload)?);
                    })*
                }
            }

            fn read_json(json: &$crate::api::RawValue) -> ::std::result::Result<Self, $crate::Mismatch> {
                let (name, payload) = $crate::api::case(json, <Self as $crate::WitType>::wit_type())?;
                $(
                    if name == $crate::api::kebab(stringify!($case)) {
                        $crate::wit_type!(@read name payload json $case $($payload)?);
                    }
                )*
                ::std::result::Result::Err($crate::Mismatch::new(<Self as $crate::WitType>::wit_type(), json))
            }
        }

        $crate::wit_type! { $($rest)* }
    };
    (@payload) => { ::std::option::Option::None };
    (@payload $payload:ty) => { ::std::option::Option::Some(<$payload as $crate::WitType>::wit_type()) };
    (@pattern $value:ident $case:ident) => { Self::$case };
    (@pattern $value:ident $case:ident $payload:ty) => { Self::$case($value) };
    (@write $name:ident $value:ident $out:ident) => { $crate::api::write_plain(&$name, $out) };
    (@write $name:ident $value:ident $out:ident $payload:ty) => {
        $crate::api::write_case(&$name, |out| <$payload as $crate::WitType>::write_json($value, out), $out)
    };
    (@read $name:ident $value:ident $json:ident $case:ident) => {
        return match $value {
            ::std::option::Option::None => ::std::result::Result::Ok(Self::$case),
            ::std::option::Option::Some(_) => {
                ::std::result::Result::Err($crate::Mismatch::new(<Self as $crate::WitType>::wit_type(), $json))
            }
        }
    };
    (@read $name:ident $value:ident $json:ident $case:ident $payload:ty) => {
        return match $value {
            ::std::option::Option::Some(payload) => <$payload as $crate::WitType>::read_json(payload)
                .map(Self::$case)
                .map_err(|mismatch| mismatch.inside(&format!(".{}", $name))),
            ::std::option::Option::None => {
                ::std::result::Result::Err($crate::Mismatch::new(<Self as $crate::WitType>::wit_type(), $json))
            }
        }
    };
}

use crate::guest::ValueType;

/// An enum where no case carries anything, or else a variant.
#[doc(hidden)]
#[must_use]
pub fn cases(cases: Vec<(String, Option<ValueType>)>) -> ValueType {
    if cases.iter().all(|(_, payload)| payload.is_none()) {
        ValueType::Enum(cases.into_iter().map(|(name, _)| name).collect())
    } else {
        ValueType::Variant(cases)
    }
}
