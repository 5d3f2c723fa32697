//! Runs the command as a user does, for all tests of it: arguments in, then standard output, standard error and exit
//! code, of which none goes unlooked at.
//!
//! Each test has a folder of its own, with the guests in it, which is gone afterwards. A command that does not end is
//! killed and fails its test, and no test passes while a worker is left behind.

mod folder;
mod processes;
mod running;
mod surrounding;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fmt, fs, iter};

use folder::Folder;
pub(crate) use folder::{checkout, guest};
pub(crate) use processes::{Chaos, Worker, wait_until_stopped};
pub(crate) use running::{Ended, Running, without_word_of_root};
pub(crate) use surrounding::Lack;

/// How long anything may take that takes no time worth mentioning. Machines that run tests are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the long forms of tests are asked for.
pub(crate) fn is_soak() -> bool {
    std::env::var_os("WASMPOOL_SOAK").is_some()
}

/// A command to run, and how it must end: with code 0 and without a word, unless it is told otherwise.
pub(crate) struct Wasmpool {
    folder: Folder,
    arguments: Vec<String>,
    stdin: Input,
    setting: Setting,
    /// What is missing around the command.
    lacks: Vec<Lack>,
    /// Where compiled guests are kept: nowhere, so that every test compiles its own, unless it is told otherwise.
    cache: OsString,
    stdout: Option<PathBuf>,
    expectation: Expectation,
}

/// How a command must end.
struct Expectation {
    stdout: Expected,
    stderr: Expected,
    /// None: any.
    code: Option<i32>,
    patience: Duration,
}

/// What comes through the pipe of standard input.
enum Input {
    /// There is no pipe.
    Nothing,
    Bytes(Vec<u8>),
    /// What [`Running::write`] writes, until [`Running::close_stdin`].
    Open,
}

/// Who runs the command, and with what around it.
#[derive(Default)]
enum Setting {
    #[default]
    Usual,
    /// No variable of the environment is set.
    EmptyEnvironment,
    /// The program is a copy, in the folder that it runs in.
    Copy,
    /// There is no standard input.
    ClosedInput,
    /// A user who may do nothing special. The test itself is run by root.
    Nobody,
    /// A shell runs it.
    Bash,
    /// It waits for SIGCONT before its first instruction.
    Stopped,
}

/// What a stream must hold.
enum Expected {
    Exactly(String),
    Such(Box<dyn Fn(&str) -> bool>),
}

/// `wasmpool`, with what stands between spaces as its arguments.
pub(crate) fn wasmpool(line: &str) -> Wasmpool {
    Wasmpool {
        folder: Folder::with_guests(),
        arguments: line.split_whitespace().map(str::to_owned).collect(),
        stdin: Input::Nothing,
        setting: Setting::default(),
        lacks: Vec::new(),
        cache: "off".into(),
        stdout: None,
        expectation: Expectation {
            stdout: Expected::nothing(),
            stderr: Expected::nothing(),
            code: Some(0),
            patience: PATIENCE,
        },
    }
}

/// A script for bash, as a user types it: with `wasmpool` among the commands, the guests in `guests/` too, and the
/// folder it runs in as home.
pub(crate) fn bash(script: &str) -> Wasmpool {
    let mut job = wasmpool("").arg("-c").arg(script);
    job.setting = Setting::Bash;
    let guests = guest("primes.wasm");
    job.link(guests.parent().expect("guests are in a folder"), "guests")
}

/// `wasmpool run`, without the summary, which holds times.
pub(crate) fn run(line: &str) -> Wasmpool {
    wasmpool("run --progress none").args(line)
}

impl Wasmpool {
    /// More arguments, between spaces.
    pub(crate) fn args(mut self, line: &str) -> Self {
        self.arguments.extend(line.split_whitespace().map(str::to_owned));
        self
    }

    /// One more argument, whatever is in it.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A file in the folder that the command runs in.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.folder.write(name, content.as_ref());
        self
    }

    /// A link in the folder that the command runs in.
    pub(crate) fn link(self, target: &Path, name: &str) -> Self {
        self.folder.link(target, name);
        self
    }

    /// The path of a file in the folder that the command will run in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A guest, written as text.
    #[track_caller]
    pub(crate) fn wat(self, name: &str, text: &str) -> Self {
        let binary = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
        self.file(name, binary)
    }

    /// What comes through the pipe of standard input.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = Input::Bytes(bytes.as_ref().to_owned());
        self
    }

    /// Standard input is a pipe that stays open; [`Running::write`] writes to it.
    pub(crate) fn stdin_open(mut self) -> Self {
        self.stdin = Input::Open;
        self
    }

    /// With compiled guests kept in the folder `cache`, in the one that the command runs in.
    pub(crate) fn with_cache(self) -> Self {
        let cache = self.path("cache");
        self.with_cache_at(&cache)
    }

    /// With compiled guests kept in this directory, which others may use, too.
    pub(crate) fn with_cache_at(mut self, directory: &Path) -> Self {
        self.cache = directory.into();
        self
    }

    /// With no environment at all.
    pub(crate) fn with_empty_environment(mut self) -> Self {
        self.setting = Setting::EmptyEnvironment;
        self
    }

    /// With its standard input closed.
    pub(crate) fn with_closed_stdin(mut self) -> Self {
        self.setting = Setting::ClosedInput;
        self
    }

    /// It stops itself before it does anything else, and somebody has to continue it.
    pub(crate) fn stopped(mut self) -> Self {
        self.setting = Setting::Stopped;
        self
    }

    /// A copy of the program is run, `wasmpool` in the folder that it runs in.
    pub(crate) fn copied(mut self) -> Self {
        self.setting = Setting::Copy;
        self
    }

    /// On a machine that lacks this, too.
    pub(crate) fn lacking(mut self, lack: Lack) -> Self {
        self.lacks.push(lack);
        self
    }

    /// With its standard output in this file.
    pub(crate) fn stdout_to(mut self, path: &str) -> Self {
        self.stdout = Some(path.into());
        self
    }

    /// As a user without any rights; nothing where this test may not become one.
    pub(crate) fn by_nobody(mut self) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        self.setting = Setting::Nobody;
        Some(self)
    }

    pub(crate) fn stdout(mut self, expected: impl Into<String>) -> Self {
        self.expectation.stdout = Expected::Exactly(expected.into());
        self
    }

    pub(crate) fn stdout_is(mut self, such: impl Fn(&str) -> bool + 'static) -> Self {
        self.expectation.stdout = Expected::Such(Box::new(such));
        self
    }

    pub(crate) fn stderr(mut self, expected: impl Into<String>) -> Self {
        self.expectation.stderr = Expected::Exactly(expected.into());
        self
    }

    pub(crate) fn stderr_is(mut self, such: impl Fn(&str) -> bool + 'static) -> Self {
        self.expectation.stderr = Expected::Such(Box::new(such));
        self
    }

    pub(crate) fn code(mut self, code: i32) -> Self {
        self.expectation.code = Some(code);
        self
    }

    /// It may take so long.
    pub(crate) fn patience(mut self, time: Duration) -> Self {
        self.expectation.patience = time;
        self
    }

    /// With whatever code it ends.
    pub(crate) fn any_code(mut self) -> Self {
        self.expectation.code = None;
        self
    }

    /// Runs it; it must end with this on standard error and this code.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, stderr: &str) {
        self.stderr(stderr).code(code).check();
    }

    /// Runs it to its end, which must be the one that is expected.
    #[track_caller]
    pub(crate) fn check(self) -> Ended {
        self.start().check()
    }

    /// Starts it; [`Running::check`] compares its end with what is expected.
    pub(crate) fn start(self) -> Running {
        let mut command = self.command();
        command.args(&self.arguments);
        if !self.lacks.is_empty() {
            command = surrounding::without(&self.lacks, &command);
        }
        command
            .current_dir(self.folder.path())
            .stdin(if matches!(self.stdin, Input::Nothing) { Stdio::null() } else { Stdio::piped() })
            .stdout(self.stdout.as_deref().map_or_else(Stdio::piped, to_file))
            .stderr(Stdio::piped());
        let mut running = Running::start(command, self.folder, self.expectation);
        if let Input::Bytes(bytes) = self.stdin {
            running.feed(bytes);
        }
        running
    }

    fn command(&self) -> Command {
        let mut command = self.command_in_setting();
        if !matches!(self.setting, Setting::EmptyEnvironment) {
            command.env("WASMPOOL_CACHE", &self.cache);
        }
        command
    }

    fn command_in_setting(&self) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_wasmpool"));
        match self.setting {
            Setting::Usual => Command::new(binary),
            Setting::EmptyEnvironment => {
                let mut command = Command::new(binary);
                command.env_clear();
                command
            }
            Setting::ClosedInput => {
                let mut command = Command::new("sh");
                command.args(["-c", "exec \"$0\" \"$@\" <&-"]).arg(binary);
                command
            }
            Setting::Stopped => {
                let mut command = Command::new("sh");
                command.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]).arg(binary);
                command
            }
            Setting::Bash => {
                let folder = binary.parent().expect("a program is in a folder");
                let path = std::env::var_os("PATH").unwrap_or_default();
                let paths = iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
                let mut command = Command::new("bash");
                command
                    .env("PATH", std::env::join_paths(paths).expect("no folder has a colon in its name"))
                    // cargo and rustup are asked for what they have, wherever the script is at home.
                    .env("CARGO_HOME", home_of("CARGO_HOME", ".cargo"))
                    .env("RUSTUP_HOME", home_of("RUSTUP_HOME", ".rustup"))
                    .env("HOME", self.folder.path())
                    // A guest that a script builds is in the script's folder, and built, in silence, from what is
                    // here: the network is not asked, and what the project's guests stand on is not built again.
                    .env_remove("CARGO_TARGET_DIR")
                    .env("CARGO_BUILD_BUILD_DIR", built_guests())
                    .envs([("CARGO_NET_OFFLINE", "true"), ("CARGO_TERM_QUIET", "true")]);
                command
            }
            Setting::Copy => Command::new(self.folder.copy(binary, "wasmpool")),
            Setting::Nobody => {
                // The folder that it was built in may be closed to others.
                let copy = self.folder.copy(binary, "wasmpool");
                let open = fs::Permissions::from_mode(0o755);
                self.folder.unlink_guests();
                fs::set_permissions(self.folder.path(), open).expect("the folder is ours");
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
                command
            }
        }
    }
}

/// Where the Makefile builds the guests.
fn built_guests() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests")
}

/// Where a tool of the user's keeps what it has.
fn home_of(variable: &str, folder: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(folder);
    std::env::var_os(variable).map_or_else(home, PathBuf::from)
}

fn to_file(path: &Path) -> Stdio {
    let file = fs::OpenOptions::new().write(true).open(path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

impl Expected {
    fn nothing() -> Self {
        Self::Exactly(String::new())
    }

    fn is_met_by(&self, found: &str) -> bool {
        match self {
            Self::Exactly(expected) => expected == found,
            Self::Such(such) => such(found),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(text) => write!(f, "--- expected\n{}\n---", running::shortened(text)),
            Self::Such(_) => Ok(()),
        }
    }
}
