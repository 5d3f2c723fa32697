//! The types that shared numbers have.

use alloc::vec::Vec;

use crate::pool::wasmpool::pool::types;

/// A type of shared numbers: `i32`, `u32`, `i64`, `u64`, `f32` or `f64`.
///
/// ```
/// use wasmpool_guest::{Numeric, OpenError, Value};
///
/// fn number<T: Numeric>(name: &str) -> Result<T, OpenError> {
///     Ok(Value::<T>::open(name)?.get())
/// }
/// ```
pub trait Numeric: Copy + sealed::Bits {}

pub(crate) mod sealed {
    use super::{Vec, types};

    pub trait Bits: Sized {
        const NUMBER: types::Number;
        const SIZE: usize;

        /// From bit 0 on, zeros above.
        fn bits(self) -> u64;

        /// Whatever is above is left out.
        fn of_bits(bits: u64) -> Self;

        /// The lowest first.
        fn put_bytes(self, bytes: &mut Vec<u8>);
    }
}

macro_rules! numbers {
    ($($rust:ident $number:ident;)*) => {$(
        impl Numeric for $rust {}

        impl sealed::Bits for $rust {
            const NUMBER: types::Number = types::Number::$number;
            const SIZE: usize = size_of::<Self>();

            fn bits(self) -> u64 {
                let mut word = [0; 8];
                word[..Self::SIZE].copy_from_slice(&self.to_le_bytes());
                u64::from_le_bytes(word)
            }

            fn of_bits(bits: u64) -> Self {
                let bytes = bits.to_le_bytes();
                Self::from_le_bytes(*bytes.first_chunk().expect("no number has more than 8 bytes"))
            }

            fn put_bytes(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

numbers! {
    i32 S32;
    u32 U32;
    i64 S64;
    u64 U64;
    f32 F32;
    f64 F64;
}

/// The numbers of these bytes.
pub(crate) fn from_bytes<T: Numeric>(bytes: &[u8]) -> Vec<T> {
    let number = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        T::of_bits(u64::from_le_bytes(word))
    };
    bytes.chunks_exact(T::SIZE).map(number).collect()
}

/// The bytes of these numbers.
pub(crate) fn to_bytes<T: Numeric>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() * T::SIZE);
    numbers.iter().for_each(|number| number.put_bytes(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::sealed::Bits as _;
    use super::*;

    #[test]
    fn a_number_comes_out_of_its_bits() {
        assert_eq!(i32::of_bits((-3_i32).bits()), -3);
        assert_eq!(f32::of_bits(2.5_f32.bits()).to_bits(), 2.5_f32.to_bits());
        assert_eq!((-1_i32).bits(), u64::from(u32::MAX));
    }

    #[test]
    fn numbers_come_out_of_their_bytes() {
        assert_eq!(to_bytes(&[-2_i64, 1]), [254, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(from_bytes::<i64>(&to_bytes(&[-2_i64, 1])), [-2, 1]);
    }
}
