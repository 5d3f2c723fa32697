use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

#[track_caller]
fn check(text: &str, name: &str, file: &str, access: Access) {
    let expected = SharedFile { name: name.to_owned(), file: file.into(), access, digest: None };
    assert_eq!(parse(OsStr::new(text)).unwrap(), expected, "{text}");
}

#[track_caller]
fn check_refused(text: &[u8], what: &str) {
    let error = parse(OsStr::from_bytes(text)).unwrap_err();
    let message = format!("`--share {}` {what}", OsStr::from_bytes(text).display());
    assert_eq!((error.to_string(), error.hint()), (message, Some(HINT)));
}

#[test]
fn a_file_is_to_be_read_unless_it_is_said_otherwise() {
    check("t=table", "t", "table", Access::Read);
    check("t=table:ro", "t", "table", Access::Read);
    check("t=/srv/table:rw", "t", "/srv/table", Access::Write);
}

#[test]
fn a_file_may_be_called_anything() {
    check("t=a=b", "t", "a=b", Access::Read);
    check("t=a:b:rw", "t", "a:b", Access::Write);
    check("t=a:rw:ro", "t", "a:rw", Access::Read);
    assert_eq!(parse(OsStr::from_bytes(b"t=\xff")).unwrap().file.as_os_str().as_bytes(), b"\xff");
}

#[test]
fn what_shares_nothing_is_refused() {
    check_refused(b"table", "has no `=`");
    check_refused(b"=table", "has no name before the `=`");
    check_refused(b"t=", "names no file");
    check_refused(b"t=:rw", "names no file");
    check_refused(b"t=a\0b", "has a NUL in it");
    check_refused(b"\xff=a", "has a name that is no UTF-8");
}

proptest! {
    #[test]
    fn nothing_that_is_typed_makes_the_parser_panic(text in "[a:rwo=/.\u{0}]{0,12}|\\PC{0,9}") {
        let _ = parse(OsStr::new(&text));
    }

    #[test]
    fn whatever_a_file_is_called_it_can_be_shared(name in "[a:r./]{1,9}", file in "[a:rwo=./]{0,9}[a./]") {
        let shared = parse(OsStr::new(&format!("{name}={file}:ro"))).unwrap();
        prop_assert_eq!((shared.name, shared.file), (name, PathBuf::from(file)));
    }
}

/// A folder with a file `f` in it.
struct Scene(TempDir);

impl Scene {
    fn new(bytes: &[u8]) -> Self {
        let scene = Self(TempDir::new().unwrap());
        fs::write(scene.path(), bytes).unwrap();
        scene
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("f")
    }

    fn shared(&self, access: Access) -> SharedFile {
        SharedFile { name: "t".into(), file: self.path(), access, digest: None }
    }

    fn copies(&self, access: Access) -> Copies {
        Copies::of(&[self.shared(access)]).unwrap()
    }

    /// What is in the folder, without the file.
    fn others(&self) -> usize {
        fs::read_dir(self.0.path()).unwrap().count() - 1
    }
}

fn content(copies: &Copies) -> Vec<u8> {
    let mut content = Vec::new();
    let Copied { memory, length, .. } = &copies.0[0];
    let take = |bytes: &[u8]| {
        content.extend_from_slice(bytes);
        Ok(())
    };
    read(memory, *length, take).unwrap();
    content
}

/// What a guest might do to the first bytes.
fn change(copies: &Copies, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(&copies.0[0].memory, bytes, 0)
}

#[test]
fn a_copy_is_the_file_and_has_whole_pages() {
    let bytes = vec![7; 70_000];
    for access in [Access::Read, Access::Write] {
        let copies = Scene::new(&bytes).copies(access);
        assert!(content(&copies) == bytes);
        assert_eq!(copies.0[0].memory.metadata().unwrap().len(), 128 << 10);
        assert!(copies.0[0].memory.set_len(0).is_err());
    }
}

#[test]
fn a_copy_to_be_read_is_nobodys_to_change() {
    let copies = Scene::new(b"abc").copies(Access::Read);
    assert_eq!(change(&copies, b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn what_was_changed_is_written_back_as_it_is() {
    let scene = Scene::new(b"abc");
    fs::set_permissions(scene.path(), fs::Permissions::from_mode(0o640)).unwrap();
    let mut copies = scene.copies(Access::Write);
    copies.keep().unwrap();
    change(&copies, b"xyz and what is behind the end").unwrap();
    copies.write_back().unwrap();
    assert_eq!(fs::read(scene.path()).unwrap(), b"xyz");
    assert_eq!(fs::metadata(scene.path()).unwrap().mode() & 0o777, 0o640);
    assert_eq!(scene.others(), 0);
}

#[test]
fn what_is_what_it_was_is_not_written() {
    let scene = Scene::new(b"abc");
    let was = fs::metadata(scene.path()).unwrap().ino();
    let mut copies = scene.copies(Access::Write);
    copies.keep().unwrap();
    copies.write_back().unwrap();
    assert_eq!(fs::metadata(scene.path()).unwrap().ino(), was);
    assert_eq!(scene.others(), 0);
}

#[test]
fn what_is_not_to_be_kept_is_not_written() {
    let scene = Scene::new(b"abc");
    let copies = scene.copies(Access::Write);
    change(&copies, b"xyz").unwrap();
    copies.write_back().unwrap();
    assert_eq!(fs::read(scene.path()).unwrap(), b"abc");
}

#[test]
fn a_link_to_a_file_stays_one() {
    let scene = Scene::new(b"abc");
    let link = scene.0.path().join("link");
    std::os::unix::fs::symlink("f", &link).unwrap();
    let mut copies = Copies::of(&[SharedFile { file: link.clone(), ..scene.shared(Access::Write) }]).unwrap();
    copies.keep().unwrap();
    change(&copies, b"xyz").unwrap();
    copies.write_back().unwrap();
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert_eq!(fs::read(scene.path()).unwrap(), b"xyz");
}

#[track_caller]
fn check_unreadable(file: SharedFile, message: &str, hint: Option<&str>) {
    let error = Copies::of(std::slice::from_ref(&file)).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        (error.to_string(), source.as_str()),
        (format!("cannot read `{}`", file.file.display()), message)
    );
    let error_hint = error.hint().map(|hint| hint.replace(&file.file.display().to_string(), "FILE"));
    assert_eq!((error_hint.as_deref(), error.exit_code().code()), (hint, 4));
}

#[test]
fn what_cannot_be_read_is_not_shared() {
    let scene = Scene::new(b"");
    let shared = |file: &str, access| SharedFile { file: scene.0.path().join(file), ..scene.shared(access) };
    let missing = "No such file or directory (os error 2)";
    check_unreadable(shared("none", Access::Read), missing, None);
    let make = "`--share` makes no file: make one of the length that it is to have, `truncate -s 64K FILE`";
    check_unreadable(shared("none", Access::Write), missing, Some(make));
    let access = "an access is `:ro` or `:rw`, and nothing else";
    check_unreadable(shared("f:rx", Access::Read), missing, Some(access));
    let folder = "`--share` gives a file; a folder is given with `--dir`";
    check_unreadable(shared("", Access::Read), "Is a directory (os error 21)", Some(folder));
    let empty = "it is empty, and what is shared has at least one byte";
    check_unreadable(shared("f", Access::Write), empty, None);
}

#[test]
fn a_file_that_no_guest_could_have_is_refused_without_reading_it() {
    let scene = Scene::new(b"abc");
    File::options().write(true).open(scene.path()).unwrap().set_len(1 << 40).unwrap();
    check_unreadable(
        scene.shared(Access::Read),
        "it is larger than 4 GiB, for which guests have no addresses",
        None,
    );
}

#[test]
fn what_cannot_be_replaced_is_not_written_to() {
    let file = SharedFile { file: "/dev/null".into(), ..Scene::new(b"").shared(Access::Write) };
    let error = Copies::of(&[file]).unwrap_err();
    assert_eq!(error.to_string(), "`/dev/null` is no file that can be replaced");
}

#[test]
fn a_file_that_has_to_be_what_it_was_is_held_to_that() {
    let scene = Scene::new(b"abc");
    let with = |bytes: &[u8]| {
        let digest = Some(blake3::hash(bytes).to_hex().to_string());
        Copies::of(&[SharedFile { digest, ..scene.shared(Access::Read) }])
    };
    assert!(with(b"abc").is_ok());
    let message = format!("`{}` is not what it was when the journal was written", scene.path().display());
    assert_eq!(with(b"abd").unwrap_err().to_string(), message);
}

#[test]
fn who_shares_what_is_written_to_is_told_of_it() {
    let scene = Scene::new(b"abc");
    assert_eq!(scene.copies(Access::Read).note(), None);
    let note = "shared: every item can write to `t`, so the guests of this run are one trust group";
    assert_eq!(scene.copies(Access::Write).note().as_deref(), Some(note));
}

#[test]
fn only_what_nobody_writes_to_has_a_digest() {
    let scene = Scene::new(b"abc");
    let copies = Copies::of(&[scene.shared(Access::Read), scene.shared(Access::Write)]).unwrap();
    assert_eq!(copies.digests().collect::<Vec<_>>(), [("t", blake3::hash(b"abc"))]);
}
