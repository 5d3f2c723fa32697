//! Every target, a while in the usual suite, and 10,000,000 executions of each where the long forms are asked for.

use wasmpool_fuzz::drive::drive;
use wasmpool_fuzz::memory::Counting;
use wasmpool_fuzz::{TARGETS, Target};

#[global_allocator]
static MEMORY: Counting = Counting;

/// The same bytes in every run.
const SEED: u64 = 20_260_101;

#[expect(clippy::print_stdout, reason = "the figures are of interest to who asks for them")]
fn check(name: &str) {
    let is_soak = std::env::var_os("WASMPOOL_SOAK").is_some();
    let executions = if is_soak { 10_000_000 } else { 20_000 };
    let target = TARGETS.iter().find(|target| target.name == name);
    let target: &Target = target.expect("there is such a target");
    let figures = drive(target, executions, SEED);
    let (took, peak) = (figures.took.as_secs_f64(), figures.peak >> 10);
    println!("{name}: {executions} executions in {took:.1} s, at most {peak} KiB at once");
}

#[test]
fn any_bytes_are_messages_of_a_worker_or_refused() {
    check("responses");
}

#[test]
fn any_bytes_are_messages_of_the_host_or_refused() {
    check("requests");
}

#[test]
fn any_bytes_describe_a_guest_or_are_refused() {
    check("descriptions");
}

#[test]
fn any_bytes_can_be_cut_into_items() {
    check("sources");
}

#[test]
fn any_words_are_understood_or_refused() {
    check("words");
}

#[test]
fn any_file_is_a_journal_or_refused() {
    check("journal");
}

#[test]
fn any_json_is_a_value_or_refused() {
    check("values");
}
