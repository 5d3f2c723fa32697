use super::{Ended, binary, call, describe_text, load, serve};
use crate::item::Input;
use crate::limits::GuestLimits;
use crate::outcome::MemoryLimit;
use crate::wire::msg::Serve;
use crate::worker::guest::{CallRecord, Guest};

const NOTHING: Input<'_> = Input::Arguments(b"[]");

const PAGE: u64 = 1 << 16;

#[track_caller]
fn limited(text: &str, export: &str, limits: GuestLimits) -> Guest {
    load(&binary(text), &Serve { limits, ..serve(&[export]) }).expect("the test's guest can be loaded")
}

#[track_caller]
fn with_memory(text: &str, memory: u64) -> Guest {
    limited(text, "f", GuestLimits { memory, ..GuestLimits::default() })
}

#[track_caller]
fn with_fuel(text: &str, fuel: u64) -> Guest {
    limited(text, "f", GuestLimits { fuel: Some(fuel), ..GuestLimits::default() })
}

fn ok(json: &str) -> Ended {
    Ended::Ok(json.to_owned())
}

fn refused(error: &str) -> Ended {
    Ended::Memory(MemoryLimit::Guest, error.to_owned())
}

const UNREACHABLE: &str = "wasm trap: wasm `unreachable` instruction executed";

/// Grows by as many pages as it is told, and returns what that gave; or traps if it gave nothing and `unless` is set.
fn growing(memory: &str) -> String {
    format!(
        r#"(module {memory} (func (export "f") (param i32 i32) (result i32) (local $before i32)
            (local.set $before (memory.grow (local.get 0)))
            (if (i32.and (local.get 1) (i32.eq (local.get $before) (i32.const -1))) (then unreachable))
            (local.get $before)))"#
    )
}

#[test]
fn g9_memory_grows_to_the_limit_and_no_further() {
    let mut guest = with_memory(&growing("(memory 1)"), 10 * PAGE);
    assert_eq!(call(&mut guest, Input::Arguments(b"[9, 0]")), ok("1"));
    assert_eq!(call(&mut guest, Input::Arguments(b"[10, 0]")), ok("-1"));
}

#[test]
fn g9_a_guest_that_traps_when_memory_is_refused_ran_into_the_limit() {
    let mut guest = with_memory(&growing("(memory 1)"), 10 * PAGE);
    assert_eq!(call(&mut guest, Input::Arguments(b"[10, 1]")), refused(UNREACHABLE));
}

#[test]
fn a_refusal_is_that_of_its_item_alone() {
    let text = r#"(module (memory 1) (func (export "f") (param i32)
        (drop (memory.grow (local.get 0))) (if (i32.eqz (local.get 0)) (then unreachable))))"#;
    let mut guest = with_memory(text, 10 * PAGE);
    assert_eq!(call(&mut guest, Input::Number(100)), ok("null"));
    assert_eq!(call(&mut guest, Input::Number(0)), Ended::Trap("unreachable", UNREACHABLE.to_owned()));
}

#[test]
fn a_guest_that_exits_when_memory_is_refused_has_exited() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "f") (drop (memory.grow (i32.const 10))) (call $exit (i32.const 9))))"#;
    assert_eq!(call(&mut with_memory(text, 10 * PAGE), NOTHING), Ended::Exit(9));
}

#[test]
fn a_maximum_of_the_guests_own_is_no_limit_of_ours() {
    let mut guest = with_memory(&growing("(memory 1 2)"), 10 * PAGE);
    assert!(matches!(call(&mut guest, Input::Arguments(b"[2, 1]")), Ended::Trap("unreachable", _)));
}

#[test]
fn a_guest_may_have_all_that_32_bits_can_address() {
    let mut guest = with_memory(&growing("(memory 1)"), 4 << 30);
    assert_eq!(call(&mut guest, Input::Arguments(b"[65535, 0]")), ok("1"));
    assert_eq!(call(&mut guest, Input::Arguments(b"[65536, 1]")), refused(UNREACHABLE));
}

#[test]
fn a_guest_may_have_as_little_as_it_needs() {
    let mut guest = with_memory(&growing("(memory 1)"), PAGE);
    assert_eq!(call(&mut guest, Input::Arguments(b"[0, 1]")), ok("1"));
    assert_eq!(call(&mut guest, Input::Arguments(b"[1, 1]")), refused(UNREACHABLE));
}

#[test]
fn all_memories_have_one_limit_together() {
    let text = r#"(module (memory 1) (memory $other 1) (func (export "f") (result i32)
        (drop (memory.grow (i32.const 3))) (memory.grow $other (i32.const 5))))"#;
    assert_eq!(call(&mut with_memory(text, 10 * PAGE), NOTHING), ok("1"));
    assert_eq!(call(&mut with_memory(text, 9 * PAGE), NOTHING), ok("-1"));
}

/// The table alone would take 400 MB.
#[test]
fn g10_tables_count_as_memory() {
    let text = r#"(module (table $t 0 funcref) (func (export "f") (param i32) (result i32)
        (if (i32.eq (table.grow $t (ref.null func) (local.get 0)) (i32.const -1)) (then unreachable))
        (table.size $t)))"#;
    let mut guest = with_memory(text, 10 * PAGE);
    assert_eq!(call(&mut guest, Input::Number(81_920)), ok("81920"));
    assert_eq!(call(&mut guest, Input::Number(81_921)), refused(UNREACHABLE));
    assert_eq!(call(&mut guest, Input::Number(50_000_000)), refused(UNREACHABLE));
}

#[test]
fn g12_growing_page_by_page_ends_at_the_limit() {
    let text = r#"(module (memory 0) (func (export "f") (result i32)
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (memory.size)))"#;
    assert_eq!(call(&mut with_memory(text, 4 << 30), NOTHING), ok("65536"));
    assert_eq!(call(&mut with_memory(text, 1000 * PAGE), NOTHING), ok("1000"));
}

#[test]
fn m9_what_a_guest_starts_with_is_in_its_description() {
    let initial = |text| describe_text(text).initial_memory;
    assert_eq!(initial("(module)"), 0);
    assert_eq!(initial("(module (memory 65536))"), 4 << 30);
    assert_eq!(initial("(module (memory 1) (memory 2 9) (table 10 funcref))"), 3 * PAGE + 80);
    assert_eq!(initial("(module (table 4294967295 funcref))"), 8 * u64::from(u32::MAX));
    assert_eq!(initial("(module (memory i64 0x1000000000000))"), u64::MAX);
}

#[test]
fn m9_the_modules_of_a_component_count_together() {
    let text =
        r#"(component (core module (memory 1)) (component (core module (memory 2) (table 1 funcref))))"#;
    assert_eq!(describe_text(text).initial_memory, 3 * PAGE + 8);
}

#[test]
fn g11_a_module_in_many_instances_runs_into_the_limit_of_memory() {
    let instances = "(core instance (instantiate $m))".repeat(4);
    let text = format!(
        r#"(component (core module $m (memory 1) (func (export "f")))
            (core instance $i (instantiate $m)) {instances} (func (export "f") (canon lift (core func $i "f"))))"#
    );
    assert_eq!(call(&mut with_memory(&text, 5 * PAGE), NOTHING), ok("null"));
    let beyond = refused("memory minimum size of 1 pages exceeds memory limits");
    assert_eq!(call(&mut with_memory(&text, 4 * PAGE), NOTHING), beyond);
}

const LOOPING: &str = r#"(module (func (export "f") (param i32)
    (loop $again (br_if $again (local.get 0)))))"#;

#[test]
fn an_item_ends_when_its_fuel_is_used_up() {
    let mut guest = with_fuel(LOOPING, 10_000);
    assert_eq!(call(&mut guest, Input::Number(1)), Ended::OutOfFuel);
}

#[test]
fn each_item_has_all_of_the_fuel() {
    let counting = r#"(module (func (export "f") (param i32)
        (loop $again (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $again (local.get 0)))))"#;
    let mut guest = with_fuel(counting, 10_000);
    for _ in 0..5 {
        assert_eq!(call(&mut guest, Input::Number(1000)), ok("null"));
        assert_eq!(call(&mut guest, Input::Number(10_000)), Ended::OutOfFuel);
    }
}

#[test]
fn a_fold_is_an_item_with_fuel_of_its_own() {
    let text = r#"(module (func (export "f") (param i64 i64) (result i64) (local $n i32)
        (local.set $n (i32.const 100))
        (loop $again
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $again (local.get $n)))
        (i64.add (local.get 0) (local.get 1))))"#;
    let mut guest = with_fuel(text, 2000);
    assert_eq!(call(&mut guest, Input::Fold(b"[1, 2]")), ok("3"));
    assert_eq!(call(&mut guest, Input::Fold(b"[1, 2, 3, 4, 5, 6, 7]")), Ended::OutOfFuel);
}

#[test]
fn a_start_function_uses_the_fuel_of_its_item() {
    let text = r#"(module (func $s (loop $l (br $l))) (start $s) (func (export "f")))"#;
    assert_eq!(call(&mut with_fuel(text, 1000), NOTHING), Ended::OutOfFuel);
}

#[test]
fn without_a_limit_nothing_counts_fuel() {
    let text = r#"(module (func (export "f") (param i32)
        (loop $again (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $again (local.get 0)))))"#;
    assert_eq!(call(&mut super::guest(text, "f"), Input::Number(1_000_000)), ok("null"));
}

#[test]
fn g28_the_host_makes_no_more_random_bytes_than_it_should() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 2000)
        (func (export "f") (param i32) (result i32) (call $random (i32.const 0) (local.get 0))))"#;
    let mut guest = super::guest(text, "f");
    assert_eq!(call(&mut guest, Input::Number(1_000)), ok("0"));
    let ended = call(&mut guest, Input::Number(120_000_000));
    assert!(matches!(ended, Ended::Trap("host-call", _)), "{ended:?}");
}

/// The subscriptions are clocks, all of which are over.
#[test]
fn g4_polling_takes_as_many_subscriptions_as_fit_and_no_more_memory() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 200)
        (func (export "f") (param i32) (result i32)
          (call $poll (i32.const 16) (i32.const 6000000) (local.get 0) (i32.const 0))))"#;
    let mut guest = super::guest(text, "f");
    assert_eq!(call(&mut guest, Input::Number(0)), ok("28"));
    assert_eq!(call(&mut guest, Input::Number(100_000)), ok("0"));
}

#[test]
fn peak_memory_is_that_of_memories_and_not_of_tables() {
    let text = r#"(module (memory 1) (table 100000 funcref) (func (export "f")))"#;
    let mut record = CallRecord::default();
    let serve = Serve { meta: true, ..serve(&["f"]) };
    load(&binary(text), &serve).expect("loads").call(0, 0, NOTHING, &mut record);
    assert_eq!(record.report().peak_memory, PAGE);
}
