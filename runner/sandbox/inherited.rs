//! Whether this process was given a standard output, looked at before `main`: by then the standard library has opened
//! `/dev/null` in the place of one that was closed, for reading and writing, which is also what many a program gives a
//! child whose output it does not want.

#![expect(unsafe_code, reason = "names a section of the program, in which what runs before `main` is listed")]

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};

static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the section is a list of pointers to functions, which this is one of. They are called once, on the only thread
// there is, with arguments that `look` has no use for, and `look` relies on nothing that `main` or the standard library
// would have to set up before: it makes a system call and stores what came of it.
#[unsafe(link_section = ".init_array")]
#[used]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let is_closed = fcntl_getfd(rustix::stdio::stdout()) == Err(Errno::BADF);
    OUTPUT_WAS_CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Whether standard output was closed when this process started.
pub(crate) fn output_was_closed() -> bool {
    OUTPUT_WAS_CLOSED.load(Ordering::Relaxed)
}
