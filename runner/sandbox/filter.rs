//! The filter of system calls, made of the table.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter, apply_filter_all_threads,
};

use super::syscalls::{Answer, Call, Is, Kind, Phase, Test, calls};

/// Ends the process at any call that is of no use for loading, or afterwards. For the only thread there is.
pub(super) fn start(kind: Kind) -> Result<(), seccompiler::Error> {
    apply_filter(&loading(kind)?)
}

/// Ends the process at any call that is of no use to a loaded worker. For all its threads.
///
/// If there are calls that fail, these are two filters, of which the kernel obeys the strictest: one program has one
/// answer. There are no more than needed, since each costs every call some 35 ns.
pub(super) fn finish(kind: Kind) -> Result<(), seccompiler::Error> {
    if let Some(program) = refusing(kind)? {
        apply_filter_all_threads(&program)?;
    }
    // Last, because it forbids the call that puts filters on.
    apply_filter_all_threads(&loaded(kind)?)
}

/// Lets through what loading needs, and what is needed afterwards.
pub(super) fn loading(kind: Kind) -> Result<BpfProgram, BackendError> {
    allowing(calls(kind, Phase::Loading))
}

/// Lets through what is needed to the end.
pub(super) fn loaded(kind: Kind) -> Result<BpfProgram, BackendError> {
    allowing(calls(kind, Phase::Always))
}

/// Has calls fail that are refused, if there are such calls.
pub(super) fn refusing(kind: Kind) -> Result<Option<BpfProgram>, BackendError> {
    let fail = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    let mut refused = refused(kind).peekable();
    if refused.peek().is_none() {
        return Ok(None);
    }
    program(refused, SeccompAction::Allow, fail).map(Some)
}

fn refused(kind: Kind) -> impl Iterator<Item = &'static Call> {
    calls(kind, Phase::Always).filter(|call| call.answer == Answer::Refuse)
}

/// How many filters a locked process has, for whoever reads that from outside.
#[must_use]
pub fn filters(kind: Kind) -> usize {
    let (first, last) = (1, 1);
    first + usize::from(refused(kind).next().is_some()) + last
}

fn allowing(calls: impl IntoIterator<Item = &'static Call>) -> Result<BpfProgram, BackendError> {
    program(calls, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn program(
    calls: impl IntoIterator<Item = &'static Call>,
    otherwise: SeccompAction,
    action: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules(calls)?, otherwise, action, arch)?.try_into()
}

/// Which of a call's arguments have the answer; all of them if there is no rule.
fn rules(
    calls: impl IntoIterator<Item = &'static Call>,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rows: BTreeMap<i64, Vec<&[Test]>> = BTreeMap::new();
    for call in calls {
        rows.entry(call.number).or_default().push(call.tests);
    }
    rows.into_iter().map(|(number, rows)| Ok((number, alternatives(&rows)?))).collect()
}

fn alternatives(rows: &[&[Test]]) -> Result<Vec<SeccompRule>, BackendError> {
    if rows.iter().any(|tests| tests.is_empty()) {
        return Ok(Vec::new());
    }
    rows.iter()
        .map(|tests| SeccompRule::new(tests.iter().map(condition).collect::<Result<_, _>>()?))
        .collect()
}

fn condition(test: &Test) -> Result<SeccompCondition, BackendError> {
    let (operator, value) = match test.is {
        Is::Equal(value) => (SeccompCmpOp::Eq, value),
        Is::NotEqual(value) => (SeccompCmpOp::Ne, value),
        Is::Masked { mask, value } => (SeccompCmpOp::MaskedEq(mask.into()), value),
        Is::OwnPid => (SeccompCmpOp::Eq, std::process::id()),
    };
    SeccompCondition::new(test.argument, SeccompCmpArgLen::Dword, operator, value.into())
}
