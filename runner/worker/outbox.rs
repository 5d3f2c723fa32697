//! Reports on their way to the host: gathered into batches, and kept in the segment until they are in the pipe.

use std::io::{self, Write};

use crate::item::{ItemIndex, MERGE_BIT};
use crate::shm::segment::{Area, OUTBOX_LEN, Segment};
use crate::wire::frame::FRAME_CAP;
use crate::wire::msg::{Batch, Report, Response};
use crate::wire::{encode_report, encode_response};

/// A batch this long, in bytes, is sent: a longer one saves next to nothing.
const BATCH_LEN: usize = 64 << 10;

/// A batch is sent when the last was sent this long ago, in nanoseconds: 1 ms.
const BATCH_AGE: u64 = 1_000_000;

/// Writes responses into the pipe to the host.
#[derive(Debug)]
pub struct Sender<W> {
    output: W,
    /// Empty between responses; kept for its capacity.
    frames: Vec<u8>,
}

impl<W: Write> Sender<W> {
    /// Writes to `output`, which need not buffer.
    pub fn new(output: W) -> Self {
        Self { output, frames: Vec::new() }
    }

    /// Writes one response. Waits as long as the pipe is full.
    ///
    /// # Errors
    /// If it cannot be written; nothing can be sent any more then.
    pub fn send(&mut self, response: &Response<'_>) -> io::Result<()> {
        encode_response(response, &mut self.frames);
        let written = self.output.write_all(&self.frames);
        reuse(&mut self.frames);
        written
    }
}

/// The reports of consecutive items, at one attempt, that have not been sent.
#[derive(Debug)]
pub struct Outbox<A> {
    segment: Segment<A>,
    first: ItemIndex,
    attempt: u32,
    count: u32,
    /// The segment holds the same bytes, unless they are too many for it. Those are written and never read here:
    /// the host has its hand on them.
    reports: Vec<u8>,
    /// When the last batch was sent, by the caller's clock in nanoseconds.
    sent_ns: u64,
}

impl<A: Area> Outbox<A> {
    /// An empty outbox, kept in `segment`.
    pub fn new(segment: Segment<A>) -> Self {
        Self { segment, first: 0, attempt: 0, count: 0, reports: Vec::new(), sent_ns: 0 }
    }

    /// Takes note that an item is being started.
    pub fn running(&self, item: ItemIndex, attempt: u32, now_ns: u64) {
        self.segment.running(item, attempt, now_ns);
    }

    /// Takes note that no item is running, and none will be for a while.
    pub fn idle(&self) {
        self.segment.idle();
    }

    /// Takes the report of an item: of the one that follows the last one at the same attempt, or of any after
    /// [`Outbox::flush`]. If the segment is too full for it, what is there is sent first.
    ///
    /// # Errors
    /// If that cannot be written.
    pub fn push<W: Write>(
        &mut self,
        item: ItemIndex,
        attempt: u32,
        report: &Report<'_>,
        sender: &mut Sender<W>,
    ) -> io::Result<()> {
        let before = self.reports.len();
        encode_report(report, &mut self.reports);
        if before > 0 && self.reports.len() > OUTBOX_LEN {
            self.send(before, sender)?;
        }
        if self.count == 0 {
            (self.first, self.attempt) = (item, attempt);
            self.segment.begin(item, attempt);
        }
        debug_assert_eq!((item, attempt), (self.first + u64::from(self.count), self.attempt));
        self.count += 1;
        // A report too long for the segment goes out next, alone. If we are killed before it has, it is lost.
        if self.reports.len() <= OUTBOX_LEN {
            let before = if self.count == 1 { 0 } else { before };
            self.segment.append(before, &self.reports[before..], self.count);
        }
        Ok(())
    }

    /// Whether it is time for [`Outbox::flush`]: much has been gathered, or the last batch is long ago.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.reports.len() >= BATCH_LEN || now_ns.saturating_sub(self.sent_ns) >= BATCH_AGE
    }

    /// Takes note that the last batch is as good as just sent: what comes next may wait its time.
    pub fn restart(&mut self, now_ns: u64) {
        self.sent_ns = now_ns;
    }

    /// Sends what has been gathered, if anything.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush<W: Write>(&mut self, sender: &mut Sender<W>) -> io::Result<()> {
        if self.count > 0 { self.send(self.reports.len(), sender) } else { Ok(()) }
    }

    /// Sends the gathered reports, the first `length` bytes. What is behind them stays and belongs to no batch yet.
    fn send<W: Write>(&mut self, length: usize, sender: &mut Sender<W>) -> io::Result<()> {
        let Self { first, attempt, count, .. } = *self;
        let batch = Batch { first, attempt, count, reports: &self.reports[..length] };
        let merges = first & MERGE_BIT != 0;
        sender.send(&if merges { Response::Merge(batch) } else { Response::Result(batch) })?;
        self.segment.clear();
        self.reports.drain(..length);
        self.count = 0;
        if self.reports.is_empty() {
            reuse(&mut self.reports);
        }
        Ok(())
    }
}

/// Empties a buffer and keeps what it usually needs.
fn reuse(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(2 * FRAME_CAP);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::shm::segment::testing::{Life, Memory};
    use crate::wire::msg::CallEnd;
    use crate::wire::{Decoder, Reports};

    /// A pipe that outlives its writer.
    #[derive(Clone)]
    struct Pipe {
        life: Life,
        bytes: Rc<RefCell<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.life.spend(bytes.len());
            self.bytes.borrow_mut().extend_from_slice(&bytes[..written]);
            if written == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(written) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the host is told: which item, at which attempt, and its value.
    type Told = (ItemIndex, u32, Vec<u8>);

    /// A worker that may die at any step.
    struct Worker {
        life: Life,
        memory: Memory,
        pipe: Pipe,
        outbox: Outbox<Memory>,
        sender: Sender<Pipe>,
    }

    impl Worker {
        fn living(steps: usize) -> Self {
            let life = Life::of(steps);
            let memory = Memory::new(&life);
            let pipe = Pipe { life: life.clone(), bytes: Rc::default() };
            let outbox = Outbox::new(Segment::new(memory.clone()));
            Self { life, memory, sender: Sender::new(pipe.clone()), pipe, outbox }
        }

        fn push(&mut self, item: ItemIndex, attempt: u32, value: &[u8]) -> io::Result<()> {
            let report = Report {
                end: CallEnd::Ok(value),
                stdout: b"",
                stderr: b"",
                wall_ns: 0,
                cpu_ns: 0,
                peak_memory: 0,
                backtrace: "",
            };
            self.outbox.push(item, attempt, &report, &mut self.sender)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.outbox.flush(&mut self.sender)
        }

        /// The batches that are in the pipe.
        fn sent(&self) -> Vec<Vec<Told>> {
            let mut decoder = Decoder::new(64 << 20);
            decoder.push(&self.pipe.bytes.borrow());
            let mut batches = Vec::new();
            while let Some(message) = decoder.next_message().expect("what was written are frames") {
                match Response::parse(message).expect("what was written are responses") {
                    Response::Result(batch) | Response::Merge(batch) => batches.push(told(&batch)),
                    other => panic!("nobody sent {other:?}"),
                }
            }
            batches
        }

        fn recovered(&self) -> Vec<Told> {
            self.memory.outbox().map(|copy| told(&copy.batch())).unwrap_or_default()
        }
    }

    fn told(batch: &Batch<'_>) -> Vec<Told> {
        let reports = (batch.first..).zip(Reports::new(batch));
        reports
            .map(|(item, report)| match report.expect("a batch holds whole reports").end {
                CallEnd::Ok(value) => (item, batch.attempt, value.to_vec()),
                other => panic!("nobody reported {other:?}"),
            })
            .collect()
    }

    #[test]
    fn reports_are_sent_together() {
        let mut worker = Worker::living(usize::MAX);
        worker.push(7, 1, b"a").unwrap();
        worker.push(8, 1, b"b").unwrap();
        assert_eq!(worker.sent(), [[]; 0] as [[Told; 0]; 0]);
        worker.flush().unwrap();
        assert_eq!(worker.sent(), [[(7, 1, b"a".to_vec()), (8, 1, b"b".to_vec())]]);
    }

    #[test]
    fn an_empty_outbox_sends_nothing() {
        let mut worker = Worker::living(usize::MAX);
        worker.flush().unwrap();
        assert!(worker.pipe.bytes.borrow().is_empty());
    }

    #[test]
    fn a_report_that_was_not_sent_is_in_the_segment() {
        let mut worker = Worker::living(usize::MAX);
        worker.push(7, 2, b"a").unwrap();
        assert_eq!(worker.recovered(), [(7, 2, b"a".to_vec())]);
    }

    #[test]
    fn a_report_that_was_sent_is_not_in_the_segment() {
        let mut worker = Worker::living(usize::MAX);
        worker.push(7, 2, b"a").unwrap();
        worker.flush().unwrap();
        assert_eq!(worker.recovered(), []);
    }

    #[test]
    fn what_does_not_fit_beside_the_others_is_sent_after_them() {
        let mut worker = Worker::living(usize::MAX);
        let long = vec![b'x'; OUTBOX_LEN - 100];
        worker.push(0, 1, &[b'y'; 200]).unwrap();
        worker.push(1, 1, &long).unwrap();
        assert_eq!(worker.sent().len(), 1);
        assert_eq!(worker.recovered(), [(1, 1, long)]);
    }

    #[test]
    fn a_report_longer_than_the_segment_is_sent_alone() {
        let mut worker = Worker::living(usize::MAX);
        let long = vec![b'x'; 3 * OUTBOX_LEN];
        worker.push(0, 1, b"a").unwrap();
        worker.push(1, 1, &long).unwrap();
        assert!(worker.outbox.is_due(0));
        worker.flush().unwrap();
        assert_eq!(worker.sent(), [[(0, 1, b"a".to_vec())], [(1, 1, long)]]);
    }

    #[test]
    fn a_merge_is_answered_as_a_merge() {
        let mut worker = Worker::living(usize::MAX);
        worker.push(MERGE_BIT, 1, b"m").unwrap();
        worker.flush().unwrap();
        assert_eq!(worker.sent(), [[(MERGE_BIT, 1, b"m".to_vec())]]);
    }

    #[test]
    fn a_batch_is_due_when_the_last_one_is_a_millisecond_ago() {
        let mut worker = Worker::living(usize::MAX);
        worker.outbox.restart(5);
        assert!(!worker.outbox.is_due(5 + BATCH_AGE - 1));
        assert!(worker.outbox.is_due(5 + BATCH_AGE));
    }

    /// A chunk: which attempt, and for each item its value's length and whether the batch is sent after it.
    type Work = (u32, Vec<(usize, bool)>);

    fn work() -> impl Strategy<Value = Vec<Work>> {
        let length = prop_oneof![8 => 0..40_usize, 1 => 60_000..140_000_usize, 1 => 250_000..270_000_usize];
        let chunk = (1..4_u32, proptest::collection::vec((length, any::<bool>()), 1..8));
        proptest::collection::vec(chunk, 1..5)
    }

    /// Does `work` until it is done or the worker dies; every item that ended, and whether the last of them was
    /// told of before the end.
    fn do_work(worker: &mut Worker, work: &[Work]) -> (Vec<Told>, usize) {
        let (mut ended, mut safe, mut item) = (Vec::new(), 0, 0);
        for (attempt, items) in work {
            for (length, flush) in items {
                // No two values alike, so that no item's bytes can pass for another's.
                let value: Vec<u8> =
                    (0..*length).map(|at| (at as u64 + 31 * item).to_le_bytes()[0]).collect();
                ended.push((item, *attempt, value.clone()));
                let pushed = worker.push(item, *attempt, &value);
                let kept = worker.outbox.reports.len() <= OUTBOX_LEN;
                if pushed.is_err() || worker.life.is_over() {
                    return (ended, safe);
                }
                if kept {
                    safe = ended.len();
                }
                if (*flush || !kept) && worker.flush().is_err() || worker.life.is_over() {
                    return (ended, safe);
                }
                if *flush || !kept {
                    safe = ended.len();
                }
                item += 1;
            }
            if worker.flush().is_err() || worker.life.is_over() {
                return (ended, safe);
            }
            // Chunks need not follow one another.
            item += 1000;
        }
        (ended, safe)
    }

    /// What the host knows after the worker's death: what came through the pipe, then what is new in the segment.
    fn known(worker: &Worker) -> Vec<Told> {
        let mut known: Vec<Told> = worker.sent().into_iter().flatten().collect();
        let recovered = worker.recovered();
        let fresh = recovered.into_iter().filter(|told| !known.contains(told)).collect::<Vec<_>>();
        known.extend(fresh);
        known
    }

    /// Kills a worker after `steps` stores and bytes.
    #[track_caller]
    fn check_killed(work: &[Work], steps: usize) {
        let mut worker = Worker::living(steps);
        let (ended, safe) = do_work(&mut worker, work);
        let known = known(&worker);
        assert!(known.len() >= safe, "{} of {safe} reports are known after {steps} steps", known.len());
        assert!(ended.starts_with(&known), "what is known is not what ended, after {steps} steps");
    }

    #[test]
    fn a_kill_at_any_step_leaves_whole_reports_of_the_first_items() {
        let work = [
            (1, vec![(3, false), (0, true), (9, false)]),
            (2, vec![(1, false), (5, false)]),
            (1, vec![(2, true), (2, true)]),
        ];
        let enough = 1000;
        for steps in 0..enough {
            check_killed(&work, steps);
        }
        let mut survivor = Worker::living(enough);
        do_work(&mut survivor, &work);
        assert!(!survivor.life.is_over());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_kill_among_long_reports_leaves_whole_reports_of_the_first_items(work in work(), at in 0.0..1.0_f64) {
            let mut whole = Worker::living(usize::MAX);
            do_work(&mut whole, &work);
            let steps = usize::MAX - whole.life.spend(usize::MAX);
            // A place in the whole run, as likely at its end as at its start.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a usize is one")]
            let killed = (steps as f64 * at) as usize;
            check_killed(&work, killed);
        }
    }
}
