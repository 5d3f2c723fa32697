//! Every number there is for a system call, from inside a locked process.

use std::collections::BTreeSet;

use nix::libc;

use super::super::syscalls::{Is, Kind, Phase, calls};
use super::super::{Layer, Profile};
use super::attacks::call;
use super::cell::{Fate, attempt};

/// One past the highest number that Linux 6.18 has a call for.
const NUMBERS: i64 = 471;

/// What the kernel itself lets pass on this architecture, before it asks a filter: they are for its own probes, and end
/// whoever else calls them by another signal.
const PASSED_BY_THE_KERNEL: [i64; 2] = [335, 336];

/// The bit of the x32 table.
const X32: i64 = 0x4000_0000;

/// What comes of this call with each of these arguments, from inside a locked worker.
fn fates(number: i64, all_arguments: &[[i64; 6]]) -> Vec<Fate> {
    let attempt =
        |arguments: &[i64; 6]| attempt(&Layer::ALL, &Profile::Compute, || call(number, *arguments).map(drop));
    all_arguments.iter().map(attempt).collect()
}

/// Arguments for each row of the table about this call, and some that mean nothing.
fn arguments(number: i64) -> Vec<[i64; 6]> {
    let rows = calls(Kind::Compute, Phase::Always).filter(|call| call.number == number);
    let fitting = rows.map(|call| {
        let mut arguments = [0; 6];
        for test in call.tests {
            arguments[usize::from(test.argument)] = match test.is {
                Is::Equal(value) | Is::Masked { value, .. } => value.into(),
                Is::NotEqual(value) => (!value).into(),
                Is::Null => 0,
                Is::NotNull => 1,
                // A cell's own number is known to nobody before, and it shares nothing.
                Is::OwnPid | Is::Segment | Is::Object => return arguments,
            };
        }
        arguments
    });
    fitting.chain([[0; 6]]).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn w28_of_all_system_calls_only_those_of_the_table_come_back() {
    let listed: BTreeSet<_> = calls(Kind::Compute, Phase::Always).map(|call| call.number).collect();
    let failing: BTreeSet<_> = calls(Kind::Compute, Phase::Always)
        .filter(|call| call.answer.error().is_some())
        .map(|call| call.number)
        .collect();
    let survived: BTreeSet<_> = (0..NUMBERS)
        .filter(|number| fates(*number, &arguments(*number)).iter().any(|fate| !fate.is_filtered()))
        .collect();
    // The only call whose arguments are known to nobody before.
    let pinned = BTreeSet::from([libc::SYS_tgkill]);
    let expected: BTreeSet<_> = listed
        .iter()
        .copied()
        .filter(|number| !pinned.contains(number))
        .chain(PASSED_BY_THE_KERNEL)
        .collect();
    assert_eq!(survived, expected);
    println!(
        "figure: W28 {} of {NUMBERS} numbers end the process; {} are answered, {} of them with an error",
        NUMBERS - i64::try_from(survived.len()).unwrap(),
        survived.len(),
        failing.len()
    );
}

#[test]
fn w28_calls_that_no_kernel_has_yet_end_the_process() {
    for number in (NUMBERS..NUMBERS + 100).chain([1 << 20, 1 << 29, (1 << 30) - 1]) {
        assert!(fates(number, &[[0; 6]])[0].is_filtered(), "{number}");
    }
}

#[test]
fn w28_calls_of_the_x32_table_end_the_process() {
    for number in (0..NUMBERS).map(|number| number | X32) {
        assert!(fates(number, &[[0; 6]])[0].is_filtered(), "{number:#x}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn w28_calls_by_the_gate_of_32_bits_end_the_process() {
    for number in [1_u32, 3, 4, 5, 11, 20, 45, 90, 102, 120, 125, 192, 240] {
        let fate = attempt(&Layer::ALL, &Profile::Compute, || {
            // SAFETY: the call has no arguments that mean anything, and its answer is in a register that is named.
            unsafe {
                std::arch::asm!(
                    "xchg {saved}, rbx",
                    "int 0x80",
                    "xchg {saved}, rbx",
                    saved = inout(reg) 0_u64 => _,
                    inout("eax") number => _,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                );
            }
            Ok(())
        });
        // A kernel without that gate has another answer, which is the end as well.
        assert!(fate.is_filtered() || fate == Fate::Killed(libc::SIGSEGV), "{number}: {fate}");
    }
}
