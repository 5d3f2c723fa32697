//! The file of `--output`: there as a whole or not at all.
//!
//! What is written goes into a new file in the same folder, which takes the place of the one that is meant when all
//! is written and on the disk. Where the file system can have files without a name, it has none until then, so nothing
//! is left of it however this process ends. Until then, and for good if the run fails, a file that was there before stays as it
//! is. What is no regular file, such as a device or a pipe, cannot be replaced and is written directly.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, access, linkat, statfs};
use rustix::io::Errno;
use tempfile::{Builder, TempPath};

use crate::error::Error;

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// The file system of `/proc`, by the number that `statfs` gives.
const PROC: i64 = 0x9fa0;

/// Results on their way into a file.
#[derive(Debug)]
pub struct OutputFile {
    /// As the user named it.
    name: PathBuf,
    file: File,
    /// None for what is written directly.
    draft: Option<Draft>,
}

/// A file that is not finished. It is removed when this is dropped.
#[derive(Debug)]
struct Draft {
    /// None for a file without a name, which is gone when nobody has it open.
    path: Option<TempPath>,
    target: PathBuf,
}

/// What a name leads to.
#[derive(Debug)]
enum Target {
    /// A regular file, or none yet; with the permissions of the one that is there.
    File { path: PathBuf, permissions: Option<Permissions> },
    /// Anything else that can be opened.
    Direct,
}

impl OutputFile {
    /// Makes ready to write. A file of that name is not touched yet.
    ///
    /// # Errors
    /// If the file could not be written, or its folder is not there.
    pub fn create(path: &Path) -> Result<Self, Error> {
        Self::open(path).map_err(|source| cannot_write(path, source))
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> String {
        in_backticks(&self.name)
    }

    /// Whether it is a terminal, which guests must not control.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.draft.is_none() && self.file.is_terminal()
    }

    /// Puts what was written in the place of the file that was meant.
    ///
    /// # Errors
    /// If not all of it gets to the disk. The file that was there before is then still there.
    pub fn commit(self) -> Result<(), Error> {
        let Self { name, file, draft } = self;
        draft.map_or(Ok(()), |draft| draft.commit(&file)).map_err(|source| cannot_write(&name, source))
    }

    fn open(path: &Path) -> io::Result<Self> {
        let name = path.to_owned();
        match resolve(path)? {
            Target::File { path: target, permissions } => {
                let new = permissions.clone().unwrap_or_else(|| Permissions::from_mode(0o666));
                let (draft, file) = Draft::create(target, new)?;
                // What the umask has taken of the old permissions.
                if let Some(permissions) = permissions {
                    file.set_permissions(permissions)?;
                }
                Ok(Self { name, file, draft: Some(draft) })
            }
            // Behind what is there: `/dev/stdout` may be a file that somebody else writes, too.
            Target::Direct => {
                Ok(Self { name, file: OpenOptions::new().append(true).open(path)?, draft: None })
            }
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Draft {
    /// A new file in the folder of `target`, with these permissions but for what the umask takes.
    fn create(target: PathBuf, new: Permissions) -> io::Result<(Self, File)> {
        // Asked before, because the error of a temporary file names a file that nobody knows.
        access(folder(&target), Access::WRITE_OK | Access::EXEC_OK)?;
        if let Some(file) = unnamed(folder(&target), &new)? {
            return Ok((Self { path: None, target }, file));
        }
        let file = named().permissions(new).tempfile_in(folder(&target))?;
        let (file, path) = file.into_parts();
        Ok((Self { path: Some(path), target }, file))
    }

    fn commit(self, file: &File) -> io::Result<()> {
        // Before the name changes: else a power cut could leave the new name with nothing behind it.
        file.sync_all()?;
        match self.path {
            Some(path) => path.persist(&self.target)?,
            None => give_name(file, &self.target)?,
        }
        // Not every file system can do that for a folder, and the file itself is safe.
        let _ = File::open(folder(&self.target)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// A file without a name in this folder, with these permissions but for what the umask takes; none where there cannot be
/// such files, or where they could not be given a name.
fn unnamed(folder: &Path, new: &Permissions) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::from_raw_mode(new.mode())) {
        Ok(file) if opened_as(&file).exists() => Ok(Some(file.into())),
        // What a file system says that does not know the flag, and what a kernel said.
        Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a name to a file that has none; a file that has this name is replaced.
fn give_name(file: &File, target: &Path) -> io::Result<()> {
    let link = |name: &Path| -> io::Result<()> {
        Ok(linkat(CWD, opened_as(file), CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    };
    match link(target) {
        // A link replaces nothing, but a file with another name can.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let (_, path) = named().make_in(folder(target), link)?.into_parts();
            Ok(path.persist(target)?)
        }
        result => result,
    }
}

/// A name for an open file that has none.
fn opened_as(file: impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

/// Makes names that nobody else has.
fn named() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".wasmpool-");
    builder
}

/// Follows links to the file that is meant, which may not be there yet.
fn resolve(path: &Path) -> io::Result<Target> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let name = path.as_os_str().as_bytes();
        if name.ends_with(b"/") || name.ends_with(b"/.") {
            return Err(Errno::ISDIR.into());
        }
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Target::File { path, permissions: None });
            }
            Err(error) => return Err(error),
        };
        if !metadata.is_symlink() {
            return regular(path, &metadata);
        }
        // Such a link is an open file, `/dev/stdout` for one, whatever name it seems to lead to.
        if statfs(folder(&path))?.f_type == PROC {
            return Ok(Target::Direct);
        }
        path = folder(&path).join(fs::read_link(&path)?);
    }
    Err(Errno::LOOP.into())
}

fn regular(path: PathBuf, metadata: &fs::Metadata) -> io::Result<Target> {
    if !metadata.is_file() {
        return Ok(Target::Direct);
    }
    // Who may not write a file shall not replace it either.
    OpenOptions::new().write(true).open(&path)?;
    Ok(Target::File { path, permissions: Some(metadata.permissions()) })
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

fn cannot_write(path: &Path, source: io::Error) -> Error {
    Error::Output { name: in_backticks(path), source }
}

fn in_backticks(path: &Path) -> String {
    format!("`{}`", path.display())
}

#[cfg(test)]
mod tests;
