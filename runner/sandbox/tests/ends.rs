//! How a worker ends: with its host, by its pipe alone; and by itself, with the filters around it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use rustix::process::{WaitOptions, waitpid};

use super::super::{Layer, own};
use super::cell::{Fate, attempt, fate, fork};
use super::profiles;

/// A process that computes, and has done this before, ends when the other end of its lifeline is closed.
#[track_caller]
fn check_lifeline(deed: fn()) {
    let (lifeline, held) = io::pipe().unwrap();
    let (ready, told) = io::pipe().unwrap();
    // A copy of the other end of its own would keep it alive.
    let keep = [lifeline.as_raw_fd(), told.as_raw_fd()];
    let mut told = Some(told);
    let child = fork(&keep, || {
        if own::end_with(lifeline.as_fd()).is_err() {
            return 1;
        }
        deed();
        drop(told.take());
        loop {
            std::hint::spin_loop();
        }
    });
    drop(told);
    drop(io::read_to_string(ready).unwrap());
    drop(held);
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().expect("it was waited for");
    assert_eq!(fate(status), Fate::Killed(libc::SIGKILL));
}

#[test]
fn h8_a_process_that_computes_ends_when_the_other_end_of_its_lifeline_is_closed() {
    check_lifeline(|| ());
}

#[test]
fn h8_a_process_that_heeds_no_signal_ends_when_the_other_end_of_its_lifeline_is_closed() {
    check_lifeline(|| {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }.unwrap();
        SigSet::all().thread_set_mask().unwrap();
    });
}

#[test]
fn h8_a_process_whose_host_is_gone_already_is_not_armed() {
    let (lifeline, held) = io::pipe().unwrap();
    drop(held);
    let child = fork(&[lifeline.as_raw_fd()], || match own::end_with(lifeline.as_fd()) {
        Ok(()) => 1,
        Err(_) => 0,
    });
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().expect("it was waited for");
    assert!(matches!(fate(status), Fate::Worked | Fate::Killed(libc::SIGKILL)), "{}", fate(status));
}

/// A worker of each kind that does this in its jail comes to this end, which is not the filter's.
#[track_caller]
fn check_end(deed: fn(), end: Fate) {
    for profile in profiles() {
        let fate = attempt(&Layer::ALL, &profile, || {
            // Workers have no environment. With this, a panic would look for the program's symbols.
            // SAFETY: this copy of the process has one thread.
            unsafe { std::env::remove_var("RUST_BACKTRACE") };
            deed();
            Ok(())
        });
        assert_eq!(fate, end, "{profile:?}: {fate}");
    }
}

#[test]
fn a_worker_that_panics_can_say_so_and_go_on() {
    let panics = || {
        let panicked = std::panic::catch_unwind(|| panic!("on purpose"));
        assert!(panicked.is_err());
    };
    check_end(panics, Fate::Worked);
}

#[test]
fn a_worker_that_aborts_ends_by_its_own_signal() {
    check_end(|| std::process::abort(), Fate::Killed(libc::SIGABRT));
}

#[test]
fn a_worker_without_memory_ends_by_its_own_signal() {
    let lacks = || std::alloc::handle_alloc_error(std::alloc::Layout::new::<u64>());
    check_end(lacks, Fate::Killed(libc::SIGABRT));
}

#[test]
fn a_worker_whose_stack_ends_says_so_and_ends_by_its_own_signal() {
    fn descend(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 512]);
        if depth == u64::MAX { 0 } else { descend(depth + 1) ^ frame[1] }
    }
    let overflows = || {
        std::hint::black_box(descend(0));
    };
    check_end(overflows, Fate::Killed(libc::SIGABRT));
}
