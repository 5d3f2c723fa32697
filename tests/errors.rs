//! What is refused before anything runs: in which words, with which hint, and with which exit code.

use std::fs;

use crate::harness::{bash, guest, is_soak, run, wasmpool};

const PRIMES: &str = "it exports `count-primes(start: u64, end: u64) -> u64`, \
     `merge-count-primes(a: u64, b: u64) -> u64` and `count-divisors(n: u64) -> u64`";

#[test]
fn a_guest_that_is_missing_is_named() {
    run("nowhere.wasm --range 1..5").refused(3, "error: `nowhere.wasm` does not exist\n");
}

#[test]
fn a_forgotten_ending_is_proposed() {
    run("primes --range 1..5")
        .refused(3, "error: `primes` does not exist\n\nhint: did you mean `primes.wasm`?\n");
}

#[test]
fn a_directory_is_no_guest() {
    run(". --range 1..5").refused(3, "error: `.` is a directory\n\nhint: name the `.wasm` file in it\n");
}

#[test]
fn m1_files_shorter_than_a_header_are_refused() {
    for (bytes, what) in [
        (&b""[..], "is empty"),
        (b"\0", "ends at byte 1, inside the header of a WebAssembly binary"),
        (b"\0asm\x01\0\0", "ends at byte 7, inside the header of a WebAssembly binary"),
    ] {
        run("g.wasm --range 1..5").file("g.wasm", bytes).refused(3, &format!("error: `g.wasm` {what}\n"));
    }
}

#[test]
fn m2_what_is_no_webassembly_is_named() {
    run("g.wasm --range 1..5").file("g.wasm", b"\x7fELF\x02\x01\x01\0").refused(
        3,
        "error: `g.wasm` is a program for this system (ELF), not a WebAssembly binary\n\n\
         hint: build it for WebAssembly, for example with `cargo build --target wasm32-wasip1`\n",
    );
    run("g.wasm --range 1..5").file("g.wasm", "(module)").refused(
        3,
        "error: `g.wasm` is WebAssembly text, not a binary\n\n\
         hint: turn it into one: `wasm-tools parse g.wasm -o guest.wasm`\n",
    );
    run("g.wasm --range 1..5")
        .file("g.wasm", "hello")
        .refused(3, "error: `g.wasm` is not a WebAssembly binary\n");
}

#[test]
fn m3_a_guest_that_is_cut_off_anywhere_is_refused() {
    let whole = fs::read(guest("primes.wasm")).expect("it is a file");
    let step = if is_soak() { 50 } else { 1000 };
    for length in (8..whole.len()).step_by(step) {
        run("cut.wasm count-primes --range 1..5")
            .file("cut.wasm", &whole[..length])
            .stderr_is(|stderr| stderr.starts_with("error: `cut.wasm` ") && !stderr.contains("panicked"))
            .code(3)
            .check();
    }
}

#[test]
fn m3_a_small_guest_that_is_cut_off_anywhere_is_refused() {
    let whole = wat::parse_str(TWICE).expect("it is a component");
    let step = if is_soak() { 1 } else { 37 };
    for length in (8..whole.len()).step_by(step) {
        // What is missing may be names for debuggers alone, so the function is one that it never has.
        run("cut.wasm g --range 1..5")
            .file("cut.wasm", &whole[..length])
            .stderr_is(|stderr| stderr.starts_with("error: `cut.wasm` ") && !stderr.contains("panicked"))
            .code(3)
            .check();
    }
}

#[test]
fn m5_all_imports_that_cannot_be_met_are_listed() {
    let needy = r#"
(module
  (import "env" "foo" (func))
  (import "env" "bar" (func (param i32)))
  (func (export "f") (param i64)))
"#;
    run("needy.wasm f --range 1..5")
        .wat("needy.wasm", needy)
        .refused(3, "error: `needy.wasm` needs `env.bar`, `env.foo`, which wasmpool does not provide\n");
}

#[test]
fn m6_an_unknown_export_is_answered_with_those_there_are() {
    run("primes.wasm count --range 1..5").refused(
        3,
        &format!(
            "error: `primes.wasm` has no export `count`\n\nhint: did you mean `count-primes`? {PRIMES}\n"
        ),
    );
    run("primes.wasm nothing-like-it --range 1..5")
        .refused(3, &format!("error: `primes.wasm` has no export `nothing-like-it`\n\nhint: {PRIMES}\n"));
}

#[test]
fn m6_a_memory_is_no_function() {
    run("g.wasm memory --range 1..5")
        .wat("g.wasm", r#"(module (memory (export "memory") 1) (func (export "f") (param i64)))"#)
        .refused(3, "error: `g.wasm` has no export `memory`\n\nhint: it exports `f(p0: s64)`\n");
}

/// Two interfaces with a function of the same name.
const TWICE: &str = r#"
(component
  (core module $m (func (export "f") (param i64) (result i64) local.get 0))
  (core instance $i (instantiate $m))
  (func $f (param "n" u64) (result u64) (canon lift (core func $i "f")))
  (instance $one (export "f" (func $f)))
  (instance $two (export "f" (func $f)))
  (export "test:guest/one" (instance $one))
  (export "test:guest/two" (instance $two)))
"#;

#[test]
fn an_ambiguous_name_is_answered_with_the_names_in_full() {
    run("g.wasm f --range 1..5").wat("g.wasm", TWICE).refused(
        2,
        "error: `f` names 2 exports of `g.wasm`\n\nhint: write `test:guest/one#f` or `test:guest/two#f`\n",
    );
}

#[test]
fn several_functions_that_fit_have_to_be_told_apart() {
    run("hostile.wasm --range 1..5").refused(
        2,
        "error: several functions of `hostile.wasm` take `--range`\n\n\
         hint: name one of them: `spin-if(n: u64, bad: u64) -> u64`, `fail-every(n: u64, k: u64) -> u64`, \
         `divide(a: s64, b: s64) -> s64` or `mark(n: u64, marks: u64) -> u64`\n",
    );
}

#[test]
fn i12_an_input_that_does_not_fit_the_function_is_refused() {
    run("primes.wasm --lines notes.txt").file("notes.txt", "1\n").refused(
        3,
        &format!(
            "error: `primes.wasm` has no function for `--lines`, which needs one `string` or `list<u8>`\n\nhint: {PRIMES}\n"
        ),
    );
    run("text.wasm analyze --range 1..5").refused(
        3,
        "error: `text.wasm` cannot be run like this: `--range` needs one or two integers, but the function is \
         `analyze(text: string) -> record { word-count: u64, unique-words: u64, avg-word-length: f64 }`\n",
    );
    run("primes.wasm --range -5..5").refused(
        3,
        "error: `primes.wasm` cannot take `--range -5..5`: -5 does not fit `start: u64` of \
         `count-primes(start: u64, end: u64) -> u64`\n\nhint: `u64` holds 0 to 18446744073709551615\n",
    );
}

#[test]
fn i12_arguments_that_do_not_fit_the_function_are_refused() {
    wasmpool("call primes.wasm count-primes 1").refused(
        3,
        "error: `primes.wasm` cannot be called like this: `count-primes(start: u64, end: u64) -> u64` takes \
         2 arguments, 1 is given\n",
    );
    wasmpool("call primes.wasm count-primes 1 x")
        .refused(2, "error: `x` is no JSON value for `end: u64`\n\nhint: write a number\n");
}

#[test]
fn i7_a_reversed_range_is_refused() {
    run("primes.wasm --range 10..5")
        .refused(2, "error: `--range 10..5` ends before it starts\n\nhint: write `--range 5..10`\n");
}

#[test]
fn there_is_exactly_one_kind_of_input() {
    run("primes.wasm").refused(
        2,
        "error: no input is given\n\nhint: add `--range A..B`, `--lines FILE`, `--jsonl FILE`, `--blocks FILE`, \
         `--files PATH` or `--item VALUE`\n",
    );
    run("primes.wasm --range 1..5 --lines notes.txt").refused(
        2,
        "error: two kinds of input are given, `--range` and `--lines`\n\nhint: take one of them\n",
    );
}

#[test]
fn a_step_goes_with_a_range_for_two_integers_alone() {
    run("text.wasm --lines notes.txt --step 2")
        .refused(2, "error: `--step` goes with `--range` alone\n\nhint: leave `--step` out\n");
    run("primes.wasm count-divisors --range 1..5 --step 2").refused(
        2,
        "error: `--step` does not go with `count-divisors(n: u64) -> u64`: each number of the range is an item \
         of its own\n\nhint: leave `--step` out\n",
    );
}

#[test]
fn i10_an_input_that_cannot_be_read_ends_with_4() {
    run("text.wasm analyze --lines nowhere.txt")
        .refused(4, "error: cannot read `nowhere.txt`: No such file or directory (os error 2)\n");
}

#[test]
fn i10_a_directory_is_no_input() {
    run("text.wasm analyze --lines .").refused(
        2,
        "error: cannot read `.`: is a directory\n\nhint: give a file, or `-` for standard input\n",
    );
}

#[test]
fn i10_a_closed_standard_input_is_no_empty_input() {
    run("text.wasm analyze --lines -").with_closed_stdin().refused(
        2,
        "error: standard input is closed\n\n\
         hint: give a file, or pipe something in; `< /dev/null` is an empty input\n",
    );
}

#[test]
fn h12_an_output_that_is_full_ends_with_7() {
    run("primes.wasm --range 1..800000")
        .stdout_to("/dev/full")
        .refused(7, "error: cannot write standard output: No space left on device (os error 28)\n");
}

#[test]
fn an_unknown_command_or_flag_is_wrong_usage() {
    wasmpool("walk").refused(
        2,
        "error: there is no command `walk`\n\nhint: `wasmpool -h` and `wasmpool run -h` show what there is\n",
    );
    run("primes.wasm --qqq").refused(
        2,
        "error: there is no flag `--qqq` here\n\nhint: `wasmpool -h` and `wasmpool run -h` show what there is\n",
    );
}

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    wasmpool("inspct g.wasm")
        .refused(2, "error: there is no command `inspct`\n\nhint: did you mean `inspect`?\n");
    run("primes.wasm --rnage 1..5")
        .refused(2, "error: there is no flag `--rnage` here\n\nhint: did you mean `--range`?\n");
    run("primes.wasm --range 1..5 --format jsno")
        .refused(2, "error: `--format` takes no `jsno`\n\nhint: did you mean `json`?\n");
}

#[test]
fn an_output_that_cannot_be_a_file_is_refused_before_anything_runs() {
    for name in ["out/", "nowhere/out"] {
        run(&format!("hostile.wasm spin --range 1..2 --timeout none -o {name}"))
            .code(7)
            .stderr_is(move |stderr| stderr.starts_with(&format!("error: cannot write `{name}`: ")))
            .check();
    }
}

#[test]
fn a_file_that_may_not_grow_ends_with_7() {
    bash("ulimit -f 800; wasmpool run primes.wasm count-divisors --range 0..20000 --progress none -o out")
        .refused(7, "error: cannot write `out`: File too large (os error 27)\n");
}

#[test]
fn an_output_that_cannot_be_written_ends_with_7() {
    for command in ["run primes.wasm --range 1..10 --progress none", "call primes.wasm count-primes 1 10"] {
        bash(&format!("wasmpool {command} 1</dev/null"))
            .refused(7, "error: cannot write standard output: Bad file descriptor (os error 9)\n");
    }
}

#[test]
fn a_file_that_is_read_or_written_already_is_not_written() {
    let refused = |arguments: &str, one: &str, other: &str, file: &str| {
        run("hostile.wasm trap-odd --jsonl in.jsonl").args(arguments).file("in.jsonl", "2\n").refused(
            2,
            &format!(
                "error: `{one}` and {other} are the same file, `{file}`\n\n\
                     hint: name another file for one of them\n"
            ),
        );
    };
    refused("-o in.jsonl", "-o", "the input", "in.jsonl");
    refused("--joblog in.jsonl", "--joblog", "the input", "in.jsonl");
    refused("--journal j --joblog ./j", "--joblog", "--journal", "./j");
    refused("--journal j -o j", "--journal", "-o", "j");
    refused("-o hostile.wasm", "-o", "the guest", "hostile.wasm");
}

#[test]
fn a_deterministic_run_shares_no_instances() {
    run("primes.wasm --range 0..10 --deterministic --isolation worker").refused(
        2,
        "error: `--deterministic` does not go with `--isolation worker`: what an item finds would depend on its worker\n\n\
         hint: leave one of them out\n",
    );
}

#[test]
fn a_closed_standard_output_is_not_taken_for_one_that_takes_everything() {
    for command in [
        "run guests/primes.wasm --range 0..10",
        "inspect guests/primes.wasm",
        "doctor",
        "cache info",
        "cache clean",
        "man",
        "--version",
        "run --help",
    ] {
        let closed = bash(&format!("exec wasmpool {command} >&-"));
        closed.refused(7, "error: cannot write standard output: it is closed\n");
    }
    // As Python opens it for whoever wants no output; and where the output is a file, no other is needed.
    bash("exec wasmpool run guests/primes.wasm --range 0..10 --progress none 1<>/dev/null").check();
    bash("exec wasmpool run guests/primes.wasm --range 0..10 --progress none -o out >&-").check();
}

#[test]
fn what_contradicts_nothing_is_taken() {
    for flags in ["--retries 0", "--crash-retries 0", "--retries 0 --crash-retries 0"] {
        run("primes.wasm --range 0..10 --at-most-once").args(flags).stdout("4\n").check();
    }
    for flag in ["--retries", "--crash-retries"] {
        run("primes.wasm --range 0..10 --at-most-once").args(&format!("{flag} 1")).refused(
            2,
            &format!(
                "error: `--at-most-once` does not go with `{flag}`\n\n\
                 hint: leave one of them out, or write `{flag} 0`\n"
            ),
        );
    }
}

#[test]
fn a_number_behind_fail_fast_is_no_function() {
    run("hostile.wasm --fail-fast 3 --range 0..10")
        .refused(2, "error: `--fail-fast` takes its number behind `=`\n\nhint: write `--fail-fast=3`\n");
}
