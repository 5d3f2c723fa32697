//! A folder and everything else, with Landlock alone between them.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::fs::{Mode, OFlags};

use super::super::{Access, Layer, Profile};
use super::attacks::call;
use super::cell::{Fate, Handed, attempt_with};

/// A folder that is given, and a secret beside it.
pub(super) struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("inside");
        fs::create_dir_all(inside.join("d")).unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        fs::write(root.path().join("secret"), "secret").unwrap();
        fs::write(root.path().join("outside/secret"), "secret").unwrap();
        fs::write(inside.join("file"), "public").unwrap();
        fs::write(inside.join("d/file"), "public").unwrap();
        symlink("secret", root.path().join("link")).unwrap();
        symlink("/etc", inside.join("etc")).unwrap();
        symlink("../secret", inside.join("up")).unwrap();
        symlink(root.path().join("outside"), inside.join("out")).unwrap();
        let tree = Self { root };
        tree.open_to_all();
        tree
    }

    /// Nobody may do anything here, as far as modes go.
    fn open_to_all(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        for entry in walkdir::WalkDir::new(self.root.path()).into_iter().flatten() {
            if !entry.path_is_symlink() {
                fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o777)).unwrap();
            }
        }
    }

    fn inside(&self) -> PathBuf {
        self.root.path().join("inside")
    }

    /// The folder, as a worker has it.
    pub(super) fn open_inside(&self) -> OwnedFd {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(self.inside(), flags, Mode::empty()).unwrap()
    }

    /// The path of what is beside the folder.
    pub(super) fn outside(&self, name: &str) -> CString {
        CString::new(self.root.path().join(name).as_os_str().as_encoded_bytes()).unwrap()
    }

    /// What this call on the folder comes to, with Landlock alone around the process.
    fn attempt(&self, access: Access, deed: impl FnOnce(i64) -> std::io::Result<i64>) -> Fate {
        let dir = self.open_inside();
        let number = dir.as_raw_fd().into();
        let handed = Handed { dirs: vec![dir], ..Handed::default() };
        attempt_with(&[Layer::Landlock], &Profile::Files(vec![access]), &handed, || deed(number).map(drop))
    }

    fn open(&self, access: Access, path: &Path, flags: i32) -> Fate {
        let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let place = path.as_ptr().addr().cast_signed() as i64;
        self.attempt(access, |dir| call(libc::SYS_openat, [dir, place, flags.into(), 0o600, 0, 0]))
    }
}

const REFUSED: Fate = Fate::Refused(libc::EACCES);

#[track_caller]
fn check_out_of_reach(paths: &[&str]) {
    let tree = Tree::new();
    let absolute = tree.root.path().join("secret");
    for access in [Access::Read, Access::Write] {
        for path in paths.iter().map(Path::new).chain([&*absolute]) {
            assert_eq!(tree.open(access, path, libc::O_RDONLY), REFUSED, "{}", path.display());
        }
    }
}

#[test]
fn g20_with_landlock_alone_no_path_leads_out_of_the_folder() {
    check_out_of_reach(&[
        "../secret",
        "../outside/secret",
        "d/../../secret",
        "./../secret",
        "..",
        "/",
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/1/environ",
    ]);
}

#[test]
fn g21_with_landlock_alone_no_link_leads_out_of_the_folder() {
    check_out_of_reach(&["etc/passwd", "etc/", "etc", "up", "out/secret", "out/", "out/../secret"]);
}

#[test]
fn with_landlock_alone_what_is_in_the_folder_can_be_read() {
    let tree = Tree::new();
    for path in ["file", "d/file", "d", "d/../file"] {
        assert_eq!(tree.open(Access::Read, Path::new(path), libc::O_RDONLY), Fate::Worked, "{path}");
    }
}

#[test]
fn g23_with_landlock_alone_nothing_in_a_folder_that_is_read_changes() {
    let tree = Tree::new();
    let file = c"file".as_ptr().addr().cast_signed() as i64;
    let other = c"other".as_ptr().addr().cast_signed() as i64;
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
        assert_eq!(tree.open(Access::Read, Path::new("file"), flags), REFUSED, "{flags:#x}");
    }
    assert_eq!(tree.open(Access::Read, Path::new("new"), libc::O_WRONLY | libc::O_CREAT), REFUSED);
    let attempts: [(&str, Fate); 5] = [
        ("link", tree.attempt(Access::Read, |dir| call(libc::SYS_linkat, [dir, file, dir, other, 0, 0]))),
        (
            "rename",
            tree.attempt(Access::Read, |dir| call(libc::SYS_renameat2, [dir, file, dir, other, 0, 0])),
        ),
        ("remove", tree.attempt(Access::Read, |dir| call(libc::SYS_unlinkat, [dir, file, 0, 0, 0, 0]))),
        ("mkdir", tree.attempt(Access::Read, |dir| call(libc::SYS_mkdirat, [dir, other, 0o700, 0, 0, 0]))),
        ("symlink", tree.attempt(Access::Read, |dir| call(libc::SYS_symlinkat, [file, dir, other, 0, 0, 0]))),
    ];
    for (what, fate) in attempts {
        assert_eq!(fate, REFUSED, "{what}");
    }
    assert_eq!(fs::read_to_string(tree.inside().join("file")).unwrap(), "public");
    assert_eq!(fs::read_dir(tree.inside()).unwrap().count(), 5);
}

#[test]
fn with_landlock_alone_a_folder_that_may_be_written_to_can_be() {
    let tree = Tree::new();
    let new = libc::O_WRONLY | libc::O_CREAT;
    assert_eq!(tree.open(Access::Write, Path::new("new"), new), Fate::Worked);
    assert_eq!(tree.open(Access::Write, Path::new("file"), libc::O_WRONLY | libc::O_TRUNC), Fate::Worked);
    assert_eq!(tree.open(Access::Write, Path::new("../new"), new), REFUSED);
}
