//! The tests that are not beside the code they test, in one program so that they are linked once.
//!
//! | file | what belongs there |
//! |---|---|
//! | `harness.rs` | runs the command and compares everything it gives back |
//! | `run.rs` | `wasmpool run`: values, records, and the same bytes however the work is shared out |
//! | `lines.rs` | `wasmpool run --lines`: what a line is, and streams of them |
//! | `inputs.rs` | `wasmpool run` over lines of JSON, blocks, files and single items |
//! | `merging.rs` | values that become one: of ranges, of blocks, of whatever is asked for |
//! | `parity.rs` | what programs with Python's `multiprocessing` do, with the values they print |
//! | `call.rs` | `wasmpool call`: one call and its value |
//! | `inspect.rs` | `wasmpool inspect`: what a guest offers |
//! | `faults.rs` | guests that misbehave, workers that die: what becomes of their items |
//! | `policies.rs` | items that are run again or cancelled, ends of runs that were asked for, bounds of the host's memory |
//! | `limits.rs` | memory, output and fuel: items up to their limits and beyond; runs that are the same every time |
//! | `guests.rs` | guests that try what guests should not: what they get, and what they do not |
//! | `errors.rs` | bad usage, guests and inputs: the texts and the exit codes |
//! | `signals.rs` | how a run ends at a signal, and what is left of it: nothing |
//! | `journal.rs` | runs that are killed and gone on with, joblogs, `wasmpool replay` |
//! | `help.rs` | the help, and that what it says is so |
//! | `bench_command.rs` | `wasmpool bench`: its table, and which results it calls the same |
//! | `manual.rs` | `wasmpool completions` and `wasmpool man`: all that the help knows, and nothing hidden |
//! | `documents.rs` | the documents: their transcripts are run, their guest is built |
//! | `fake_worker.rs` | the pool against worker processes that misbehave in every way there is |
//! | `pool.rs` | runs as a program starts them: sources and sinks that are slow, endless or broken, and ends from outside |
//! | `values.rs` | typed values of every kind, there and back, and what is said about wrong ones |
//! | `tidy.rs` | what must hold for the text of the project: who may name what, what every file has, what documents say |
//!
//! `model/` is a package of its own: the scheduler's protocols under a model checker, which needs its own atomics.

mod bench_command;
mod call;
mod documents;
mod errors;
mod fake_worker;
mod faults;
mod guests;
mod harness;
mod help;
mod inputs;
mod inspect;
mod journal;
mod limits;
mod lines;
mod manual;
mod merging;
mod parity;
mod policies;
mod pool;
mod run;
mod signals;
mod tidy;
mod values;
