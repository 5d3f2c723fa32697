//! Where worker processes start: the only place of the crate that starts any.
//!
//! A worker asks the kernel to kill it when its parent ends. The kernel means the *thread* that started it, so one
//! thread, which lives as long as the pool, starts them all. It also keeps a spare: a worker that has been started
//! and told what to load, so that one that died is replaced without waiting for a process to start.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use command_fds::{CommandFdExt, FdMapping};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::estate::Estate;
use super::process::{Ends, NoSignals, Process};
use super::roster::Roster;
use crate::error::{Error, system_hint};
use crate::sandbox::{Access, Profile, SandboxMode, Shares, Start, fds};
use crate::shm::declared::Holder;
use crate::shm::segment::SegmentFile;
use crate::wire::msg::{Load, Request};
use crate::wire::{encode_request, version};

/// The name of the hidden subcommand that makes a process a worker.
pub const WORKER_ARGUMENT: &str = "__worker";

/// Whether this program becomes a worker when it is started as one.
static STARTS_THIS_PROGRAM: AtomicBool = AtomicBool::new(false);

/// This program becomes a worker when it is started with [`WORKER_ARGUMENT`].
pub(crate) fn may_start_this_program() {
    STARTS_THIS_PROGRAM.store(true, Ordering::Release);
}

/// Whether [`may_start_this_program`] has been said.
pub(crate) fn starts_this_program() -> bool {
    STARTS_THIS_PROGRAM.load(Ordering::Acquire)
}

/// What starts a worker process.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    executable: PathBuf,
    /// Where the processes are entered.
    roster: Arc<Roster>,
    sandbox: SandboxMode,
    dirs: Vec<Folder>,
    estate: Arc<Estate>,
}

/// A folder that the guest may use, held open: whatever becomes of its name, it stays the same one.
#[derive(Clone, Debug)]
pub struct Folder {
    fd: Arc<OwnedFd>,
    access: Access,
}

impl Folder {
    /// Opens it.
    ///
    /// # Errors
    /// If there is no such folder, or it may not be entered.
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        Ok(Self { fd: Arc::new(fd), access })
    }
}

impl Launcher {
    /// Starts `executable`, or, without one, this program itself, even if its file has been replaced meanwhile.
    pub(crate) fn new(
        executable: Option<PathBuf>,
        roster: Arc<Roster>,
        sandbox: SandboxMode,
        dirs: Vec<Folder>,
        estate: Arc<Estate>,
    ) -> Self {
        let executable = executable.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        Self { executable, roster, sandbox, dirs, estate }
    }

    /// The program that its workers run.
    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    /// What it means that no worker can be started.
    pub(super) fn error(what: &str, error: &io::Error) -> Error {
        if error.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self").exists() {
            return Error::Pool {
                message: format!("{what} cannot be started: `/proc` is not mounted"),
                hint: Some(
                    "workers are started, and load their code, through `/proc/self`: `mount -t proc proc /proc`"
                        .to_owned(),
                ),
            };
        }
        let no_signals = error.get_ref().is_some_and(|error| error.is::<NoSignals>());
        let hint = match no_signals {
            true => Some("Linux has it since 5.1; a container's seccomp profile may refuse it".to_owned()),
            false => system_hint(error),
        };
        Error::Pool { message: format!("{what} cannot be started: {error}"), hint }
    }

    /// Starts a worker with `guest` at its place in the descriptor table and sends it the first greeting.
    ///
    /// To be called from a thread that lives as long as the worker is wanted.
    pub(crate) fn start(&self, guest: &File) -> io::Result<Process> {
        let profile = match &*self.dirs {
            [] => Profile::Compute,
            dirs => Profile::Files(dirs.iter().map(|dir| dir.access).collect()),
        };
        self.start_as(profile, guest)
    }

    /// As [`Launcher::start`], a worker that compiles.
    pub(crate) fn start_compiler(&self, guest: &File) -> io::Result<Process> {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.start_as(Profile::Compile(threads), guest)
    }

    fn start_as(&self, profile: Profile, guest: &File) -> io::Result<Process> {
        let (their_requests, requests) = pipe_with(PipeFlags::CLOEXEC)?;
        let (results, their_results) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        let (their_lifeline, lifeline) = pipe_with(PipeFlags::CLOEXEC)?;
        for ours in [&requests, &results, &stderr] {
            rustix::io::ioctl_fionbio(ours, true)?;
        }
        let segment = SegmentFile::create()?;
        let mut table = vec![
            FdMapping { parent_fd: their_requests, child_fd: fds::REQUESTS },
            FdMapping { parent_fd: their_results, child_fd: fds::RESULTS },
            FdMapping { parent_fd: guest.try_clone()?.into(), child_fd: fds::GUEST },
            FdMapping { parent_fd: segment.as_fd().try_clone_to_owned()?, child_fd: fds::SEGMENT },
            FdMapping { parent_fd: their_lifeline, child_fd: fds::LIFELINE },
        ];
        let shares = match profile {
            // It has nothing to do with what guests do.
            Profile::Compile(_) => Shares::default(),
            Profile::Compute | Profile::Files(_) => self.estate.sharing().shares(),
        };
        if shares != Shares::default() {
            for (file, child_fd) in self.estate.sharing().files().zip(fds::FIRST_SHARED..) {
                table.push(FdMapping { parent_fd: file.try_clone()?, child_fd });
            }
        }
        if let Profile::Files(_) = profile {
            for (dir, child_fd) in self.dirs.iter().zip(fds::first_dir(shares)..) {
                table.push(FdMapping { parent_fd: dir.fd.try_clone()?, child_fd });
            }
        }
        let (host, holder) = (std::process::id(), Holder::fresh());
        let start = Start { host, profile, mode: self.sandbox, shares, holder };

        let mut child = Command::new(&self.executable)
            .env_clear()
            .arg0("wasmpool-worker")
            .arg(WORKER_ARGUMENT)
            .args(start.arguments())
            // A terminal's Ctrl-C is for the host, which then ends its workers itself.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(their_stderr.try_clone()?)
            .stderr(their_stderr)
            .fd_mappings(table)
            .map_err(io::Error::other)?
            .spawn()?;
        let ends = Ends { requests, results, stderr, segment, lifeline };
        let process = match Process::adopt(Pid::from_child(&child), start, ends, &self.roster, &self.estate) {
            // From here on the process is waited for through its pidfd; `Child` would only race with that.
            Ok(process) => process,
            Err(error) => {
                child.kill().and_then(|()| child.wait())?;
                return Err(error);
            }
        };
        process.send_first(&Request::Hello(version::hello()))?;
        Ok(process)
    }
}

impl Process {
    /// Sends a short message to a process that has been sent next to nothing: it fits into the smallest pipe that there
    /// is, of one page. That the process is dead is no error here: reading from it tells.
    pub(crate) fn send_first(&self, request: &Request<'_>) -> io::Result<()> {
        let mut frame = Vec::new();
        encode_request(request, &mut frame);
        match rustix::io::write(&self.requests, &frame) {
            Ok(written) if written == frame.len() => Ok(()),
            Err(Errno::PIPE) => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The thread that starts workers, seen from the others.
#[derive(Debug)]
pub(crate) struct Spawner {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// Orders workers; a driver has one of its own.
#[derive(Clone, Debug)]
pub(crate) struct Hatch {
    orders: Sender<Order>,
}

#[derive(Debug)]
enum Order {
    /// Start this many, to be ready when they are asked for.
    Prepare(usize),
    /// From now on, tell every worker to load this.
    Load(Load),
    /// Hand out a worker that has been told what to load.
    Take(Sender<io::Result<Process>>),
    /// End.
    Stop,
}

impl Spawner {
    /// Starts the thread. Its workers find `code` in their descriptor table; it may be filled later, before
    /// [`Spawner::load`].
    pub(crate) fn start(launcher: Launcher, code: File) -> io::Result<Self> {
        let (orders, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || Nursery { launcher, code, load: None, ready: VecDeque::new() }.run(&inbox))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Has `count` more workers started ahead of need.
    pub(crate) fn prepare(&self, count: usize) {
        self.order(Order::Prepare(count));
    }

    /// Tells all workers, those that are started and those to come, what to load.
    pub(crate) fn load(&self, load: Load) {
        self.order(Order::Load(load));
    }

    /// A way for another thread to order workers.
    pub(crate) fn hatch(&self) -> Hatch {
        Hatch { orders: self.orders.clone().expect("the spawner has not been stopped") }
    }

    fn order(&self, order: Order) {
        let orders = self.orders.as_ref().expect("the spawner has not been stopped");
        orders.send(order).expect("the spawner's thread ends only when it is told to");
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        if let Some(orders) = self.orders.take() {
            // It is gone already only if it panicked, which its join tells.
            let _ = orders.send(Order::Stop);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the spawner's thread panicked");
        }
    }
}

impl Hatch {
    /// A worker that has been told what to load; its answer is still to come.
    pub(crate) fn take(&self) -> io::Result<Process> {
        let (reply, answer) = channel();
        self.orders.send(Order::Take(reply)).map_err(io::Error::other)?;
        answer.recv().map_err(io::Error::other)?
    }

    /// Has one more worker started ahead of need: a spare.
    pub(crate) fn prepare_spare(&self) {
        // A spawner that has ended needs no spare.
        let _ = self.orders.send(Order::Prepare(1));
    }
}

/// What the spawner's thread owns.
struct Nursery {
    launcher: Launcher,
    code: File,
    load: Option<Load>,
    /// Workers nobody has taken yet; oldest, so furthest along, first.
    ready: VecDeque<Process>,
}

impl Nursery {
    fn run(mut self, inbox: &Receiver<Order>) {
        // Placeholders keep the table's numbers taken, so that nothing the standard library opens while it starts
        // a process has one of them when the table is put in place.
        let _placeholders = reserve_table(self.launcher.dirs.len() + self.launcher.estate.sharing().len());
        for order in inbox {
            match order {
                Order::Prepare(count) => self.prepare(count),
                Order::Load(load) => self.load(load),
                Order::Take(reply) => {
                    // A driver that is gone gets no worker; the process then ends with the message.
                    let _ = reply.send(self.take());
                }
                Order::Stop => break,
            }
        }
    }

    fn prepare(&mut self, count: usize) {
        for _ in 0..count {
            // One that cannot be started ahead of need is tried again, and its error told, when it is needed.
            let Ok(process) = self.start() else { return };
            self.ready.push_back(process);
        }
    }

    fn load(&mut self, load: Load) {
        let load = self.load.insert(load);
        let load = Request::Load(load.clone());
        self.ready.iter_mut().for_each(|process| process.send_ahead(&load));
    }

    fn take(&mut self) -> io::Result<Process> {
        match self.ready.pop_front() {
            Some(process) => Ok(process),
            None => self.start(),
        }
    }

    fn start(&self) -> io::Result<Process> {
        let mut process = self.launcher.start(&self.code)?;
        if let Some(load) = &self.load {
            process.send_ahead(&Request::Load(load.clone()));
        }
        Ok(process)
    }
}

/// Descriptors for every number of the table that was free.
fn reserve_table(more: usize) -> Vec<OwnedFd> {
    let mut placeholders = Vec::new();
    let highest = fds::FIRST_SHARED.saturating_add(RawFd::try_from(more).unwrap_or(RawFd::MAX));
    while let Ok(file) = File::open("/dev/null") {
        if file.as_raw_fd() > highest {
            break;
        }
        placeholders.push(file.into());
    }
    placeholders
}
