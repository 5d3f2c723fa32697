//! An item: one call of the guest, fixed by the input and the flags alone.

/// Where an item stands among all of a run, from 0.
///
/// Merges are items too; theirs have the highest bit set ([`MERGE_BIT`]), so that they can never be taken for an
/// item of the input.
pub type ItemIndex = u64;

/// Set in the index of an item that merges values.
pub const MERGE_BIT: ItemIndex = 1 << 63;

/// The item that finishes the merged value of all others: it comes after every merge.
pub const FINISH: ItemIndex = MERGE_BIT | 127 << 56;

/// What one item calls the guest with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// The two ends of a part of a range: the call is `f(start, end)`.
    Span {
        /// The first number.
        start: i128,
        /// One past the last number.
        end: i128,
    },
    /// One number of a range: the call is `f(n)`.
    Number(i128),
    /// One text, not yet known to be UTF-8: the call is `f(text)`. A function over `list<u8>` gets any bytes as they
    /// are.
    Text(&'a [u8]),
    /// The content of a file, as a text is.
    File {
        /// The file's name, as it was given.
        name: &'a [u8],
        /// What is in it.
        content: &'a [u8],
    },
    /// A JSON array with one element for each parameter.
    Arguments(&'a [u8]),
    /// JSON, not yet known to be any: the value itself for a function of one parameter; for any other an array with
    /// one element for each parameter, or an object with a member for each, by name.
    Json {
        /// The line of a file that it stands on, from 1; 0 if it comes from no file.
        line: u64,
        /// The JSON.
        text: &'a [u8],
    },
    /// A JSON array of values to be folded from the left with the guest's merge function; or the one value that a
    /// function of one parameter finishes.
    Fold(&'a [u8]),
}
