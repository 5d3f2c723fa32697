//! A worker's segment: memory the host can read when the worker cannot speak any more.
//!
//! | at | what |
//! |---:|---|
//! | 0 | the running item's index + 1; 0 when none is |
//! | 8 | which attempt at it this is |
//! | 16 | when it was started, in nanoseconds of `CLOCK_MONOTONIC` |
//! | 24 | the outbox: the item of its first report |
//! | 32 | which attempt at its items it is about |
//! | 40 | count of reports << 32 \| their length in bytes; 0 when it is empty |
//! | 4096 | 262144 bytes of reports, as in a [`Batch`] |
//!
//! All numbers are little-endian `u64`. The first three are a hint of what the worker does and never the truth.
//!
//! # The outbox
//! It holds the reports of items that ended but whose frame may not be in the pipe yet, so that a kill does not cost
//! their results. Its last number alone decides what is in it:
//!
//! 1. A batch is begun only while the number is 0; item and attempt are stored then, and mean nothing yet.
//! 2. A report is copied behind those that count already, then the number is stored: before, it does not count; after,
//!    all of it does.
//! 3. Once the frame with the batch is written, the number becomes 0, before anything else of the next batch is stored.
//!
//! [`Area`] keeps these stores in program order, and a `SIGKILL` falls between two of them. So whenever it comes, the
//! number describes whole reports, of the item and attempt beside it. Killed between the frame and the 0, a worker
//! leaves reports that the host has already got: the host takes each only once.

mod file;
mod map;

pub use self::file::SegmentFile;
pub use self::map::SegmentMap;
use crate::item::ItemIndex;
use crate::wire::msg::Batch;

/// The most bytes of reports that the outbox holds.
pub const OUTBOX_LEN: usize = 256 << 10;

/// The length of a segment, in bytes.
pub const SEGMENT_LEN: usize = OUTBOX_AT + OUTBOX_LEN;

const OUTBOX_AT: usize = 4096;

/// The numbers in the first page, each at 8 times its place here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Word {
    /// The running item's index + 1.
    Running = 0,
    /// Which attempt at it this is.
    Attempt = 1,
    /// When it was started.
    Started = 2,
    /// The item of the outbox's first report.
    OutboxFirst = 3,
    /// Which attempt the outbox is about.
    OutboxAttempt = 4,
    /// How many reports, and bytes of them, the outbox holds.
    OutboxState = 5,
}

const WORDS: usize = 6;

/// Memory that outlives its writer.
///
/// Stores and copies take effect in program order: whoever looks after the writer's death sees all those before
/// some instant, and none after it.
pub trait Area {
    /// Stores a number, at once.
    fn store(&self, word: Word, value: u64);

    /// Copies into the outbox from its byte `at` on; not at once.
    ///
    /// # Panics
    /// If `bytes` do not fit there.
    fn copy(&self, at: usize, bytes: &[u8]);
}

/// The worker's end of a segment.
#[derive(Debug)]
pub struct Segment<A> {
    area: A,
}

impl<A: Area> Segment<A> {
    /// Writes to `area`.
    pub fn new(area: A) -> Self {
        Self { area }
    }

    /// Says that an item is being started.
    pub fn running(&self, item: ItemIndex, attempt: u32, started_ns: u64) {
        self.area.store(Word::Attempt, attempt.into());
        self.area.store(Word::Started, started_ns);
        self.area.store(Word::Running, item.wrapping_add(1));
    }

    /// Says that no item is running.
    pub fn idle(&self) {
        self.area.store(Word::Running, 0);
    }

    /// Begins a batch in the empty outbox.
    pub fn begin(&self, first: ItemIndex, attempt: u32) {
        self.area.store(Word::OutboxFirst, first);
        self.area.store(Word::OutboxAttempt, attempt.into());
    }

    /// Puts one more report behind those that are in the outbox: it is the `count`-th, and they are `at` bytes long.
    ///
    /// # Panics
    /// If it does not fit.
    pub fn append(&self, at: usize, report: &[u8], count: u32) {
        self.area.copy(at, report);
        let length = u32::try_from(at + report.len()).expect("what fits the outbox is shorter than 4 GiB");
        self.area.store(Word::OutboxState, u64::from(count) << 32 | u64::from(length));
    }

    /// Empties the outbox.
    pub fn clear(&self) {
        self.area.store(Word::OutboxState, 0);
    }
}

/// Which item a worker says it is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The item.
    pub item: ItemIndex,
    /// Which attempt at it this is.
    pub attempt: u64,
    /// When it was started, in nanoseconds of `CLOCK_MONOTONIC`.
    pub started_ns: u64,
}

/// A copy of what is in an outbox. Bounded, and otherwise unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxCopy {
    first: ItemIndex,
    attempt: u32,
    count: u32,
    reports: Vec<u8>,
}

impl OutboxCopy {
    /// Its reports, as if they had come in a frame. Nothing says that these items were sent to the worker.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { first: self.first, attempt: self.attempt, count: self.count, reports: &self.reports }
    }
}

/// A copy of the first page's numbers.
#[derive(Clone, Copy, Debug)]
struct Words([u64; WORDS]);

impl Words {
    fn parse(bytes: &[u8; 8 * WORDS]) -> Self {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }

    fn word(&self, word: Word) -> u64 {
        self.0[word as usize]
    }

    fn status(&self) -> Option<Status> {
        let item = self.word(Word::Running).checked_sub(1)?;
        Some(Status { item, attempt: self.word(Word::Attempt), started_ns: self.word(Word::Started) })
    }

    /// What the outbox holds, its reports not copied yet, and how long they are. None if it is empty or what it says
    /// cannot be.
    fn outbox(&self) -> Option<(OutboxCopy, usize)> {
        let state = self.word(Word::OutboxState);
        let count = u32::try_from(state >> 32).ok().filter(|count| *count > 0)?;
        let length = usize::try_from(state & u64::from(u32::MAX)).ok().filter(|len| *len <= OUTBOX_LEN)?;
        let attempt = u32::try_from(self.word(Word::OutboxAttempt)).ok()?;
        let first = self.word(Word::OutboxFirst);
        Some((OutboxCopy { first, attempt, count, reports: Vec::new() }, length))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A segment whose writer dies.

    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    /// How many more steps, a byte or a number each, take effect before the process dies. Shared by everything
    /// that the process does.
    #[derive(Clone, Debug)]
    pub(crate) struct Life(Rc<Cell<usize>>);

    impl Life {
        pub(crate) fn of(steps: usize) -> Self {
            Self(Rc::new(Cell::new(steps)))
        }

        /// Takes up to `steps`; how many it could.
        pub(crate) fn spend(&self, steps: usize) -> usize {
            let spent = steps.min(self.0.get());
            self.0.set(self.0.get() - spent);
            spent
        }

        pub(crate) fn is_over(&self) -> bool {
            self.0.get() == 0
        }
    }

    /// Memory in which nothing changes after its writer's death.
    #[derive(Clone, Debug)]
    pub(crate) struct Memory {
        life: Life,
        words: Rc<Cell<[u64; WORDS]>>,
        outbox: Rc<RefCell<Vec<u8>>>,
    }

    impl Memory {
        pub(crate) fn new(life: &Life) -> Self {
            let outbox = Rc::new(RefCell::new(vec![0xee; OUTBOX_LEN]));
            Self { life: life.clone(), words: Rc::default(), outbox }
        }

        pub(crate) fn status(&self) -> Option<Status> {
            Words(self.words.get()).status()
        }

        pub(crate) fn outbox(&self) -> Option<OutboxCopy> {
            let (copy, length) = Words(self.words.get()).outbox()?;
            Some(OutboxCopy { reports: self.outbox.borrow()[..length].to_vec(), ..copy })
        }
    }

    impl Area for Memory {
        fn store(&self, word: Word, value: u64) {
            if self.life.spend(1) == 1 {
                let mut words = self.words.get();
                words[word as usize] = value;
                self.words.set(words);
            }
        }

        fn copy(&self, at: usize, bytes: &[u8]) {
            let place = &mut self.outbox.borrow_mut()[at..at + bytes.len()];
            let copied = self.life.spend(bytes.len());
            place[..copied].copy_from_slice(&bytes[..copied]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::io::Errno;

    use super::*;

    fn pair() -> (SegmentFile, Segment<SegmentMap>) {
        let file = SegmentFile::create().unwrap();
        let map = SegmentMap::new(file.as_fd()).unwrap();
        (file, Segment::new(map))
    }

    #[test]
    fn a_new_segment_says_nothing() {
        let (file, _segment) = pair();
        assert_eq!(file.read_status().unwrap(), None);
        assert_eq!(file.read_outbox().unwrap(), None);
    }

    #[test]
    fn the_host_sees_which_item_is_running() {
        let (file, segment) = pair();
        segment.running(0, 2, 77);
        assert_eq!(file.read_status().unwrap(), Some(Status { item: 0, attempt: 2, started_ns: 77 }));
        segment.idle();
        assert_eq!(file.read_status().unwrap(), None);
    }

    #[test]
    fn the_host_sees_the_reports_in_the_outbox() {
        let (file, segment) = pair();
        segment.begin(9, 1);
        segment.append(0, b"one", 1);
        segment.append(3, b"two", 2);
        let copy = file.read_outbox().unwrap().unwrap();
        assert_eq!(copy.batch(), Batch { first: 9, attempt: 1, count: 2, reports: b"onetwo" });
        segment.clear();
        assert_eq!(file.read_outbox().unwrap(), None);
    }

    #[test]
    fn the_outbox_can_be_full() {
        let (file, segment) = pair();
        let report = vec![7; OUTBOX_LEN];
        segment.begin(0, 1);
        segment.append(0, &report, 1);
        assert_eq!(file.read_outbox().unwrap().unwrap().batch().reports, report);
    }

    #[test]
    fn what_a_worker_wrote_outlives_its_mapping() {
        let (file, segment) = pair();
        segment.running(5, 1, 0);
        drop(segment);
        assert_eq!(file.read_status().unwrap().map(|status| status.item), Some(5));
    }

    #[test]
    fn a_worker_cannot_shrink_its_segment() {
        let (file, _segment) = pair();
        assert_eq!(rustix::fs::ftruncate(&file, 0), Err(Errno::PERM));
    }

    #[test]
    fn a_file_of_another_length_is_not_mapped() {
        let other = rustix::fs::memfd_create("other", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        assert!(SegmentMap::new(other.as_fd()).is_err());
    }

    /// What is in the outbox that says `state`, written by a worker that means harm.
    #[track_caller]
    fn check_nonsense(state: u64, attempt: u64) {
        let (file, segment) = pair();
        segment.area.store(Word::OutboxAttempt, attempt);
        segment.area.store(Word::OutboxState, state);
        assert_eq!(file.read_outbox().unwrap(), None);
    }

    #[test]
    fn an_outbox_longer_than_it_can_be_is_not_read() {
        check_nonsense(1 << 32 | (OUTBOX_LEN as u64 + 1), 1);
    }

    #[test]
    fn an_outbox_of_no_reports_is_not_read() {
        check_nonsense(17, 1);
    }

    #[test]
    fn an_outbox_of_an_impossible_attempt_is_not_read() {
        check_nonsense(1 << 32 | 17, u64::MAX);
    }
}
