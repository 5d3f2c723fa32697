//! The filters themselves, as programs: every line of the table, with arguments that fit and with each of them changed.

use seccompiler::{BpfProgram, sock_filter};

use super::super::Shares;
use super::super::filter::{FILTERS, loaded, loading};
use super::super::syscalls::{Answer, Call, Is, Kind, Phase, Test, calls};

const KILL: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;
const ALLOW: u32 = 0x7fff_0000;

/// What the kernel shows a filter of a call.
#[derive(Clone, Copy)]
struct Asked {
    number: u32,
    arch: u32,
    arguments: [u64; 6],
}

impl Asked {
    fn new(number: i64, arguments: [u64; 6]) -> Self {
        let arch = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
        Self { number: u32::try_from(number).unwrap(), arch, arguments }
    }

    /// A word of `struct seccomp_data`.
    fn word(&self, offset: u32) -> u32 {
        let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap();
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => {
                let value = self.arguments[usize::try_from((offset - 16) / 8).unwrap()];
                if offset.is_multiple_of(8) { low(value) } else { low(value >> 32) }
            }
            _ => panic!("a filter looks at the instruction pointer"),
        }
    }
}

/// Runs a program of the kernel's filter machine, as far as filters of system calls use it.
fn run(program: &[sock_filter], asked: &Asked) -> u32 {
    let (mut at, mut word) = (0_usize, 0_u32);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let mut jump = |taken: bool| at += usize::from(if taken { jt } else { jf });
        match code {
            0x20 => word = asked.word(k),
            0x54 => word &= k,
            0x05 => at += usize::try_from(k).unwrap(),
            0x15 => jump(word == k),
            0x25 => jump(word > k),
            0x35 => jump(word >= k),
            0x06 => return k,
            other => panic!("an instruction {other:#x}"),
        }
    }
}

/// What the kernel does: the strictest of all answers.
fn answer(programs: &[BpfProgram], asked: &Asked) -> u32 {
    let strictness = |answer: &u32| match answer & 0xffff_0000 {
        KILL => 2,
        ERRNO => 1,
        _ => 0,
    };
    programs.iter().map(|program| run(program, asked)).max_by_key(strictness).unwrap()
}

/// The filters of a worker that has been locked in.
fn locked(kind: Kind) -> Vec<BpfProgram> {
    let programs = vec![loading(kind, SHARES).unwrap(), loaded(kind, SHARES).unwrap()];
    assert_eq!(programs.len(), FILTERS);
    programs
}

/// Those of one in this phase.
fn around(kind: Kind, phase: Phase) -> Vec<BpfProgram> {
    match phase {
        Phase::Loading => vec![loading(kind, SHARES).unwrap()],
        Phase::Always => locked(kind),
    }
}

/// A worker that shares some of everything.
const SHARES: Shares = Shares { segments: 2, objects: 3, sealed: 1 };

const PHASES: [Phase; 2] = [Phase::Loading, Phase::Always];

/// An address whose lower half is that of nothing.
const ADDRESS: u64 = 1 << 32;

fn value_for(is: Is) -> u64 {
    match is {
        Is::Equal(value) | Is::Masked { value, .. } => value.into(),
        Is::NotEqual(value) => (!value).into(),
        Is::OwnPid => std::process::id().into(),
        Is::Null => 0,
        Is::NotNull => ADDRESS,
        Is::Segment | Is::Object => is.descriptors(SHARES).unwrap().start.into(),
    }
}

fn value_against(is: Is) -> u64 {
    match is {
        Is::Equal(value) => (value ^ 1).into(),
        Is::NotEqual(value) => value.into(),
        Is::Masked { mask, value } => (value ^ (mask & mask.wrapping_neg())).into(),
        Is::OwnPid => u64::from(std::process::id()) + 1,
        Is::Null => ADDRESS,
        Is::NotNull => 0,
        Is::Segment | Is::Object => is.descriptors(SHARES).unwrap().end.into(),
    }
}

fn arguments(tests: &[Test]) -> [u64; 6] {
    let mut arguments = [0; 6];
    for test in tests {
        arguments[usize::from(test.argument)] = value_for(test.is);
    }
    arguments
}

/// These arguments with the one that is tested changed: so that it does not fit, and in each of its bits.
fn changes(test: &Test, fitting: [u64; 6]) -> impl Iterator<Item = (&Test, [u64; 6])> {
    let at = usize::from(test.argument);
    let flipped = (0..32).map(move |bit| fitting[at] ^ (1 << bit));
    flipped.chain([value_against(test.is)]).map(move |value| {
        let mut changed = fitting;
        changed[at] = value;
        (test, changed)
    })
}

/// What these lines of the table say of a call.
fn told<'a>(lines: impl Iterator<Item = &'a Call>, phase: Phase, number: i64, arguments: &[u64; 6]) -> u32 {
    let process = std::process::id();
    let lines: Vec<_> = lines.filter(|call| call.is_about(number, arguments, process, SHARES)).collect();
    // Before the guest is loaded, the kernel answers what is refused afterwards.
    let error = lines.iter().find_map(|call| call.answer.error().filter(|_| call.phase == phase));
    match error {
        _ if lines.is_empty() => KILL,
        Some(error) => ERRNO | error,
        None => ALLOW,
    }
}

/// What the table says of a call.
fn expected(kind: Kind, phase: Phase, number: i64, arguments: &[u64; 6]) -> u32 {
    told(calls(kind, phase), phase, number, arguments)
}

#[test]
fn arguments_that_fit_pass_and_each_that_is_changed_does_what_the_table_says() {
    for (kind, phase) in Kind::ALL.into_iter().flat_map(|kind| PHASES.map(|phase| (kind, phase))) {
        let filters = around(kind, phase);
        for call in calls(kind, phase) {
            let fitting = arguments(call.tests);
            let asked = Asked::new(call.number, fitting);
            assert_ne!(answer(&filters, &asked), KILL, "{}", call.name);
            for (test, changed) in call.tests.iter().flat_map(|test| changes(test, fitting)) {
                let wanted = expected(kind, phase, call.number, &changed);
                let asked = Asked::new(call.number, changed);
                assert_eq!(answer(&filters, &asked), wanted, "{}, argument {}", call.name, test.argument);
            }
        }
    }
}

#[test]
fn the_upper_half_of_an_argument_that_is_no_address_changes_nothing() {
    let has_address = |call: &&Call| call.tests.iter().any(|test| matches!(test.is, Is::Null | Is::NotNull));
    for kind in Kind::ALL {
        let filters = locked(kind);
        for call in calls(kind, Phase::Always).filter(|call| !has_address(call)) {
            let fitting = arguments(call.tests);
            let high = fitting.map(|value| value | 0xdead_beef_0000_0000);
            let answers =
                [fitting, high].map(|arguments| answer(&filters, &Asked::new(call.number, arguments)));
            assert_eq!(answers[0], answers[1], "{}", call.name);
        }
    }
}

#[test]
fn every_number_has_the_answer_of_the_table() {
    for kind in Kind::ALL {
        let (filters, first) = (locked(kind), [loading(kind, SHARES).unwrap()]);
        for number in 0..1024 {
            for arguments in [[0; 6], [1; 6], [u64::MAX; 6], [2; 6], [4; 6]] {
                let asked = Asked::new(number, arguments);
                let wanted = expected(kind, Phase::Always, number, &arguments);
                assert_eq!(answer(&filters, &asked), wanted, "{number} {arguments:?}");
                let wanted = expected(kind, Phase::Loading, number, &arguments);
                assert_eq!(answer(&first, &asked), wanted, "{number} {arguments:?} while loading");
            }
        }
    }
}

#[test]
fn a_worker_that_shares_nothing_maps_nothing_shared() {
    for kind in Kind::ALL {
        let alone = [loading(kind, Shares::default()).unwrap(), loaded(kind, Shares::default()).unwrap()];
        for call in calls(kind, Phase::Loading) {
            let is_shared = |test: &Test| test.is.descriptors(SHARES).is_some();
            if call.tests.iter().any(is_shared) {
                let asked = Asked::new(call.number, arguments(call.tests));
                assert_eq!(answer(&alone[..1], &asked), KILL, "{:?}", call.tests);
                assert_eq!(answer(&alone, &asked), KILL, "{:?}", call.tests);
            }
        }
    }
}

#[test]
fn calls_of_another_architecture_end_the_process() {
    for kind in Kind::ALL {
        for call in calls(kind, Phase::Always) {
            let asked = Asked { arch: 0x4000_0003, ..Asked::new(call.number, arguments(call.tests)) };
            assert_eq!(answer(&locked(kind), &asked), KILL, "{}", call.name);
        }
    }
}

/// Of each call with a pinned argument, there is one that ends the process, or is refused, for that argument alone.
#[test]
fn each_pinned_argument_keeps_something_out() {
    for kind in Kind::ALL {
        let filters = locked(kind);
        for call in calls(kind, Phase::Always).filter(|call| call.answer == Answer::Allow) {
            let fitting = arguments(call.tests);
            for test in call.tests {
                let keeps_out = |(_, changed)| answer(&filters, &Asked::new(call.number, changed)) != ALLOW;
                assert!(changes(test, fitting).any(keeps_out), "{}, argument {}", call.name, test.argument);
            }
        }
    }
}

/// A line is there because there is a call that is answered otherwise without it.
#[test]
fn no_line_of_the_table_does_nothing() {
    for kind in Kind::ALL {
        for phase in PHASES {
            for call in calls(kind, phase).filter(|call| call.phase == phase) {
                let changes_something = [0, u64::MAX].into_iter().any(|other| {
                    let mut asked = [other; 6];
                    for test in call.tests {
                        asked[usize::from(test.argument)] = value_for(test.is);
                    }
                    let others = calls(kind, phase).filter(|other| !std::ptr::eq(*other, call));
                    told(others, phase, call.number, &asked) != expected(kind, phase, call.number, &asked)
                });
                assert!(changes_something, "{} {:?} for {}", call.name, call.tests, kind.name());
            }
        }
    }
}
