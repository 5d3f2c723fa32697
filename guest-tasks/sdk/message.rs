//! What can be sent through queues and pipes, and the bytes of it.

use alloc::string::String;
use alloc::vec::Vec;

/// Something that goes through a [`Queue`](crate::Queue) or a pipe.
///
/// | type | bytes |
/// |---|---|
/// | integers, `f32`, `f64`, `char` | as many as it has, the lowest first |
/// | `bool` | 0 or 1 |
/// | `Option<T>` | 0, or 1 and the value |
/// | `String`, `Vec<T>` | how many bytes or elements in four bytes, and these |
/// | tuples of up to four | one after the other |
///
/// A whole message that is a `String` or a `Vec<u8>` is its bytes and nothing else.
///
/// ```
/// use wasmpool_guest::Message;
///
/// let bytes = (7_u16, Some(true)).encode();
/// assert_eq!(bytes, [7, 0, 1, 1]);
/// assert_eq!(<(u16, Option<bool>)>::decode(&bytes), Some((7, Some(true))));
/// ```
pub trait Message: Sized {
    /// Puts its bytes behind those that are there.
    fn put(&self, bytes: &mut Vec<u8>);

    /// Takes it from the beginning of the bytes; none if it is not there.
    fn take(bytes: &mut &[u8]) -> Option<Self>;

    /// The bytes of a whole message.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.put(&mut bytes);
        bytes
    }

    /// What a whole message is; none if it is something else.
    fn decode(mut bytes: &[u8]) -> Option<Self> {
        Self::take(&mut bytes).filter(|_| bytes.is_empty())
    }

    /// As [`Message::put`] of each.
    #[doc(hidden)]
    fn put_all(all: &[Self], bytes: &mut Vec<u8>) {
        all.iter().for_each(|one| one.put(bytes));
    }

    /// As [`Message::take`], so many times.
    #[doc(hidden)]
    fn take_all(count: usize, bytes: &mut &[u8]) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        for _ in 0..count {
            // What takes no bytes has no end to it.
            if bytes.is_empty() {
                return None;
            }
            all.push(Self::take(bytes)?);
        }
        Some(all)
    }

    /// As [`Message::encode`] of a list of these.
    #[doc(hidden)]
    fn encode_list(list: &Vec<Self>) -> Vec<u8> {
        let mut bytes = Vec::new();
        list.put(&mut bytes);
        bytes
    }

    /// As [`Message::decode`] of a list of these.
    #[doc(hidden)]
    fn decode_list(mut bytes: &[u8]) -> Option<Vec<Self>> {
        Vec::take(&mut bytes).filter(|_| bytes.is_empty())
    }
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Message for $number {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (first, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*first))
            }
        }
    )*};
}

numbers! { i8 u16 i16 u32 i32 u64 i64 f32 f64 }

impl Message for u8 {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        bytes.split_off_first().copied()
    }

    fn put_all(all: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(all);
    }

    fn take_all(count: usize, bytes: &mut &[u8]) -> Option<Vec<Self>> {
        bytes.split_off(..count).map(<[u8]>::to_vec)
    }

    fn encode_list(list: &Vec<Self>) -> Vec<u8> {
        list.clone()
    }

    fn decode_list(bytes: &[u8]) -> Option<Vec<Self>> {
        Some(bytes.to_vec())
    }
}

impl Message for bool {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match u8::take(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Message for char {
    fn put(&self, bytes: &mut Vec<u8>) {
        u32::from(*self).put(bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_u32(u32::take(bytes)?)
    }
}

impl<T: Message> Message for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.is_some().put(bytes);
        if let Some(value) = self {
            value.put(bytes);
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        if bool::take(bytes)? { T::take(bytes).map(Some) } else { Some(None) }
    }
}

impl<T: Message> Message for Vec<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        u32::try_from(self.len()).expect("a guest has less than 4 GiB of memory").put(bytes);
        T::put_all(self, bytes);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let count = usize::try_from(u32::take(bytes)?).ok()?;
        T::take_all(count, bytes)
    }

    fn encode(&self) -> Vec<u8> {
        T::encode_list(self)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        T::decode_list(bytes)
    }
}

impl Message for String {
    fn put(&self, bytes: &mut Vec<u8>) {
        u32::try_from(self.len()).expect("a guest has less than 4 GiB of memory").put(bytes);
        bytes.extend_from_slice(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::take(bytes)?).ok()
    }

    fn encode(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        impl<$($name: Message),*> Message for ($($name,)*) {
            fn put(&self, bytes: &mut Vec<u8>) {
                #[expect(non_snake_case, reason = "named as their types are")]
                let ($($name,)*) = self;
                $($name.put(bytes);)*
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($name::take(bytes)?,)*))
            }
        }
    )*};
}

tuples! { (A) (A, B) (A, B, C) (A, B, C, D) }

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;
    use core::fmt::Debug;

    use super::*;

    #[track_caller]
    fn check<T: Message + PartialEq + Debug>(message: T, bytes: &[u8]) {
        assert_eq!(message.encode(), bytes);
        assert_eq!(T::decode(bytes), Some(message));
    }

    #[test]
    fn a_number_is_its_bytes() {
        check(258_u64, &[2, 1, 0, 0, 0, 0, 0, 0]);
        check(-2_i32, &[254, 255, 255, 255]);
        check(1.0_f64, &[0, 0, 0, 0, 0, 0, 240, 63]);
        check('ü', &[252, 0, 0, 0]);
        check(true, &[1]);
    }

    #[test]
    fn a_text_alone_is_its_bytes() {
        check("hi".to_string(), b"hi");
        check(vec![1_u8, 2], &[1, 2]);
        check(String::new(), b"");
    }

    #[test]
    fn a_text_among_others_says_how_long_it_is() {
        check(("hi".to_string(), 7_u8), &[2, 0, 0, 0, b'h', b'i', 7]);
        check(vec!["a".to_string()], &[1, 0, 0, 0, 1, 0, 0, 0, b'a']);
        check((vec![3_u8],), &[1, 0, 0, 0, 3]);
    }

    #[test]
    fn what_may_be_missing_says_whether_it_is_there() {
        check(None::<u16>, &[0]);
        check(Some(9_u16), &[1, 9, 0]);
        check((Some(1_u8), None::<u8>, false, 2_u8), &[1, 1, 0, 0, 2]);
    }

    #[track_caller]
    fn check_refused<T: Message + PartialEq + Debug>(bytes: &[u8]) {
        assert_eq!(T::decode(bytes), None);
    }

    #[test]
    fn bytes_of_something_else_are_refused() {
        check_refused::<u64>(&[1, 2, 3]);
        check_refused::<u8>(&[1, 2]);
        check_refused::<bool>(&[2]);
        check_refused::<char>(&[0, 216, 0, 0]);
        check_refused::<String>(&[255]);
        check_refused::<Vec<u32>>(&[255, 255, 255, 255, 1, 0, 0, 0]);
        check_refused::<(u8, String)>(&[1, 200, 0, 0, 0, b'x']);
    }
}
