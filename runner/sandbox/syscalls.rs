//! The system calls of a worker: one table, which the filter, its documentation, its tests and `wasmpool doctor` read.
//!
//! A call that no row allows ends the process. A row says why it is there; `SYSCALLS.md` is made of it.

use std::fmt::Write as _;
use std::ops::Range;

use nix::libc;

use rustix::fs::OFlags;

use super::fds::{FIRST_SHARED, LIFELINE, REQUESTS, RESULTS, SEGMENT};
use super::start::{Access, Profile, Shares};

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The call's name.
    pub name: &'static str,
    /// Its number on this machine.
    pub number: i64,
    /// Until when it is allowed.
    pub phase: Phase,
    /// The workers that have it.
    pub kinds: &'static [Kind],
    /// What a worker is answered.
    pub answer: Answer,
    /// Which arguments the line is about: each of these tests holds; none: any arguments.
    pub tests: &'static [Test],
    /// Who needs it, and what for.
    pub why: &'static str,
}

/// Until when a call is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Only until the guest is loaded: no guest code has run by then.
    Loading,
    /// To the end.
    Always,
}

/// The profiles, without what is special to one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Profile::Compile`].
    Compile,
    /// [`Profile::Compute`].
    Compute,
    /// [`Profile::Files`], with folders that can only be read.
    Reading,
    /// [`Profile::Files`], with one at least that can be written to.
    Writing,
}

/// What a worker is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The kernel's answer.
    Allow,
    /// `EACCES`, without asking the kernel. A line that holds to the end begins to after loading: until then the kernel
    /// answers.
    Refuse,
    /// `ENOSYS`, likewise: what a kernel says that does not have the call.
    Missing,
    /// `EBADF`, likewise: what it says of a file that is not open for that.
    NotOpen,
}

/// A test of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// Which argument, from 0. Its lower 32 bits are looked at, unless it is an address: all others are of that size, or
    /// have no meaning above.
    pub argument: u8,
    /// What it has to be.
    pub is: Is,
}

/// What an argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// This.
    Equal(u32),
    /// Anything else.
    NotEqual(u32),
    /// This, of the bits of the mask.
    Masked {
        /// The bits that count.
        mask: u32,
        /// What they are.
        value: u32,
    },
    /// The number of the process itself.
    OwnPid,
    /// The address of nothing.
    Null,
    /// The address of something.
    NotNull,
    /// The descriptor of a segment that guests write to together.
    Segment,
    /// The descriptor of anything else that they write to together.
    Object,
}

impl Is {
    /// The descriptors that it is about, if it is about what a worker shares.
    #[must_use]
    pub fn descriptors(self, shares: Shares) -> Option<Range<u32>> {
        let first = FIRST_SHARED.unsigned_abs();
        let segments = first..first + u32::from(shares.segments);
        match self {
            Self::Segment => Some(segments),
            Self::Object => Some(segments.end..segments.end + u32::from(shares.objects)),
            Self::Equal(_)
            | Self::NotEqual(_)
            | Self::Masked { .. }
            | Self::OwnPid
            | Self::Null
            | Self::NotNull => None,
        }
    }
}

impl Profile {
    /// Which of the table's columns it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Compile(_) => Kind::Compile,
            Self::Compute => Kind::Compute,
            Self::Files(dirs) if dirs.contains(&Access::Write) => Kind::Writing,
            Self::Files(_) => Kind::Reading,
        }
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Compile, Self::Compute, Self::Reading, Self::Writing];

    /// Its name in the documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Compute => "compute",
            Self::Reading => "files:ro",
            Self::Writing => "files:rw",
        }
    }
}

impl Answer {
    /// All that are errors.
    pub const ERRORS: [Self; 3] = [Self::Refuse, Self::Missing, Self::NotOpen];

    /// The error that it is, if it is not the kernel's.
    #[must_use]
    pub fn error(self) -> Option<u32> {
        match self {
            Self::Allow => None,
            Self::Refuse => Some(libc::EACCES.unsigned_abs()),
            Self::Missing => Some(libc::ENOSYS.unsigned_abs()),
            Self::NotOpen => Some(libc::EBADF.unsigned_abs()),
        }
    }
}

/// What the runtime asks `/proc/self/pagemap`: which pages have been written to.
const PAGEMAP_SCAN: u32 = 0xc060_6610;

const EVERY: &[Kind] = &Kind::ALL;
const SERVING: &[Kind] = &[Kind::Compute, Kind::Reading, Kind::Writing];
const BARE: &[Kind] = &[Kind::Compile, Kind::Compute];
const COMPILE: &[Kind] = &[Kind::Compile];
const COMPUTE: &[Kind] = &[Kind::Compute];
const FILES: &[Kind] = &[Kind::Reading, Kind::Writing];
const READING: &[Kind] = &[Kind::Reading];
const WRITING: &[Kind] = &[Kind::Writing];

/// The only flags with which the runtime opens a folder to list it. Those with which it would walk a path, where the
/// kernel will not do it below a folder, are others.
const LISTING: u32 =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::LARGEFILE).bits();

/// Write at the end of the file.
const APPEND: u32 = libc::RWF_APPEND.cast_unsigned();

const NO_EXEC: Test = masked(2, libc::PROT_EXEC.cast_unsigned(), 0);
/// Which kind of mapping it is, of which there are three: shared, private, droppable; whether it grows downwards, and
/// whether it is of huge pages.
const MAPPING: u32 = (libc::MAP_TYPE | libc::MAP_GROWSDOWN | libc::MAP_HUGETLB).cast_unsigned();
/// Memory that is shared, or that grows downwards, does not count against the limit. Of huge pages a machine has few, and
/// has set them aside for somebody.
const PRIVATE: Test = masked(3, MAPPING, libc::MAP_PRIVATE.cast_unsigned());
/// Memory that the kernel may take back. It counts.
const DROPPABLE: Test = masked(3, MAPPING, MAP_DROPPABLE);
const SHARED: Test = masked(3, MAPPING, libc::MAP_SHARED.cast_unsigned());
/// In the place of what is there.
const SHARED_IN_PLACE: Test = equal(3, (libc::MAP_SHARED | libc::MAP_FIXED).cast_unsigned());
const READ_AND_WRITE: Test = equal(2, (libc::PROT_READ | libc::PROT_WRITE).cast_unsigned());
const A_SEGMENT: Test = Test { argument: 4, is: Is::Segment };
const AN_OBJECT: Test = Test { argument: 4, is: Is::Object };
/// Linux 6.11 has it; the C library asks the kernel for its number.
const MAP_DROPPABLE: u32 = 8;

/// What shares this with its parent is a thread of it, and no process.
const THREAD: u32 = (libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VM).cast_unsigned();
const A_THREAD: Test = masked(0, THREAD, THREAD);

/// The operations on a futex that locks and channels are made of: to wait and to wake, in the process alone or not, by
/// either clock. The others hand waiters on, or lend priorities.
const WAIT_OR_WAKE: Test = masked(1, !(FUTEX_OPTIONS | 1), 0);
const WAIT_UNTIL: Test = masked(1, !FUTEX_OPTIONS, libc::FUTEX_WAIT_BITSET.cast_unsigned());
const FUTEX_OPTIONS: u32 = (libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME).cast_unsigned();

/// Linux 6.13 has it.
const GUARD_INSTALL: u32 = 102;

const AN_OPEN_FILE: Test = Test { argument: 1, is: Is::Null };
const A_PATH: Test = Test { argument: 1, is: Is::NotNull };

const fn equal(argument: u8, value: u32) -> Test {
    Test { argument, is: Is::Equal(value) }
}

const fn masked(argument: u8, mask: u32, value: u32) -> Test {
    Test { argument, is: Is::Masked { mask, value } }
}

/// One row for each line: the call, the tests of its arguments, until when, for whom, the answer, and why.
macro_rules! table {
    ($($call:ident ($($test:expr),*) $phase:ident $kinds:ident $answer:expr, $why:literal;)*) => {
        &[$(Call {
            name: stringify!($call).split_at("SYS_".len()).1,
            number: libc::$call,
            phase: Phase::$phase,
            kinds: $kinds,
            answer: $answer,
            tests: &[$($test),*],
            why: $why,
        }),*]
    };
}

const ALLOW: Answer = Answer::Allow;

/// The table.
pub const CALLS: &[Call] = table! {
    // Talking with the host.
    SYS_read(equal(0, REQUESTS.cast_unsigned())) Always EVERY ALLOW, "requests of the host";
    SYS_write(equal(0, RESULTS.cast_unsigned())) Always EVERY ALLOW, "results for the host";
    SYS_write(equal(0, 2)) Always EVERY ALLOW, "last words: a panic, a lack of memory, an exhausted stack";
    // Memory.
    SYS_mmap(NO_EXEC, PRIVATE) Always EVERY ALLOW, "memory of the allocator and of the guest, the guest's image; never code, never shared";
    SYS_mmap(NO_EXEC, DROPPABLE) Always EVERY ALLOW, "the C library's random numbers, from glibc 2.41 on";
    SYS_mmap(READ_AND_WRITE, SHARED_IN_PLACE, A_SEGMENT) Always SERVING ALLOW, "a segment that guests write to together, in the place of some of the guest's memory: where one was declared";
    SYS_mprotect(NO_EXEC) Always EVERY ALLOW, "memory that grows, guard pages; never code";
    SYS_munmap() Always EVERY ALLOW, "memory given back";
    SYS_mremap() Always EVERY Answer::Refuse, "large allocations that grow are copied instead: a mapping of code that grows has what stands behind it in its file for code";
    SYS_madvise(equal(2, libc::MADV_DONTNEED.cast_unsigned())) Always EVERY ALLOW, "memory of an item, made fresh for the next; an arena of the C library that shrinks";
    SYS_brk() Always EVERY ALLOW, "the heap of the C library";
    SYS_ioctl(equal(1, PAGEMAP_SCAN)) Always SERVING ALLOW, "which pages an item has written to, of the page map opened at the start";
    // Threads that were there before, and time.
    SYS_futex(WAIT_OR_WAKE) Always EVERY ALLOW, "locks between threads that were started before";
    SYS_futex(WAIT_UNTIL) Always EVERY ALLOW, "the same with a deadline; a guest that sleeps";
    SYS_sched_yield() Always COMPILE ALLOW, "threads of the compiler that look for work";
    SYS_clock_gettime() Always EVERY ALLOW, "CPU time of an item; all clocks where the kernel's page for them has none";
    SYS_restart_syscall() Always SERVING ALLOW, "a guest that sleeps is stopped, and goes on";
    // Signals of its own, and the end.
    SYS_rt_sigreturn() Always EVERY ALLOW, "back from the handler of a guest's trap, or of a fault that is none";
    SYS_rt_sigaction() Always EVERY ALLOW, "the compiler's handlers; a fault that is no trap is handed on to the handler before, or to the default";
    SYS_rt_sigprocmask() Always EVERY ALLOW, "signals are held back while the process aborts";
    SYS_getpid() Always EVERY ALLOW, "to whom the signal of an abort goes";
    SYS_gettid() Always EVERY ALLOW, "to whom the signal of an abort goes";
    SYS_tgkill(Test { argument: 0, is: Is::OwnPid }) Always EVERY ALLOW, "abort: a signal to itself";
    SYS_sigaltstack() Always EVERY ALLOW, "the stack for the handler is given back at the end";
    SYS_close(Test { argument: 0, is: Is::NotEqual(LIFELINE.cast_unsigned()) }) Always EVERY ALLOW, "descriptors, at the end and after loading; files of the guest";
    SYS_exit_group() Always EVERY ALLOW, "the process ends";
    SYS_getrandom() Always EVERY ALLOW, "random numbers, of the guest and of hash maps";
    // What a library asks and can do without.
    SYS_openat() Always COMPILE Answer::Refuse, "the C library asks for the overcommit mode when an arena shrinks";
    // Files below the folders of the guest.
    SYS_openat(equal(2, LISTING)) Always FILES ALLOW, "a folder once more, to list it";
    SYS_openat(Test { argument: 2, is: Is::NotEqual(LISTING) }) Always FILES Answer::Refuse, "the code, the page map and the folders, while it loads; afterwards the overcommit mode, and paths that the runtime would walk by itself where the kernel does not";
    SYS_openat2() Always FILES ALLOW, "files below the folders: the kernel itself keeps them below";
    SYS_statx() Always FILES ALLOW, "what they are";
    SYS_pread64() Always FILES ALLOW, "reading them";
    SYS_pwrite64() Always WRITING ALLOW, "writing them";
    SYS_pwritev2(equal(5, APPEND)) Always WRITING ALLOW, "writing at their end";
    SYS_pwrite64() Always READING Answer::NotOpen, "the runtime lets a guest try to write to what it may only read";
    SYS_pwritev2() Always READING Answer::NotOpen, "likewise, at its end";
    SYS_getdents64() Always FILES ALLOW, "listing folders";
    SYS_fcntl(equal(1, libc::F_GETFL.cast_unsigned())) Always FILES ALLOW, "in which mode they are open";
    SYS_ftruncate() Always WRITING ALLOW, "their length";
    SYS_fadvise64() Always FILES ALLOW, "how they will be read";
    SYS_fsync() Always FILES ALLOW, "they are written to the disk, which one that reads may ask for, too";
    SYS_fdatasync() Always FILES ALLOW, "they are written to the disk, without their times";
    SYS_utimensat(AN_OPEN_FILE) Always WRITING ALLOW, "their times, of what is open";
    SYS_utimensat(A_PATH) Always WRITING Answer::Refuse, "those of a link itself: Landlock would not keep it in the folders";
    SYS_mkdirat() Always WRITING ALLOW, "new folders";
    SYS_unlinkat() Always WRITING ALLOW, "removing them";
    SYS_renameat() Always WRITING ALLOW, "moving them";
    SYS_linkat(equal(4, 0)) Always WRITING ALLOW, "hard links";
    SYS_symlinkat() Always WRITING ALLOW, "symbolic links";
    SYS_readlinkat() Always FILES ALLOW, "where they lead";
    // Loading: opening and mapping the sealed code, starting what threads there are, putting on the rest of the jail.
    SYS_openat() Loading COMPUTE ALLOW, "the code, the page map, how many processors there are";
    SYS_fstat() Loading EVERY ALLOW, "the length of the segment";
    SYS_statx() Loading BARE ALLOW, "the length of the guest, or of its code";
    SYS_lseek() Loading SERVING ALLOW, "how much is left to be read of a file in `/proc`";
    SYS_fcntl() Loading EVERY ALLOW, "the seals of the guest, or of its code";
    SYS_read() Loading SERVING ALLOW, "how many processors there are; what the process has in memory";
    SYS_pread64() Loading COMPILE ALLOW, "the guest";
    SYS_mmap(equal(4, SEGMENT.cast_unsigned()), NO_EXEC) Loading EVERY ALLOW, "the segment, shared with the host";
    SYS_mmap(NO_EXEC, SHARED, AN_OBJECT) Loading SERVING ALLOW, "numbers, locks, queues and pipes that guests share: where any were declared";
    SYS_mprotect() Loading SERVING ALLOW, "the code becomes executable";
    SYS_madvise(equal(2, GUARD_INSTALL)) Loading EVERY ALLOW, "guard pages of a thread's stack, from glibc 2.42 on";
    SYS_clone3() Loading EVERY Answer::Missing, "the C library asks for threads by it first, and takes clone then: no filter sees whether it would be a process";
    SYS_clone(A_THREAD) Loading EVERY ALLOW, "the compiler's threads; one that waits for a guest";
    SYS_set_robust_list() Loading EVERY ALLOW, "a thread starts";
    SYS_rseq() Loading EVERY ALLOW, "a thread starts";
    SYS_sched_getaffinity() Loading EVERY ALLOW, "how many processors there are, for threads and for arenas of the C library";
    SYS_prctl() Loading EVERY ALLOW, "names of threads and of memory; the rest of the jail";
    SYS_prlimit64() Loading EVERY ALLOW, "the rest of the jail";
    SYS_seccomp() Loading EVERY ALLOW, "the rest of the jail";
};

/// The calls of a worker of this kind: while it loads, with those that end then, or afterwards.
pub fn calls(kind: Kind, phase: Phase) -> impl Iterator<Item = &'static Call> {
    CALLS.iter().filter(move |call| {
        call.kinds.contains(&kind) && (call.phase == Phase::Always || phase == Phase::Loading)
    })
}

impl Call {
    /// Whether this line is about such a call of this process.
    #[must_use]
    pub fn is_about(&self, number: i64, arguments: &[u64; 6], process: u32, shares: Shares) -> bool {
        let fits = |test: &Test| {
            let low = arguments[usize::from(test.argument)] & u64::from(u32::MAX);
            match test.is {
                Is::Equal(value) => low == u64::from(value),
                Is::NotEqual(value) => low != u64::from(value),
                Is::Masked { mask, value } => low & u64::from(mask) == u64::from(value),
                Is::OwnPid => low == u64::from(process),
                Is::Null => arguments[usize::from(test.argument)] == 0,
                Is::NotNull => arguments[usize::from(test.argument)] != 0,
                Is::Segment | Is::Object => test.is.descriptors(shares).is_some_and(|descriptors| {
                    descriptors.map(u64::from).any(|descriptor| descriptor == low)
                }),
            }
        };
        number == self.number && self.tests.iter().all(fits)
    }
}

/// `SYSCALLS.md`.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(HEAD);
    for (phase, title, words) in
        [(Phase::Always, "To the end", TO_THE_END), (Phase::Loading, "While it loads", LOADING)]
    {
        let _ = write!(
            text,
            "\n## {title}\n\n{words}\n\n| call | arguments | workers | answer | why |\n|---|---|---|---|---|\n"
        );
        for call in CALLS.iter().filter(|call| call.phase == phase) {
            let _ = writeln!(text, "{}", call.row());
        }
    }
    text
}

const HEAD: &str = "\
# System calls of a worker

What a worker may ask of the kernel. The filter is made of this table, which is in `runner/sandbox/syscalls.rs`, as is
this page. A call that is not here, or with other arguments, ends the process (`SECCOMP_RET_KILL_PROCESS`); so do calls
of another architecture and of the x32 table.

There are four kinds of workers: one that compiles a guest, one that serves a guest without files, one that serves a guest
with folders (`--dir`) that it may read, and one that serves a guest with a folder that it may write to.

What guests share (`--share`, `PoolBuilder::share`) is in memory behind descriptors, from 8 on. First come the segments that
guests write to together, then whatever else they write to, such as locks and queues, then the segments that nobody writes to.
The host starts a worker with how many there are of each, and the lines about them are about exactly these descriptors; where
there are none, the filter has no such line. All of it is memory whose length is sealed. What nobody writes to is sealed
against that, too, and is mapped as any private memory is.
";

const TO_THE_END: &str = "\
The final filter is put on before any code of a guest runs. A call with several lines is allowed if one of them fits.";

const LOADING: &str = "\
These are allowed beside the others until the guest is loaded, and not afterwards.";

impl Call {
    fn row(&self) -> String {
        let tests: Vec<_> = self.tests.iter().map(Test::text).collect();
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
        let answer = match self.answer {
            Answer::Allow => "the kernel's",
            Answer::Refuse => "`EACCES`",
            Answer::Missing => "`ENOSYS`",
            Answer::NotOpen => "`EBADF`",
        };
        let (tests, kinds) = (tests.join(", "), kinds.join(", "));
        format!("| `{}` | {tests} | {kinds} | {answer} | {} |", self.name, self.why)
    }
}

impl Test {
    fn text(&self) -> String {
        let Self { argument, is } = self;
        match is {
            Is::Equal(value) => format!("{argument}: {value:#x}"),
            Is::NotEqual(value) => format!("{argument}: not {value:#x}"),
            Is::Masked { mask, value } => format!("{argument}: {value:#x} in the bits {mask:#x}"),
            Is::OwnPid => format!("{argument}: its own number"),
            Is::Null => format!("{argument}: none"),
            Is::NotNull => format!("{argument}: any but none"),
            Is::Segment => format!("{argument}: a shared segment"),
            Is::Object => format!("{argument}: another shared thing"),
        }
    }
}
