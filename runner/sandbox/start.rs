//! What a worker process is told when it is started, before it reads a byte: the arguments of its program.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;

use super::layers::SandboxMode;
use crate::shm::declared::{Declared, Holder, Shape};
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
///
/// ```no_run
/// use wasmpool::{Access, Pool};
///
/// let pool = Pool::builder("files.wasm").dir("/srv/out", "out", Access::Write).build()?;
/// # Ok::<(), wasmpool::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read.
    Read,
    /// Read, write, make, remove.
    Write,
}

/// How much a worker shares with others. Its descriptors stand in this order in its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Segments that are written to, which are mapped when a guest asks.
    pub segments: u16,
    /// Everything else that is written to, which is mapped while the guest is loaded.
    pub objects: u16,
    /// Segments that nobody can write to: each worker has copies of the pages that it changes.
    pub sealed: u16,
}

/// What a worker process is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The process that starts it.
    pub host: u32,
    /// What it is for.
    pub profile: Profile,
    /// Which layers have to hold.
    pub mode: SandboxMode,
    /// What it shares with others.
    pub shares: Shares,
    /// Who it is to what it shares.
    pub holder: Holder,
}

const PARENT: &str = "--parent";
const SANDBOX: &str = "--sandbox";
const COMPILE: &str = "--compile";
const DIR: &str = "--dir";
const SHARED: &str = "--shared";
const HOLDER: &str = "--holder";

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

impl Shares {
    /// How much of these there is; they are in the order of the table.
    ///
    /// # Panics
    /// If they are not.
    #[must_use]
    pub fn of(declared: &[Declared]) -> Self {
        let mut shares = Self::default();
        let mut last = 0;
        for Declared { shape, .. } in declared {
            let place = shape.place();
            assert!(place >= last, "what is shared is declared in the order of the table");
            last = place;
            *[&mut shares.segments, &mut shares.objects, &mut shares.sealed][place] += 1;
        }
        shares
    }

    /// How many descriptors that are.
    #[must_use]
    pub fn count(self) -> usize {
        [self.segments, self.objects, self.sealed].into_iter().map(usize::from).sum()
    }

    fn words(self) -> [String; 2] {
        let Self { segments, objects, sealed } = self;
        [SHARED.into(), format!("{segments}+{objects}+{sealed}")]
    }

    fn parse(words: &OsStr) -> Option<Self> {
        let mut counts = words.to_str()?.split('+').map(|count| count.parse().ok());
        let mut next = || counts.next().flatten();
        let shares = Self { segments: next()?, objects: next()?, sealed: next()? };
        (counts.next().is_none() && shares != Self::default()).then_some(shares)
    }
}

impl Shape {
    /// Which of the parts of [`Shares`] it belongs to.
    #[must_use]
    pub fn place(&self) -> usize {
        match self {
            Self::Segment { writable: true, .. } => 0,
            Self::Value(_) | Self::Array { .. } | Self::Lock | Self::Queue(_) | Self::PipeEnd { .. } => 1,
            Self::Segment { writable: false, .. } => 2,
        }
    }
}

impl Start {
    /// The arguments that say so.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let Self { host, profile, mode, shares, holder } = self;
        let mut arguments = vec![PARENT.into(), host.to_string(), SANDBOX.into(), mode.name().into()];
        if *shares != Shares::default() {
            arguments.extend(shares.words());
            arguments.extend([HOLDER.into(), holder.number().to_string()]);
        }
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
        let mode = [SandboxMode::Auto, SandboxMode::Strict, SandboxMode::Off]
            .into_iter()
            .find(|known| mode == known.name())?;
        let (shares, holder, rest) = match rest {
            [shared, shares, who, holder, rest @ ..] if shared == SHARED && who == HOLDER => {
                let holder = holder.to_str()?.parse().ok().and_then(Holder::from_number)?;
                (Shares::parse(shares)?, holder, rest)
            }
            rest => (Shares::default(), Holder::HOST, rest),
        };
        let profile = match rest {
            [] => Profile::Compute,
            [compile, threads] if compile == COMPILE => Profile::Compile(threads.to_str()?.parse().ok()?),
            dirs => Profile::Files(dirs.chunks(2).map(parse_dir).collect::<Option<_>>()?),
        };
        Some(Self { host, profile, mode, shares, holder })
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
    fn check(profile: Profile, mode: SandboxMode, text: &str) {
        check_sharing(Shares::default(), Holder::HOST, profile, mode, text);
    }

    #[track_caller]
    fn check_sharing(shares: Shares, holder: Holder, profile: Profile, mode: SandboxMode, text: &str) {
        let start = Start { host: 7, profile, mode, shares, holder };
        assert_eq!(start.arguments().join(" "), text);
        let arguments: Vec<_> = start.arguments().into_iter().map(OsString::from).collect();
        assert_eq!(Start::parse(&arguments), Some(start));
    }

    #[test]
    fn what_was_said_is_understood() {
        check(Profile::Compute, SandboxMode::Auto, "--parent 7 --sandbox auto");
        check(
            Profile::Compile(NonZeroUsize::MIN),
            SandboxMode::Strict,
            "--parent 7 --sandbox strict --compile 1",
        );
        let files = Profile::Files(vec![Access::Read, Access::Write]);
        check(files, SandboxMode::Off, "--parent 7 --sandbox off --dir ro --dir rw");
    }

    #[test]
    fn what_is_shared_is_understood() {
        let shares = Shares { segments: 1, objects: 2, sealed: 0 };
        let holder = Holder::from_number(9).unwrap();
        let text = "--parent 7 --sandbox auto --shared 1+2+0 --holder 9";
        check_sharing(shares, holder, Profile::Compute, SandboxMode::Auto, text);
        let files = Profile::Files(vec![Access::Read]);
        check_sharing(shares, holder, files, SandboxMode::Auto, &format!("{text} --dir ro"));
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
            "--parent 7 --sandbox auto --shared 1+2+3",
            "--parent 7 --sandbox auto --shared 1+2 --holder 9",
            "--parent 7 --sandbox auto --shared 1+2+3+4 --holder 9",
            "--parent 7 --sandbox auto --shared 0+0+0 --holder 9",
            "--parent 7 --sandbox auto --shared 1+2+3 --holder 0",
            "--parent 7 --sandbox auto --dir ro --shared 1+2+3 --holder 9",
        ] {
            let arguments: Vec<_> = text.split_whitespace().map(OsString::from).collect();
            assert_eq!(Start::parse(&arguments), None, "{text}");
        }
    }
}
