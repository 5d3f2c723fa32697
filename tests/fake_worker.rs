//! The pool against worker processes that misbehave: whatever they do, every item ends exactly once, in bounded time,
//! and no process is left.
//!
//! A fake worker is this very test program, started again through `fake_worker/worker.sh`: the script sets a
//! variable and runs the one test [`entry`], which then speaks the protocol as its [`Script`] says.

#![expect(clippy::unwrap_used, reason = "a worker or a test that cannot go on fails")]

mod actor;
mod bytes;
mod cached;
mod chaos;
mod compiling;
mod deaths;
mod estates;
mod fake;
mod jails;
mod lies;
mod pages;
mod pipes;
mod script;
mod serving;
mod starts;
mod steps;

pub(crate) use self::fake::{Fake, Ran, alone, job, numbers};
pub(crate) use self::script::{
    Compiler, Death, Fault, Lie, Locked, Misdeed, Page, Results, Script, Start, Step, When,
};

/// Names the folder of the test that started this process as a worker.
const STAGE: &str = "WASMPOOL_FAKE";

/// Not a test: where a fake worker starts.
#[test]
#[expect(clippy::exit, reason = "a worker has an exit code of its own, not the test harness's")]
fn entry() {
    if let Some(stage) = std::env::var_os(STAGE) {
        std::process::exit(actor::play(stage.as_ref()));
    }
}

#[test]
fn an_honest_worker_gets_everything_done() {
    let ran = Fake::new(Script::default()).run(job(numbers(100)));
    ran.check_ok_but(100, &[]);
    assert_eq!(ran.summary().attempts, 100);
}
