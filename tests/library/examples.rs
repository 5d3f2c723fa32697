//! The programs in `examples/`, one for each row of the table of what Python's `multiprocessing` has: what they print.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Each program, and what it prints.
const PROGRAMS: [(&str, &str); 22] = [
    (
        "process_pool",
        "\
primes below 100000: 9592
primes below 800000: 9592 + 8392 + 8013 + 7863 + 7678 + 7560 + 7445 + 7408 = 63951
divisors, by call: [(9, 56), (10, 64), (11, 112)]
primes below 10^12: timeout: it took longer than 0.05 s
primes below 100: 25
",
    ),
    ("port", "[9592, 8392, 8013, 7863, 7678, 7560, 7445, 7408] 63951\n"),
    ("process", "499999500000\n499999500000\n499999500000\n499999500000\n4 processes\n"),
    ("divisors", "1: [56, 8, 16, 8, 18, 8, 32, 8]\n4: [56, 8, 16, 8, 18, 8, 32, 8]\n"),
    ("map", "100 in order: true; the last is Squared { id: 99, result: 9801 }\n"),
    ("imap", "[1, 2, 2, 3, 2]; at most 1000 were read: true\n"),
    ("imap_unordered", "{1, 2, 3, 4, 6}\n"),
    ("starmap", "[3, 7, 11]\n"),
    ("partial", "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n"),
    ("futures", "9 9 5.444\n8 8 5.250\n8 8 6.125\n8 8 5.500\n0 0 0.000\n"),
    ("as_completed", "last: slow: ok\n[\"failing: failed\", \"fast: ok\", \"slow: ok\"]\n"),
    ("timeout", "not done: true\ncancelled: true\ntimeout: it took longer than 0.05 s\n"),
    ("failures", "0: 0\n1: 1\n2: 4\n3: failed\n4: 16\n5: 25\n6: 36\n7: 49\n8: 64\n9: 81\n"),
    ("initializer", "6 calls, 2 for each worker: 3 or more processes\n"),
    ("shared_memory", "1000 numbers, 249750 together\nthe last is 499.5\n1 + … + 100 = 5050\n"),
    ("value", "40000\n80000\n"),
    ("array", "[10001.0, 10002.0, 10003.0]\n"),
    ("lock", "its holder: timeout: it took longer than 0.1 s\nours; somebody was killed with it: true\n"),
    ("queue", "100 items; the last is (99, 9801)\n"),
    ("pipe", "100 pings, 100 pongs, then QUIT\n"),
    ("producer_consumer", "50 tasks put, 50 done\n41062 primes; first 1033, last 753\n"),
    ("types", "`guests/primes.wasm` `count-divisors(n: u64) -> u64` takes u64 for `n`, not string\n"),
];

#[test]
fn each_prints_what_it_says() {
    let folder = Path::new(env!("CARGO_BIN_EXE_wasmpool")).with_file_name("examples");
    for (name, expected) in PROGRAMS {
        let output = Command::new(folder.join(name))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("it is built with the tests");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(stdout, expected, "{name} says {stderr}");
        assert!(output.status.success(), "{name} says {stderr}");
    }
}

#[test]
fn none_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files =
        fs::read_dir(folder).expect("there is one").map(|entry| entry.expect("it can be read").path());
    let files = files.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let files: BTreeSet<_> = files.collect();
    assert_eq!(files, PROGRAMS.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn the_port_that_the_readme_shows_is_one_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("it can be read");
    let (program, readme) = (read("examples/port.rs"), read("README.md"));
    let begin = program.find("use std::time").expect("it names what it uses");
    assert!(readme.contains(&program[begin..]));
}
