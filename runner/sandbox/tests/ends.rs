//! How a worker ends with its host, by its pipe alone.

use std::io;
use std::os::fd::AsFd;

use nix::libc;
use rustix::process::{WaitOptions, waitpid};

use super::super::own;
use super::cell::{Fate, fate, fork};

#[test]
fn h8_a_process_that_computes_ends_when_the_other_end_of_its_lifeline_is_closed() {
    let (lifeline, held) = io::pipe().unwrap();
    let (ready, told) = io::pipe().unwrap();
    let (mut held, mut told) = (Some(held), Some(told));
    let child = fork(|| {
        // Its own copy of the other end would keep it alive.
        drop(held.take());
        if own::end_with(lifeline.as_fd()).is_err() {
            return 1;
        }
        drop(told.take());
        loop {
            std::hint::spin_loop();
        }
    });
    drop(told);
    drop(io::read_to_string(ready).unwrap());
    drop(held);
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().expect("it was waited for");
    assert_eq!(fate(status), Fate::Killed(libc::SIGIO));
}

#[test]
fn h8_a_process_whose_host_is_gone_already_is_not_armed() {
    let (lifeline, held) = io::pipe().unwrap();
    drop(held);
    let child = fork(|| match own::end_with(lifeline.as_fd()) {
        Ok(()) => 1,
        Err(_) => 0,
    });
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().expect("it was waited for");
    assert!(matches!(fate(status), Fate::Worked | Fate::Killed(libc::SIGIO)), "{}", fate(status));
}
