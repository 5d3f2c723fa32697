//! The tests that are not beside the code they test, in one program so that they are linked once.
//!
//! | file | what belongs there |
//! |---|---|
//! | `tidy.rs` | what must hold for the text of the project: who may name what, what every file has, what documents say |
//!
//! `model/` is a package of its own: the scheduler's protocols under a model checker, which needs its own atomics.

mod tidy;
