//! `wasmpool run --lines`: what a line is, and a stream of them in bounded memory.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use crate::harness::{Wasmpool, is_soak, run};

/// The record of a line that was analyzed.
fn analysis(index: u64, words: u64, unique: u64, length: &str) -> String {
    format!(
        "{{\"v\":1,\"index\":{index},\"status\":\"ok\",\"value\":{{\"word-count\":{words},\
         \"unique-words\":{unique},\"avg-word-length\":{length}}}}}\n"
    )
}

/// The record of a line that came back as it is.
fn echo(index: u64, text: &str) -> String {
    format!("{{\"v\":1,\"index\":{index},\"status\":\"ok\",\"value\":{}}}\n", serde_json::Value::from(text))
}

fn analyze(bytes: &[u8]) -> Wasmpool {
    run("text.wasm analyze --lines notes.txt").file("notes.txt", bytes)
}

fn echo_lines(bytes: &[u8]) -> Wasmpool {
    run("hostile.wasm echo-string --lines notes.txt").file("notes.txt", bytes)
}

#[test]
fn each_line_is_an_item() {
    analyze(b"The quick brown fox\nHello hello, HELLO\n\n")
        .stdout(
            analysis(0, 4, 4, "4.0") + &analysis(1, 3, 2, "5.333333333333333") + &analysis(2, 0, 0, "0.0"),
        )
        .check();
}

#[test]
fn lines_may_come_through_standard_input() {
    run("text.wasm analyze --lines -")
        .stdin("one\ntwo three\n")
        .stdout(analysis(0, 1, 1, "3.0") + &analysis(1, 2, 2, "4.0"))
        .check();
}

#[test]
fn i5_nothing_is_an_empty_input() {
    // Standard input is `/dev/null` where nothing is said about it.
    run("text.wasm analyze --lines -").check();
}

#[test]
fn i3_a_line_beyond_the_limit_fails_alone() {
    let long = [b"one\n".to_vec(), vec![b'x'; (16 << 20) + 1], b"\nthree\n".to_vec()].concat();
    let refused = "{\"v\":1,\"index\":1,\"status\":\"input\",\
                   \"error\":\"item 1, line 2 is longer than 16 MiB\"}\n";
    run("hostile.wasm echo-string --lines -")
        .stdin(long)
        .stdout(echo(0, "one") + refused + &echo(2, "three"))
        .code(1)
        .check();
}

#[test]
fn i14_a_packed_file_is_taken_as_it_is_and_remarked_on() {
    let refused = "{\"v\":1,\"index\":0,\"status\":\"input\",\
                   \"error\":\"item 0, parameter \\\"value\\\": expected UTF-8, found 0x8b at byte 2\"}\n";
    echo_lines(b"\x1f\x8b\x08\nz\n")
        .stdout(refused.to_owned() + &echo(1, "z"))
        .stderr(
            "warning: `notes.txt` looks like gzip, and is taken byte for byte; for the text in it: \
             `zcat FILE | wasmpool … -`\n",
        )
        .code(1)
        .check();
}

#[test]
fn i6_the_last_line_needs_no_line_end() {
    echo_lines(b"one\ntwo").stdout(echo(0, "one") + &echo(1, "two")).check();
}

#[test]
fn i6_carriage_returns_and_a_byte_order_mark_are_kept() {
    echo_lines(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
        .stdout(echo(0, "\u{feff}one\r") + &echo(1, "two\rthree"))
        .check();
}

#[test]
fn i4_a_zero_byte_is_a_character() {
    echo_lines(b"a\0b\n").stdout(echo(0, "a\0b")).check();
}

#[test]
fn i5_an_empty_file_has_no_items() {
    analyze(b"").check();
    run("text.wasm analyze --lines -").stdin("").check();
}

#[test]
fn i5_blank_lines_are_items() {
    echo_lines(b"\n\n").stdout(echo(0, "") + &echo(1, "")).check();
}

#[test]
fn i2_a_line_that_is_no_text_fails_by_itself() {
    let refused = "{\"v\":1,\"index\":1,\"status\":\"input\",\
                   \"error\":\"item 1, parameter \\\"text\\\": expected UTF-8, found 0xff at byte 3\"}\n";
    analyze(b"one\nab\xff\nthree\n")
        .stdout(analysis(0, 1, 1, "3.0") + refused + &analysis(2, 1, 1, "5.0"))
        .code(1)
        .check();
}

#[test]
fn i16_a_line_is_no_option_and_no_command() {
    echo_lines(b"--help\n$(id)\n; exit 1\n")
        .stdout(echo(0, "--help") + &echo(1, "$(id)") + &echo(2, "; exit 1"))
        .check();
}

#[test]
fn a_line_is_answered_while_the_next_one_is_not_there_yet() {
    let mut running = run("hostile.wasm echo-string --lines -")
        .stdin_open()
        .stdout(echo(0, "one") + &echo(1, "two"))
        .start();
    running.write("one\n");
    assert_eq!(running.line(), echo(0, "one"));
    running.write("two\n");
    assert_eq!(running.line(), echo(1, "two"));
    running.close_stdin();
    running.check();
}

/// A text of about so many bytes, and the records of its lines.
fn text_of(bytes: usize) -> (String, String) {
    let (mut text, mut records) = (String::new(), String::new());
    for index in 0.. {
        if text.len() >= bytes {
            break;
        }
        let repeats = index % 7 + 1;
        for _ in 0..repeats {
            text.push_str("four five ");
        }
        text.push('\n');
        records.push_str(&analysis(index, repeats * 2, 2, "4.0"));
    }
    (text, records)
}

#[test]
fn many_lines_give_their_records_in_order() {
    let (text, records) = text_of(500_000);
    analyze(text.as_bytes()).stdout(records).check();
}

#[test]
fn h19_the_host_needs_no_memory_for_a_long_input() {
    const MOST_KIB: u64 = 64 * 1024;
    let megabytes = if is_soak() { 50 } else { 5 };
    let (text, records) = text_of(megabytes << 20);
    let mut peak = 0;
    analyze(text.as_bytes()).stdout(records).start().check_while(Duration::from_millis(20), |pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(size.unwrap_or(0));
    });
    assert!(peak > 0 && peak < MOST_KIB, "the host had {peak} KiB");
}

#[test]
fn h13_who_closes_the_output_ends_the_run() {
    let (text, records) = text_of(5 << 20);
    let mut running = analyze(text.as_bytes()).stdout("").code(141).start();
    let stdout = BufReader::new(running.take_stdout());
    let first = stdout.lines().take(5).fold(String::new(), |mut first, line| {
        let _ = writeln!(first, "{}", line.expect("a pipe can be read"));
        first
    });
    assert!(records.starts_with(&first));
    running.check();
}
