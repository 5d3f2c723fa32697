//! What queues and pipes carry, and how it becomes bytes.
//!
//! | type | bytes |
//! |---|---|
//! | integers, floats | as many as the type has, the lowest first |
//! | `bool` | 0 or 1 |
//! | `char` | its number, as a `u32` |
//! | `Option<T>` | 0; or 1, then the value |
//! | `String`, `Vec<T>` | how many bytes or elements there are, as a `u32`; then these |
//! | tuples | one after the other |
//!
//! A whole message that is a `String` or a `Vec<u8>` is its bytes alone.

/// A type whose values can be put into a [`Queue`](crate::Queue) or sent through a pipe: integers, floats, `bool`,
/// `char`, `String`, `Vec<u8>`, and options, vectors and tuples of up to 4 of these. A guest has the same types.
///
/// ```
/// use wasmpool::Message;
///
/// let mut bytes = Vec::new();
/// (7_u16, Some(true)).encode(&mut bytes);
/// assert_eq!(bytes, [7, 0, 1, 1]);
/// assert_eq!(<(u16, Option<bool>)>::decode(&bytes)?, (7, Some(true)));
/// # Ok::<(), wasmpool::Malformed>(())
/// ```
pub trait Message: Sized {
    /// Appends the value as a part of a message.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a value from the beginning of `bytes`, and moves them on to what comes next.
    ///
    /// # Errors
    /// If there is none.
    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed>;

    /// Appends the value as a whole message.
    fn encode(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// If it is not one value of this type.
    fn decode(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let value = Self::read(&mut bytes)?;
        if bytes.is_empty() { Ok(value) } else { Err(Malformed::of::<Self>()) }
    }

    /// Appends a list of values as a whole message.
    #[doc(hidden)]
    fn encode_list(values: &[Self], out: &mut Vec<u8>) {
        write_list(values, out);
    }

    /// Reads a whole message that is a list of values.
    #[doc(hidden)]
    fn decode_list(mut bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        let values = read_list(&mut bytes)?;
        if bytes.is_empty() { Ok(values) } else { Err(Malformed::of::<Vec<Self>>()) }
    }
}

/// A message that is no value of the type that was expected: who put it there meant another.
///
/// ```
/// use wasmpool::Message;
///
/// println!("{}", u32::decode(b"abc").expect_err("3 bytes are no u32"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is no `{expected}`")]
pub struct Malformed {
    /// The type.
    pub expected: &'static str,
}

impl Malformed {
    fn of<T>() -> Self {
        Self { expected: std::any::type_name::<T>() }
    }
}

macro_rules! numbers {
    ($($rust:ident)*) => {$(
        impl Message for $rust {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
                let (number, rest) = bytes.split_first_chunk().ok_or(Malformed::of::<Self>())?;
                *bytes = rest;
                Ok(Self::from_le_bytes(*number))
            }
        }
    )*};
}

numbers! { i8 i16 u16 i32 u32 i64 u64 f32 f64 }

impl Message for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let (byte, rest) = bytes.split_first().ok_or(Malformed::of::<Self>())?;
        *bytes = rest;
        Ok(*byte)
    }

    fn encode_list(values: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(values);
    }

    fn decode_list(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        Ok(bytes.to_vec())
    }
}

impl Message for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        match u8::read(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::of::<Self>()),
        }
    }
}

impl Message for char {
    fn write(&self, out: &mut Vec<u8>) {
        u32::from(*self).write(out);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        Self::from_u32(u32::read(bytes)?).ok_or(Malformed::of::<Self>())
    }
}

impl Message for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        let length = read_count(bytes)?;
        let (text, rest) = bytes.split_at_checked(length).ok_or(Malformed::of::<Self>())?;
        *bytes = rest;
        Self::decode(text)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::of::<Self>())
    }
}

impl<T: Message> Message for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        read_list(bytes)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        T::encode_list(self, out);
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        T::decode_list(bytes)
    }
}

impl<T: Message> Message for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
        if bool::read(bytes)? { T::read(bytes).map(Some) } else { Ok(None) }
    }
}

macro_rules! tuples {
    ($(($($name:ident $value:ident),+))*) => {$(
        impl<$($name: Message),+> Message for ($($name,)+) {
            fn write(&self, out: &mut Vec<u8>) {
                let ($($value,)+) = self;
                $($value.write(out);)+
            }

            fn read(bytes: &mut &[u8]) -> Result<Self, Malformed> {
                Ok(($($name::read(bytes)?,)+))
            }
        }
    )*};
}

tuples! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    // What has more is too long for any queue.
    u32::try_from(count).unwrap_or(u32::MAX).write(out);
}

fn read_count(bytes: &mut &[u8]) -> Result<usize, Malformed> {
    usize::try_from(u32::read(bytes)?).map_err(|_| Malformed::of::<u32>())
}

fn write_list<T: Message>(values: &[T], out: &mut Vec<u8>) {
    write_count(values.len(), out);
    values.iter().for_each(|value| value.write(out));
}

fn read_list<T: Message>(bytes: &mut &[u8]) -> Result<Vec<T>, Malformed> {
    let count = read_count(bytes)?;
    // Every value has a byte, at least: a count that cannot be ends soon, and nothing is allocated for it.
    (0..count).map(|_| T::read(bytes)).collect::<Result<_, _>>().map_err(|_| Malformed::of::<Vec<T>>())
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn check<M: Message + PartialEq + Debug>(value: M, bytes: &[u8]) {
        let mut encoded = Vec::new();
        value.encode(&mut encoded);
        assert_eq!(encoded, bytes);
        assert_eq!(M::decode(bytes), Ok(value));
    }

    /// The same lines are in the tests of `guest-tasks/sdk/message.rs`.
    #[test]
    fn guests_have_the_same_bytes() {
        check(258_u64, &[2, 1, 0, 0, 0, 0, 0, 0]);
        check(-2_i32, &[254, 255, 255, 255]);
        check(1.0_f64, &[0, 0, 0, 0, 0, 0, 240, 63]);
        check('ü', &[252, 0, 0, 0]);
        check(true, &[1]);
        check("hi".to_owned(), b"hi");
        check(vec![1_u8, 2], &[1, 2]);
        check(String::new(), b"");
        check(("hi".to_owned(), 7_u8), &[2, 0, 0, 0, b'h', b'i', 7]);
        check(vec!["a".to_owned()], &[1, 0, 0, 0, 1, 0, 0, 0, b'a']);
        check((vec![3_u8],), &[1, 0, 0, 0, 3]);
        check(None::<u16>, &[0]);
        check(Some(9_u16), &[1, 9, 0]);
        check((Some(1_u8), None::<u8>, false, 2_u8), &[1, 1, 0, 0, 2]);
    }

    #[test]
    fn numbers_have_the_lowest_byte_first() {
        check(0x1234_u16, &[0x34, 0x12]);
        check(-2_i64, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        check(1.5_f64, &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f]);
        check(7_u8, &[7]);
    }

    #[test]
    fn a_whole_message_that_is_text_or_bytes_is_its_bytes() {
        check("né".to_owned(), b"n\xc3\xa9");
        check(vec![1_u8, 2, 3], &[1, 2, 3]);
        check(String::new(), b"");
    }

    #[test]
    fn inside_of_others_they_have_a_count() {
        check(("ab".to_owned(), vec![9_u8]), b"\x02\0\0\0ab\x01\0\0\0\x09");
        check(vec!["a".to_owned()], b"\x01\0\0\0\x01\0\0\0a");
        check(vec![vec![1_u8], vec![]], b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\0");
    }

    #[test]
    fn an_option_says_whether_it_is_there() {
        check(None::<u32>, &[0]);
        check(Some(5_u32), &[1, 5, 0, 0, 0]);
    }

    #[test]
    fn a_tuple_is_one_after_the_other() {
        check((1_u8, true, 'é', -1_i16), &[1, 1, 0xe9, 0, 0, 0, 0xff, 0xff]);
        check(vec![1_u32, 2], &[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    }

    #[track_caller]
    fn check_malformed<M: Message + PartialEq + Debug>(bytes: &[u8]) {
        assert_eq!(M::decode(bytes), Err(Malformed::of::<M>()));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        check_malformed::<u32>(&[1, 2, 3]);
        check_malformed::<u32>(&[1, 2, 3, 4, 5]);
        check_malformed::<bool>(&[2]);
        check_malformed::<char>(&[0, 0xd8, 0, 0]);
        check_malformed::<String>(&[0xff]);
        check_malformed::<Vec<u64>>(&[0xff; 4]);
        check_malformed::<Vec<String>>(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }
}
