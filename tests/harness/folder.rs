//! A folder that one test has for itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Gone with everything in it when it is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A folder where the guests of this project are.
    ///
    /// # Panics
    /// If the guests have not been built.
    pub(super) fn with_guests() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("wasmpool-test-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let folder = Self(path);
        for name in ["primes.wasm", "text.wasm", "tour.wasm", "hello.wasm", "files.wasm", "hostile.wasm"] {
            folder.link(&guest(name), name);
        }
        folder
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and makes the folders that it is in.
    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
    }

    /// A link to what is elsewhere.
    pub(super) fn link(&self, target: &Path, name: &str) {
        symlink(target, self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Copies a file into it; returns the path of the copy.
    pub(super) fn copy(&self, file: &Path, name: &str) -> PathBuf {
        let copy = self.0.join(name);
        fs::copy(file, &copy).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        copy
    }

    /// Copies the guests themselves to where only their links are.
    pub(super) fn unlink_guests(&self) {
        for entry in fs::read_dir(&self.0).expect("the folder is ours") {
            let link = entry.expect("the folder is ours").path();
            if let Ok(guest) = fs::read_link(&link) {
                fs::remove_file(&link).expect("the folder is ours");
                fs::copy(guest, link).expect("the guest has been found");
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies where it is cleaned up some day.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The path of a guest of this project.
pub(crate) fn guest(name: &str) -> PathBuf {
    let path = checkout().join("guests").join(name);
    assert!(path.is_file(), "{} is missing: run `make guests` first", path.display());
    path
}

/// The folder of this project.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
