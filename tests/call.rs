//! `wasmpool call`: one call, and its value.

use crate::harness::wasmpool;

#[test]
fn the_value_is_printed_plain() {
    wasmpool("call primes.wasm count-primes 1 100").stdout("25\n").check();
}

#[test]
fn a_record_is_printed_as_json() {
    wasmpool("call text.wasm analyze")
        .arg("two words")
        .stdout("{\"word-count\":2,\"unique-words\":2,\"avg-word-length\":4.0}\n")
        .check();
}

#[test]
fn text_is_printed_as_it_is() {
    wasmpool("call hello.wasm shout hello").stdout("HELLO\n").check();
}

#[test]
fn values_of_every_type_go_there_and_back() {
    for (export, value) in [
        ("echo-bool", "true"),
        ("echo-u8", "255"),
        ("echo-s32", "-2147483648"),
        ("echo-u64", "18446744073709551615"),
        ("echo-s64", "-9223372036854775808"),
        ("echo-f64", "0.1"),
        ("echo-list", r#"["a","b"]"#),
        ("echo-option", "null"),
        ("echo-option", "7"),
        ("echo-tuple", r#"[1,"text"]"#),
        ("echo-record", r#"{"name":"n","corners":[{"x":0.5,"y":-1.0}],"area":null,"closed":false}"#),
    ] {
        wasmpool("call hostile.wasm").arg(export).arg(value).stdout(format!("{value}\n")).check();
    }
}

#[test]
fn a_function_without_a_result_prints_null() {
    wasmpool("call hostile.wasm ignore 1").stdout("null\n").check();
}

#[test]
fn a_call_as_json_is_an_array_of_one_record() {
    wasmpool("call primes.wasm count-primes 1 100 --format json")
        .stdout("[\n{\"v\":1,\"index\":0,\"input\":[1,100],\"status\":\"ok\",\"value\":25}\n]\n")
        .check();
}

#[test]
fn a_call_as_jsonl_is_a_record() {
    wasmpool("call primes.wasm count-primes 1 100 --format jsonl")
        .stdout("{\"v\":1,\"index\":0,\"input\":[1,100],\"status\":\"ok\",\"value\":25}\n")
        .check();
}

#[test]
fn a_call_that_fails_is_a_record_and_ends_with_1() {
    wasmpool("call hostile.wasm trap-odd 1")
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":[1],\"status\":\"trap\",\"kind\":\"unreachable\",\
             \"error\":\"wasm trap: wasm `unreachable` instruction executed\"}\n",
        )
        .code(1)
        .check();
}

#[test]
fn an_export_may_be_named_in_full() {
    wasmpool("call primes.wasm wasmpool:guests/primes#count-primes 1 100").stdout("25\n").check();
    wasmpool("call primes.wasm primes#count-primes 1 100").stdout("25\n").check();
}

#[test]
fn a_guest_sees_no_environment_and_no_files() {
    wasmpool("call hostile.wasm environment").stdout("[]\n").check();
    wasmpool("call hostile.wasm read-file /etc/passwd")
        .stdout("No such file or directory (os error 44)\n")
        .check();
}

#[test]
fn what_the_guest_prints_is_told_beside_its_value() {
    wasmpool("call hostile.wasm print")
        .arg("one\ntwo")
        .stdout("7\n")
        .stderr("stdout: one\nstdout: two\n")
        .check();
    wasmpool("call hostile.wasm print hi --format jsonl")
        .stdout("{\"v\":1,\"index\":0,\"input\":[\"hi\"],\"status\":\"ok\",\"value\":2,\"stdout\":\"hi\"}\n")
        .check();
}
