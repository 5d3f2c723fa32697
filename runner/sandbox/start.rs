//! What a worker process is told when it is started, before it reads a byte: the arguments of its program.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;

use super::layers::Mode;
use serde::{Deserialize, Serialize};

/// What a worker is for, and so what its lock leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Compiling one guest: the processor, 4 GiB of memory, and so many threads, started before. The host says how many:
    /// the jail hides the files that tell it.
    Compile(NonZeroUsize),
    /// Serving a guest without files: the processor, its own memory and the descriptors it was started with.
    Compute,
    /// Serving a guest with files below these folders, which stand in its descriptor table in this order.
    Files(Vec<Access>),
}

/// What may be done with what lies below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read.
    Read,
    /// Read, write, make, remove.
    Write,
}

/// What a worker process is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The process that starts it.
    pub host: u32,
    /// What it is for.
    pub profile: Profile,
    /// Which layers have to hold.
    pub mode: Mode,
}

const PARENT: &str = "--parent";
const SANDBOX: &str = "--sandbox";
const COMPILE: &str = "--compile";
const DIR: &str = "--dir";

impl Access {
    /// Its name, as it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "ro",
            Self::Write => "rw",
        }
    }

    fn parse(name: &OsStr) -> Option<Self> {
        [Self::Read, Self::Write].into_iter().find(|access| name == access.name())
    }
}

impl Start {
    /// The arguments that say so.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let Self { host, profile, mode } = self;
        let mut arguments = vec![PARENT.into(), host.to_string(), SANDBOX.into(), mode.name().into()];
        match profile {
            Profile::Compile(threads) => arguments.extend([COMPILE.into(), threads.to_string()]),
            Profile::Compute => {}
            Profile::Files(dirs) => {
                arguments.extend(dirs.iter().flat_map(|access| [DIR.into(), access.name().into()]));
            }
        }
        arguments
    }

    /// What these arguments say; none if they are not of [`Start::arguments`].
    #[must_use]
    pub fn parse(arguments: &[OsString]) -> Option<Self> {
        let [parent, host, sandbox, mode, rest @ ..] = arguments else { return None };
        if parent != PARENT || sandbox != SANDBOX {
            return None;
        }
        let host = host.to_str()?.parse().ok()?;
        let mode = [Mode::Auto, Mode::Strict, Mode::Off].into_iter().find(|known| mode == known.name())?;
        let profile = match rest {
            [] => Profile::Compute,
            [compile, threads] if compile == COMPILE => Profile::Compile(threads.to_str()?.parse().ok()?),
            dirs => Profile::Files(dirs.chunks(2).map(parse_dir).collect::<Option<_>>()?),
        };
        Some(Self { host, profile, mode })
    }
}

fn parse_dir(words: &[OsString]) -> Option<Access> {
    match words {
        [flag, access] if flag == DIR => Access::parse(access),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(profile: Profile, mode: Mode, text: &str) {
        let start = Start { host: 7, profile, mode };
        assert_eq!(start.arguments().join(" "), text);
        let arguments: Vec<_> = start.arguments().into_iter().map(OsString::from).collect();
        assert_eq!(Start::parse(&arguments), Some(start));
    }

    #[test]
    fn what_was_said_is_understood() {
        check(Profile::Compute, Mode::Auto, "--parent 7 --sandbox auto");
        check(Profile::Compile(NonZeroUsize::MIN), Mode::Strict, "--parent 7 --sandbox strict --compile 1");
        let files = Profile::Files(vec![Access::Read, Access::Write]);
        check(files, Mode::Off, "--parent 7 --sandbox off --dir ro --dir rw");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "--parent",
            "--parent 7",
            "--parent x --sandbox auto",
            "--parent -7 --sandbox auto",
            "--parent 7 --sandbox none",
            "--parent 7 --sandbox auto --dir",
            "--parent 7 --sandbox auto --dir wo",
            "--parent 7 --sandbox auto --compile",
            "--parent 7 --sandbox auto --compile 0",
            "--parent 7 --sandbox auto --compile 2 --dir ro",
            "--parent 7 --sandbox auto --compile --compile",
        ] {
            let arguments: Vec<_> = text.split_whitespace().map(OsString::from).collect();
            assert_eq!(Start::parse(&arguments), None, "{text}");
        }
    }
}
