//! Stands in for `runner/report`, which draws on terminals.

/// How many items ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) items: u64,
    pub(crate) ok: u64,
    pub(crate) err: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
}
