//! What a call takes: one value for each parameter.

use super::wit_type::WitType;
use crate::guest::ValueType;

/// A value that a parameter can be given: every [`WitType`], and what borrows one.
///
/// ```
/// use wasmpool::{Argument, ValueType};
///
/// assert_eq!(<&str>::argument_type(), ValueType::String);
/// let mut json = Vec::new();
/// [1_u16, 2].as_slice().write_argument(&mut json);
/// assert_eq!(json, b"[1,2]");
/// ```
pub trait Argument {
    /// Its type in WIT.
    fn argument_type() -> ValueType;

    /// Appends it as JSON.
    fn write_argument(&self, out: &mut Vec<u8>);
}

impl<T: WitType> Argument for T {
    fn argument_type() -> ValueType {
        T::wit_type()
    }

    fn write_argument(&self, out: &mut Vec<u8>) {
        self.write_json(out);
    }
}

impl Argument for &str {
    fn argument_type() -> ValueType {
        ValueType::String
    }

    fn write_argument(&self, out: &mut Vec<u8>) {
        super::wit_type::write_plain(*self, out);
    }
}

impl<T: WitType> Argument for &[T] {
    fn argument_type() -> ValueType {
        Vec::<T>::wit_type()
    }

    fn write_argument(&self, out: &mut Vec<u8>) {
        T::write_list(self, out);
    }
}

/// The arguments of one call: a tuple of up to 8, `()` for a function without parameters, or any number of JSON values.
///
/// ```no_run
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// // A tuple whose types are checked before the call is made, or JSON that is checked in the worker.
/// let typed = pool.submit::<u64>("count-primes", (0_u64, 100_u64))?;
/// let json = pool.submit::<u64>("count-primes", vec![serde_json::json!(0), serde_json::json!(100)])?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
pub trait Arguments {
    /// The types of all of them; none if there may be any number of any type.
    fn types() -> Option<Vec<ValueType>>;

    /// Hands them over, one after the other.
    fn give(&self, to: &mut Parameters<'_>);
}

/// Where the arguments of a call are written, those that are bound already between them.
///
/// ```no_run
/// use wasmpool::{Arguments, Parameters, ValueType, WitType};
///
/// struct Below(u64);
///
/// impl Arguments for Below {
///     fn types() -> Option<Vec<ValueType>> {
///         Some(vec![u64::wit_type(); 2])
///     }
///
///     fn give(&self, to: &mut Parameters<'_>) {
///         to.give(&0_u64);
///         to.give(&self.0);
///     }
/// }
/// # let pool = wasmpool::Pool::new("primes.wasm")?;
/// let call = pool.submit::<u64>("count-primes", Below(100))?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Debug)]
pub struct Parameters<'a> {
    out: &'a mut Vec<u8>,
    bound: &'a [Option<String>],
    position: usize,
}

impl<'a> Parameters<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, bound: &'a [Option<String>]) -> Self {
        out.push(b'[');
        let mut parameters = Self { out, bound, position: 0 };
        parameters.write_bound();
        parameters
    }

    /// Gives the next parameter that is not bound its value.
    ///
    /// ```
    /// use wasmpool::Parameters;
    ///
    /// fn give_range(start: u64, length: u64, to: &mut Parameters<'_>) {
    ///     to.give(&start);
    ///     to.give(&(start + length));
    /// }
    /// ```
    pub fn give<T: Argument>(&mut self, argument: &T) {
        self.begin();
        argument.write_argument(self.out);
        self.write_bound();
    }

    pub(super) fn end(self) {
        self.out.push(b']');
    }

    fn write_bound(&mut self) {
        while let Some(Some(value)) = self.bound.get(self.position) {
            self.begin();
            self.out.extend_from_slice(value.as_bytes());
        }
    }

    fn begin(&mut self) {
        if self.position > 0 {
            self.out.push(b',');
        }
        self.position += 1;
    }
}

impl Arguments for () {
    fn types() -> Option<Vec<ValueType>> {
        Some(Vec::new())
    }

    fn give(&self, _to: &mut Parameters<'_>) {}
}

impl Arguments for Vec<serde_json::Value> {
    fn types() -> Option<Vec<ValueType>> {
        None
    }

    fn give(&self, to: &mut Parameters<'_>) {
        self.iter().for_each(|argument| to.give(argument));
    }
}

/// The one argument of a call.
pub(super) struct Only<'a, T>(pub(super) &'a T);

impl<T: Argument> Arguments for Only<'_, T> {
    fn types() -> Option<Vec<ValueType>> {
        Some(vec![T::argument_type()])
    }

    fn give(&self, to: &mut Parameters<'_>) {
        to.give(self.0);
    }
}

macro_rules! tuple {
    ($($($name:ident $place:tt),+;)*) => {$(
        impl<$($name: Argument),+> Arguments for ($($name,)+) {
            fn types() -> Option<Vec<ValueType>> {
                Some(vec![$($name::argument_type()),+])
            }

            fn give(&self, to: &mut Parameters<'_>) {
                $(to.give(&self.$place);)+
            }
        }
    )*};
}

tuple! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(arguments: &impl Arguments, bound: &[Option<&str>], expected: &str) {
        let bound: Vec<_> = bound.iter().map(|value| value.map(str::to_owned)).collect();
        let mut out = Vec::new();
        let mut parameters = Parameters::new(&mut out, &bound);
        arguments.give(&mut parameters);
        parameters.end();
        assert_eq!(str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn arguments_are_an_array_of_json() {
        check(&(), &[], "[]");
        check(&(1_u8, "x", &[1_u16, 2][..]), &[None, None, None], r#"[1,"x",[1,2]]"#);
        check(&vec![json!(1), json!({"a": null})], &[None, None], r#"[1,{"a":null}]"#);
        check(&Only(&(1_u8, 2_u8)), &[None], "[[1,2]]");
    }

    #[test]
    fn bound_parameters_have_their_place_among_the_others() {
        check(&(7_u8,), &[None, Some("2")], "[7,2]");
        check(&(7_u8,), &[Some("2"), None], "[2,7]");
        check(&(7_u8, 8_u8), &[Some("1"), None, Some("2"), Some("3"), None], "[1,7,2,3,8]");
        check(&(), &[Some("1")], "[1]");
    }
}
