//! Opens what the user named as input: a file, or `-` for standard input.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, major, minor};

use crate::error::Error;

/// Standard input, where a file could be named.
pub(super) const STANDARD_INPUT: &str = "-";

/// A file that can be read, as far as is known before reading.
#[derive(Debug)]
pub(super) struct Opened<R> {
    pub(super) input: R,
    /// For messages: the file in backticks, or `standard input`.
    pub(super) name: String,
    /// What the user should know before it is read.
    pub(super) remark: Option<String>,
    /// Whether reading may wait for somebody to write.
    pub(super) may_wait: bool,
}

impl<R> Opened<R> {
    /// `input`, which messages call `name`. Reading it may wait.
    pub(super) fn new(input: R, name: String) -> Self {
        Self { input, name, remark: None, may_wait: true }
    }
}

impl Opened<File> {
    /// The file at `path`; standard input if it is `-`.
    ///
    /// # Errors
    /// If it cannot be opened, is a directory, or is a standard input that was closed.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if path == Path::new(STANDARD_INPUT) {
            return Self::standard_input();
        }
        let name = format!("`{}`", path.display());
        match File::open(path).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) => Self::checked(file, &metadata, name),
            Err(source) => Err(Error::Input { name, hint: None, source }),
        }
    }

    /// Standard input.
    ///
    /// # Errors
    /// If it was closed, or is a directory.
    pub(super) fn standard_input() -> Result<Self, Error> {
        let name = "standard input".to_owned();
        // Not `std::io::stdin()` itself: it has a small buffer of its own.
        let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        match file.and_then(|file| Ok((file.metadata()?, was_closed(&file)?, file))) {
            Ok((_, true, _)) => Err(closed()),
            Ok((metadata, false, file)) => Self::checked(file, &metadata, name),
            Err(source) => Err(Error::Input { name, hint: None, source }),
        }
    }

    fn checked(file: File, metadata: &Metadata, name: String) -> Result<Self, Error> {
        if metadata.is_dir() {
            let message = format!("cannot read {name}: is a directory");
            return Err(Error::usage(message, "give a file, or `-` for standard input"));
        }
        let remark = file
            .is_terminal()
            .then(|| format!("reading {name} from the terminal; end it with Enter and Ctrl-D"));
        Ok(Self { remark, may_wait: !metadata.is_file(), ..Self::new(file, name) })
    }
}

/// Whether this is what Rust's runtime puts in the place of a standard input that was closed: `/dev/null`, opened for
/// reading and writing. `< /dev/null` opens it for reading alone, and is an empty input that somebody asked for.
fn was_closed(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let device = metadata.st_rdev();
    let is_null = metadata.file_type().is_char_device() && (major(device), minor(device)) == (1, 3);
    Ok(is_null && fcntl_getfl(file)? & OFlags::RWMODE != OFlags::RDONLY)
}

fn closed() -> Error {
    Error::usage(
        "standard input is closed",
        "give a file, or pipe something in; `< /dev/null` is an empty input",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: (&str, Option<&str>, u8)) {
        let error = Opened::open(Path::new(path)).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint(), error.exit_code().code()), expected);
    }

    #[test]
    fn i10_a_directory_is_wrong_usage() {
        check("/", ("cannot read `/`: is a directory", Some("give a file, or `-` for standard input"), 2));
    }

    #[test]
    fn i10_a_missing_file_is_an_input_error() {
        check("/no/such/file", ("cannot read `/no/such/file`", None, 4));
    }

    #[test]
    fn i10_null_opened_for_writing_too_stands_for_a_closed_standard_input() {
        let null = |write| File::options().read(true).write(write).open("/dev/null").unwrap();
        assert!(was_closed(&null(true)).unwrap());
        assert!(!was_closed(&null(false)).unwrap());
        assert!(!was_closed(&File::options().read(true).write(true).open("/dev/zero").unwrap()).unwrap());
        assert!(!was_closed(&File::open("/proc/self/exe").unwrap()).unwrap());
        assert_eq!(
            (closed().to_string().as_str(), closed().exit_code().code()),
            ("standard input is closed", 2)
        );
    }

    #[test]
    fn i10_who_reads_from_a_terminal_is_told_so() {
        // A new terminal of its own: what else would be one where tests run?
        let terminal = Opened::open(Path::new("/dev/ptmx")).unwrap();
        assert_eq!(
            terminal.remark.as_deref(),
            Some("reading `/dev/ptmx` from the terminal; end it with Enter and Ctrl-D")
        );
        assert!(terminal.may_wait);
    }

    #[test]
    fn a_file_is_there_and_does_not_wait() {
        let file = Opened::open(Path::new("/proc/self/exe")).unwrap();
        assert_eq!((file.remark, file.may_wait), (None, false));
    }
}
