//! `wasmpool run` over lines of JSON, blocks, files and single items: what an item is, what is wrong with one, and that
//! nothing else suffers from it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Wasmpool, is_soak, run};

/// What a host may have, in KiB: the longest line, and a program that does little.
const MOST_KIB: u64 = 48 << 10;

fn ok(index: u64, value: &str) -> String {
    format!("{{\"v\":1,\"index\":{index},\"status\":\"ok\",\"value\":{value}}}\n")
}

fn refused(index: u64, error: &str) -> String {
    let error = serde_json::Value::from(format!("item {index}, {error}"));
    format!("{{\"v\":1,\"index\":{index},\"status\":\"input\",\"error\":{error}}}\n")
}

/// The record of a file: its name is its input.
fn ok_file(index: u64, name: &str, value: &str) -> String {
    format!("{{\"v\":1,\"index\":{index},\"input\":\"{name}\",\"status\":\"ok\",\"value\":{value}}}\n")
}

fn refused_file(index: u64, name: &str, error: &str) -> String {
    let error = serde_json::Value::from(format!("item {index}, {error}"));
    format!("{{\"v\":1,\"index\":{index},\"input\":\"{name}\",\"status\":\"input\",\"error\":{error}}}\n")
}

fn add(lines: impl AsRef<[u8]>) -> Wasmpool {
    run("tour.wasm add --jsonl items.jsonl").file("items.jsonl", lines)
}

#[test]
fn an_item_is_an_array_an_object_by_name_or_the_value_itself() {
    add("[1,2]\n{\"b\":-3,\"a\":1}\n").stdout(ok(0, "3") + &ok(1, "-2")).check();
    run("hostile.wasm echo-list --jsonl -")
        .stdin("[\"a\"]\n[]\n")
        .stdout(ok(0, "[\"a\"]") + &ok(1, "[]"))
        .check();
}

#[test]
fn i1_a_bad_line_of_json_fails_alone_and_is_named_with_its_place() {
    let lines = "[1,2]\n[3,\n\n[5,6]\n";
    add(lines)
        .stdout(
            ok(0, "3")
                + &refused(1, "line 2, byte 4: no valid JSON: the text ends inside a value")
                + &ok(2, "11"),
        )
        .code(1)
        .check();
}

#[test]
fn a_value_of_another_type_is_named_with_what_was_expected() {
    add("[1,2]\n[1,\"abc\"]\n[1]\n{\"a\":1,\"c\":2}\n")
        .stdout(
            ok(0, "3")
                + &refused(1, "parameter \"b\": expected s64, found \"abc\"")
                + &refused(2, "expected 2 arguments, found 1")
                + &refused(3, "there is no parameter \"c\""),
        )
        .code(1)
        .check();
}

#[test]
fn i2_json_is_utf_8_and_lines_may_be_any_bytes() {
    run("hostile.wasm echo-string --jsonl items.jsonl")
        .file("items.jsonl", b"\"a\"\n\"\xff\"\n\"b\"\n")
        .stdout(ok(0, "\"a\"") + &refused(1, "line 2, byte 2: expected UTF-8, found 0xff") + &ok(2, "\"b\""))
        .code(1)
        .check();
    run("tour.wasm sum-bytes --lines bytes")
        .file("bytes", b"\xff\x80\n\x01\n")
        .stdout(ok(0, "383") + &ok(1, "1"))
        .check();
}

#[test]
fn i3_a_line_of_a_gigabyte_fails_alone_in_little_memory() {
    let running = |flag: &str, rest: &str| {
        let command = run(&format!("hostile.wasm echo-string {flag} long")).file("long", "");
        let path = command.path("long");
        let file = fs::File::options().write(true).open(&path).expect("it was just written");
        // A hole: it reads as zeros, and takes no room on the disk.
        file.set_len(1 << 30).expect("a hole takes no room");
        fs::File::options()
            .append(true)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, rest.as_bytes()))
            .expect("the file can be appended to");
        command
    };
    let too_long = |index| refused(index, "line 1 is longer than 16 MiB");
    let lines = running("--lines", "\nshort\n").stdout(too_long(0) + &ok(1, "\"short\"")).code(1);
    let peak = lines.start().peak_kib();
    assert!(peak < MOST_KIB, "the host had {peak} KiB");
    let jsonl = running("--jsonl", "\n\"short\"\n").stdout(too_long(0) + &ok(1, "\"short\"")).code(1);
    let peak = jsonl.start().peak_kib();
    assert!(peak < MOST_KIB, "the host had {peak} KiB");
    let blocks = running("--blocks", "\nshort\n").stdout(too_long(0) + &ok(1, "\"short\\n\"")).code(1);
    let peak = blocks.start().peak_kib();
    assert!(peak < MOST_KIB, "the host had {peak} KiB");
}

#[test]
fn i4_zero_bytes_are_bytes() {
    run("tour.wasm sum-bytes --lines bytes")
        .file("bytes", b"\0\x01\0\n\0\n")
        .stdout(ok(0, "1") + &ok(1, "0"))
        .check();
}

#[test]
fn i5_nothing_and_blank_lines_of_json_are_no_items() {
    for nothing in ["", "\n\n", " \t\r\n\n  "] {
        add(nothing).check();
    }
    run("text.wasm tally --blocks nothing").file("nothing", "").check();
    crate::harness::wasmpool("run tour.wasm add --jsonl items.jsonl")
        .file("items.jsonl", "\n")
        .stderr_is(|stderr| stderr.starts_with("items  0 items: 0 ok, 0 failed"))
        .check();
}

#[test]
fn i6_a_byte_order_mark_and_carriage_returns_are_no_part_of_json() {
    add("\u{feff}[1,2]\r\n[3,4]\r\n[5,6]").stdout(ok(0, "3") + &ok(1, "7") + &ok(2, "11")).check();
}

#[test]
fn i6_carriage_returns_are_taken_off_lines_where_that_is_asked_for() {
    run("hostile.wasm echo-string --lines notes.txt --crlf")
        .file("notes.txt", "one\r\ntwo\rthree\r\r\nfour")
        .stdout(ok(0, "\"one\"") + &ok(1, "\"two\\rthree\\r\"") + &ok(2, "\"four\""))
        .check();
}

#[test]
fn i8_a_million_million_items_are_streamed() {
    let mut running = run("double.wasm f --range 0..1000000000000")
        .wat(
            "double.wasm",
            r#"(module (func (export "f") (param i64) (result i64) (i64.add (local.get 0) (local.get 0))))"#,
        )
        .stdout("")
        .code(141)
        .start();
    let mut lines = BufReader::new(running.take_stdout()).lines();
    for n in 0..100_000 {
        let line = lines.next().expect("there are more").expect("a pipe can be read");
        assert_eq!(
            line,
            format!("{{\"v\":1,\"index\":{n},\"input\":{n},\"status\":\"ok\",\"value\":{}}}", 2 * n)
        );
    }
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it is running");
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!(peak.is_some_and(|peak: u64| peak < MOST_KIB), "the host had {peak:?} KiB");
    drop(lines);
    running.check();
}

#[test]
fn i9_json_that_is_made_to_hurt_fails_alone() {
    let deep = "[".repeat(1_000_000);
    let wide: String = (0..100_000).fold(String::from("{"), |mut wide, key| {
        let _ = write!(wide, "\"k{key}\":1,");
        wide
    });
    let hostile = [&*deep, &wide, "{\"a\":1,\"a\":2,\"b\":3}", "[1e999,1]", "[\"\\ud800\",1]", "[1.5,1]"];
    let lines = hostile.join("\n") + "\n[1,2]\n";
    let are_right = |stdout: &str| {
        let records: Vec<_> = stdout.lines().collect();
        records.len() == 7
            && records[..6].iter().all(|record| record.contains("\"status\":\"input\"") && record.len() < 400)
            && records[2].contains("parameter \\\"a\\\" is given twice")
            && records[6] == ok(6, "3").trim_end()
    };
    add(lines).stdout_is(are_right).code(1).check();
}

#[test]
fn i11_files_that_cannot_be_read_fail_alone() {
    let command = run("tour.wasm sum-bytes --files one missing one secret folder");
    let command = command.file("one", b"\x01\x02").file("secret", "");
    let folder = command.path("folder");
    fs::create_dir_all(folder.join("b")).expect("the folder is ours");
    for (name, byte) in [("b/two", 2), ("a", 1), ("c", 3)] {
        fs::write(folder.join(name), [byte]).expect("the folder is ours");
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).expect("the folder is ours");
    // A folder where a file was expected cannot be opened by anybody, not even by root.
    fs::set_permissions(command.path("secret"), fs::Permissions::from_mode(0o000)).expect("the file is ours");
    let secret = match rustix::process::geteuid().is_root() {
        true => ok_file(3, "secret", "0"),
        false => refused_file(3, "secret", "`secret`: Permission denied (os error 13)"),
    };
    command
        .stdout(
            ok_file(0, "one", "3")
                + &refused_file(1, "missing", "`missing`: No such file or directory (os error 2)")
                + &ok_file(2, "one", "3")
                + &secret
                + &ok_file(4, "folder/a", "1")
                + &ok_file(5, "folder/b/two", "2")
                + &ok_file(6, "folder/c", "3"),
        )
        .code(1)
        .check();
}

#[test]
fn i11_names_come_in_a_list_too_and_may_hold_anything_where_they_end_with_nul() {
    run("hostile.wasm echo-string --files -")
        .file("one", "1")
        .file("two", "2")
        .stdin("two\none\n")
        .stdout(ok_file(0, "two", "\"2\"") + &ok_file(1, "one", "\"1\""))
        .check();
    run("hostile.wasm echo-string --files - --null")
        .file("two\nlines", "2")
        .file("--help", "h")
        .stdin("two\nlines\0--help\0")
        .stdout(ok_file(0, "two\\nlines", "\"2\"") + &ok_file(1, "--help", "\"h\""))
        .check();
}

#[test]
fn i12_an_item_that_does_not_fit_is_refused_before_its_call() {
    run("tour.wasm power --item [2,10] --item [2,-1] --item [2,4294967296] --format text")
        .stdout(
            "input   value\n\
             [2,10]   1024\n\
             [2,-1]  input: item 1, parameter \"exp\": expected u32, found -1\n\
             [2,4294967296]  input: item 2, parameter \"exp\": expected u32, found 4294967296\n",
        )
        .code(1)
        .check();
}

#[test]
fn i14_a_compressed_file_is_named_and_taken_as_it_is() {
    run("tour.wasm sum-bytes --lines notes.gz")
        .file("notes.gz", b"\x1f\x8b\x08\x00")
        .stdout(ok(0, "178"))
        .stderr_is(|stderr| stderr.starts_with("warning: `notes.gz` looks like gzip"))
        .check();
}

#[test]
fn i15_a_file_that_is_replaced_while_it_is_read_stays_what_it_was() {
    let lines = 200_000;
    let text = (0..lines).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{n}");
        text
    });
    let mut running = run("hostile.wasm echo-string --lines notes.txt")
        .file("notes.txt", text)
        .file("new.txt", "new\n")
        .stdout((0..lines).map(|n| ok(n, &format!("\"{n}\""))).collect::<String>())
        .start();
    assert_eq!(running.line(), ok(0, "\"0\""));
    fs::rename(running.path("new.txt"), running.path("notes.txt")).expect("the folder is ours");
    running.check();
}

#[test]
fn i16_an_item_is_no_option_and_no_command() {
    let shown = |index, item: &str| {
        format!("{{\"v\":1,\"index\":{index},\"input\":\"{item}\",\"status\":\"ok\",\"value\":\"{item}\"}}\n")
    };
    run("hostile.wasm echo-string --item --help --item -- --item $(id) --item -0")
        .stdout(shown(0, "--help") + &shown(1, "--") + &shown(2, "$(id)") + &shown(3, "-0"))
        .check();
}

#[test]
fn items_show_their_input() {
    run("tour.wasm add --item [1,2] --item")
        .arg("{\"b\": 4, \"a\": 3}")
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":[1,2],\"status\":\"ok\",\"value\":3}\n\
             {\"v\":1,\"index\":1,\"input\":{\"b\": 4, \"a\": 3},\"status\":\"ok\",\"value\":7}\n",
        )
        .check();
}

#[test]
fn bytes_come_from_base64_or_numbers_and_go_out_as_base64() {
    run("hostile.wasm echo-bytes --jsonl -")
        .stdin("\"AAH/\"\n[0,1,255]\n\"\"\n\"%\"\n")
        .stdout(
            ok(0, "\"AAH/\"")
                + &ok(1, "\"AAH/\"")
                + &ok(2, "\"\"")
                + &refused(3, "parameter \"value\": expected base64, found \"%\""),
        )
        .code(1)
        .check();
}

#[test]
fn an_err_is_a_value_and_is_counted() {
    crate::harness::wasmpool("run tour.wasm divide --item [6,3] --item [1,0]")
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":[6,3],\"status\":\"ok\",\"value\":{\"ok\":2}}\n\
             {\"v\":1,\"index\":1,\"input\":[1,0],\"status\":\"ok\",\"value\":{\"err\":\"division by zero\"}}\n",
        )
        .stderr_is(|stderr| stderr.starts_with("items  2 items: 2 ok (1 returned err), 0 failed; 2 attempts\n"))
        .check();
}

#[test]
fn the_integers_of_a_plain_module_are_signed_unless_told_otherwise() {
    let same = r#"(module (func (export "f") (param i32 i64) (result i64) (local.get 1)))"#;
    let command = |flags: &str| run(&format!("same.wasm f {flags}")).wat("same.wasm", same);
    command("--item [-1,-1]")
        .stdout("{\"v\":1,\"index\":0,\"input\":[-1,-1],\"status\":\"ok\",\"value\":-1}\n")
        .check();
    command("--unsigned --item [4294967295,18446744073709551615] --item [-1,0]")
        .stdout(
            "{\"v\":1,\"index\":0,\"input\":[4294967295,18446744073709551615],\"status\":\"ok\",\
             \"value\":18446744073709551615}\n\
             {\"v\":1,\"index\":1,\"input\":[-1,0],\"status\":\"input\",\
             \"error\":\"item 1, parameter \\\"p0\\\": expected u32, found -1\"}\n",
        )
        .code(1)
        .check();
}

#[test]
fn many_lines_of_json_take_no_memory() {
    let items: u64 = if is_soak() { 10_000_000 } else { 200_000 };
    let lines = (0..items).fold(String::new(), |mut lines, n| {
        let _ = writeln!(lines, "[{n},1]");
        lines
    });
    let is_right = move |stdout: &str| {
        stdout.lines().count() as u64 == items && stdout.ends_with(&ok(items - 1, &items.to_string()))
    };
    let peak = add(lines).stdout_is(is_right).start().peak_kib();
    assert!(peak < MOST_KIB, "the host had {peak} KiB");
}
