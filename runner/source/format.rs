//! What bytes look like that are no text: packed files, and encodings other than UTF-8. A guess, to be told to the
//! user; it changes nothing of what is read.

/// What the first bytes of a file tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format {
    magic: &'static [u8],
    name: &'static str,
    /// What makes text of it.
    cure: &'static str,
}

/// Longer beginnings before shorter ones that they begin with.
const FORMATS: [Format; 8] = [
    Format { magic: b"\x1f\x8b\x08", name: "gzip", cure: "zcat" },
    Format { magic: b"\x28\xb5\x2f\xfd", name: "zstd", cure: "zstdcat" },
    Format { magic: b"BZh91AY&SY", name: "bzip2", cure: "bzcat" },
    Format { magic: b"\xfd7zXZ\0", name: "xz", cure: "xzcat" },
    Format { magic: b"\xff\xfe\0\0", name: "UTF-32", cure: "iconv -f UTF-32 -t UTF-8" },
    Format { magic: b"\0\0\xfe\xff", name: "UTF-32", cure: "iconv -f UTF-32 -t UTF-8" },
    Format { magic: b"\xff\xfe", name: "UTF-16", cure: "iconv -f UTF-16 -t UTF-8" },
    Format { magic: b"\xfe\xff", name: "UTF-16", cure: "iconv -f UTF-16 -t UTF-8" },
];

impl Format {
    /// The format that starts like this.
    pub(super) fn of(start: &[u8]) -> Option<&'static Self> {
        FORMATS.iter().find(|format| start.starts_with(format.magic))
    }

    /// Whether more bytes cannot change what [`Format::of`] says.
    ///
    /// No magic has a line feed in it. So it takes no more than the first line to know, and nothing that has arrived
    /// is kept waiting by the question.
    pub(super) fn is_known(start: &[u8]) -> bool {
        let could_be = |format: &Self| format.magic.len() > start.len() && format.magic.starts_with(start);
        !FORMATS.iter().any(could_be)
    }

    /// What to tell the user about the input `name`.
    pub(super) fn remark(&self, name: &str) -> String {
        let Self { magic: _, name: format, cure } = self;
        format!(
            "{name} looks like {format}, and is taken byte for byte; for the text in it: \
             `{cure} FILE | wasmpool … -`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &[u8], expected: Option<&str>) {
        assert_eq!(Format::of(start).map(|format| format.name), expected);
    }

    #[test]
    fn i14_packed_files_and_other_encodings_are_known_by_their_first_bytes() {
        check(b"\x1f\x8b\x08\0rest", Some("gzip"));
        check(b"(\xb5/\xfdrest", Some("zstd"));
        check(b"BZh91AY&SYrest", Some("bzip2"));
        check(b"\xfd7zXZ\0rest", Some("xz"));
        check(b"\xff\xfea\0", Some("UTF-16"));
        check(b"\xfe\xff\0a", Some("UTF-16"));
        check(b"\xff\xfe\0\0a\0\0\0", Some("UTF-32"));
        check(b"\0\0\xfe\xff\0\0\0a", Some("UTF-32"));
    }

    #[test]
    fn i14_text_is_text() {
        for text in [b"".as_slice(), b"one", b"\xef\xbb\xbfone", b"(one)", b"BZh is a word", b"\0", b"\x1f"] {
            check(text, None);
        }
    }

    #[test]
    fn to_know_a_format_takes_no_more_than_the_first_line() {
        for Format { magic, .. } in &FORMATS {
            for cut in 0..magic.len() {
                let line = [&magic[..cut], b"\n"].concat();
                assert!(Format::is_known(&line), "{line:?}");
            }
        }
    }

    #[test]
    fn a_beginning_of_two_formats_is_known_when_one_is_left() {
        assert!(!Format::is_known(b""));
        assert!(!Format::is_known(b"\xff\xfe"));
        assert!(!Format::is_known(b"\xff\xfe\0"));
        assert!(Format::is_known(b"\xff\xfe\0a"));
        assert!(Format::is_known(b"\xff\xfe\0\0"));
        assert!(Format::is_known(b"a"));
    }

    #[test]
    fn i14_a_remark_says_what_to_do() {
        assert_eq!(
            Format::of(b"\x1f\x8b\x08").unwrap().remark("`a.gz`"),
            "`a.gz` looks like gzip, and is taken byte for byte; for the text in it: `zcat FILE | wasmpool … -`"
        );
    }
}
