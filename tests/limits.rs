//! What items may use: memory, output and fuel, up to the limit and beyond; and runs that are the same every time.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::harness::{Wasmpool, run, wasmpool};

const UNREACHABLE: &str = "wasm trap: wasm `unreachable` instruction executed";

fn record(index: u64, input: u64, rest: &str) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":{input},{rest}}}\n")
}

fn ok(index: u64, input: u64, value: u64) -> String {
    record(index, input, &format!("\"status\":\"ok\",\"value\":{value}"))
}

fn out_of_memory(index: u64, input: u64, bytes: u64) -> String {
    let rest =
        format!("\"status\":\"memory\",\"limit\":\"guest\",\"bytes\":{bytes},\"error\":\"{UNREACHABLE}\"");
    record(index, input, &rest)
}

#[test]
fn g9_a_guest_that_aborts_when_memory_is_refused_ran_into_the_limit() {
    run("hostile.wasm grow-until-refused --range 1000..1002")
        .stdout(out_of_memory(0, 1000, 1 << 30) + &out_of_memory(1, 1001, 1 << 30))
        .code(1)
        .check();
    run("hostile.wasm grow-until-refused --range 7..8 --memory 64MiB")
        .stdout(out_of_memory(0, 7, 64 << 20))
        .code(1)
        .check();
}

#[test]
fn g9_a_guest_may_write_to_all_of_its_memory() {
    run("hostile.wasm touch-memory --range 200000000..200000001 --memory 256MiB")
        .stdout(ok(0, 200_000_000, 200_000_000))
        .check();
    run("hostile.wasm touch-memory --range 200000000..200000001 --memory 128MiB")
        .stdout_is(|stdout| stdout.contains(r#""status":"memory","limit":"guest","bytes":134217728,"#))
        .code(1)
        .check();
}

#[test]
fn g9_a_guest_that_goes_on_without_more_memory_is_ok() {
    run("hostile.wasm grow-memory --range 2000..2001 --memory 64MiB")
        .stdout("{\"v\":1,\"index\":0,\"input\":2000,\"status\":\"ok\",\"value\":null}\n")
        .check();
}

#[test]
fn a_limit_of_memory_is_a_row_as_text() {
    run("hostile.wasm grow-until-refused --range 7..8 --memory 64MiB --format text")
        .stdout_is(|stdout| stdout.contains("64 MiB") || stdout.contains("67108864"))
        .code(1)
        .check();
}

/// Nothing is kept of what items have grown to.
#[test]
fn g12_memory_that_items_have_grown_by_does_not_add_up() {
    run("hostile.wasm grow-memory --range 900..1900 --memory 128MiB --format csv")
        .stdout_is(|stdout| {
            let rows: Vec<_> = stdout.lines().skip(1).collect();
            rows.len() == 1000 && rows.iter().all(|row| !row.contains(",ok,null"))
        })
        .check();
}

#[test]
fn m9_a_guest_that_starts_beyond_the_limit_is_refused_before_any_item_runs() {
    run("large.wasm f --range 0..2")
        .wat("large.wasm", r#"(module (memory 65536) (func (export "f") (param i64)))"#)
        .refused(
            3,
            "error: `large.wasm` starts with 4096 MiB of memory; the limit is 1024 MiB\n\n\
         hint: a higher `--memory` lets it start\n",
        );
    run("large.wasm f --range 0..2 --memory 64KiB")
        .wat("large.wasm", r#"(module (table 4294967295 funcref) (func (export "f") (param i64)))"#)
        .refused(3, "error: `large.wasm` starts with 33554432 KiB of memory; the limit is 64 KiB\n");
}

#[test]
fn m9_a_guest_that_starts_with_all_there_is_runs_when_that_is_allowed() {
    let text = r#"(module (memory 65536) (func (export "f") (param i64) (result i64)
        (i64.store (i32.const 0xfffffff0) (local.get 0)) (i64.load (i32.const 0xfffffff0))))"#;
    run("large.wasm f --range 5..7 --memory 4GiB")
        .wat("large.wasm", text)
        .stdout(ok(0, 5, 5) + &ok(1, 6, 6))
        .check();
}

#[test]
fn m10_a_guest_of_thousands_of_memories_is_refused() {
    let memories = "(memory 1)".repeat(10_000);
    run("many.wasm f --range 0..2")
        .wat("many.wasm", &format!("(module {memories} (func (export \"f\") (param i64)))"))
        .stderr_is(|stderr| stderr.starts_with("error: `many.wasm` is not a valid module: "))
        .code(3)
        .check();
}

#[test]
fn g14_many_writes_of_one_byte_end_at_the_limit_of_output() {
    let error = "\"status\":\"output\",\"error\":\"the guest printed more than 100000 bytes\"";
    run("hostile.wasm write-bytes --range 99000..99001 --max-output 100000 --format csv")
        .stdout("index,input,status,value,error\n0,99000,ok,99000,\n")
        .check();
    run("hostile.wasm write-bytes --range 100000000..100000001 --max-output 100000")
        .stdout_is(move |stdout| stdout.contains(error))
        .code(1)
        .check();
}

#[test]
fn g15_what_is_printed_on_both_streams_has_one_limit() {
    run("hostile.wasm print-error --lines - --max-output 10")
        .stdin("12345678\n123456789012\n")
        .stdout(
            "{\"v\":1,\"index\":0,\"status\":\"ok\",\"value\":8,\"stderr\":\"12345678\"}\n\
             {\"v\":1,\"index\":1,\"status\":\"output\",\"error\":\"the guest printed more than 10 bytes\"}\n",
        )
        .code(1)
        .check();
}

#[test]
fn g16_a_value_of_two_gigabytes_is_refused_without_being_copied() {
    run("hostile.wasm big-result --range 2000000000..2000000001 --memory 3GiB")
        .stdout_is(|stdout| {
            stdout.contains("\"status\":\"output\",\"error\":\"the value takes too much memory\"")
        })
        .code(1)
        .check();
}

/// Each byte is a value of its own on the way through the worker.
#[test]
fn millions_of_bytes_fit_a_worker() {
    run("hostile.wasm echo-bytes --jsonl - --memory 1GiB")
        .stdin(format!("[{}7]\n", "7,".repeat(3_999_999)))
        .stdout_is(|stdout| stdout.contains("\"status\":\"ok\"") && stdout.len() > 5_000_000)
        .check();
}

#[test]
fn outputs_up_to_the_limit_fit_a_worker() {
    run("hostile.wasm big-result --range 16000000..16000004 --format text -j 2")
        .stdout_is(|stdout| stdout.len() > 4 * 16_000_000)
        .check();
}

fn used_up(index: u64, input: u64, fuel: u64) -> String {
    record(index, input, &format!("\"status\":\"timeout\",\"limit\":\"fuel\",\"after_fuel\":{fuel}"))
}

#[test]
fn an_item_that_uses_up_its_fuel_ends_and_its_worker_goes_on() {
    run("hostile.wasm spin --range 0..4 --fuel 1_000_000")
        .stdout(ok(0, 0, 0) + &used_up(1, 1, 1_000_000) + &ok(2, 2, 2) + &used_up(3, 3, 1_000_000))
        .code(1)
        .check();
}

#[test]
fn a_merge_has_fuel_of_its_own() {
    run("primes.wasm --range 0..100000 --step 100 --fuel 200_000").stdout("9592\n").check();
}

#[test]
fn the_limits_hold_for_a_single_call() {
    wasmpool("call hostile.wasm spin 1 --fuel 1000")
        .stdout("{\"v\":1,\"index\":0,\"input\":[1],\"status\":\"timeout\",\"limit\":\"fuel\",\"after_fuel\":1000}\n")
        .code(1)
        .check();
    wasmpool("call hostile.wasm grow-until-refused 100 --memory 8MiB")
        .stdout(format!(
            "{{\"v\":1,\"index\":0,\"input\":[100],\"status\":\"memory\",\"limit\":\"guest\",\"bytes\":8388608,\
             \"error\":\"{UNREACHABLE}\"}}\n"
        ))
        .code(1)
        .check();
}

#[test]
fn the_limits_hold_for_a_bench() {
    wasmpool("bench hostile.wasm trap-odd --range 0..1 --fuel 10000 --memory 64MiB --runs 1 --format json")
        .stdout_is(|stdout| stdout.starts_with('{'))
        .check();
    wasmpool("bench hostile.wasm spin --range 1..2 --fuel 10000 --runs 1 --format json")
        .stdout_is(|stdout| stdout.starts_with('{'))
        .code(1)
        .check();
}

/// The records of 40 items, run in any way.
fn deterministic(function: &str, way: &str) -> String {
    let input = "[]\n".repeat(40);
    let job = run(&format!("hostile.wasm {function} --jsonl - {way}")).stdin(input).stdout_is(|_| true);
    job.check().stdout
}

#[test]
fn random_numbers_of_a_seed_are_the_same_in_every_run() {
    let one = deterministic("read-random", "--deterministic=7 -j 1");
    assert_eq!(deterministic("read-random", "--deterministic=7 -j 3 --chunk 1"), one);
    assert_eq!(deterministic("read-random", "--deterministic=7 -j 2 --chunk 7 --unordered").len(), one.len());
    assert_ne!(deterministic("read-random", "--deterministic=8 -j 1"), one);
    let distinct: std::collections::HashSet<_> = one.lines().map(|line| line.rsplit(':').next()).collect();
    assert_eq!(distinct.len(), 40);
}

#[test]
fn g30_the_clocks_of_a_deterministic_run_stand_still() {
    let expected = |index| {
        format!(
            "{{\"v\":1,\"index\":{index},\"status\":\"ok\",\"value\":[946684800000000000,946684800000000000,0]}}\n"
        )
    };
    let expected: String = (0..40).map(expected).collect();
    assert_eq!(deterministic("read-clocks", "--deterministic"), expected);
}

#[test]
fn g3_a_guest_that_sleeps_in_a_deterministic_run_comes_back() {
    run("hostile.wasm sleep-ms --range 20..22 --deterministic")
        .stdout(ok(0, 20, 20) + &ok(1, 21, 21))
        .check();
}

#[test]
fn nans_of_a_deterministic_run_have_one_form() {
    run("hostile.wasm make-nans --range 0..50 --deterministic")
        .stdout_is(|stdout| {
            let nan = f64::NAN.to_bits().to_string();
            let value = format!("\"value\":[{}]}}", [nan.as_str(); 5].join(","));
            stdout.lines().count() == 50 && stdout.lines().all(|line| line.ends_with(&value))
        })
        .check();
}

#[test]
fn an_item_of_a_deterministic_run_ends_by_its_fuel() {
    run("hostile.wasm spin --range 1..2 --deterministic --fuel 5000")
        .stdout(used_up(0, 1, 5000))
        .code(1)
        .check();
}

const SHARED: &str = "warning: the items of a worker share its instance: what one leaves in memory the next finds, so \
                      results can depend on how the work is shared out\n";

fn counting(way: &str) -> Wasmpool {
    run("hostile.wasm count-calls --range 0..4 -j 1").args(way)
}

#[test]
fn g31_an_item_finds_nothing_that_another_has_left() {
    counting("").stdout(ok(0, 0, 1) + &ok(1, 1, 1) + &ok(2, 2, 1) + &ok(3, 3, 1)).check();
    run("hostile.wasm count-calls --range 0..10000 --format csv")
        .stdout_is(|stdout| stdout.lines().skip(1).all(|row| row.ends_with(",ok,1,")))
        .check();
}

#[test]
fn items_that_share_an_instance_do_and_the_command_says_so() {
    let expected = ok(0, 0, 1) + &ok(1, 1, 2) + &ok(2, 2, 3) + &ok(3, 3, 4);
    counting("--isolation worker").stdout(expected).stderr(SHARED).check();
}

#[test]
fn an_item_that_traps_costs_a_shared_instance() {
    run("hostile.wasm trap-odd --range 0..4 --isolation worker")
        .stdout_is(|stdout| {
            stdout.lines().map(|line| line.contains("\"status\":\"ok\"")).eq([true, false, true, false])
        })
        .stderr(SHARED)
        .code(1)
        .check();
}

#[test]
fn merges_may_share_an_instance() {
    run("primes.wasm --range 0..100000 --step 100 --isolation worker")
        .stdout("9592\n")
        .stderr(SHARED)
        .check();
}

#[test]
fn a_bench_says_once_that_instances_are_shared() {
    wasmpool("bench primes.wasm --range 0..1000 --isolation worker -j 1,2 --runs 2 --format json")
        .stdout_is(|stdout| stdout.starts_with('{'))
        .stderr(SHARED)
        .check();
}

/// The limit of private memory of a process, in bytes.
fn data_limit(pid: Pid) -> Rlimit {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a worker's limits can be read");
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max data size")).expect("there is a line for it");
    let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
    let mut next = || numbers.next().expect("there are two numbers");
    Rlimit { current: next(), maximum: next() }
}

#[test]
fn g9_a_worker_has_a_limit_of_memory_as_a_process_too() {
    let mut running = run("hostile.wasm spin --range 0..2 -j1 --chunk 1 --memory 64MiB --timeout 2s")
        .stdout_is(|stdout| stdout.contains("\"timeout\""))
        .stderr_is(|_| true)
        .code(1)
        .start();
    running.line();
    let limit = data_limit(running.worker_at_work().pid());
    assert_eq!(limit.current, limit.maximum);
    assert!(limit.current.is_some_and(|bytes| (64 << 20..4 << 30).contains(&bytes)), "{limit:?}");
    running.check();
}

/// Lowers the limit of a worker. One that root has started is nobody, and only nobody may do that.
pub(crate) fn set_data_limit(worker: Pid, bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    if prlimit(Some(worker), Resource::Data, limit).is_ok() {
        return;
    }
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "prlimit", "--pid"]);
    let pid = worker.as_raw_nonzero().to_string();
    let status = nobody.arg(&pid).arg(format!("--data={bytes}:{bytes}")).status();
    assert!(status.is_ok_and(|status| status.success()), "nobody can lower the limit of {pid}");
}

#[test]
fn g9_memory_that_the_worker_cannot_get_is_told_from_memory_that_the_guest_may_not_have() {
    let mut running = run("hostile.wasm touch-memory --jsonl - -j1 --timeout 20s")
        .stdin_open()
        .stdout_is(|stdout| {
            stdout.contains(r#""index":1,"status":"memory","limit":"process","bytes":1073741824,"#)
        })
        .stderr_is(|_| true)
        .code(1)
        .start();
    running.write("1000\n");
    running.line();
    for worker in running.workers() {
        set_data_limit(worker.pid(), 200 << 20);
    }
    running.write("900000000\n");
    running.close_stdin();
    running.check();
}
