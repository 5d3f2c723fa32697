//! Numbers that are shared: the types of Rust that they have, and what is done with their bits.

use super::declared::Number;

/// A type of shared numbers: `i32`, `u32`, `i64`, `u64`, `f32` or `f64`.
///
/// ```
/// use wasmpool::{Numeric, Value};
///
/// fn shared<T: Numeric>(number: T) -> std::io::Result<Value<T>> {
///     Value::new(number)
/// }
/// assert_eq!(shared(0.5_f32)?.get(), 0.5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Numeric: Copy + Send + Sync + private::Bits + 'static {
    /// The same type, as it is declared.
    #[doc(hidden)]
    const NUMBER: Number;
}

pub(crate) mod private {
    /// Numbers as bits, in as many bytes as they have.
    pub trait Bits: Sized {
        /// From bit 0 on, zeros above.
        fn to_bits(self) -> u64;

        /// Whatever is above is left out.
        fn from_bits(bits: u64) -> Self;

        /// Wraps around where it is an integer.
        fn sum(self, other: Self) -> Self;
    }
}

macro_rules! integers {
    ($($rust:ident, $unsigned:ident, $number:ident;)*) => {$(
        impl Numeric for $rust {
            const NUMBER: Number = Number::$number;
        }

        impl private::Bits for $rust {
            fn to_bits(self) -> u64 {
                <$unsigned>::from_le_bytes(self.to_le_bytes()).into()
            }

            fn from_bits(bits: u64) -> Self {
                first_bytes(bits, Self::from_le_bytes)
            }

            fn sum(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )*};
}

macro_rules! floats {
    ($($rust:ident, $number:ident;)*) => {$(
        impl Numeric for $rust {
            const NUMBER: Number = Number::$number;
        }

        impl private::Bits for $rust {
            fn to_bits(self) -> u64 {
                self.to_bits().into()
            }

            fn from_bits(bits: u64) -> Self {
                first_bytes(bits, Self::from_le_bytes)
            }

            fn sum(self, other: Self) -> Self {
                self + other
            }
        }
    )*};
}

integers! {
    i32, u32, S32;
    u32, u32, U32;
    i64, u64, S64;
    u64, u64, U64;
}

floats! {
    f32, F32;
    f64, F64;
}

fn first_bytes<T, const N: usize>(bits: u64, from: fn([u8; N]) -> T) -> T {
    let bytes = bits.to_le_bytes();
    from(*bytes.first_chunk().expect("no number has more than 8 bytes"))
}

impl Number {
    /// The bits of a number without those above it.
    pub(crate) fn narrow(self, bits: u64) -> u64 {
        match self.size() {
            4 => bits & u64::from(u32::MAX),
            _ => bits,
        }
    }

    /// The bits of a sum.
    pub(crate) fn sum(self, one: u64, other: u64) -> u64 {
        fn sum<T: Numeric>(one: u64, other: u64) -> u64 {
            T::from_bits(one).sum(T::from_bits(other)).to_bits()
        }
        match self {
            Self::S32 => sum::<i32>(one, other),
            Self::U32 => sum::<u32>(one, other),
            Self::S64 => sum::<i64>(one, other),
            Self::U64 => sum::<u64>(one, other),
            Self::F32 => sum::<f32>(one, other),
            Self::F64 => sum::<f64>(one, other),
        }
    }
}

/// The bytes of numbers, the lowest of each first.
pub(crate) fn to_bytes<T: Numeric>(numbers: &[T]) -> Vec<u8> {
    let size = T::NUMBER.size();
    numbers.iter().flat_map(|number| number.to_bits().to_le_bytes().into_iter().take(size)).collect()
}

/// The numbers of these bytes.
pub(crate) fn from_bytes<T: Numeric>(bytes: &[u8]) -> Vec<T> {
    let bits = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    bytes.chunks_exact(T::NUMBER.size()).map(|bytes| T::from_bits(bits(bytes))).collect()
}

#[cfg(test)]
mod tests {
    use super::private::Bits as _;
    use super::*;

    #[test]
    fn integers_wrap_around() {
        assert_eq!(Number::S32.sum(i32::MAX.to_bits(), 1), i32::MIN.to_bits());
        assert_eq!(Number::U32.sum(u64::from(u32::MAX), 2), 1);
        assert_eq!(Number::S64.sum((-1_i64).to_bits(), 1), 0);
        assert_eq!(Number::U64.sum(u64::MAX, 5), 4);
    }

    #[test]
    fn fractions_add_up() {
        let sum = Number::F32.sum(private::Bits::to_bits(0.5_f32), private::Bits::to_bits(-2.25_f32));
        assert_eq!(<f32 as private::Bits>::from_bits(sum), -1.75);
        let sum = Number::F64.sum(private::Bits::to_bits(1e300), private::Bits::to_bits(1.0));
        assert_eq!(<f64 as private::Bits>::from_bits(sum), 1e300);
    }

    #[test]
    fn what_is_above_a_number_is_not_seen() {
        assert_eq!(Number::S32.narrow(u64::MAX), u64::from(u32::MAX));
        assert_eq!(<i32 as private::Bits>::from_bits(0xffff_0000_ffff_ffff), -1);
    }

    #[test]
    fn numbers_come_out_of_their_bytes() {
        let numbers = [1.5_f64, -0.0, f64::INFINITY];
        assert_eq!(from_bytes::<f64>(&to_bytes(&numbers)), numbers);
        assert_eq!(to_bytes(&[-2_i32]), [0xfe, 0xff, 0xff, 0xff]);
    }
}
