//! The fake worker's side: a process that speaks the protocol, and breaks it where its script says so.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, Signal};
use wasmpool::sandbox::fds::FIRST_SHARED;
use wasmpool::sandbox::{Layer, LayerState, Start as StartedWith};
use wasmpool::shm::raw::RawLock;
use wasmpool::shm::segment::SegmentMap;
use wasmpool::wire::codec::DESCRIPTION_CAP;
use wasmpool::wire::frame::FRAME_CAP;
use wasmpool::wire::msg::{CANNOT_BE_LOADED, Call, Hello, Load, Ready, Refusal, Refused, Request, Response};
use wasmpool::wire::version::{BUILD, PROTOCOL, hello};
use wasmpool::wire::{Decoder, read_message};

use super::bytes::{GARBAGE, description, encoded, single};
use super::jails;
use super::script::{Compiler, Death, Locked, Script, Start};
use super::serving::now_ns;

/// Plays a worker in `stage`; returns its exit code.
pub(super) fn play(stage: &Path) -> i32 {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).unwrap();
    let script = std::fs::read(stage.join("script")).unwrap();
    let script: Script = serde_json::from_slice(&script).unwrap();
    if script.hold {
        hold();
    }
    jails::close_inherited();
    let actor = Actor {
        stage: stage.to_owned(),
        script,
        requests: open(3, OFlags::RDONLY),
        results: open(4, OFlags::WRONLY),
        decoder: Decoder::new(usize::MAX),
    };
    // What cannot be written any more is for a host that wants no more.
    actor.perform().unwrap_or(0)
}

/// Takes the lock that this worker shares, if it is free.
fn hold() {
    let told = std::env::var("WASMPOOL_TOLD").unwrap();
    let told: Vec<_> = told.split(' ').skip(1).map(OsString::from).collect();
    let StartedWith { shares, holder, .. } = StartedWith::parse(&told).unwrap();
    if shares.count() > 0 {
        let lock = open(FIRST_SHARED.unsigned_abs(), OFlags::RDWR);
        // Another worker may have it.
        let _ = RawLock::map(lock.as_fd()).unwrap().acquire(holder, Some(Instant::now()));
    }
}

/// A descriptor of the worker's table, opened anew. It is not waited for: the host may be gone.
pub(super) fn open(number: u32, flags: OFlags) -> File {
    let path = format!("/proc/self/fd/{number}");
    let fd = rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).unwrap();
    rustix::io::ioctl_fionbio(&fd, false).unwrap();
    fd.into()
}

/// A process with a part to play.
pub(super) struct Actor {
    stage: PathBuf,
    pub(super) script: Script,
    requests: File,
    results: File,
    decoder: Decoder,
}

/// What the host asked for.
pub(super) enum Asked {
    Compile { describe_only: bool },
    Serve,
    Calls(Call),
    End,
    Other,
}

impl Actor {
    fn perform(mut self) -> io::Result<i32> {
        match (self.hear(), self.hear()) {
            (Asked::Other, Asked::Compile { describe_only }) => self.compile(describe_only),
            (Asked::Other, Asked::Serve) => self.start(),
            _ => Ok(0),
        }
    }

    /// The next request; the end if there is none any more.
    pub(super) fn hear(&mut self) -> Asked {
        let Ok(Some(message)) = read_message(&mut self.requests, &mut self.decoder) else {
            return Asked::End;
        };
        match Request::parse(message).unwrap() {
            Request::Load(Load::Compile { describe_only, .. }) => Asked::Compile { describe_only },
            Request::Load(Load::Serve(_)) => Asked::Serve,
            Request::Call(call) | Request::Merge(call) => Asked::Calls(call),
            Request::Bye => Asked::End,
            Request::Load(Load::Probe) | Request::Hello(_) | Request::Allow(_) | Request::Drain => {
                Asked::Other
            }
        }
    }

    /// Is silent until the host wants no more.
    pub(super) fn hang(mut self) -> io::Result<i32> {
        // A host that goes closes the pipe.
        while !matches!(self.hear(), Asked::End) {}
        Ok(0)
    }

    pub(super) fn send(&mut self, response: &Response<'_>) -> io::Result<()> {
        self.write(&encoded(response))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.results.write_all(bytes)
    }

    /// Whether this is the first process of all to ask.
    pub(super) fn is_first(&self) -> bool {
        OpenOptions::new().write(true).create_new(true).open(self.stage.join("first")).is_ok()
    }

    /// The folder of the test.
    pub(super) fn stage(&self) -> &Path {
        &self.stage
    }

    fn compile(mut self, describe_only: bool) -> io::Result<i32> {
        if self.script.locked != Locked::None {
            jails::lock();
        }
        let part = self.script.compiler;
        match part {
            Compiler::Exit(code) => return Ok(code),
            Compiler::Garbage => self.write(&GARBAGE)?,
            Compiler::OtherBuild => self.send(&Response::Hello(Hello { protocol: PROTOCOL, build: "0" }))?,
            Compiler::Ungreeted => {}
            _ => self.send(&Response::Hello(hello()))?,
        }
        let is_first =
            matches!(part, Compiler::KilledOnce | Compiler::KilledThenCodeFirst) && self.is_first();
        match part {
            Compiler::KilledThenCodeFirst if !is_first => self.send(&Response::Code(b"code"))?,
            Compiler::CodeFirst => self.send(&Response::Code(b"code"))?,
            Compiler::LongDescription => self.send(&Response::Description(&vec![0; DESCRIPTION_CAP + 1]))?,
            Compiler::BrokenDescription => self.send(&Response::Description(b"\xff\xff\xff"))?,
            Compiler::Ready => self.send(&Response::Ready(Ready::default()))?,
            Compiler::Refuse => {
                let hint = Some("try another");
                self.send(&Response::Refused(Refused {
                    about: Refusal::Guest,
                    message: "is no good",
                    hint,
                }))?;
            }
            Compiler::Unable => {
                let (message, hint) = ("there is no thread left", Some("end one"));
                self.send(&Response::Refused(Refused { about: Refusal::Machine, message, hint }))?;
            }
            _ => self.send(&Response::Description(&description()))?,
        }
        if describe_only {
            self.send(&Response::Bye)?;
            return self.hang();
        }
        if part == Compiler::DescribeTwice {
            self.send(&Response::Description(&description()))?;
        }
        self.send(&Response::Code(&[0xc0; FRAME_CAP]))?;
        match part {
            Compiler::ExitMidCode => return Ok(3),
            Compiler::CloseResults => return Err(stay_without("4>&-")),
            _ if is_first => return Ok(die(Death::Signal(Signal::KILL.as_raw()))),
            _ => {}
        }
        self.send(&Response::Code(b"code"))?;
        self.send(&Response::Bye)?;
        self.hang()
    }

    fn start(mut self) -> io::Result<i32> {
        let mut starts = File::options().append(true).create(true).open(self.stage.join("starts"))?;
        writeln!(starts, "{}", now_ns())?;
        drop(starts);
        let ready = encoded(&Response::Ready(self.ready()));
        let segment = SegmentMap::new(open(6, OFlags::RDWR).as_fd()).unwrap();
        if matches!(self.script.locked, Locked::All | Locked::AllButRights) {
            jails::lock();
        }
        let part = self.script.start;
        match part {
            Start::Exit => return Ok(9),
            Start::ExitOnce if self.is_first() => return Ok(9),
            Start::Garbage => self.write(&GARBAGE)?,
            Start::OtherBuild => self.send(&Response::Hello(Hello { protocol: PROTOCOL, build: "0" }))?,
            Start::OtherProtocol => {
                self.send(&Response::Hello(Hello { protocol: PROTOCOL + 1, build: BUILD }))?;
            }
            Start::ReadyUngreeted => {}
            _ => self.send(&Response::Hello(hello()))?,
        }
        match part {
            Start::GreetTwice => self.send(&Response::Hello(hello()))?,
            Start::Refuse => {
                self.send(&Response::Refused(Refused {
                    about: Refusal::Guest,
                    message: "is no good",
                    hint: None,
                }))?;
            }
            Start::Unloadable => {
                let message = &format!("{CANNOT_BE_LOADED}: it is odd");
                self.send(&Response::Refused(Refused { about: Refusal::Guest, message, hint: None }))?;
            }
            Start::CloseResults => return Err(stay_without("4>&-")),
            Start::ReadyThenExit => return self.write(&ready).map(|()| 9),
            Start::Deaf => return self.write(&ready).and_then(|()| Err(stay_without(""))),
            Start::DeafOnce if self.is_first() => {
                return self.write(&ready).and_then(|()| Err(stay_without("")));
            }
            Start::ReadyTwice => return self.write(&[&*ready, &*ready].concat()).and_then(|()| self.hang()),
            Start::ReadyThenResult => {
                return self.write(&[&*ready, &*single(0, 1, b"0", 0)].concat()).and_then(|()| self.hang());
            }
            Start::ResultUnready => self.write(&single(0, 1, b"0", 0))?,
            _ => {}
        }
        self.write(&ready)?;
        self.serve(segment)
    }

    /// What it says of its layers.
    fn ready(&self) -> Ready {
        let state = |layer, claims: &[Layer]| match claims.contains(&layer) {
            true => LayerState::holds(layer),
            false => LayerState::absent(layer, "it is a fake"),
        };
        let claims = self.script.claims.as_deref();
        Ready {
            layers: claims
                .into_iter()
                .flat_map(|claims| Layer::ALL.map(|layer| state(layer, claims)))
                .collect(),
        }
    }
}

/// Becomes a process that holds the pipes but for the one that `closing` closes, until the host wants no more or has
/// killed it; returns only if that fails.
pub(super) fn stay_without(closing: &str) -> io::Error {
    Command::new("/bin/sh").arg("-c").arg(format!("exec {closing}; exec sleep 60")).exec()
}

pub(super) fn die(death: Death) -> i32 {
    match death {
        Death::Exit(code) => code,
        Death::Abort => std::process::abort(),
        Death::NoMemory => {
            let _ = io::stderr().write_all(b"memory allocation of 99 bytes failed\n");
            std::process::abort()
        }
        Death::Signal(signal) => {
            let signal = Signal::from_named_raw(signal).unwrap();
            // The runtime's own handler takes the first of some signals.
            loop {
                rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
            }
        }
    }
}
