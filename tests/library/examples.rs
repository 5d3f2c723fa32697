//! The programs in `examples/`: what they print.

use std::path::Path;
use std::process::Command;

use crate::harness::guest;

#[test]
fn process_pool_prints_what_the_article_does() {
    let program = Path::new(env!("CARGO_BIN_EXE_wasmpool")).with_file_name("examples/process_pool");
    let output =
        Command::new(program).arg(guest("primes.wasm")).output().expect("it is built with the tests");
    let expected = "\
primes below 100000: 9592
primes below 800000: 9592 + 8392 + 8013 + 7863 + 7678 + 7560 + 7445 + 7408 = 63951
divisors, by call: [(9, 56), (10, 64), (11, 112)]
primes below 10^12: timeout: it took longer than 0.05 s
primes below 100: 25
";
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success());
}
