//! What compiled code is kept under: a digest of everything that has a say in what the code is.
//!
//! Whatever is left out here could make one process run code that was compiled for another purpose, by another program
//! or for another machine. The runtime compares most of it once more when it loads code; this is what makes it compile
//! anew instead of refusing.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::limits::CodeOptions;
use crate::wire::version;

/// The version of the runtime that compiles guests; a test compares it with `Cargo.lock`.
const RUNTIME: &str = "48.0.8";

/// Keeps these digests apart from all others that are made of the same bytes.
const CONTEXT: &str = "wasmpool cache of compiled guests: what code is kept under";

/// What the code of one guest is kept under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u8; Key::LEN]);

/// Everything that makes compiled code what it is.
#[derive(Clone, Debug)]
pub(super) struct Recipe<'a> {
    /// The version of the form in which code is kept.
    pub(super) format: u32,
    /// The version of wasmpool.
    pub(super) build: &'a str,
    /// The version of what host and worker say to each other, descriptions of guests among it.
    pub(super) protocol: u16,
    /// The version of the runtime.
    pub(super) runtime: &'a str,
    pub(super) machine: Machine,
    /// The program that compiles.
    pub(super) program: Program,
    pub(super) options: CodeOptions,
    /// The digest of the guest's bytes.
    pub(super) guest: [u8; 32],
}

/// What code is compiled for.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    architecture: &'static str,
    /// What its processor can do, as far as the compiler asks.
    features: Vec<&'static str>,
}

/// A program, as far as the system tells one from another. One that was built anew is another, whatever its version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program {
    device: u64,
    inode: u64,
    len: u64,
    /// Seconds and nanoseconds of the last change of its content, and of anything about it.
    modified: [i64; 2],
    changed: [i64; 2],
}

impl Recipe<'_> {
    /// For a guest with this digest, compiled by this program on this machine.
    pub(super) fn new(guest: [u8; 32], options: CodeOptions, program: Program) -> Self {
        Self {
            format: super::entry::FORMAT,
            build: version::BUILD,
            protocol: version::PROTOCOL,
            runtime: RUNTIME,
            machine: Machine::this(),
            program,
            options,
            guest,
        }
    }

    pub(super) fn key(&self) -> Key {
        let Self { format, build, protocol, runtime, machine, program, options, guest } = self;
        let Machine { architecture, features } = machine;
        let Program { device, inode, len, modified, changed } = program;
        let CodeOptions { fuel, segments, deterministic } = options;

        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        let mut add = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(&format.to_le_bytes());
        add(build.as_bytes());
        add(&protocol.to_le_bytes());
        add(runtime.as_bytes());
        add(architecture.as_bytes());
        add(features.join(",").as_bytes());
        for number in [device, inode, len] {
            add(&number.to_le_bytes());
        }
        for number in modified.iter().chain(changed) {
            add(&number.to_le_bytes());
        }
        add(&[u8::from(*fuel), u8::from(*deterministic), u8::from(*segments)]);
        add(guest);
        Key(*hasher.finalize().as_bytes())
    }
}

impl Key {
    pub(super) const LEN: usize = 32;

    pub(super) fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// In hexadecimal digits, as the file is named.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&Metadata> for Program {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            len: file.len(),
            modified: [file.mtime(), file.mtime_nsec()],
            changed: [file.ctime(), file.ctime_nsec()],
        }
    }
}

impl Machine {
    /// The one that this is.
    fn this() -> Self {
        let features = features().into_iter().filter_map(|(name, is_there)| is_there.then_some(name));
        Self { architecture: std::env::consts::ARCH, features: features.collect() }
    }
}

/// What the compiler asks of a processor (`cranelift-native`), and whether this one has it.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    macro_rules! detected {
        ($($name:tt)*) => { vec![$(($name, std::is_x86_feature_detected!($name))),*] };
    }
    detected![
        "cmpxchg16b" "sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "avx" "avx2" "fma" "avxvnni" "avx512vnni" "bmi1"
        "bmi2" "avx512bitalg" "avx512dq" "avx512f" "avx512vl" "avx512vbmi" "lzcnt"
    ]
}

/// What the compiler asks of a processor (`cranelift-native`), and whether this one has it.
#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    macro_rules! detected {
        ($($name:tt)*) => { vec![$(($name, std::arch::is_aarch64_feature_detected!($name))),*] };
    }
    detected!["lse" "paca" "fp16" "dotprod" "i8mm"]
}

/// Nothing is known of other processors; the runtime refuses code that they cannot run.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe<'static> {
        let program = Program { device: 1, inode: 2, len: 3, modified: [4, 5], changed: [6, 7] };
        Recipe::new([8; 32], CodeOptions::default(), program)
    }

    /// Code of this recipe is kept under another key.
    #[track_caller]
    fn check_other(change: impl FnOnce(&mut Recipe<'static>)) {
        let mut changed = recipe();
        change(&mut changed);
        assert_ne!(changed.key(), recipe().key());
    }

    #[test]
    fn c3_the_same_code_has_the_same_key() {
        assert_eq!(recipe().key(), recipe().key());
    }

    #[test]
    fn c3_code_of_another_version_has_another_key() {
        check_other(|recipe| recipe.format += 1);
        check_other(|recipe| recipe.build = "0.0.1");
        check_other(|recipe| recipe.protocol += 1);
        check_other(|recipe| recipe.runtime = "48.0.9");
    }

    #[test]
    fn c3_code_for_another_machine_has_another_key() {
        check_other(|recipe| recipe.machine.architecture = "none");
        check_other(|recipe| recipe.machine.features.push("wings"));
        check_other(|recipe| recipe.machine.features.clear());
    }

    #[test]
    fn c3_code_of_another_program_has_another_key() {
        check_other(|recipe| recipe.program.device += 1);
        check_other(|recipe| recipe.program.inode += 1);
        check_other(|recipe| recipe.program.len += 1);
        check_other(|recipe| recipe.program.modified[1] += 1);
        check_other(|recipe| recipe.program.changed[1] += 1);
    }

    #[test]
    fn c3_code_for_another_purpose_has_another_key() {
        check_other(|recipe| recipe.options.fuel = true);
        check_other(|recipe| recipe.options.deterministic = true);
    }

    #[test]
    fn c4_code_of_another_guest_has_another_key() {
        check_other(|recipe| recipe.guest[31] ^= 1);
    }

    #[test]
    fn where_one_part_ends_and_the_next_begins_makes_a_difference() {
        let with = |build, runtime| Recipe { build, runtime, ..recipe() }.key();
        assert_ne!(with("1.0", "2"), with("1.", "02"));
    }

    #[test]
    fn c3_the_version_of_the_runtime_is_that_of_the_build() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
        let (_, runtime) = lock.split_once("\nname = \"wasmtime\"\n").unwrap();
        assert_eq!(runtime.lines().next(), Some(format!("version = \"{RUNTIME}\"").as_str()));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_processor_can_do_something_that_the_compiler_asks_for() {
        assert!(!Machine::this().features.is_empty());
    }

    #[test]
    fn c3_a_copy_of_a_program_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let program = |name| {
            let path = folder.path().join(name);
            std::fs::write(&path, "the same").unwrap();
            Recipe { program: Program::from(&path.metadata().unwrap()), ..recipe() }.key()
        };
        assert_ne!(program("one"), program("other"));
    }

    #[test]
    fn a_key_is_a_file_name_of_64_digits() {
        assert_eq!(Key([0xab; 32]).to_string(), "ab".repeat(32));
    }
}
