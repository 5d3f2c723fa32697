use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::*;
use crate::sandbox::Access;

const STATUS: &str = "Name:\tx\nState:\tS (sleeping)\nUid:\t65534\t65534\t65534\t65534\n\
    Gid:\t65534\t65534\t65534\t65534\nGroups:\t \nCapInh:\t0000\nCapPrm:\t0000\nCapEff:\t0000\nCapAmb:\t0000\n\
    NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\n";

const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max file size             0                    0                    bytes
Max data size             2622373888           2622373888           bytes
Max stack size            8388608              8388608              bytes
Max core file size        0                    0                    bytes
Max processes             0                    0                    processes
Max open files            0                    0                    files
";

fn facts() -> Facts {
    let open = ["/dev/null", "pipe:[7]", "/memfd:wasmpool-code (deleted)", "/proc/77/pagemap"];
    Facts {
        threads: vec![STATUS.to_owned(), STATUS.to_owned()],
        limits: LIMITS.to_owned(),
        oom_score_adj: "1000\n".to_owned(),
        owner: 0,
        open: Some(open.map(PathBuf::from).to_vec()),
        pipes: vec!["pipe:[7]".into()],
        host: Host { is_root: true, filters: Some(0), is_free: true, sees_root: true },
    }
}

/// What is shown of the layer, when this has been changed.
fn shown(layer: Layer, change: impl FnOnce(&mut Facts)) -> Option<bool> {
    let mut facts = facts();
    change(&mut facts);
    facts.show(layer, &Profile::Compute)
}

#[track_caller]
fn check_found_out(layer: Layer, change: impl FnOnce(&mut Facts)) {
    assert_eq!(shown(layer, |_| {}), Some(true), "{layer}");
    assert_eq!(shown(layer, change), Some(false), "{layer}");
}

#[test]
fn w12_a_layer_that_one_thread_lacks_is_found_out() {
    let change = |from: &'static str, to: &'static str| {
        move |facts: &mut Facts| facts.threads[1] = STATUS.replace(from, to)
    };
    check_found_out(Layer::Seccomp, change("Seccomp:\t2", "Seccomp:\t0"));
    check_found_out(Layer::Seccomp, change("Seccomp_filters:\t2", "Seccomp_filters:\t1"));
    check_found_out(Layer::NoNewPrivs, change("NoNewPrivs:\t1", "NoNewPrivs:\t0"));
    check_found_out(Layer::NoNewPrivs, change("NoNewPrivs:\t1\n", ""));
    check_found_out(Layer::Unprivileged, change("Uid:\t65534\t65534", "Uid:\t65534\t0"));
    check_found_out(Layer::Unprivileged, change("Gid:\t65534\t65534", "Gid:\t65534\t0"));
    check_found_out(Layer::Unprivileged, change("Groups:\t ", "Groups:\t0 4"));
    check_found_out(Layer::Unprivileged, change("CapEff:\t0000", "CapEff:\t0020"));
}

#[test]
fn w12_a_layer_that_the_process_lacks_is_found_out() {
    let lift =
        |line: &'static str| move |facts: &mut Facts| facts.limits = LIMITS.replace(line, "Max nothing");
    for line in [
        "Max open files",
        "Max processes",
        "Max core file size",
        "Max stack size",
        "Max file size",
        "Max data size",
    ] {
        check_found_out(Layer::Rlimits, lift(line));
    }
    let raise = |facts: &mut Facts| facts.limits = LIMITS.replace("0                    files", "9  files");
    check_found_out(Layer::Rlimits, raise);
    let unlimited = |facts: &mut Facts| facts.limits = LIMITS.replace("2622373888", "unlimited");
    check_found_out(Layer::Rlimits, unlimited);
    check_found_out(Layer::OomScore, |facts| facts.oom_score_adj = "0\n".to_owned());
    check_found_out(Layer::Undumpable, |facts| facts.owner = 65_534);
}

#[test]
fn w12_a_filter_that_comes_from_the_host_is_not_the_workers() {
    check_found_out(Layer::Seccomp, |facts| facts.host.filters = Some(1));
}

#[test]
fn w12_a_descriptor_that_is_not_in_the_table_is_found_out() {
    for other in ["socket:[5]", "pipe:[8]", "/etc/passwd", "/memfd:other", "anon_inode:[io_uring]"] {
        check_found_out(Layer::Descriptors, |facts| {
            facts.open.as_mut().unwrap().push(other.into());
        });
    }
}

#[test]
fn folders_are_in_the_table_of_who_has_some() {
    let mut facts = facts();
    facts.limits = LIMITS.replace("0                    0                    files", "64 64 files");
    facts.open.as_mut().unwrap().push("/tmp/d".into());
    let files = Profile::Files(vec![Access::Read]);
    assert_eq!(facts.show(Layer::Descriptors, &files), Some(true));
    assert_eq!(facts.show(Layer::Rlimits, &files), Some(true));
    facts.open.as_mut().unwrap().push("/tmp".into());
    assert_eq!(facts.show(Layer::Descriptors, &files), Some(false));
}

#[test]
fn what_is_not_shown_is_neither_so_nor_not() {
    assert_eq!(shown(Layer::Descriptors, |facts| facts.open = None), None);
    for layer in [Layer::Landlock, Layer::Mdwe, Layer::Lifeline] {
        assert_eq!(shown(layer, |_| {}), None, "{layer}");
    }
    let rename = |facts: &mut Facts, from, to| {
        facts.threads.iter_mut().for_each(|status| *status = status.replace(from, to));
    };
    assert_eq!(shown(Layer::Undumpable, |facts| rename(facts, "65534", "0")), None);
    let without_root = |facts: &mut Facts| {
        facts.owner = 65_534;
        facts.host.sees_root = false;
    };
    assert_eq!(shown(Layer::Undumpable, without_root), None);
    let uncounted = |facts: &mut Facts| rename(facts, "Seccomp_filters", "Other");
    assert_eq!(shown(Layer::Seccomp, uncounted), Some(true));
    let inherited = |facts: &mut Facts| {
        uncounted(facts);
        facts.host.is_free = false;
    };
    assert_eq!(shown(Layer::Seccomp, inherited), None);
}

fn child(program: &str, stdin: Stdio) -> (std::process::Child, OwnedFd) {
    let child = Command::new(program).stdin(stdin).spawn().unwrap();
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    (child, pidfd)
}

#[test]
fn a_process_is_found_by_its_descriptor() {
    let (mut child, pidfd) = child("cat", Stdio::piped());
    let place = place(&pidfd).unwrap().expect("it waits for its input");
    assert_eq!(place, Path::new(&format!("/proc/{}", child.id())));
    assert_eq!(threads(&place).unwrap().len(), 1);
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_process_that_has_ended_has_no_threads_and_then_no_place() {
    let (mut child, pidfd) = child("true", Stdio::null());
    rustix::event::poll(&mut [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)], None)
        .unwrap();
    let zombie = place(&pidfd).unwrap().expect("nobody has waited for it");
    assert!(threads(&zombie).unwrap().is_empty());
    child.wait().unwrap();
    assert_eq!(place(&pidfd).unwrap(), None);
}

#[test]
fn a_capability_that_one_thread_has_kept_is_found() {
    assert!(facts().has_no_capability());
    let mut facts = facts();
    facts.threads[1] = STATUS.replace("CapPrm:\t0000", "CapPrm:\t0001");
    assert!(!facts.has_no_capability());
}
