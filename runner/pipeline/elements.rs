//! The elements of a JSON array, cut out one by one: a list may be long, and is held once.

/// An array whose elements have not all been cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elements {
    /// Well-formed JSON: an array.
    json: Box<str>,
    /// Where the next element starts.
    at: usize,
    /// Which it is, from 0.
    position: u64,
    /// How many are left.
    left: u64,
}

impl Elements {
    /// Those of this well-formed JSON; none if it is no array.
    pub(super) fn of(json: Box<str>) -> Option<Self> {
        let start = json.bytes().position(|byte| !byte.is_ascii_whitespace())?;
        if json.as_bytes()[start] != b'[' {
            return None;
        }
        let mut elements = Self { json, at: start + 1, position: 0, left: 0 };
        elements.left = elements.count();
        Some(elements)
    }

    /// How many are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Bytes of all of them, also of those that have been cut out.
    pub(super) fn bytes(&self) -> u64 {
        self.json.len() as u64
    }

    /// The next one, and which it is.
    pub(super) fn next(&mut self) -> Option<(u64, &str)> {
        self.left = self.left.checked_sub(1)?;
        let (start, position) = (self.at, self.position);
        let end = end_of_value(self.json.as_bytes(), start);
        self.at = end + 1;
        self.position += 1;
        Some((position, self.json[start..end].trim_ascii()))
    }

    fn count(&self) -> u64 {
        let bytes = self.json.as_bytes();
        let mut end = end_of_value(bytes, self.at);
        if bytes[self.at..end].trim_ascii().is_empty() {
            return 0;
        }
        let mut count = 1;
        while bytes.get(end) == Some(&b',') {
            end = end_of_value(bytes, end + 1);
            count += 1;
        }
        count
    }
}

/// Where the value that starts here ends, with the space around it: at a comma or a bracket that is not in it.
fn end_of_value(json: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_string(json, at),
            b'[' | b'{' => depth += 1,
            b',' if depth == 0 => return at,
            b']' | b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return at,
            },
            _ => {}
        }
        at += 1;
    }
    json.len()
}

/// Where the closing quote is of the string that is opened here.
fn end_of_string(json: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn cut(json: &str) -> Vec<(u64, String)> {
        let mut elements = Elements::of(json.into()).expect("an array");
        let mut cut = Vec::new();
        let left = elements.left();
        while let Some((position, text)) = elements.next() {
            cut.push((position, text.to_owned()));
        }
        assert_eq!((left, elements.left()), (cut.len() as u64, 0));
        cut
    }

    #[track_caller]
    fn check(json: &str, expected: &[&str]) {
        let expected: Vec<_> = (0..).zip(expected.iter().map(|text| (*text).to_owned())).collect();
        assert_eq!(cut(json), expected);
    }

    #[test]
    fn elements_come_out_as_they_are_written() {
        check("[1,[2,3],{\"a\":[4]}]", &["1", "[2,3]", "{\"a\":[4]}"]);
        check(" [ 1 , 2 ] ", &["1", "2"]);
    }

    #[test]
    fn an_empty_array_has_none() {
        check("[]", &[]);
        check("[ ]", &[]);
    }

    #[test]
    fn what_stands_in_a_string_ends_nothing() {
        check(r#"["a,]","\"],","\\",""]"#, &[r#""a,]""#, r#""\"],""#, r#""\\""#, r#""""#]);
    }

    #[test]
    fn what_is_no_array_has_no_elements() {
        assert_eq!(Elements::of("1".into()), None);
        assert_eq!(Elements::of("\"[]\"".into()), None);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            "[a\\\\\"\\[\\]{},é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a\"\\]]{0,3}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn they_are_those_that_a_parser_finds(array in proptest::collection::vec(values(), 0..6)) {
            for json in [serde_json::to_string(&array).unwrap(), serde_json::to_string_pretty(&array).unwrap()] {
                let parsed: Vec<&RawValue> = serde_json::from_str(&json).unwrap();
                let expected: Vec<_> = (0..).zip(parsed.iter().map(|raw| raw.get().to_owned())).collect();
                prop_assert_eq!(cut(&json), expected);
            }
        }
    }
}
