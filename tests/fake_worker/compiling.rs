//! Compile workers that misbehave: the guest is refused, at once and in words that say why.

use wasmpool::error::{Error, ExitCode};

use super::{Compiler, Fake, Script, job, numbers};

fn fake(compiler: Compiler) -> Fake {
    Fake::new(Script { compiler, ..Script::default() })
}

/// The guest is refused, for this reason.
#[track_caller]
fn check(compiler: Compiler, reason: &str) {
    let ran = fake(compiler).run(job(numbers(12)));
    check_refused(ran.error(), reason);
    assert!(ran.ends.is_empty(), "{:?}", ran.ends);
}

#[track_caller]
fn check_refused(error: &Error, reason: &str) {
    assert_eq!(error.to_string(), format!("`fake.wasm` {reason}"));
    assert_eq!(error.exit_code(), ExitCode::GUEST);
}

/// It is refused because this rule was broken.
#[track_caller]
fn check_broken(compiler: Compiler, rule: &str) {
    check(compiler, &format!("cannot be compiled: the compile worker broke the protocol: {rule}"));
}

#[test]
fn code_before_the_description() {
    check_broken(Compiler::CodeFirst, "it sent code before a description");
}

#[test]
fn garbage() {
    check_broken(Compiler::Garbage, "bytes that are no frame");
}

#[test]
fn a_description_over_the_cap() {
    check_broken(Compiler::LongDescription, "1048577 bytes where at most 1048576 are allowed");
}

#[test]
fn a_description_that_is_none() {
    check_broken(Compiler::BrokenDescription, "a Description message with a malformed payload");
}

#[test]
fn two_descriptions() {
    check_broken(Compiler::DescribeTwice, "it sent two descriptions");
}

#[test]
fn a_serving_workers_message() {
    check_broken(Compiler::Ready, "it sent a serving worker's message");
}

#[test]
fn another_build() {
    let build = wasmpool::wire::version::BUILD;
    check_broken(Compiler::OtherBuild, &format!("the other side is wasmpool 0, this one {build}"));
}

#[test]
fn no_greeting() {
    check_broken(Compiler::Ungreeted, "it did not greet first");
}

#[test]
fn an_exit_without_a_word_is_no_guests_fault() {
    for code in [0, 1] {
        let ran = fake(Compiler::Exit(code)).run(job(numbers(12)));
        let message =
            format!("the pool broke: the compile worker exited with code {code} before it was ready");
        assert_eq!(ran.error().to_string(), message);
        assert_eq!(ran.error().exit_code(), ExitCode::POOL);
    }
}

#[test]
fn an_exit_in_the_middle_of_the_code() {
    check(Compiler::ExitMidCode, "cannot be compiled: the compile worker exited with code 3");
}

#[test]
fn a_kill_in_the_middle_of_the_code_begins_it_anew() {
    fake(Compiler::KilledOnce).run(job(numbers(12))).check_ok_but(12, &[]);
}

#[test]
fn code_before_the_description_of_one_that_begins_anew() {
    check_broken(Compiler::KilledThenCodeFirst, "it sent code before a description");
}

#[test]
fn a_closed_pipe_of_one_that_stays() {
    check_broken(Compiler::CloseResults, "it closed its pipe and went on");
}

#[test]
fn a_refusal_is_told_with_its_hint() {
    let ran = fake(Compiler::Refuse).run(job(numbers(12)));
    check_refused(ran.error(), "is no good");
    assert_eq!(ran.error().hint(), Some("try another"));
}

#[test]
fn what_the_machine_does_not_have_is_no_guests_fault() {
    let ran = fake(Compiler::Unable).run(job(numbers(12)));
    assert_eq!(ran.error().to_string(), "the pool broke: there is no thread left");
    assert_eq!((ran.error().exit_code(), ran.error().hint()), (ExitCode::POOL, Some("end one")));
}

#[test]
fn a_guest_can_be_described_alone() {
    let description = fake(Compiler::Honest).describe().unwrap();
    assert_eq!(description.exports[0].to_string(), "f(n: u64) -> u64");
}

#[test]
fn a_guest_that_cannot_be_described_is_refused() {
    check_refused(&fake(Compiler::Refuse).describe().unwrap_err(), "is no good");
}
