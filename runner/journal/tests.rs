use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::outcome::{MemoryLimit, Meta, Outcome, Output, TimeLimit, TrapKind, WorkerEnd};

/// A file in a folder of its own.
struct Place {
    _folder: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    Place { _folder: folder, path }
}

fn job(function: &str) -> Key {
    let mut key = Key::default();
    key.add("the function", function);
    key
}

fn command() -> Invocation {
    Invocation::new(["run", "g.wasm"].map(OsString::from).into_iter(), "/some/folder".into())
}

fn open(path: &Path, mode: Mode) -> Result<Journal, Error> {
    Journal::open(path, mode, &job("f"), &command())
}

fn ok(value: &str) -> Completion {
    Completion::new(Outcome::Ok(Output::from_untrusted(value.as_bytes()).unwrap()))
}

fn failed() -> Completion {
    Completion::new(Outcome::Exit { code: 3 })
}

/// What the input of an item is in these tests.
fn input(item: ItemIndex) -> InputHash {
    hash_of_input(crate::item::Input::Number(item.into()))
}

/// These items run, and end like this.
fn run(journal: &Journal, items: &[(ItemIndex, Completion)]) {
    for (item, _) in items {
        journal.expect(*item, std::iter::once(input(*item)));
    }
    Ledger::new(Some(journal), None).ended(items).unwrap();
}

/// A journal of these ends.
fn journal_of(items: &[(ItemIndex, Completion)]) -> Place {
    let place = place();
    run(&open(&place.path, Mode::New).unwrap(), items);
    place
}

/// What becomes of the first items when the run goes on.
fn fates(journal: &mut Journal, count: u64) -> Vec<Fate> {
    (0..count).map(|item| journal.past.fate(item).unwrap()).collect()
}

fn ended(item: ItemIndex, completion: &Completion) -> Fate {
    Fate::Ended { input: input(item), completion: completion.clone() }
}

/// What is said, and what to do about it.
fn refusal<T>(result: Result<T, Error>) -> (String, String, u8) {
    let Err(error) = result else { panic!("it is refused") };
    (error.to_string(), error.hint().unwrap_or_default().to_owned(), error.exit_code().code())
}

/// A few items of each length of record, out of order.
fn some_items() -> Vec<(ItemIndex, Completion)> {
    let printed = Completion { stdout: b"some\xffoutput".as_slice().into(), ..ok("[1,2,3]") };
    vec![(0, ok("1")), (2, printed), (1, failed()), (3, ok("\"text\""))]
}

/// Whatever can be told of the items after a change to the file, no one is told otherwise.
#[track_caller]
fn check_recovered(journal: &mut Journal, items: &[(ItemIndex, Completion)]) -> usize {
    let mut found = 0;
    for (item, completion) in items {
        match journal.past.fate(*item).unwrap() {
            Fate::New => {}
            fate => {
                assert_eq!(fate, ended(*item, completion));
                found += 1;
            }
        }
    }
    found
}

#[test]
fn j1_a_journal_that_ends_at_any_byte_is_recovered_up_to_its_last_whole_record() {
    let items = some_items();
    let whole = fs::read(&journal_of(&items).path).unwrap();
    let mut counts = Vec::new();
    for len in 0..=whole.len() {
        let place = place();
        fs::write(&place.path, &whole[..len]).unwrap();
        let mut journal = open(&place.path, Mode::Resume).unwrap();
        let found = check_recovered(&mut journal, &items);
        // They were recorded in this order.
        let prefix = items.iter().take(found).all(|(item, _)| journal.past.fate(*item).unwrap() != Fate::New);
        assert!(prefix, "{len}");
        counts.push(found);
        // What is recorded from there on is found too.
        let missing: Vec<_> = items[found..].to_vec();
        run(&journal, &missing);
        drop(journal);
        let mut again = open(&place.path, Mode::Resume).unwrap();
        assert_eq!(check_recovered(&mut again, &items), items.len(), "{len}");
    }
    assert!(counts.is_sorted());
    assert_eq!((counts[0], counts[whole.len()]), (0, items.len()));
}

#[test]
fn j2_a_flipped_bit_is_never_a_wrong_record() {
    let items = some_items();
    let whole = fs::read(&journal_of(&items).path).unwrap();
    let last = whole.len() - last_record(&whole);
    for bit in 0..whole.len() * 8 {
        let place = place();
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&place.path, &bytes).unwrap();
        match open(&place.path, Mode::Resume) {
            // Only the last record can be taken for one that was being written.
            Ok(mut journal) => {
                assert!(bit / 8 >= last, "bit {bit}");
                assert_eq!(check_recovered(&mut journal, &items), items.len() - 1);
            }
            Err(error) => {
                assert!(bit / 8 < last, "bit {bit}: {error}");
                assert_eq!(error.exit_code().code(), 2);
                assert_eq!(fs::read(&place.path).unwrap(), bytes, "it is left as it was");
            }
        }
    }
}

/// How long the last record of this journal is.
fn last_record(bytes: &[u8]) -> usize {
    let without = journal_of(&some_items()[..3]);
    bytes.len() - fs::read(&without.path).unwrap().len()
}

#[test]
fn j2_damage_in_the_middle_is_refused_with_a_way_to_go_on() {
    let items = some_items();
    let place = journal_of(&items);
    let first = fs::read(&journal_of(&[]).path).unwrap().len();
    let mut bytes = fs::read(&place.path).unwrap();
    bytes[first + 30] ^= 1;
    fs::write(&place.path, &bytes).unwrap();
    let path = place.path.display();
    let next = first + fs::read(&journal_of(&items[..1]).path).unwrap().len() - first;
    assert_eq!(
        refusal(open(&place.path, Mode::Resume)),
        (
            format!(
                "the journal `{path}` is damaged: there is no whole record at byte {first}, but one at byte {next}"
            ),
            format!("`truncate -s {first} {path}` gives up what is behind that: those items are run again"),
            2
        )
    );
    let file = fs::OpenOptions::new().write(true).open(&place.path).unwrap();
    file.set_len(first as u64).unwrap();
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(check_recovered(&mut journal, &items), 0);
}

/// What a power cut may leave: the length of the file, and zeros where its bytes had not been brought to the disk.
#[test]
fn j4_bytes_that_never_reached_the_disk_are_cut_off_or_refused() {
    let items = some_items();
    let whole = fs::read(&journal_of(&items).path).unwrap();
    let first = fs::read(&journal_of(&items[..1]).path).unwrap().len();
    let last = whole.len() - last_record(&whole);
    let check = |lost: std::ops::Range<usize>, expected: Option<usize>| {
        let place = place();
        let mut bytes = whole.clone();
        bytes[lost].fill(0);
        fs::write(&place.path, &bytes).unwrap();
        let found =
            open(&place.path, Mode::Resume).ok().map(|mut journal| check_recovered(&mut journal, &items));
        assert_eq!(found, expected);
    };
    check(first..whole.len(), Some(1));
    check(last..whole.len(), Some(3));
    check(first..last, None);
}

#[test]
fn j2_what_a_guest_prints_is_not_taken_for_a_record() {
    let place = place();
    let journal = open(&place.path, Mode::New).unwrap();
    // All that a guest cannot know is the salt.
    let mut forged = Vec::new();
    for at in 0..2000 {
        frame::append(Salt(0), at, &record::resumed(record::Failures::Retried), &mut forged);
    }
    let printed = Completion { stdout: forged.into(), ..ok("1") };
    run(&journal, &[(0, printed)]);
    drop(journal);
    let len = fs::metadata(&place.path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&place.path).unwrap().set_len(len - 1).unwrap();
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(fates(&mut journal, 1), [Fate::New]);
}

#[test]
fn the_first_bytes_of_a_journal_stay_as_they_are() {
    let header = frame::header(Salt(0x0403_0201));
    assert_eq!(header, *b"\x89wpool\r\n\x01\0\0\0\x01\x02\x03\x04\0\x13\x86\x08");
    let mut frame = Vec::new();
    frame::append(Salt(0x0403_0201), 20, &record::start(5, 2), &mut frame);
    assert_eq!(frame, GOLDEN_START);
}

/// The start of two items.
const GOLDEN_START: &[u8] = b"\x11\0\0\0\x10{\xde\xaa\x05;z\x07\x03\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0";

#[test]
fn what_is_no_journal_is_refused_and_left_alone() {
    let place = place();
    fs::write(&place.path, "my thesis").unwrap();
    let path = place.path.display();
    let expected =
        (format!("the journal `{path}` is no journal"), "name a file that is not there yet".to_owned(), 2);
    assert_eq!(refusal(open(&place.path, Mode::Resume)), expected);
    assert_eq!(fs::read(&place.path).unwrap(), b"my thesis");
}

#[test]
fn a_journal_that_is_there_is_not_begun_anew() {
    let place = journal_of(&[(0, ok("1"))]);
    let (message, _, code) = refusal(open(&place.path, Mode::New));
    assert_eq!((message, code), (format!("the journal `{}` is there already", place.path.display()), 2));
}

#[test]
fn an_empty_file_is_a_journal_that_is_not_begun() {
    let place = place();
    fs::write(&place.path, "").unwrap();
    assert_eq!(open(&place.path, Mode::New).unwrap().take_notes(), Vec::<String>::new());
}

#[test]
fn there_need_be_no_journal_to_go_on() {
    let place = place();
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(journal.take_notes(), Vec::<String>::new());
    assert_eq!(fates(&mut journal, 2), [Fate::New, Fate::New]);
}

#[test]
fn j5_a_journal_of_another_job_is_refused() {
    let place = journal_of(&[(0, ok("1"))]);
    let path = place.path.display();
    assert_eq!(
        refusal(Journal::open(&place.path, Mode::Resume, &job("g"), &command())),
        (
            format!("the journal `{path}` is of another job: the function was `f`, now it is `g`"),
            "a journal goes on with the same command only; name another for another job".to_owned(),
            2
        )
    );
}

#[test]
fn j7_a_journal_is_written_by_one_run() {
    let place = place();
    let first = open(&place.path, Mode::New).unwrap();
    // A process does not see its own locks, so it is not named here.
    let (message, _, code) = refusal(open(&place.path, Mode::Resume));
    assert_eq!(
        (message, code),
        (format!("the journal `{}` is in use by another run", place.path.display()), 2)
    );
    drop(first);
    drop(open(&place.path, Mode::Resume).unwrap());
}

#[test]
fn j6_an_input_that_only_grew_goes_on_and_one_that_shrank_does_not() {
    let place = journal_of(&[(0, ok("1")), (4, ok("5"))]);
    let journal = open(&place.path, Mode::Resume).unwrap();
    assert!(journal.input_ended(5).is_ok() && journal.input_ended(9).is_ok());
    let (message, _, code) = refusal(journal.input_ended(4));
    assert_eq!(
        (message.as_str(), code),
        (
            "the input has changed since the journal was written: it has 4 items, and there is a record of item 4",
            2
        )
    );
}

#[test]
fn i15_an_item_that_is_another_now_is_refused() {
    let place = journal_of(&[(0, ok("1")), (1, ok("2"))]);
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(journal.recorded(0, input(0)).unwrap(), ok("1"));
    let (message, _, code) = refusal(journal.recorded(1, input(7)));
    assert_eq!(
        (message.as_str(), code),
        ("the input has changed since the journal was written: item 1 is another", 2)
    );
}

#[test]
fn failures_are_forgotten_when_they_are_to_be_tried_again() {
    let place = journal_of(&[(0, ok("1")), (1, failed()), (2, failed())]);
    let mut journal = open(&place.path, Mode::RetryFailed).unwrap();
    assert_eq!(journal.take_notes(), ["resumed: 1 item from the journal"]);
    assert_eq!(fates(&mut journal, 3), [ended(0, &ok("1")), Fate::New, Fate::New]);
    run(&journal, &[(1, failed())]);
    drop(journal);
    // What failed again has been tried again.
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(journal.take_notes(), ["resumed: 2 items from the journal"]);
    assert_eq!(fates(&mut journal, 3), [ended(0, &ok("1")), ended(1, &failed()), Fate::New]);
}

#[test]
fn what_was_cancelled_has_not_ended() {
    let place = journal_of(&[(0, Completion::new(Outcome::Cancelled)), (1, ok("1"))]);
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(fates(&mut journal, 2), [Fate::New, ended(1, &ok("1"))]);
}

#[test]
fn an_item_that_was_started_and_has_not_ended_is_known() {
    let place = place();
    let journal = open(&place.path, Mode::New).unwrap();
    journal.start_log().started(1, 3).unwrap();
    run(&journal, &[(2, ok("1"))]);
    drop(journal);
    let mut journal = open(&place.path, Mode::Resume).unwrap();
    assert_eq!(journal.new_items(0, 9).unwrap(), 1);
    assert_eq!(journal.new_items(4, 9).unwrap(), 9);
    let cancelled = Completion::new(Outcome::Cancelled);
    assert_eq!(journal.recorded(1, input(1)).unwrap(), cancelled);
    assert_eq!(
        fates(&mut journal, 5),
        [Fate::New, Fate::Started, ended(2, &ok("1")), Fate::Started, Fate::New]
    );
}

#[test]
fn merges_are_not_recorded() {
    let place = place();
    let journal = open(&place.path, Mode::New).unwrap();
    let before = fs::metadata(&place.path).unwrap().len();
    run(&journal, &[(MERGE_BIT | 1, ok("1"))]);
    assert_eq!(fs::metadata(&place.path).unwrap().len(), before);
}

#[test]
fn a_journal_tells_how_it_was_started() {
    let place = journal_of(&[(5, ok("1"))]);
    let (_, was, mut past) = read(&place.path).unwrap();
    assert_eq!(was, command());
    assert_eq!(past.fate(5).unwrap(), ended(5, &ok("1")));
    assert!(was.arguments().eq(["run", "g.wasm"].map(OsString::from)));
    assert_eq!(was.folder(), Path::new("/some/folder"));
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let text = || "\\PC{0,20}";
    let time = || any::<u64>().prop_map(Duration::from_nanos);
    prop_oneof![
        any::<i64>().prop_map(|n| Outcome::Ok(Output::from_untrusted(n.to_string().as_bytes()).unwrap())),
        text().prop_map(|error| Outcome::Trap { kind: TrapKind::StackOverflow, error }),
        any::<i32>().prop_map(|code| Outcome::Exit { code }),
        time().prop_map(|after| Outcome::Timeout { limit: TimeLimit::Wall(after) }),
        time().prop_map(|after| Outcome::Timeout { limit: TimeLimit::Cpu(after) }),
        any::<u64>().prop_map(|units| Outcome::Timeout { limit: TimeLimit::Fuel(units) }),
        (any::<u64>(), text())
            .prop_map(|(bytes, error)| { Outcome::Memory { limit: MemoryLimit::Process, bytes, error } }),
        text().prop_map(|error| Outcome::Output { error }),
        text().prop_map(|error| Outcome::Input { error }),
        text().prop_map(|error| Outcome::Denied { error }),
        any::<i32>().prop_map(|code| Outcome::Crash { end: WorkerEnd::Exited(code) }),
        any::<i32>().prop_map(|signal| Outcome::Crash { end: WorkerEnd::Signalled(signal) }),
        text().prop_map(|error| Outcome::Protocol { error }),
    ]
}

prop_compose! {
    fn any_completion()(
        outcome in any_outcome(),
        file in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
        stdout in proptest::collection::vec(any::<u8>(), 0..50),
        stderr in proptest::collection::vec(any::<u8>(), 0..50),
        numbers in any::<(u32, u32, u64, u32, u32, u32)>(),
        backtrace in proptest::collection::vec("\\PC{0,9}", 0..3),
    ) -> Completion {
        let (wall, cpu, peak_memory, attempts, worker, pid) = numbers;
        let (wall, cpu) = (Duration::from_micros(wall.into()), Duration::from_micros(cpu.into()));
        Completion {
            file: file.map(Into::into),
            outcome,
            stdout: stdout.into(),
            stderr: stderr.into(),
            meta: Box::new(Meta { wall, cpu, peak_memory, attempts, worker, pid, backtrace }),
            origin: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_recorded_is_found_in_whatever_order_and_however_many_runs_it_took(
        items in proptest::collection::btree_map(0..20_000_u64, any_completion(), 0..30),
        shuffle in any::<u64>(),
        restarts in 1..5_usize,
    ) {
        let mut order: Vec<_> = items.clone().into_iter().collect();
        order.sort_by_key(|(item, _)| item.wrapping_mul(shuffle | 1));
        let place = place();
        drop(open(&place.path, Mode::New).unwrap());
        for part in order.chunks(order.len().div_ceil(restarts).max(1)) {
            run(&open(&place.path, Mode::Resume).unwrap(), part);
        }
        let mut journal = open(&place.path, Mode::Resume).unwrap();
        let mut new = 0;
        while new < 20_000 {
            new += journal.new_items(new, 20_000 - new).unwrap();
            if new < 20_000 {
                prop_assert_eq!(journal.past.fate(new).unwrap(), ended(new, &items[&new]));
                new += 1;
            }
        }
        let found = items.keys().filter(|item| !matches!(journal.past.fate(**item), Ok(Fate::New))).count();
        // Blocks that have been passed are forgotten, but for the last.
        prop_assert!(found <= items.len());
    }
}
