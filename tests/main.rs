//! The tests that are not beside the code they test, in one program so that they are linked once.
//!
//! | file | what belongs there |
//! |---|---|
//! | `harness.rs` | runs the command and compares everything it gives back |
//! | `run.rs` | `wasmpool run`: values, records, and the same bytes however the work is shared out |
//! | `lines.rs` | `wasmpool run --lines`: what a line is, and streams of them |
//! | `inputs.rs` | `wasmpool run` over lines of JSON, blocks, files and single items |
//! | `binding.rs` | `--bind` and `--init`: parameters that are bound, and instances that are prepared |
//! | `merging.rs` | values that become one: of ranges, of blocks, of whatever is asked for |
//! | `pipeline.rs` | `wasmpool pipeline`: what becomes of items from stage to stage |
//! | `parity.rs` | what programs with Python's `multiprocessing` do, with the values they print |
//! | `library.rs` | the library as programs use it: pools, futures, and what they say about mistakes |
//! | `call.rs` | `wasmpool call`: one call and its value |
//! | `inspect.rs` | `wasmpool inspect`: what a guest offers |
//! | `faults.rs` | guests that misbehave, workers that die: what becomes of their items |
//! | `modules.rs` | guests that are made to hurt whoever compiles or loads them |
//! | `protection.rs` | `--sandbox` and `wasmpool doctor`, on machines and in containers that lack what the jail is made of |
//! | `promises.rs` | what breaks other pools: killed workers and hosts, slow readers, and that it does not break this one |
//! | `policies.rs` | items that are run again or cancelled, ends of runs that were asked for, bounds of the host's memory |
//! | `limits.rs` | memory, output and fuel: items up to their limits and beyond; runs that are the same every time |
//! | `guests.rs` | guests that try what guests should not: what they get, and what they do not |
//! | `folders.rs` | folders and an environment that guests are given, and what is denied to them |
//! | `sharing.rs` | files that guests have in their memory: `--share`, what they find there and what they leave |
//! | `escapes.rs` | guests that try to get out of their folders, or to do there what they may not |
//! | `errors.rs` | bad usage, guests and inputs: the texts and the exit codes |
//! | `pauses.rs` | runs that are stopped and go on: Ctrl-Z and `fg` |
//! | `cache.rs` | compiled guests that are kept, and refused where they could be anybody's; `wasmpool cache` |
//! | `signals.rs` | how a run ends at a signal, and what is left of it: nothing |
//! | `journal.rs` | runs that are killed and gone on with, joblogs, `wasmpool replay` |
//! | `host_limits.rs` | machines and parents that allow little |
//! | `many_pools.rs` | a thousand pools in one process: nothing is left of them |
//! | `help.rs` | the help, and that what it says is so |
//! | `bench_command.rs` | `wasmpool bench`: its table, and which results it calls the same |
//! | `manual.rs` | `wasmpool completions` and `wasmpool man`: all that the help knows, and nothing hidden |
//! | `documents.rs` | the documents: their transcripts are run, their guest is built |
//! | `fake_worker.rs` | the pool against worker processes that misbehave in every way there is |
//! | `pool.rs` | runs as a program starts them: sources and sinks that are slow, endless or broken, and ends from outside |
//! | `syscalls.rs` | the table of system calls: what workers really call, and that nothing in it is for nobody |
//! | `values.rs` | typed values of every kind, there and back, and what is said about wrong ones |
//! | `catalogue.rs` | the catalogue of faults: each case has tests, each of them a case |
//! | `tidy.rs` | what must hold for the text of the project: who may name what, what every file has, what documents say |
//!
//! `fuzz/` is a package of its own: hostile bytes for every reader, and guests that nobody wrote, for which it needs
//! crates that wasmpool does not.
//!
//! `model/` is a package of its own: the protocols of threads and processes under a model checker, which needs its own
//! atomics.

mod bench_command;
mod binding;
mod cache;
mod call;
mod catalogue;
mod documents;
mod errors;
mod escapes;
mod fake_worker;
mod faults;
mod folders;
mod guests;
mod harness;
mod help;
mod host_limits;
mod inputs;
mod inspect;
mod journal;
mod library;
mod limits;
mod lines;
mod manual;
mod many_pools;
mod merging;
mod modules;
mod parity;
mod pauses;
mod pipeline;
mod policies;
mod pool;
mod promises;
mod protection;
mod run;
mod sharing;
mod signals;
mod syscalls;
mod tidy;
mod values;
