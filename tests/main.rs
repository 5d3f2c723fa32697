//! The tests that are not beside the code they test, in one program so that they are linked once.
//!
//! | file | what belongs there |
//! |---|---|
//! | `fake_worker.rs` | the pool against worker processes that misbehave in every way there is |
//! | `pool.rs` | runs as a program starts them: sources and sinks that are slow, endless or broken, and ends from outside |
//! | `tidy.rs` | what must hold for the text of the project: who may name what, what every file has, what documents say |
//!
//! `model/` is a package of its own: the scheduler's protocols under a model checker, which needs its own atomics.

mod fake_worker;
mod pool;
mod tidy;
