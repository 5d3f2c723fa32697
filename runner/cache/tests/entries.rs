use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::cache::entry::{self, Fault};
use crate::cache::key::{Program, Recipe};

/// Bytes before the description.
const HEADER: usize = 56;

fn key(guest: u8) -> Key {
    let program = Program::from(&Path::new("/proc/self/exe").metadata().unwrap());
    Recipe::new([guest; 32], CodeOptions::default(), program).key()
}

/// A file with these bytes that has no name.
fn file(bytes: &[u8]) -> File {
    let mut file = sealed::create("wasmpool-test").unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

/// The bytes of an entry of the guest 1, with the secret 1.
fn entry(code: &[u8]) -> Vec<u8> {
    let mut file = file(&[]);
    let description = wire::encode_description(&description());
    entry::write(&mut file, &key(1), &Secret::of_bytes(1), &description, &memory(code)).unwrap();
    bytes(&file)
}

fn read(entry: &[u8]) -> Result<Entry, Fault> {
    entry::read(&file(entry), &key(1), &Secret::of_bytes(1))
}

/// Code of some pages, each of them different.
fn code() -> Vec<u8> {
    (0..5 * 4096 + 100_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[track_caller]
fn check_refused(entry: &[u8], what: &str) {
    assert!(read(entry).is_err(), "{what}");
}

#[test]
fn what_was_stored_is_read() {
    for code in [Vec::new(), code(), vec![9; 1 << 20]] {
        let Entry { description: found, code: memory } = read(&entry(&code)).unwrap();
        assert_eq!(found, description());
        assert!(bytes(&memory) == code);
    }
}

#[test]
fn the_form_is_the_documented_one() {
    let code = code();
    let entry = entry(&code);
    let description = wire::encode_description(&description());
    let (header, rest) = entry.split_at(HEADER);
    let numbers =
        [&1_u32.to_le_bytes()[..], &u32::try_from(description.len()).unwrap().to_le_bytes()].concat();
    let lengths = [&numbers[..], &(code.len() as u64).to_le_bytes()].concat();
    assert_eq!(header, [b"wasmpool", &lengths[..], key(1).as_bytes()].concat());
    let (content, digest) = rest.split_at(rest.len() - 32);
    assert!(content == [description, code].concat());
    assert_eq!(digest, blake3::keyed_hash(&[1; 32], &entry[..entry.len() - 32]).as_bytes());
}

#[test]
fn the_code_cannot_be_changed_any_more() {
    let mut code = read(&entry(b"code")).unwrap().code;
    assert_eq!(code.write(b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn c1_an_entry_that_is_cut_off_anywhere_is_refused() {
    let entry = entry(&code());
    let pages = (0..entry.len()).step_by(4096);
    let around_parts = (0..HEADER + 64).chain(entry.len() - 64..entry.len());
    let mut cuts = 0;
    for len in pages.chain(around_parts) {
        check_refused(&entry[..len], &format!("the first {len} bytes"));
        cuts += 1;
    }
    figure(&format!("C1 cut off in {cuts} places: loaded 0 times"));
}

#[test]
fn c1_an_entry_with_any_bit_of_its_header_description_or_digest_flipped_is_refused() {
    let whole = entry(&code());
    let content = HEADER + wire::encode_description(&description()).len();
    let mut flips = 0;
    for at in (0..content + 16).chain(whole.len() - 48..whole.len()) {
        for bit in 0..8 {
            let mut entry = whole.clone();
            entry[at] ^= 1 << bit;
            check_refused(&entry, &format!("bit {bit} of byte {at}"));
            flips += 1;
        }
    }
    figure(&format!("C1 {flips} bits flipped: loaded 0 times"));
}

#[test]
fn c1_an_entry_with_any_byte_of_its_code_changed_is_refused() {
    let whole = entry(&code());
    for at in (HEADER..whole.len()).step_by(7) {
        let mut entry = whole.clone();
        entry[at] = entry[at].wrapping_add(1);
        check_refused(&entry, &format!("byte {at}"));
    }
}

#[test]
fn c1_an_entry_with_more_behind_it_is_refused() {
    let entry = entry(&code());
    for more in [1, 31, 32, 4096] {
        check_refused(&[&entry[..], &vec![0; more]].concat(), &format!("{more} bytes more"));
    }
}

#[test]
fn c1_a_length_that_is_claimed_is_not_allocated() {
    let mut entry = entry(b"code");
    entry[16..24].copy_from_slice(&(1_u64 << 62).to_le_bytes());
    assert!(matches!(read(&entry), Err(Fault::Length)));
    entry[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(read(&entry), Err(Fault::Length)));
}

#[test]
fn c4_an_entry_of_another_guest_is_refused() {
    let entry = file(&entry(&code()));
    assert!(matches!(entry::read(&entry, &key(2), &Secret::of_bytes(1)), Err(Fault::Key)));
}

#[test]
fn c4_an_entry_that_is_made_to_be_of_another_guest_is_refused() {
    let mut entry = entry(&code());
    entry[24..HEADER].copy_from_slice(key(2).as_bytes());
    let entry = entry::read(&file(&entry), &key(2), &Secret::of_bytes(1));
    assert!(matches!(entry, Err(Fault::Digest)));
}

#[test]
fn c2_an_entry_that_was_made_without_the_secret_is_refused() {
    let entry = file(&entry(&code()));
    assert!(matches!(entry::read(&entry, &key(1), &Secret::of_bytes(2)), Err(Fault::Digest)));
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let null = File::open("/dev/null").unwrap();
    assert!(matches!(entry::read(&null, &key(1), &Secret::of_bytes(1)), Err(Fault::Form)));
    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    assert!(matches!(entry::read(&pipe.into(), &key(1), &Secret::of_bytes(1)), Err(Fault::Form)));
}

/// Changes a file again and again while it is read. Whenever it is taken, it has to be what was stored.
fn race(path: &Path, good: &[u8], code: &[u8], change: impl Fn(bool) + Send + Sync) {
    const READS: u32 = 10_000;
    let over = AtomicBool::new(false);
    let [mut taken, mut refused, mut wins] = [0; 3];
    fs::write(path, good).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                change(round % 2 == 0);
            }
        });
        for _ in 0..READS {
            match entry::read(&File::open(path).unwrap(), &key(1), &Secret::of_bytes(1)) {
                Ok(entry) if bytes(&entry.code) == code => taken += 1,
                Ok(_) => wins += 1,
                Err(_) => refused += 1,
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(wins, 0, "code that was not stored is used");
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused: there was no race");
    figure(&format!("C5 read {READS} times during changes: wins 0, {refused} refused"));
}

/// An entry, its code, and the same with one byte of the code changed.
fn twins() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let code = code();
    let good = entry(&code);
    let mut bad = good.clone();
    bad[HEADER + 3 * 4096] ^= 1;
    (good, code, bad)
}

#[test]
fn c5_a_file_that_is_exchanged_while_it_is_read_wins_nothing() {
    let (good, code, bad) = twins();
    let folder = tempfile::tempdir().unwrap();
    let [path, next] = ["entry", "next"].map(|name| folder.path().join(name));
    race(&path, &good, &code, |is_bad| {
        fs::write(&next, if is_bad { &bad } else { &good }).unwrap();
        fs::rename(&next, &path).unwrap();
    });
}

#[test]
fn c5_a_file_that_is_written_while_it_is_read_wins_nothing() {
    let (good, code, bad) = twins();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("entry");
    race(&path, &good, &code, |is_bad| {
        let at = HEADER + 3 * 4096;
        let byte = if is_bad { bad[at] } else { good[at] };
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[byte], at as u64).unwrap();
    });
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn any_bytes_behind_a_header_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let header = &entry(b"code")[..HEADER];
        prop_assert!(read(&[header, &bytes].concat()).is_err());
    }

    #[test]
    fn an_entry_with_parts_of_it_changed_is_refused_or_the_same(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let whole = entry(b"some code");
        let mut changed = whole.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut changed) = byte;
        }
        prop_assert_eq!(read(&changed).is_ok(), changed == whole);
    }
}
