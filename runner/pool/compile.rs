//! The host's side of the compile worker: one process for one guest, under limits, thrown away after it.
//!
//! The host reads bytes and puts them into a sealed memfd. It does not look into them.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::Deadline;
use super::clock::Clock;
use super::link::{Link, Received};
use super::process::{END_LIMIT, Process};
use super::roster::Pauser;
use super::spawn::Launcher;
use super::state::Nanos;
use super::talk::Talk;
use super::verify::{Unprotected, verify_required};
use crate::error::{Error, no_shared_memory};
use crate::guest::Description;
use crate::limits::CodeOptions;
use crate::outcome::WorkerEnd;
use crate::record::milliseconds;
use crate::sealed;
use crate::wire::codec::DESCRIPTION_CAP;
use crate::wire::frame::Message;
use crate::wire::msg::{Load, Refusal, Request, Response};
use crate::wire::{parse_description, version};

/// The longest message of a compile worker: its description of a guest; code comes in pieces of one frame.
const MAX_MESSAGE: usize = DESCRIPTION_CAP;

/// The most compiled code a guest may have, in bytes.
pub(crate) const MAX_CODE: u64 = 1 << 30;

/// Compiled code on its way: a memfd that is sealed once it is whole.
#[derive(Debug)]
pub(super) struct CodeFile(File);

/// How many compile workers may be killed from outside before that counts as the guest's doing, as it is when
/// compiling it makes the machine run out of memory. Many, because a compile worker is one of few processes there are
/// at that time; the time limit holds for all of them together.
const OUTSIDE_KILLS: u32 = 20;

/// Reads that take in whatever a pipe can hold, at 4 KiB each or more.
const LATE_READS: u32 = 256;

/// What a compile worker is to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Stop after the description.
    pub(super) describe_only: bool,
    /// What the code is for.
    pub(super) code: CodeOptions,
    /// How long it may take; none: as long as it takes.
    pub(super) limit: Option<Duration>,
    /// When everything has to be over.
    pub(super) run: Option<Deadline>,
}

/// A compile worker at work.
#[derive(Debug)]
pub(super) struct Compiling<'a> {
    name: &'a Path,
    launcher: Launcher,
    clock: Arc<Clock>,
    wasm: File,
    wanted: Wanted,
    process: Process,
    link: Link,
    talk: Talk,
    said: Vec<String>,
    /// It has said which build it is.
    greeted: bool,
    deadline: Option<Nanos>,
    /// Reads after that.
    late_reads: u32,
    killed: u32,
}

impl CodeFile {
    pub(super) fn create() -> io::Result<Self> {
        sealed::create("wasmpool-code").map(Self)
    }

    /// Code that is whole and sealed already.
    pub(super) fn of_sealed(code: File) -> Self {
        Self(code)
    }

    pub(super) fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

impl<'a> Compiling<'a> {
    /// Starts a compile worker on the guest in `wasm`, which messages call `name`.
    pub(super) fn start(
        launcher: Launcher,
        pauser: &Pauser,
        name: &'a Path,
        wasm: &File,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        let wasm = wasm.try_clone().map_err(cannot_start)?;
        Ok(Self {
            name,
            process: start(&launcher, &wasm, wanted)?,
            launcher,
            clock: Arc::clone(pauser.clock()),
            wasm,
            wanted,
            link: Link::new(MAX_MESSAGE),
            talk: Talk::default(),
            said: Vec::new(),
            greeted: false,
            deadline: wanted.limit.map(|limit| pauser.clock().now().after(limit)),
            late_reads: 0,
            killed: 0,
        })
    }

    /// Waits for what the guest offers.
    pub(super) fn description(&mut self) -> Result<Description, Error> {
        loop {
            if let Some(step) = self.next_step()? {
                match step {
                    Step::Described(description) => return Ok(description),
                    Step::Greeted | Step::Restarted => {}
                    Step::Code(_) | Step::Done | Step::Refused { .. } => {
                        return Err(self.broken("it sent code before a description"));
                    }
                }
            }
        }
    }

    /// Waits for the code; puts it into `file` and seals that.
    pub(super) fn code(mut self, file: &mut CodeFile) -> Result<(), Error> {
        let mut length = 0;
        let mut described = true;
        loop {
            match self.next_step()? {
                Some(Step::Restarted) => {
                    (length, described) = (0, false);
                    file.0.set_len(0).map_err(keep)?;
                    file.0.rewind().map_err(keep)?;
                }
                Some(Step::Described(_)) if !described => described = true,
                // Nobody has looked at that process yet.
                Some(Step::Code(_) | Step::Done) if !described => {
                    return Err(self.broken("it sent code before a description"));
                }
                Some(Step::Code(bytes)) => {
                    length += bytes.len() as u64;
                    if length > MAX_CODE {
                        return Err(self.refused("compiles to more than 1 GiB of code"));
                    }
                    file.0.write_all(&bytes).map_err(keep)?;
                }
                Some(Step::Done) => return sealed::seal(&file.0).map_err(keep),
                Some(Step::Described(_)) => return Err(self.broken("it sent two descriptions")),
                Some(Step::Greeted | Step::Refused { .. }) | None => {}
            }
        }
    }

    /// The next thing it has to say; none if it needs to be asked again.
    fn next_step(&mut self) -> Result<Option<Step>, Error> {
        if let Some(step) = self.hear()? {
            return Ok(Some(step));
        }
        self.wait()?;
        match self.link.read(&self.process.results) {
            Received::Some | Received::Nothing => Ok(None),
            Received::End => self.ended().map(Some),
        }
    }

    /// Waits until there is something to read.
    fn wait(&mut self) -> Result<(), Error> {
        let at = self.clock.now();
        if let Some(run) = self.wanted.run.filter(|run| run.at <= at) {
            return Err(run.error());
        }
        if self.deadline.is_some_and(|deadline| deadline <= at) && !self.has_more() {
            return Err(self.too_slow());
        }
        let run = self.wanted.run.map(|run| run.at);
        let left = [self.deadline, run].into_iter().flatten().min().map(|deadline| deadline.since(at));
        let mut fds = vec![PollFd::new(&self.process.results, PollFlags::IN)];
        // A closed pipe would end every poll at once.
        if self.talk.is_open() {
            fds.push(PollFd::new(&self.process.stderr, PollFlags::IN));
        }
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(keep(error.into())),
        }
        if fds.get(1).is_some_and(|stderr| !stderr.revents().is_empty()) {
            self.said.extend(self.talk.read(&self.process.stderr));
        }
        Ok(())
    }

    /// Whether there is something that was not read in time: this host may have been stopped for a while. One that goes
    /// on writing wins no more time than reading takes.
    fn has_more(&mut self) -> bool {
        self.late_reads += 1;
        let mut fds = [PollFd::new(&self.process.results, PollFlags::IN)];
        self.late_reads <= LATE_READS
            && poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn hear(&mut self) -> Result<Option<Step>, Error> {
        let message = self.link.decoder.next_message().map_err(|error| error.to_string());
        match message.and_then(|message| message.map_or(Ok(None), understand)) {
            Ok(Some(Step::Greeted)) => {
                self.greeted = true;
                Ok(Some(Step::Greeted))
            }
            Ok(Some(_)) if !self.greeted => Err(self.broken("it did not greet first")),
            Ok(Some(Step::Refused { about: Refusal::Guest, message, hint })) => {
                Err(Error::guest(self.name, message, hint))
            }
            Ok(Some(Step::Refused { about: Refusal::Protection, message, hint: _ })) => {
                Err(Error::protection(message))
            }
            Ok(Some(Step::Refused { about: Refusal::Machine, message, hint })) => {
                Err(Error::Pool { message, hint })
            }
            // It has been locked in since it read the guest.
            Ok(Some(Step::Described(description))) => match verify_required(&self.process) {
                Ok(Some(_)) => Ok(Some(Step::Described(description))),
                // Nobody knows what it was that said so.
                Ok(None) => self.ended().map(Some),
                Err(Unprotected { message }) => Err(Error::protection(message)),
            },
            Ok(step) => Ok(step),
            Err(rule) => Err(self.broken(&rule)),
        }
    }

    /// It ended, or closed its pipe, without having said everything.
    fn ended(&mut self) -> Result<Step, Error> {
        if !self.process.ends_within_on(&self.clock, END_LIMIT) {
            return Err(self.broken("it closed its pipe and went on"));
        }
        let end = self.process.wait().map_err(keep)?;
        self.said.extend(self.talk.read(&self.process.stderr));
        if end == WorkerEnd::Signalled(Signal::KILL.as_raw()) && self.killed < OUTSIDE_KILLS {
            self.killed += 1;
            self.process = start(&self.launcher, &self.wasm, self.wanted)?;
            self.link = Link::new(MAX_MESSAGE);
            self.talk = Talk::default();
            self.greeted = false;
            return Ok(Step::Restarted);
        }
        Err(self.died(end))
    }

    fn died(&self, end: WorkerEnd) -> Error {
        let said = self.said.first().map(|line| format!(" ({})", line.escape_debug())).unwrap_or_default();
        match end {
            // It has not looked at the guest yet.
            end if !self.greeted => {
                let message = format!("the compile worker {end} before it was ready{said}");
                Error::Pool { message, hint: None }
            }
            // What an allocation beyond the limit ends in.
            WorkerEnd::Signalled(_) if self.said.iter().any(|line| line.contains("memory allocation")) => {
                self.refused("needs more than 4 GiB of memory to compile")
            }
            end => self.refused(&format!("cannot be compiled: the compile worker {end}{said}")),
        }
    }

    fn refused(&self, message: &str) -> Error {
        Error::guest(self.name, message, None)
    }

    fn too_slow(&self) -> Error {
        let limit = milliseconds(self.wanted.limit.unwrap_or_default());
        let message = format!("takes longer than {limit} ms to compile");
        Error::guest(self.name, message, Some("`--compile-timeout` gives it more time".to_owned()))
    }

    fn broken(&self, rule: &str) -> Error {
        self.refused(&format!("cannot be compiled: the compile worker broke the protocol: {rule}"))
    }
}

enum Step {
    Greeted,
    /// The compile worker was killed from outside; another begins anew.
    Restarted,
    Described(Description),
    Code(Vec<u8>),
    Refused {
        about: Refusal,
        message: String,
        hint: Option<String>,
    },
    Done,
}

/// What a message means, or which rule it breaks.
fn understand(message: Message<'_>) -> Result<Option<Step>, String> {
    let response = Response::parse(message).map_err(|error| error.to_string())?;
    Ok(match response {
        Response::Hello(hello) => {
            version::check(&hello).map_err(|error| error.to_string())?;
            Some(Step::Greeted)
        }
        Response::Refused(refused) => Some(Step::Refused {
            about: refused.about,
            message: refused.message.to_owned(),
            hint: refused.hint.map(str::to_owned),
        }),
        Response::Description(bytes) => {
            Some(Step::Described(parse_description(bytes).map_err(|error| error.to_string())?))
        }
        Response::Code(bytes) => Some(Step::Code(bytes.to_vec())),
        Response::Bye => Some(Step::Done),
        Response::Ready(_)
        | Response::Result(_)
        | Response::Merge(_)
        | Response::Back(_)
        | Response::Log(_)
        | Response::Progress { .. }
        | Response::Drain => return Err("it sent a serving worker's message".into()),
    })
}

fn start(launcher: &Launcher, wasm: &File, wanted: Wanted) -> Result<Process, Error> {
    let process = launcher.start_compiler(wasm).map_err(cannot_start)?;
    let Wanted { describe_only, code, .. } = wanted;
    process.send_first(&Request::Load(Load::Compile { describe_only, code })).map_err(cannot_start)?;
    Ok(process)
}

fn cannot_start(error: io::Error) -> Error {
    Launcher::error("the compile worker", &error)
}

/// The code cannot be kept.
fn keep(error: io::Error) -> Error {
    no_shared_memory("the compiled code cannot be kept", &error)
}
