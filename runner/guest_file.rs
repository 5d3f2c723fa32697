//! The guest's file, read once into sealed memory.
//!
//! Every worker gets the same bytes, whatever happens to the file while a run is going: the host copies it into a
//! memfd that nobody can change any more. What cannot be a guest is refused by its first bytes, before any
//! process is started; everything behind those bytes is left to the compile worker.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, no_shared_memory};
use crate::sealed;

/// The longest file that is taken: several times the largest guest known (an interpreter with its library), and
/// little enough to be held in memory.
pub const MAX_LEN: u64 = 100 << 20;

/// What every WebAssembly binary starts with.
const MAGIC: &[u8] = b"\0asm";

/// How many bytes at the start of a file are looked at.
const HEAD: u64 = 512;

/// The bytes of a guest, in memory that cannot change.
#[derive(Debug)]
pub struct GuestFile {
    name: PathBuf,
    memory: File,
    len: u64,
}

impl GuestFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, is longer than [`MAX_LEN`], or does not start as a WebAssembly binary does.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |refusal: Refusal| Error::guest(path, refusal.message, refusal.hint);
        let mut file = open(path).map_err(refuse)?;
        let mut head = Vec::new();
        (&mut file).take(HEAD).read_to_end(&mut head).map_err(|error| refuse(unreadable(&error)))?;
        check_head(path, &head).map_err(refuse)?;
        let no_memory = |error: &io::Error| {
            no_shared_memory(format_args!("`{}` cannot be copied into memory", path.display()), error)
        };
        let memory = sealed::create("wasmpool-guest").map_err(|error| no_memory(&error))?;
        let len = copy(&head, &mut file, MAX_LEN, &memory).map_err(|error| match error.kind() {
            // Reading never ends so: it is the copy that may not grow.
            io::ErrorKind::FileTooLarge => no_memory(&error),
            _ => refuse(unreadable(&error)),
        })?;
        if len > MAX_LEN {
            return Err(refuse(too_long()));
        }
        Ok(Self { name: path.to_owned(), memory, len })
    }

    /// The file as the user named it.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The sealed memfd with its bytes.
    #[must_use]
    pub fn memory(&self) -> &File {
        &self.memory
    }

    /// The BLAKE3 of its bytes, in hexadecimal digits.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn digest(&self) -> Result<String, Error> {
        match sealed::digest(&self.memory) {
            Ok(digest) => Ok(digest.to_hex().to_string()),
            Err(error) => Err(Error::guest(&self.name, format!("cannot be read: {error}"), None)),
        }
    }

    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a guest is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }
}

/// Why a file is no guest, to be read after its name.
struct Refusal {
    message: String,
    hint: Option<String>,
}

fn refusal(message: impl Into<String>, hint: &str) -> Refusal {
    Refusal { message: message.into(), hint: (!hint.is_empty()).then(|| hint.to_owned()) }
}

fn unreadable(error: &io::Error) -> Refusal {
    refusal(format!("cannot be read: {error}"), "")
}

fn too_long() -> Refusal {
    let strip = "take out what is not needed to run it, such as debug sections: `wasm-tools strip`";
    refusal(format!("is larger than {} MiB", MAX_LEN >> 20), strip)
}

/// Opens the file and refuses what its metadata alone rules out.
fn open(path: &Path) -> Result<File, Refusal> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => unreadable(&error),
    })?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err(refusal("is a directory", "name the `.wasm` file in it"));
    }
    if metadata.is_file() && metadata.len() > MAX_LEN {
        return Err(too_long());
    }
    Ok(file)
}

fn missing(path: &Path) -> Refusal {
    let with_ending = path.with_added_extension("wasm");
    let hint = if path == Path::new("-") {
        "a guest is a file; it cannot come from standard input".to_owned()
    } else if with_ending.is_file() {
        format!("did you mean `{}`?", with_ending.display())
    } else {
        String::new()
    };
    refusal("does not exist", &hint)
}

/// Refuses what does not start as a WebAssembly module or component does.
fn check_head(path: &Path, head: &[u8]) -> Result<(), Refusal> {
    match head {
        [] => Err(refusal("is empty", "")),
        // The version of the format, and the layer: 0 for modules, 1 for components.
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] | [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, _, _, ..] => Err(refusal(
            "is a WebAssembly binary of an unknown version",
            "build it with a current toolchain: modules of version 1 and components are known",
        )),
        _ if head.starts_with(MAGIC) || MAGIC.starts_with(head) => Err(refusal(
            format!("ends at byte {}, inside the header of a WebAssembly binary", head.len()),
            "",
        )),
        _ => Err(not_wasm(path, head)),
    }
}

/// Says what a file is that is not WebAssembly, where its first bytes tell.
fn not_wasm(path: &Path, head: &[u8]) -> Refusal {
    /// Where an ELF file names its system; wasmtime's compiled code has a number of its own there.
    const ELF_SYSTEM: usize = 7;
    const WASMTIME: u8 = 200;

    let (what, hint) = match head {
        [0x7f, b'E', b'L', b'F', ..] if head.get(ELF_SYSTEM) == Some(&WASMTIME) => (
            "is code that wasmtime has compiled already",
            "give the `.wasm` file it was made from: wasmpool compiles in a sandbox of its own",
        ),
        [0x7f, b'E', b'L', b'F', ..] => (
            "is a program for this system (ELF), not a WebAssembly binary",
            "build it for WebAssembly, for example with `cargo build --target wasm32-wasip1`",
        ),
        [0x89, b'P', b'N', b'G', ..] => ("is a PNG image, not a WebAssembly binary", ""),
        [0x1f, 0x8b, ..] => {
            ("is compressed with gzip, not a WebAssembly binary", "unpack it first: `gzip -dk FILE`")
        }
        _ if is_wasm_text(head) => {
            let message = "is WebAssembly text, not a binary";
            let hint = format!("turn it into one: `wasm-tools parse {} -o guest.wasm`", path.display());
            return refusal(message, &hint);
        }
        _ => ("is not a WebAssembly binary", ""),
    };
    refusal(what, hint)
}

/// Whether a file starts with an expression of the text format, or with a comment of it.
fn is_wasm_text(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    ["(module", "(component", "(;", ";;"].iter().any(|start| text.starts_with(start.as_bytes()))
}

/// Copies `head` and at most `max_len` bytes of `rest` into a memfd and seals it; the length tells whether that was all.
fn copy(head: &[u8], rest: &mut File, max_len: u64, mut memory: &File) -> io::Result<u64> {
    memory.write_all(head)?;
    let len = head.len() as u64 + io::copy(&mut rest.take(max_len), &mut memory)?;
    memory.rewind()?;
    sealed::seal(memory)?;
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    /// A memfd with `bytes`, under a path that can be opened.
    fn file(bytes: &[u8]) -> (File, PathBuf) {
        use std::os::fd::AsRawFd;
        let mut file = sealed::create("wasmpool-test").unwrap();
        file.write_all(bytes).unwrap();
        let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
        (file, path)
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], message: &str, hint: Option<&str>) {
        let (_file, path) = file(bytes);
        let error = GuestFile::open(&path).unwrap_err();
        let name = path.display();
        assert_eq!(error.to_string(), format!("`{name}` {message}"));
        assert_eq!(error.hint().map(|hint| hint.replace(&name.to_string(), "FILE")).as_deref(), hint);
        assert_eq!(error.exit_code().code(), 3);
    }

    #[track_caller]
    fn check_taken(bytes: &[u8]) {
        let (_file, path) = file(bytes);
        let guest = GuestFile::open(&path).unwrap();
        assert_eq!(guest.len(), bytes.len() as u64);
        let mut read = Vec::new();
        (&guest.memory).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }

    #[test]
    fn modules_and_components_are_taken_as_they_are() {
        check_taken(MODULE);
        check_taken(COMPONENT);
        check_taken(&[MODULE, &vec![7; 300_000]].concat());
    }

    #[test]
    fn m1_files_shorter_than_a_header_are_refused() {
        check_refused(b"", "is empty", None);
        check_refused(b"\0", "ends at byte 1, inside the header of a WebAssembly binary", None);
        check_refused(b"x", "is not a WebAssembly binary", None);
        check_refused(&MODULE[..7], "ends at byte 7, inside the header of a WebAssembly binary", None);
    }

    #[test]
    fn m2_a_program_for_this_system_is_named() {
        let hint = "build it for WebAssembly, for example with `cargo build --target wasm32-wasip1`";
        check_refused(
            b"\x7fELF\x02\x01\x01\0rest",
            "is a program for this system (ELF), not a WebAssembly binary",
            Some(hint),
        );
    }

    #[test]
    fn m2_an_image_is_named() {
        check_refused(b"\x89PNG\r\n\x1a\n", "is a PNG image, not a WebAssembly binary", None);
    }

    #[test]
    fn m2_text_is_refused_with_the_command_that_turns_it_into_a_binary() {
        let hint = Some("turn it into one: `wasm-tools parse FILE -o guest.wasm`");
        check_refused(b"\n  (module)", "is WebAssembly text, not a binary", hint);
        check_refused(b";; a comment\n(component)", "is WebAssembly text, not a binary", hint);
    }

    #[test]
    fn compiled_code_is_refused_with_what_to_give_instead() {
        check_refused(
            b"\x7fELF\x02\x01\x01\xc8\0rest",
            "is code that wasmtime has compiled already",
            Some("give the `.wasm` file it was made from: wasmpool compiles in a sandbox of its own"),
        );
    }

    #[test]
    fn an_unknown_version_is_refused() {
        check_refused(
            b"\0asm\x02\0\0\0",
            "is a WebAssembly binary of an unknown version",
            Some("build it with a current toolchain: modules of version 1 and components are known"),
        );
    }

    #[test]
    fn m11_a_file_over_the_cap_is_refused_without_reading_it() {
        let (file, path) = file(MODULE);
        file.set_len(1 << 40).unwrap();
        let error = GuestFile::open(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is larger than 100 MiB", path.display()));
    }

    #[test]
    fn no_more_is_copied_than_allowed() {
        let (mut rest, _) = file(&[1; 5000]);
        rest.rewind().unwrap();
        let len = copy(MODULE, &mut rest, 100, &sealed::create("wasmpool-test").unwrap()).unwrap();
        assert_eq!(len, 108);
    }

    #[test]
    fn m13_a_change_of_the_file_does_not_reach_the_guest() {
        let (mut file, path) = file(MODULE);
        let guest = GuestFile::open(&path).unwrap();
        file.set_len(0).unwrap();
        file.write_all(b"something else").unwrap();
        let mut read = Vec::new();
        (&guest.memory).read_to_end(&mut read).unwrap();
        assert_eq!(read, MODULE);
    }

    #[test]
    fn nobody_can_write_the_memory_of_a_guest() {
        let (_file, path) = file(MODULE);
        let mut guest = GuestFile::open(&path).unwrap();
        assert_eq!(guest.memory.write(b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(guest.memory.set_len(0).is_err());
    }

    #[test]
    fn a_directory_is_refused() {
        let error = GuestFile::open(Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "`/` is a directory");
        assert_eq!(error.hint(), Some("name the `.wasm` file in it"));
    }

    #[test]
    fn a_missing_file_is_refused() {
        let error = GuestFile::open(Path::new("/no/such/guest.wasm")).unwrap_err();
        assert_eq!(error.to_string(), "`/no/such/guest.wasm` does not exist");
        assert_eq!((error.hint(), error.exit_code().code()), (None, 3));
    }

    #[test]
    fn a_name_without_its_ending_is_a_hint_away() {
        let path = std::env::temp_dir().join(format!("wasmpool-test-{}", std::process::id()));
        let with_ending = path.with_added_extension("wasm");
        std::fs::write(&with_ending, MODULE).unwrap();
        let error = GuestFile::open(&path).unwrap_err();
        std::fs::remove_file(&with_ending).unwrap();
        let hint = format!("did you mean `{}`?", with_ending.display());
        assert_eq!(error.hint(), Some(hint.as_str()));
    }

    #[test]
    fn standard_input_is_no_guest() {
        let error = GuestFile::open(Path::new("-")).unwrap_err();
        assert_eq!(error.hint(), Some("a guest is a file; it cannot come from standard input"));
    }
}
