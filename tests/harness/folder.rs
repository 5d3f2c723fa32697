//! A folder that one test has for itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Gone with everything in it when it is dropped.
pub(super) struct Folder(TempDir);

impl Folder {
    /// A folder where the guests of this project are.
    ///
    /// # Panics
    /// If the guests have not been built.
    pub(super) fn with_guests() -> Self {
        // A worker of another user reads it too.
        let open = fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("wasmpool-test-").permissions(open).tempdir();
        let folder = Self(folder.expect("a folder can be made where temporary ones are"));
        for name in ["primes", "text", "tour", "sharing", "hello", "files", "hostile"] {
            let name = format!("{name}.wasm");
            folder.link(&guest(&name), &name);
        }
        folder
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and makes the folders that it is in.
    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is ours");
        fs::write(path, content).expect("the folder is ours");
    }

    /// A link to what is elsewhere.
    pub(super) fn link(&self, target: &Path, name: &str) {
        symlink(target, self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Copies a file into it; returns the path of the copy.
    pub(super) fn copy(&self, file: &Path, name: &str) -> PathBuf {
        let copy = self.path().join(name);
        fs::copy(file, &copy).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        copy
    }

    /// Copies the guests themselves to where only their links are.
    pub(super) fn unlink_guests(&self) {
        for entry in fs::read_dir(self.path()).expect("the folder is ours") {
            let link = entry.expect("the folder is ours").path();
            if let Ok(guest) = fs::read_link(&link) {
                fs::remove_file(&link).expect("the folder is ours");
                fs::copy(guest, link).expect("the guest has been found");
            }
        }
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
