mod directories;
mod entries;
mod shelves;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::directory::Directory;
use super::key::Key;
use super::*;
use crate::guest::{Description, GuestKind};
use crate::limits::CodeOptions;
use crate::{sealed, wire};

/// A folder that is gone with its test, and the place of a cache in it.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn place(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    fn cache(&self) -> Cache {
        Cache::at(self.place())
    }

    /// The shelf of a guest with these bytes.
    fn shelf(&self, guest: &[u8]) -> Shelf {
        shelf(&self.cache(), guest)
    }

    /// The files of entries.
    fn entries(&self) -> Vec<PathBuf> {
        let is_entry = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 2 * Key::LEN);
        self.files().into_iter().filter(is_entry).collect()
    }

    /// All files of the cache.
    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.place()).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

fn shelf(cache: &Cache, guest: &[u8]) -> Shelf {
    // Every test has the same program.
    Shelf::of(cache, &memory(guest), CodeOptions::default(), Path::new("/proc/self/exe")).unwrap()
}

/// Sealed memory with these bytes.
fn memory(bytes: &[u8]) -> File {
    let mut memory = sealed::create("wasmpool-test").unwrap();
    memory.write_all(bytes).unwrap();
    sealed::seal(&memory).unwrap();
    memory
}

/// A description of few bytes.
fn description() -> Description {
    Description {
        kind: GuestKind::Module,
        exports: Vec::new(),
        imports: vec!["env.f".to_owned()],
        initial_memory: 7,
    }
}

/// All that is in some memory.
fn bytes(memory: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    sealed::read_through(memory, |piece| {
        bytes.extend(piece);
        Ok(())
    })
    .unwrap();
    bytes
}

/// Stores code; it must be possible.
#[track_caller]
fn store(shelf: &Shelf, code: &[u8]) {
    assert_eq!(shelf.keep(&description(), memory(code)).finish(), None);
}

/// The code that is found; none if there is none.
#[track_caller]
fn found(shelf: &Shelf) -> Option<Vec<u8>> {
    match shelf.look_up() {
        Lookup::Found(entry) => {
            assert_eq!(entry.description, description());
            Some(bytes(&entry.code))
        }
        Lookup::Nothing => None,
        other => panic!("{other:?}"),
    }
}

/// What is said about a shelf where nothing is found.
#[track_caller]
fn noted(shelf: &Shelf) -> String {
    match shelf.look_up() {
        Lookup::Damaged(note) | Lookup::Unusable(note) => note,
        other => panic!("{other:?}"),
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Makes a folder, of this mode whatever the umask.
fn make_folder(path: &Path, mode: u32) {
    fs::create_dir(path).unwrap();
    set_mode(path, mode);
}

/// What is no file, and has the name of one.
#[derive(Clone, Copy, Debug)]
enum Other {
    Link,
    Directory,
    Pipe,
    Socket,
}

const OTHERS: [Other; 4] = [Other::Link, Other::Directory, Other::Pipe, Other::Socket];

fn put(kind: Other, at: &Path) {
    match kind {
        Other::Link => std::os::unix::fs::symlink("/etc/passwd", at).unwrap(),
        Other::Directory => fs::create_dir(at).unwrap(),
        Other::Pipe => mknodat(CWD, at, FileType::Fifo, Mode::RWXU, 0).unwrap(),
        Other::Socket => drop(UnixListener::bind(at).unwrap()),
    }
}

/// For the table of the catalogue of faults.
#[expect(clippy::print_stdout, reason = "the figure is of interest to who asks for it")]
fn figure(figure: &str) {
    println!("figure: {figure}");
}
