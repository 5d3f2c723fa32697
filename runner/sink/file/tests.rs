use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::*;

/// An empty folder, removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("wasmpool-output-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    #[track_caller]
    fn check(&self, expected: &[(&str, &str)]) {
        let mut found: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| (fs::read_to_string(self.path(&name)).unwrap(), name))
            .map(|(text, name)| (name, text))
            .collect();
        found.sort();
        let expected: Vec<_> =
            expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(found, expected);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn written(path: &Path) -> OutputFile {
    let mut output = OutputFile::create(path).unwrap();
    output.write_all(b"new").unwrap();
    output
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_there_when_it_is_committed_and_nothing_else_is() {
    let folder = Folder::new();
    let output = written(&folder.path("out"));
    assert!(!folder.path("out").exists());
    output.commit().unwrap();
    folder.check(&[("out", "new")]);
}

#[test]
fn an_old_file_is_replaced_as_a_whole() {
    let folder = Folder::new();
    let path = folder.put("out", "something old");
    let output = written(&path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "something old");
    output.commit().unwrap();
    folder.check(&[("out", "new")]);
}

#[test]
fn without_a_commit_an_old_file_stays() {
    let folder = Folder::new();
    drop(written(&folder.put("out", "old")));
    folder.check(&[("out", "old")]);
}

#[test]
fn without_a_commit_there_is_no_new_file() {
    let folder = Folder::new();
    drop(written(&folder.path("out")));
    folder.check(&[]);
}

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let folder = Folder::new();
    let path = folder.put("out", "old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o642)).unwrap();
    written(&path).commit().unwrap();
    assert_eq!(mode(&path), 0o642);
}

#[test]
fn a_new_file_has_the_permissions_of_any_new_file() {
    let folder = Folder::new();
    written(&folder.path("out")).commit().unwrap();
    assert_eq!(mode(&folder.path("out")), mode(&folder.put("other", "")));
}

#[test]
fn a_link_stays_and_the_file_it_leads_to_is_replaced() {
    let folder = Folder::new();
    folder.put("real", "old");
    symlink("real", folder.path("link")).unwrap();
    written(&folder.path("link")).commit().unwrap();
    assert!(fs::symlink_metadata(folder.path("link")).unwrap().is_symlink());
    folder.check(&[("link", "new"), ("real", "new")]);
}

#[test]
fn a_link_to_nothing_gets_its_file() {
    let folder = Folder::new();
    symlink("real", folder.path("link")).unwrap();
    written(&folder.path("link")).commit().unwrap();
    folder.check(&[("link", "new"), ("real", "new")]);
}

/// Refused when it is created, with this system error.
#[track_caller]
fn check_refused(path: &Path, errno: Errno) {
    let error = OutputFile::create(path).expect_err("it cannot be written");
    assert_eq!(error.exit_code().code(), 7);
    assert_eq!(error.to_string(), format!("cannot write `{}`", path.display()));
    assert!(
        matches!(&error, Error::Output { source, .. } if source.raw_os_error() == Some(errno.raw_os_error())),
        "{error:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_found_out_at_once() {
    check_refused(&Folder::new().path("missing/out"), Errno::NOENT);
}

#[test]
fn a_name_that_can_only_be_a_folder_is_found_out_at_once() {
    let folder = Folder::new();
    check_refused(&folder.path("new/"), Errno::ISDIR);
    check_refused(&folder.path("new/."), Errno::ISDIR);
}

#[test]
fn a_folder_is_no_file() {
    check_refused(&Folder::new().0, Errno::ISDIR);
}

#[test]
fn links_in_a_circle_are_refused() {
    let folder = Folder::new();
    symlink("two", folder.path("one")).unwrap();
    symlink("one", folder.path("two")).unwrap();
    check_refused(&folder.path("one"), Errno::LOOP);
}

#[test]
fn a_device_is_written_directly() {
    let output = written(Path::new("/dev/null"));
    assert!(output.draft.is_none());
    output.commit().unwrap();
}

#[test]
fn a_full_device_is_told_by_the_write() {
    let mut output = OutputFile::create(Path::new("/dev/full")).unwrap();
    assert_eq!(output.write(b"1").unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn an_open_file_is_written_and_not_replaced() {
    let folder = Folder::new();
    let file = File::create(folder.path("shared")).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let output = written(Path::new(&format!("/dev/fd/{number}")));
    assert!(output.draft.is_none());
    output.commit().unwrap();
    folder.check(&[("shared", "new")]);
}

/// Whether files without a name can be had here.
fn has_unnamed() -> bool {
    unnamed(&std::env::temp_dir(), &Permissions::from_mode(0o600)).unwrap().is_some()
}

#[test]
fn h6_nothing_is_beside_the_file_until_it_is_committed() {
    let folder = Folder::new();
    let output = written(&folder.put("out", "old"));
    if has_unnamed() {
        folder.check(&[("out", "old")]);
    }
    output.commit().unwrap();
    folder.check(&[("out", "new")]);
}

#[test]
fn h6_a_run_that_is_never_told_that_it_ends_leaves_nothing() {
    let folder = Folder::new();
    let output = written(&folder.path("out"));
    if has_unnamed() {
        std::mem::forget(output);
        folder.check(&[]);
    }
}

#[test]
fn a_file_with_a_name_takes_the_place_of_the_old_one_where_there_can_be_no_other() {
    let folder = Folder::new();
    let target = folder.put("out", "old");
    let (file, path) = named().tempfile_in(&folder.0).unwrap().into_parts();
    (&file).write_all(b"new").unwrap();
    Draft { path: Some(path), target }.commit(&file).unwrap();
    folder.check(&[("out", "new")]);
}

#[test]
fn a_file_that_somebody_else_has_made_meanwhile_is_replaced() {
    let folder = Folder::new();
    let output = written(&folder.path("out"));
    folder.put("out", "theirs");
    output.commit().unwrap();
    folder.check(&[("out", "new")]);
}
