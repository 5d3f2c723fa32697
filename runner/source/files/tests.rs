use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use proptest::prelude::*;

use super::super::tests::{Pieces, error_text, refusal};
use super::*;
use crate::item::Input;

/// A folder for one test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wasmpool-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A folder with these files; each holds its own name.
    fn with(names: &[&str]) -> Self {
        let folder = Self::new();
        for name in names {
            folder.write(name, name);
        }
        folder
    }

    fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(name.as_ref())
    }

    fn write(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn paths(&self, names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| self.path(name)).collect()
    }

    /// What the items are: the names below the folder, with what is in the files or why they were refused.
    fn items(&self, source: &mut Files, max_items: u64, max_bytes: usize) -> Vec<(String, String)> {
        let mut items = Vec::new();
        while let Some(next) = source.next(max_items, max_bytes).unwrap() {
            match next {
                Next::Inputs(inputs) => {
                    assert!((1..=max_items).contains(&inputs.count()));
                    items.extend((0..inputs.count()).map(|k| self.item(inputs.input(k))));
                }
                Next::Refused(refused) => {
                    let file = refused.file.unwrap_or_default();
                    items.push((self.short(&file), self.short(refused.error.as_bytes())));
                }
                Next::Remark(remark) => panic!("{remark}"),
                Next::Calls(..) => panic!("files have no terms of their own"),
                Next::Ended(completion) => panic!("{completion:?}"),
                Next::Nothing => {}
            }
        }
        items
    }

    fn item(&self, input: Option<Input<'_>>) -> (String, String) {
        let Some(Input::File { name, content }) = input else { panic!("a file, not {input:?}") };
        (self.short(name), String::from_utf8_lossy(content).into_owned())
    }

    /// The text without the path of the folder.
    fn short(&self, text: &[u8]) -> String {
        String::from_utf8_lossy(text).replace(&format!("{}/", self.0.display()), "")
    }

    #[track_caller]
    fn check(&self, names: &[&str], expected: &[(&str, &str)]) {
        let mut source = Files::open(self.paths(names), NameEnd::Line).unwrap();
        self.check_source(&mut source, expected);
    }

    /// Checks the files that a list names, each name of which starts with `@` for the folder.
    #[track_caller]
    fn check_list(&self, list: &str, end: NameEnd, expected: &[(&str, &str)]) {
        self.check_source(&mut self.listed(list.as_bytes(), end), expected);
    }

    #[track_caller]
    fn check_source(&self, source: &mut Files, expected: &[(&str, &str)]) {
        let items = self.items(source, 9, 1 << 20);
        let items: Vec<_> = items.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(items, expected);
    }

    fn listed(&self, list: &[u8], end: NameEnd) -> Files {
        let list: Vec<_> = list
            .iter()
            .flat_map(|byte| match byte {
                b'@' => format!("{}/", self.0.display()).into_bytes(),
                byte => vec![*byte],
            })
            .collect();
        from_list(io::Cursor::new(list), end)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn from_list<R: Read + Send + 'static>(list: R, end: NameEnd) -> Files {
    let opened = Opened::new(list, "standard input".to_owned());
    Files::new(vec![PathBuf::from(STANDARD_INPUT)], Some(opened), end)
}

#[test]
fn each_file_is_an_item_in_the_order_named() {
    Folder::with(&["b", "a"]).check(&["b", "a"], &[("b", "b"), ("a", "a")]);
}

#[test]
fn i11_a_file_named_twice_is_two_items() {
    Folder::with(&["a"]).check(&["a", "a"], &[("a", "a"), ("a", "a")]);
}

#[test]
fn i11_a_missing_file_fails_alone() {
    let missing = ("gone", "`gone`: No such file or directory (os error 2)");
    Folder::with(&["a", "b"]).check(&["a", "gone", "b"], &[("a", "a"), missing, ("b", "b")]);
}

#[test]
fn i11_an_unreadable_file_fails_alone() {
    let folder = Folder::with(&["a", "b"]);
    // Whoever runs the tests, also root: a socket cannot be opened.
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
    let refused = ("socket", "`socket`: No such device or address (os error 6)");
    folder.check(&["a", "socket", "b"], &[("a", "a"), refused, ("b", "b")]);
}

#[test]
fn i11_a_directory_that_cannot_be_read_fails_alone() {
    let folder = Folder::with(&["d/a", "d/secret/b", "d/z"]);
    let secret = folder.path("d/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let is_open_to_us = fs::read_dir(&secret).is_ok();
    let refused = match is_open_to_us {
        true => ("d/secret/b", "d/secret/b"),
        false => ("d/secret", "`d/secret`: Permission denied (os error 13)"),
    };
    folder.check(&["d"], &[("d/a", "d/a"), refused, ("d/z", "d/z")]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn i5_an_empty_file_is_an_item_and_an_empty_directory_is_none() {
    let folder = Folder::new();
    folder.write("a", "");
    fs::create_dir(folder.path("d")).unwrap();
    folder.check(&["d", "a"], &[("a", "")]);
}

#[test]
fn i3_a_file_over_the_cap_fails_alone_however_long_it_says_it_is() {
    let folder = Folder::with(&["b"]);
    File::create(folder.path("a")).unwrap().set_len(MAX_LINE as u64 + 1).unwrap();
    folder.check(&["a", "b"], &[("a", "`a` is longer than 16 MiB"), ("b", "b")]);
    folder.check(&["/dev/zero", "b"], &[("/dev/zero", "`/dev/zero` is longer than 16 MiB"), ("b", "b")]);
}

#[test]
fn a_file_of_the_cap_is_taken() {
    let folder = Folder::new();
    File::create(folder.path("a")).unwrap().set_len(MAX_LINE as u64).unwrap();
    let mut source = Files::open(folder.paths(&["a"]), NameEnd::Line).unwrap();
    let Some(Next::Inputs(Inputs::Files { contents, .. })) = source.next(9, 9).unwrap() else {
        panic!("a file")
    };
    assert_eq!(contents.bytes().len(), MAX_LINE);
}

#[test]
fn a_file_that_says_it_is_empty_is_read_to_its_end() {
    let mut source = Files::open(vec!["/proc/self/maps".into()], NameEnd::Line).unwrap();
    let Some(Next::Inputs(inputs)) = source.next(9, 9).unwrap() else { panic!("a file") };
    let Some(Input::File { content, .. }) = inputs.input(0) else { panic!("a file") };
    assert!(content.len() > 200 && content.ends_with(b"\n"));
}

#[test]
fn a_directory_is_the_files_below_it_in_the_byte_order_of_their_paths() {
    let folder = Folder::with(&["d/b", "d/a/z", "d/a/b/c", "d/a-b", "d/a.txt", "d/a0", "d/B", "d/.hidden"]);
    let expected = ["d/.hidden", "d/B", "d/a-b", "d/a.txt", "d/a/b/c", "d/a/z", "d/a0", "d/b"];
    assert!(expected.is_sorted());
    folder.check(&["d"], &expected.map(|name| (name, name)));
}

#[test]
fn links_below_a_directory_are_not_followed_and_links_that_are_named_are() {
    let folder = Folder::with(&["d/a", "e/b"]);
    symlink(folder.path("e"), folder.path("d/link")).unwrap();
    symlink(folder.path("e/b"), folder.path("d/link-b")).unwrap();
    symlink(folder.path("d"), folder.path("to-d")).unwrap();
    symlink(folder.path("gone"), folder.path("d/dangling")).unwrap();
    folder.check(&["d"], &[("d/a", "d/a")]);
    folder.check(&["d/link-b", "to-d"], &[("d/link-b", "e/b"), ("to-d/a", "d/a")]);
}

#[test]
fn a_pipe_is_read_where_it_is_named_and_passed_over_where_it_is_found() {
    let folder = Folder::with(&["d/a"]);
    let pipe = folder.path("d/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    folder.check(&["d"], &[("d/a", "d/a")]);
    thread::scope(|scope| {
        scope.spawn(|| File::options().write(true).open(&pipe).unwrap().write_all(b"piped").unwrap());
        folder.check(&["d/pipe"], &[("d/pipe", "piped")]);
    });
}

#[test]
fn files_that_are_there_do_not_wait_for_a_pipe() {
    let folder = Folder::with(&["a"]);
    let pipe = folder.path("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let mut source = Files::open(folder.paths(&["a", "pipe"]), NameEnd::Line).unwrap();
    let Some(Next::Inputs(inputs)) = source.next(9, 99).unwrap() else { panic!("a file") };
    assert_eq!(inputs.count(), 1);
    thread::scope(|scope| {
        scope.spawn(|| File::options().write(true).open(&pipe).unwrap().write_all(b"piped").unwrap());
        folder.check_source(&mut source, &[("pipe", "piped")]);
    });
}

#[test]
fn i11_a_list_names_files_whether_they_are_there_or_not() {
    let folder = Folder::with(&["a", "d/b"]);
    folder.check_list(
        "@a\n@gone\n@d\n@d/b",
        NameEnd::Line,
        &[
            ("a", "a"),
            ("gone", "`gone`: No such file or directory (os error 2)"),
            ("d", "`d`: Is a directory (os error 21)"),
            ("d/b", "d/b"),
        ],
    );
}

#[test]
fn i11_names_in_a_list_may_end_with_nul_and_hold_line_feeds() {
    let folder = Folder::with(&["a\nb", "c"]);
    folder.check_list("@a\nb\0@c\0", NameEnd::Nul, &[("a\nb", "a\nb"), ("c", "c")]);
}

#[test]
fn i5_an_empty_list_has_no_items_and_empty_names_are_none() {
    let folder = Folder::with(&["a"]);
    folder.check_list("", NameEnd::Line, &[]);
    folder.check_list("\n\n@a\n\n", NameEnd::Line, &[("a", "a")]);
    folder.check_list("\0@a\0\0", NameEnd::Nul, &[("a", "a")]);
}

#[test]
fn i11_a_name_of_any_bytes_is_opened_and_handed_on_as_it_is() {
    let folder = Folder::new();
    let name = OsStr::from_bytes(b"\xff \x1b[1m\r");
    folder.write(name, "a");
    let mut source = folder.listed(b"@\xff \x1b[1m\r\n", NameEnd::Line);
    let Some(Next::Inputs(inputs)) = source.next(9, 9).unwrap() else { panic!("a file") };
    let path = folder.path(name);
    let file = Input::File { name: path.as_os_str().as_bytes(), content: b"a" };
    assert_eq!(inputs.input(0), Some(file));
}

#[test]
fn i11_a_name_no_file_can_have_fails_alone() {
    let long = "x".repeat(MAX_NAME + 1);
    let mut source = from_list(io::Cursor::new(format!("{long}\n{}\na\0b\n", &long[1..])), NameEnd::Line);
    let (file, error) = refusal(source.next(9, 9));
    assert_eq!((file, error.as_str()), (None, "name 1 of standard input is longer than 4096 bytes"));
    let (file, error) = refusal(source.next(9, 9));
    assert_eq!(file.as_deref(), Some(&long.as_bytes()[1..]));
    assert!(error.ends_with("`: File name too long (os error 36)"), "{error}");
    let (_, error) = refusal(source.next(9, 9));
    assert!(error.ends_with("file name contained an unexpected NUL byte"), "{error}");
    assert_eq!(source.next(9, 9).unwrap(), None);
}

#[test]
fn i16_a_name_in_a_list_is_no_option_and_no_list() {
    let mut source = from_list(io::Cursor::new("-\n--help\n"), NameEnd::Line);
    assert_eq!(refusal(source.next(9, 9)).0.as_deref(), Some(b"-".as_slice()));
    assert_eq!(refusal(source.next(9, 9)).0.as_deref(), Some(b"--help".as_slice()));
}

#[test]
fn i10_files_named_before_an_error_in_the_list_are_handed_out_first() {
    let folder = Folder::with(&["a"]);
    let list = format!("{}\nhalf", folder.path("a").display()).into_bytes();
    let mut source = from_list(Pieces::new(vec![list]).failing(io::ErrorKind::TimedOut), NameEnd::Line);
    let Some(Next::Inputs(inputs)) = source.next(9, 9).unwrap() else { panic!("a file") };
    assert_eq!(inputs.count(), 1);
    assert_eq!(error_text(&source.next(9, 9).unwrap_err()), "cannot read standard input: timed out");
}

#[test]
fn i10_who_types_a_list_is_told_so_before_it_is_read() {
    let input = Pieces::new(vec![]).failing(io::ErrorKind::TimedOut);
    let opened = Opened { remark: Some("reading".to_owned()), ..Opened::new(input, "list".to_owned()) };
    let mut source = Files::new(vec![PathBuf::from("-")], Some(opened), NameEnd::Line);
    assert_eq!(source.next(9, 9).unwrap(), Some(Next::Remark("reading".to_owned())));
    assert_eq!(error_text(&source.next(9, 9).unwrap_err()), "cannot read list: timed out");
}

#[test]
fn a_list_stands_among_other_paths_and_once() {
    let folder = Folder::with(&["a", "b", "c"]);
    let list = format!("{}\n", folder.path("b").display());
    let opened = Opened::new(io::Cursor::new(list), "standard input".to_owned());
    let paths = vec![folder.path("a"), "-".into(), folder.path("c"), "-".into()];
    let mut source = Files::new(paths, Some(opened), NameEnd::Line);
    folder.check_source(&mut source, &[("a", "a"), ("b", "b"), ("c", "c")]);
}

#[test]
fn i13_a_file_is_not_read_before_it_is_asked_for() {
    let folder = Folder::with(&["d/a", "d/b"]);
    let mut source = Files::open(folder.paths(&["d"]), NameEnd::Line).unwrap();
    let Some(Next::Inputs(inputs)) = source.next(1, 99).unwrap() else { panic!("a file") };
    assert_eq!(inputs.count(), 1);
    folder.write("d/b", "changed");
    folder.check_source(&mut source, &[("d/b", "changed")]);
}

#[test]
fn i11_a_file_that_vanishes_before_it_is_read_fails_alone() {
    let folder = Folder::with(&["d/a", "d/b", "d/c"]);
    let mut source = Files::open(folder.paths(&["d"]), NameEnd::Line).unwrap();
    source.next(1, 99).unwrap();
    fs::remove_file(folder.path("d/b")).unwrap();
    let gone = ("d/b", "`d/b`: No such file or directory (os error 2)");
    folder.check_source(&mut source, &[gone, ("d/c", "d/c")]);
}

#[test]
fn i13_of_a_list_without_end_no_more_is_read_than_was_asked_for() {
    /// Gives names for ever, and panics when it has given many more than were asked for.
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += buffer.len();
            assert!(self.0 <= BUFFER, "more than one buffer was read");
            buffer.fill(b'\n');
            buffer[..10].copy_from_slice(b"/dev/null\n");
            Ok(buffer.len())
        }
    }
    let mut source = from_list(Endless(0), NameEnd::Line);
    assert!(matches!(source.next(1, 99), Ok(Some(Next::Inputs(_)))));
}

#[test]
fn a_chunk_ends_with_the_file_that_reaches_its_bytes() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        folder.write(name, "x".repeat(600));
    }
    let mut source = Files::open(folder.paths(&["a", "b", "c"]), NameEnd::Line).unwrap();
    let Some(Next::Inputs(inputs)) = source.next(9, 1000).unwrap() else { panic!("files") };
    assert_eq!(inputs.count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn how_many_are_asked_for_changes_no_item(
        names in proptest::collection::btree_set("([a.-]{1,2}d/){0,2}[a.-]{1,2}x", 1..12),
        max_items in 1..9_u64, max_bytes in 0..100_usize,
    ) {
        let folder = Folder::with(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let expected: Vec<_> = names.iter().map(|name| (name.clone(), name.clone())).collect();
        let mut source = Files::open(vec![folder.0.clone()], NameEnd::Line).unwrap();
        prop_assert_eq!(folder.items(&mut source, max_items, max_bytes), expected);
    }
}
