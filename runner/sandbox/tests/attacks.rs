//! What code that has taken over a worker would try.

use std::ffi::{CStr, CString};
use std::io;

use nix::libc;

use super::cell::Victim;

/// One thing to try.
pub(super) struct Attack<T = Targets> {
    /// Its case in the catalogue of faults.
    pub(super) case: &'static str,
    pub(super) name: &'static str,
    pub(super) deed: fn(&T) -> io::Result<()>,
}

/// What there is to attack.
pub(super) struct Targets {
    /// A process of the same user without any protection, as a host is.
    pub(super) host: Victim,
    /// A process like the one that attacks.
    pub(super) sibling: Victim,
    /// A port on this machine that takes connections.
    pub(super) port: u16,
    /// Where one page of a file is mapped as code, with another behind it in the file.
    pub(super) code: i64,
    /// A file that anybody may change, and a link.
    pub(super) file: CString,
    pub(super) link: CString,
    /// The worker's folder, in which anybody may do anything, with a `file` in it.
    pub(super) dir: i64,
}

/// Makes a list of attacks: the case, the name, what is done.
macro_rules! attacks {
    ($($case:literal $name:literal $deed:expr;)*) => {
        &[$($crate::sandbox::tests::attacks::Attack { case: $case, name: $name, deed: $deed }),*]
    };
}
pub(super) use attacks;

pub(super) const ATTACKS: &[Attack] = attacks! {
    "W21" "fork" |_| child(call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0, 0, 0]));
    "W21" "clone3" |_| {
        let arguments = [0_u64, 0, 0, 0, libc::SIGCHLD.unsigned_abs().into(), 0, 0, 0];
        child(call(libc::SYS_clone3, [address(&arguments), 64, 0, 0, 0, 0]))
    };
    "W21" "execve" |_| {
        let arguments = [c"/bin/true".as_ptr(), std::ptr::null()];
        done(call(libc::SYS_execve, [text(c"/bin/true"), address(&arguments), 0, 0, 0, 0]))
    };
    "W22" "TCP socket" |_| socket(libc::AF_INET, libc::SOCK_STREAM);
    "W22" "UDP socket" |_| socket(libc::AF_INET, libc::SOCK_DGRAM);
    "W22" "Unix socket" |_| socket(libc::AF_UNIX, libc::SOCK_STREAM);
    "W22" "netlink socket" |_| socket(libc::AF_NETLINK, libc::SOCK_RAW);
    "W22" "TCP connection" |targets| {
        let socket = call(libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0])?;
        let mut place = [0_u8; 16];
        place[..2].copy_from_slice(&2_u16.to_ne_bytes());
        place[2..4].copy_from_slice(&targets.port.to_be_bytes());
        place[4..8].copy_from_slice(&[127, 0, 0, 1]);
        done(call(libc::SYS_connect, [socket, address(&place), 16, 0, 0, 0]))
    };
    "W22" "io_uring" |_| {
        let parameters = [0_u8; 120];
        done(call(libc::SYS_io_uring_setup, [4, address(&parameters), 0, 0, 0, 0]))
    };
    "W23" "read /etc/passwd" |_| open(c"/etc/passwd", libc::O_RDONLY);
    "W23" "read /etc/passwd by openat2" |_| {
        done(open_at(libc::AT_FDCWD.into(), c"/etc/passwd", libc::O_RDONLY))
    };
    "W23" "list /" |_| open(c"/", libc::O_RDONLY | libc::O_DIRECTORY);
    "W23" "look at a file" |targets| {
        let seen = [0_u8; 256];
        done(call(libc::SYS_statx, [libc::AT_FDCWD.into(), text(&targets.file), 0, 0xfff, address(&seen), 0]))
    };
    "W23" "read a link" |targets| {
        let read = [0_u8; 64];
        done(call(libc::SYS_readlinkat, [libc::AT_FDCWD.into(), text(&targets.link), address(&read), 64, 0, 0]))
    };
    "W23" "change the times of a file" |targets| {
        done(call(libc::SYS_utimensat, [libc::AT_FDCWD.into(), text(&targets.file), 0, 0, 0, 0]))
    };
    "W23" "write the memory of the host" |targets| {
        let path = CString::new(format!("/proc/{}/mem", targets.host.pid()))?;
        open(&path, libc::O_RDWR)
    };
    "W23" "write to its own program" |_| open(c"/proc/self/exe", libc::O_WRONLY);
    "W23" "make a file in /dev/shm" |_| open(c"/dev/shm", libc::O_TMPFILE | libc::O_RDWR);
    "W23" "make a file in memory" |_| done(call(libc::SYS_memfd_create, [text(c"x"), 0, 0, 0, 0, 0]));
    "W24" "trace a sibling" |targets| {
        done(call(libc::SYS_ptrace, [PTRACE_SEIZE, targets.sibling.pid().into(), 0, 0, 0, 0]))
    };
    "W24" "write the memory of a sibling" |targets| {
        let word = [0_u64];
        // Where nothing is mapped: that this is found out at all takes the right to write there.
        let (from, to) = ([address(&word), 8], [16_i64, 8]);
        let target = targets.sibling.pid().into();
        let written = call(libc::SYS_process_vm_writev, [target, address(&from), 1, address(&to), 1, 0]);
        match done(written) {
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
            other => other,
        }
    };
    "W24" "take a descriptor of a sibling" |targets| {
        let sibling = call(libc::SYS_pidfd_open, [targets.sibling.pid().into(), 0, 0, 0, 0, 0])?;
        done(call(libc::SYS_pidfd_getfd, [sibling, 0, 0, 0, 0, 0]))
    };
    "W25" "signal the host" |targets| signal(targets.host.pid());
    "W25" "signal a sibling" |targets| signal(targets.sibling.pid());
    "W25" "signal a thread of the host" |targets| {
        let host = targets.host.pid().into();
        done(call(libc::SYS_tgkill, [host, host, libc::SIGCONT.into(), 0, 0, 0]))
    };
    "W26" "map new code" |_| mmap(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC).map(drop);
    "W26" "make memory executable" |_| {
        let memory = mmap(libc::PROT_READ | libc::PROT_WRITE)?;
        done(call(libc::SYS_mprotect, [memory, 4096, CODE, 0, 0, 0]))
    };
    "W26" "make memory executable by key" |_| {
        let memory = mmap(libc::PROT_READ | libc::PROT_WRITE)?;
        done(call(libc::SYS_pkey_mprotect, [memory, 4096, CODE, -1, 0, 0]))
    };
    "W26" "have what can be read run" |_| {
        done(call(libc::SYS_personality, [READ_IMPLIES_EXEC, 0, 0, 0, 0, 0]))?;
        mmap(libc::PROT_READ | libc::PROT_WRITE).map(drop)
    };
    "W26" "map shared memory as code" |_| {
        let segment = call(libc::SYS_shmget, [0, 4096, 0o700, 0, 0, 0])?;
        let attached = call(libc::SYS_shmat, [segment, 0, libc::SHM_EXEC.into(), 0, 0, 0]);
        let _ = call(libc::SYS_shmctl, [segment, libc::IPC_RMID.into(), 0, 0, 0, 0]);
        done(attached)
    };
    "W26" "run what stands behind its code" |targets| {
        done(call(libc::SYS_mremap, [targets.code, PAGE, 2 * PAGE, libc::MREMAP_MAYMOVE.into(), 0, 0]))
    };
    "W26" "map a file of its own as code" |_| {
        let file = call(libc::SYS_memfd_create, [text(c"code"), 0, 0, 0, 0, 0])?;
        call(libc::SYS_write, [file, address(&[0xc3_u8; 8]), 8, 0, 0, 0])?;
        done(call(libc::SYS_mmap, [0, 4096, CODE, libc::MAP_PRIVATE.into(), file, 0]))
    };
    "W27" "raise its limits" |_| {
        let limit = [1_u64 << 40; 2];
        done(call(libc::SYS_prlimit64, [0, libc::RLIMIT_MEMLOCK.into(), address(&limit), 0, 0, 0]))
    };
    "W27" "have more memory, as a stack" |_| {
        raise(libc::RLIMIT_STACK)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_GROWSDOWN;
        let top = call(libc::SYS_mmap, [LONELY, PAGE, DATA, flags.into(), -1, 0])?;
        for at in 1..GROWTH / PAGE {
            // A page that is not there yet and cannot be had is the end of the process.
            touch(top - at * PAGE);
        }
        Ok(())
    };
    "W27" "take huge pages" |_| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB | libc::MAP_NORESERVE;
        done(call(libc::SYS_mmap, [0, HUGE_PAGE, DATA, flags.into(), -1, 0]))
    };
    "W27" "run before others, in real time" |_| {
        let priority = [1_i32];
        done(call(libc::SYS_sched_setscheduler, [0, libc::SCHED_FIFO.into(), address(&priority), 0, 0, 0]))
    };
    "W27" "be nicer to itself" |_| done(call(libc::SYS_setpriority, [0, 0, -5, 0, 0, 0]));
    "W27" "allow new code again" |_| {
        done(call(libc::SYS_prctl, [libc::PR_SET_MDWE.into(), 0, 0, 0, 0, 0]))
    };
    "W27" "allow new privileges again" |_| {
        done(call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS.into(), 0, 0, 0, 0, 0]))
    };
    "W27" "become root" |_| done(call(libc::SYS_setresuid, [0, 0, 0, 0, 0, 0]));
};

/// On a worker's folder that is given to be read.
pub(super) const FOLDER_ATTACKS: &[Attack] = attacks! {
    "G23" "write to a file" |targets| done(open_at(targets.dir, FILE, libc::O_WRONLY));
    "G23" "empty a file" |targets| done(open_at(targets.dir, FILE, libc::O_RDONLY | libc::O_TRUNC));
    "G23" "make a file" |targets| done(open_at(targets.dir, OTHER, libc::O_WRONLY | libc::O_CREAT));
    "G23" "make a folder" |targets| done(call(libc::SYS_mkdirat, [targets.dir, text(OTHER), 0o700, 0, 0, 0]));
    "G23" "remove a file" |targets| done(call(libc::SYS_unlinkat, [targets.dir, text(FILE), 0, 0, 0, 0]));
    "G23" "rename a file" |targets| {
        done(call(libc::SYS_renameat, [targets.dir, text(FILE), targets.dir, text(OTHER), 0, 0]))
    };
    "G23" "link a file" |targets| {
        done(call(libc::SYS_linkat, [targets.dir, text(FILE), targets.dir, text(OTHER), 0, 0]))
    };
    "G23" "make a link" |targets| {
        done(call(libc::SYS_symlinkat, [text(FILE), targets.dir, text(OTHER), 0, 0, 0]))
    };
    "G23" "change the times of a file there" |targets| {
        let file = open_at(targets.dir, FILE, libc::O_RDONLY)?;
        done(call(libc::SYS_utimensat, [file, 0, 0, 0, 0, 0]))
    };
};

const FILE: &CStr = c"file";
const OTHER: &CStr = c"other";

pub(super) const PAGE: i64 = 4096;
const HUGE_PAGE: i64 = 2 << 20;
/// More than a stack may have.
const GROWTH: i64 = 64 << 20;
/// Where nothing else is mapped for far more than that.
const LONELY: i64 = 0x10_0000_0000;
pub(super) const DATA: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
pub(super) const CODE: i64 = (libc::PROT_READ | libc::PROT_EXEC) as i64;
const PTRACE_SEIZE: i64 = 0x4206;
const READ_IMPLIES_EXEC: i64 = 0x0040_0000;

/// Asks the kernel, past everything that a library would put between.
pub(super) fn call(number: i64, [a, b, c, d, e, f]: [i64; 6]) -> io::Result<i64> {
    // SAFETY: what is asked for changes nothing but this process, which has been made for it.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

pub(super) fn done(answer: io::Result<i64>) -> io::Result<()> {
    answer.map(drop)
}

/// A child that starts has shown enough.
fn child(answer: io::Result<i64>) -> io::Result<()> {
    if answer? == 0 {
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) }
    }
    Ok(())
}

fn address<T>(value: &T) -> i64 {
    std::ptr::from_ref(value).addr().cast_signed() as i64
}

fn text(text: &CStr) -> i64 {
    text.as_ptr().addr().cast_signed() as i64
}

/// Writes to this place, if it can be.
fn touch(place: i64) {
    let byte = std::ptr::without_provenance_mut::<u8>(
        usize::try_from(place).expect("it is no address of the kernel"),
    );
    // SAFETY: the place is below a mapping that grows to have it, where there is nothing else; if it does not, this
    // process ends, which has been made for it.
    unsafe { byte.write_volatile(1) }
}

/// Raises a limit as far as it goes.
fn raise(resource: libc::__rlimit_resource_t) -> io::Result<()> {
    let mut limit = [0_u64; 2];
    call(
        libc::SYS_prlimit64,
        [0, resource.into(), 0, std::ptr::from_mut(&mut limit).addr().cast_signed() as i64, 0, 0],
    )?;
    limit[0] = limit[1];
    done(call(libc::SYS_prlimit64, [0, resource.into(), address(&limit), 0, 0, 0]))
}

fn open_at(dir: i64, path: &CStr, flags: i32) -> io::Result<i64> {
    let mode = if flags & libc::O_CREAT == 0 { 0 } else { 0o600 };
    let how = [u64::from(flags.unsigned_abs()), mode, 0];
    call(libc::SYS_openat2, [dir, text(path), address(&how), 24, 0, 0])
}

fn open(path: &CStr, flags: i32) -> io::Result<()> {
    done(call(libc::SYS_openat, [libc::AT_FDCWD.into(), text(path), flags.into(), 0o600, 0, 0]))
}

fn socket(family: i32, kind: i32) -> io::Result<()> {
    done(call(libc::SYS_socket, [family.into(), kind.into(), 0, 0, 0, 0]))
}

/// Sends what does no harm.
fn signal(pid: i32) -> io::Result<()> {
    done(call(libc::SYS_kill, [pid.into(), 0, 0, 0, 0, 0]))
}

fn mmap(protection: i32) -> io::Result<i64> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call(libc::SYS_mmap, [0, 4096, protection.into(), flags.into(), -1, 0])
}
