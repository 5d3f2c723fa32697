//! Signals as a fresh process has them: a host may ignore or block some, and its children inherit that.

#![expect(unsafe_code, reason = "changes what the process does with signals")]

use std::io;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

/// Blocks no signal and gives each its default effect, except that a pipe without reader and a file that may not get
/// larger are errors of the write.
pub(super) fn reset() -> io::Result<()> {
    for signal in Signal::iterator() {
        let handler = match signal {
            Signal::SIGPIPE | Signal::SIGXFSZ => SigHandler::SigIgn,
            // Nobody can change the first two. The others are the standard library's, for its word about an exhausted
            // stack, and nobody's to ignore: a fault cannot be.
            Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGSEGV | Signal::SIGBUS => continue,
            _ => SigHandler::SigDfl,
        };
        // SAFETY: the callee wants handlers that may run at any time; these two run no code of ours. No other code
        // relies on a handler that is replaced: the process has just started, with no more than the standard
        // library's, which are left alone.
        unsafe { nix::sys::signal::signal(signal, handler)? };
    }
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Stops this process as a terminal's Ctrl-Z does where nobody handles the signal; returns when the process goes on.
/// In a process group that nobody could continue, the system lets it go on at once.
pub(crate) fn stop_this_process() -> io::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default effect runs no code of ours.
    let handled = unsafe { sigaction(Signal::SIGTSTP, &default)? };
    let stopped = raise(Signal::SIGTSTP);
    // SAFETY: it was the handler before, so whoever put it in place answered for it.
    unsafe { sigaction(Signal::SIGTSTP, &handled)? };
    Ok(stopped?)
}

/// Has the ends of child processes told, even if whoever started this process wants them ignored: the system would
/// forget how they ended.
pub(crate) fn heed_children() -> io::Result<()> {
    // SAFETY: the default effect, which is none, runs no code of ours.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl)? };
    Ok(())
}
