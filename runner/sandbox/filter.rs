//! The filter of system calls, made of the table.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter, apply_filter_all_threads, sock_filter,
};

use super::start::Shares;
use super::syscalls::{Answer, Call, Is, Kind, Phase, Test, calls};

/// Instructions of the kernel's filter machine: to end with an answer, to jump ahead.
const RETURN: u16 = 0x06;
const JUMP: u16 = 0x05;

/// The answer that lets a call through.
const ALLOW: u32 = 0x7fff_0000;

/// How many filters a locked process has, for whoever reads that from outside.
pub const FILTERS: usize = 2;

/// Ends the process at any call that is of no use for loading, or afterwards. For the only thread there is.
pub(super) fn start(kind: Kind, shares: Shares) -> Result<(), seccompiler::Error> {
    apply_filter(&loading(kind, shares)?)
}

/// Ends the process at any call that is of no use to a loaded worker. For all its threads.
pub(super) fn finish(kind: Kind, shares: Shares) -> Result<(), seccompiler::Error> {
    apply_filter_all_threads(&loaded(kind, shares)?)
}

/// Lets through what loading needs, and what is needed afterwards.
pub(super) fn loading(kind: Kind, shares: Shares) -> Result<BpfProgram, BackendError> {
    program(kind, shares, Phase::Loading)
}

/// Lets through what is needed to the end.
pub(super) fn loaded(kind: Kind, shares: Shares) -> Result<BpfProgram, BackendError> {
    program(kind, shares, Phase::Always)
}

/// What holds in this phase: errors first, then what the kernel answers.
///
/// One program for all, since each filter costs every call some 35 ns.
fn program(kind: Kind, shares: Shares, phase: Phase) -> Result<BpfProgram, BackendError> {
    let mut whole = BpfProgram::new();
    for answer in Answer::ERRORS {
        let Some(error) = answer.error() else { continue };
        let failing: Vec<_> =
            calls(kind, phase).filter(|call| call.phase == phase && call.answer == answer).collect();
        if !failing.is_empty() {
            let part = part(failing, shares, SeccompAction::Allow, SeccompAction::Errno(error))?;
            whole.extend(going_on(part));
        }
    }
    whole.extend(part(calls(kind, phase), shares, SeccompAction::KillProcess, SeccompAction::Allow)?);
    Ok(whole)
}

/// The same part of a program, which goes on behind its end where it would let a call through.
fn going_on(part: BpfProgram) -> impl Iterator<Item = sock_filter> {
    let last = part.len() - 1;
    part.into_iter().enumerate().map(move |(at, instruction)| {
        if instruction.code == RETURN && instruction.k == ALLOW {
            let over = u32::try_from(last - at).expect("a filter is short");
            sock_filter { code: JUMP, jt: 0, jf: 0, k: over }
        } else {
            instruction
        }
    })
}

fn part(
    calls: impl IntoIterator<Item = &'static Call>,
    shares: Shares,
    otherwise: SeccompAction,
    action: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules(calls, shares)?, otherwise, action, arch)?.try_into()
}

/// Which of a call's arguments have the answer; all of them if there is no rule.
fn rules(
    calls: impl IntoIterator<Item = &'static Call>,
    shares: Shares,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rows: BTreeMap<i64, Vec<&[Test]>> = BTreeMap::new();
    // A line about descriptors of which there are none is about no call.
    let is_empty =
        |test: &Test| test.is.descriptors(shares).is_some_and(|descriptors| descriptors.is_empty());
    for call in calls.into_iter().filter(|call| !call.tests.iter().any(is_empty)) {
        rows.entry(call.number).or_default().push(call.tests);
    }
    rows.into_iter().map(|(number, rows)| Ok((number, alternatives(&rows, shares)?))).collect()
}

fn alternatives(rows: &[&[Test]], shares: Shares) -> Result<Vec<SeccompRule>, BackendError> {
    if rows.iter().any(|tests| tests.is_empty()) {
        return Ok(Vec::new());
    }
    rows.iter()
        .map(|tests| {
            let conditions =
                tests.iter().map(|test| conditions(test, shares)).collect::<Result<Vec<_>, _>>()?;
            SeccompRule::new(conditions.concat())
        })
        .collect()
}

fn conditions(test: &Test, shares: Shares) -> Result<Vec<SeccompCondition>, BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let one =
        |length, operator, value: u32| SeccompCondition::new(test.argument, length, operator, value.into());
    if let Some(descriptors) = test.is.descriptors(shares) {
        return [(SeccompCmpOp::Ge, descriptors.start), (SeccompCmpOp::Lt, descriptors.end)]
            .into_iter()
            .map(|(operator, value)| one(Dword, operator, value))
            .collect();
    }
    let condition = match test.is {
        Is::Equal(value) => one(Dword, SeccompCmpOp::Eq, value),
        Is::NotEqual(value) => one(Dword, SeccompCmpOp::Ne, value),
        Is::Masked { mask, value } => one(Dword, SeccompCmpOp::MaskedEq(mask.into()), value),
        Is::OwnPid => one(Dword, SeccompCmpOp::Eq, std::process::id()),
        Is::Null => one(Qword, SeccompCmpOp::Eq, 0),
        Is::NotNull => one(Qword, SeccompCmpOp::Ne, 0),
        Is::Segment | Is::Object => unreachable!("they are about descriptors"),
    };
    Ok(vec![condition?])
}
