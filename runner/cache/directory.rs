//! The directory of a cache: nobody but its owner can have put anything into it.
//!
//! Everything is done relative to its descriptor, so what was checked when it was opened is what is used, whatever
//! becomes of its name.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, linkat, mkdirat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::key::Key;
use super::secret;

/// How the names of files end that are being written.
const DRAFT: &str = ".part";

/// A file that has been being written for so long is left over from who was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Permission bits of all but the owner.
const OTHERS: u32 = 0o077;

/// A directory that is its owner's alone.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

/// Whether somebody asked for a cache at this place, or it is just where caches usually are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Asked,
    Usual,
}

/// Why a directory is not used, to be read after its name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("is not an absolute path")]
    Relative,
    #[error("is no directory, but a link or a file")]
    NoDirectory,
    #[error("belongs to another user")]
    Foreign,
    #[error("is open to other users")]
    Open,
    #[error("is no cache: there are other things in it")]
    Occupied,
    #[error("has no secret of its own")]
    Secret,
    #[error("has a directory with things in it at the place of a file, `{0}`: it has to be removed")]
    Blocked(String),
    #[error("cannot be used: {0}")]
    System(#[from] io::Error),
}

impl From<Errno> for Problem {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

/// What is at a name.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    File(File),
    /// A link, a directory, a pipe, a socket.
    Other,
}

/// One file of a cache.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was used last, to within an hour; for drafts, written.
    pub(super) used: SystemTime,
}

/// What is in a cache.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Listed>,
    pub(super) drafts: Vec<Listed>,
    pub(super) foreign: bool,
}

/// A file that is being written, under a name of its own. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    directory: &'a Directory,
    name: String,
    file: File,
}

impl Directory {
    /// The directory at `path`; none if there is none, and none can be expected.
    ///
    /// # Errors
    /// If there is one that is not to be used.
    pub(super) fn find(path: &Path, wish: Wish) -> Result<Option<Self>, Problem> {
        if !path.is_absolute() {
            return Err(Problem::Relative);
        }
        // Only the last name must not be a link: what it leads to is checked itself. A slash at its end would follow it.
        let path: std::path::PathBuf = path.components().collect();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => Self::checked(fd).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) if path.symlink_metadata().is_ok() => Err(Problem::NoDirectory),
            Err(_) if wish == Wish::Usual => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The directory at `path`, which is made where it is missing, with the one that it is in, or all if somebody asked
    /// for it; none if nobody did and it cannot be made.
    ///
    /// # Errors
    /// If there is one that is not to be used.
    pub(super) fn make(path: &Path, wish: Wish) -> Result<Option<Self>, Problem> {
        if let Some(directory) = Self::find(path, wish)? {
            return Ok(Some(directory));
        }
        match make_with_parents(path, wish) {
            Ok(()) => Self::find(path, wish),
            Err(_) if wish == Wish::Usual => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn checked(fd: OwnedFd) -> Result<Self, Problem> {
        let stat = fstat(&fd)?;
        if stat.st_uid != geteuid().as_raw() {
            return Err(Problem::Foreign);
        }
        if stat.st_mode & OTHERS != 0 {
            return Err(Problem::Open);
        }
        Ok(Self(fd))
    }

    /// What is at a name in it; a file, to be read.
    pub(super) fn open(&self, name: &str) -> io::Result<Found> {
        // Nothing is waited for, whatever kind of file it is.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match openat(&self.0, name, flags, Mode::empty()) {
            Ok(fd) => {
                let file = File::from(fd);
                Ok(if file.metadata()?.is_file() { Found::File(file) } else { Found::Other })
            }
            Err(Errno::NOENT) => Ok(Found::Nothing),
            // A link, or a socket.
            Err(Errno::LOOP | Errno::NXIO) => Ok(Found::Other),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether nobody but the owner of the cache can read or write a file.
    pub(super) fn is_private(&self, file: &Metadata) -> bool {
        file.uid() == geteuid().as_raw() && file.mode() & OTHERS == 0
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes what stands in the place of a file. The directory is the cache's alone, so nobody misses a link or an empty
    /// directory; one with things in it is left to its owner.
    pub(super) fn make_way(&self, name: &str) -> Result<(), Problem> {
        match unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => match unlinkat(&self.0, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) => Err(Problem::Blocked(name.to_owned())),
                other => Ok(other?),
            },
            other => Ok(other?),
        }
    }

    /// Whether there is something in it that no cache has in it.
    pub(super) fn has_foreign_files(&self) -> io::Result<bool> {
        Ok(self.list()?.foreign)
    }

    /// Everything that is in it.
    pub(super) fn list(&self) -> io::Result<Listing> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = openat(&self.0, ".", flags, Mode::empty())?;
        let mut listing = Listing::default();
        for found in Dir::new(readable)? {
            let found = found?;
            self.sort(found.file_name(), &mut listing)?;
        }
        Ok(listing)
    }

    /// Puts a file where it belongs in `listing`.
    fn sort(&self, name: &CStr, listing: &mut Listing) -> io::Result<()> {
        if [c".", c".."].contains(&name) || name.to_bytes() == secret::FILE.as_bytes() {
            return Ok(());
        }
        let stat = match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Somebody was faster.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        match name.to_str().map(str::to_owned) {
            Ok(name) if is_file && is_entry(&name) => listing.entries.push(listed(name, &stat)),
            Ok(name) if is_file && is_draft(&name) => listing.drafts.push(listed(name, &stat)),
            Ok(_) | Err(_) => listing.foreign = true,
        }
        Ok(())
    }

    /// A new file in it, to be written.
    pub(super) fn draft(&self) -> io::Result<Draft<'_>> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("{:032x}{DRAFT}", u128::from_le_bytes(random));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.0, &name, flags, Mode::RUSR | Mode::WUSR)?.into();
        Ok(Draft { directory: self, name, file })
    }
}

impl Draft<'_> {
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, unless there is one of that name.
    pub(super) fn link(&self, name: &str) -> Result<(), Errno> {
        let Self { directory, name: draft, file: _ } = self;
        linkat(&directory.0, draft, &directory.0, name, AtFlags::empty())
    }

    /// Gives the file its name; one of that name is no more.
    pub(super) fn rename(&self, name: &str) -> Result<(), Errno> {
        let Self { directory, name: draft, file: _ } = self;
        renameat(&directory.0, draft, &directory.0, name)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // One that has been renamed is not there.
        let _ = self.directory.remove(&self.name);
    }
}

impl Listed {
    /// Whether nobody is writing it any more.
    pub(super) fn is_abandoned(&self, now: SystemTime) -> bool {
        now.duration_since(self.used).is_ok_and(|age| age > ABANDONED)
    }
}

fn make_with_parents(path: &Path, wish: Wish) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
    if !parent.exists() {
        match wish {
            // Whoever named the place wants it, however deep it is.
            Wish::Asked => make_with_parents(parent, wish)?,
            Wish::Usual => make_in(parent.parent().ok_or(io::ErrorKind::NotFound)?, parent, wish)?,
        }
    }
    make_in(parent, path, wish)
}

fn make_in(parent: &Path, path: &Path, wish: Wish) -> io::Result<()> {
    // Who runs a command with the rights of another user, as `sudo` does, may still have his own home.
    if wish == Wish::Usual && parent.metadata()?.uid() != geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    match mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_entry(name: &str) -> bool {
    name.len() == 2 * Key::LEN && is_hex(name)
}

fn is_draft(name: &str) -> bool {
    name.strip_suffix(DRAFT).is_some_and(|random| random.len() == 32 && is_hex(random))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn listed(name: String, stat: &Stat) -> Listed {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or_default();
    let since = Duration::new(seconds, u32::try_from(stat.st_mtime_nsec).unwrap_or_default());
    let used = SystemTime::UNIX_EPOCH + since;
    Listed { name, bytes: u64::try_from(stat.st_size).unwrap_or_default(), used }
}
