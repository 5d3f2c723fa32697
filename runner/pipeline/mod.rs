//! Pipelines: several stages, each a function with workers of its own, and a bounded queue between each two.
//!
//! There is no second engine. Each stage is a run of the pool, as any other: the source of its run waits on the queue
//! before it, the sink fills the queue behind it, and the last one prints. So limits, retries and blame are the same
//! code, and so is the end of a run: what ends one stage ends all of them, and what any of them had been given, or
//! waited for, has its record.

mod elements;
mod ends;
mod queue;
mod told;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use self::ends::{First, Following, Handing, Last, Place};
use self::queue::{Queue, Shape};
use self::told::{Told, Voice};
use crate::error::Error;
use crate::guest::Description;
use crate::guest_file::GuestFile;
use crate::outcome::Outcome;
use crate::plan::Passage;
use crate::pool::{self, Cancellation, Canceller, Job, Opening};
use crate::report::{Reporter, Summary};
use crate::sink::Sink;
use crate::source::Source;

pub(crate) use self::queue::Order;

/// How many items may wait between two stages, unless told otherwise: enough to hide one slow item among quick ones,
/// and to send quick ones on in numbers.
pub(crate) const DEFAULT_QUEUE: u64 = 1024;

/// One stage, before anything is known of its guest.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// What the user calls it, and records do.
    pub(crate) label: Arc<str>,
    /// The guest's file.
    pub(crate) guest: PathBuf,
    /// How its pool is set up.
    pub(crate) options: pool::Options,
}

/// The queues of a pipeline, and what ends its stages.
#[derive(Debug)]
pub(crate) struct Line {
    /// Each with the stage of the same place before it.
    queues: Vec<Arc<Queue>>,
    cancellers: Vec<Canceller>,
    end: Mutex<End>,
}

#[derive(Debug, Default)]
struct End {
    has_begun: bool,
    cause: Option<Error>,
}

impl Line {
    /// For stages of so many workers each, with so many items between each two; and what ends each stage.
    pub(crate) fn new(workers: &[usize], length: u64, order: Order) -> (Self, Vec<Cancellation>) {
        let queue = |pair: &[usize]| {
            let workers = pair.iter().map(|workers| *workers as u64).sum();
            Arc::new(Queue::new(Shape { length, workers, order }))
        };
        let queues = workers.windows(2).map(queue).collect();
        let (cancellers, cancellations) = workers.iter().map(|_| Canceller::new()).unzip();
        (Self { queues, cancellers, end: Mutex::default() }, cancellations)
    }

    /// The input, as the first stage is given it.
    pub(crate) fn first(&self, input: Box<dyn Source>) -> Box<dyn Source> {
        match self.queues.first() {
            Some(behind) => Box::new(First { input, behind: Arc::clone(behind) }),
            None => input,
        }
    }

    /// What the stage before this one makes, `total` items if that is known.
    ///
    /// # Panics
    /// If it is the first stage.
    pub(crate) fn following(&self, stage: usize, total: Option<u64>) -> Box<dyn Source> {
        let before = Arc::clone(&self.queues[stage - 1]);
        Box::new(Following { before, behind: self.queues.get(stage).cloned(), total })
    }

    /// Ends all stages with [`Error::Interrupted`]: what runs has a moment.
    pub(crate) fn cancel(&self, signal: i32) {
        self.lock().has_begun = true;
        self.cancellers.iter().for_each(|canceller| canceller.cancel(signal));
    }

    /// A stage has ended.
    fn ended(&self, stage: usize, ended: Result<(), Error>) {
        if let Some(before) = stage.checked_sub(1).and_then(|before| self.queues.get(before)) {
            before.shut_behind();
        }
        if let Some(behind) = self.queues.get(stage) {
            behind.shut_before();
        }
        if let Err(error) = ended {
            self.stop(error);
        }
    }

    /// Ends all stages at once, for this reason, unless they are ending.
    fn stop(&self, why: Error) {
        let mut end = self.lock();
        end.cause.get_or_insert(why);
        if !std::mem::replace(&mut end.has_begun, true) {
            self.cancellers.iter().for_each(cancel_at_once);
        }
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        // Whoever panicked had changed all of it or nothing.
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cancel_at_once(canceller: &Canceller) {
    // The second time there is nothing more to wait for. Why it ends is known already.
    canceller.cancel(0);
    canceller.cancel(0);
}

/// What the stages are to do, once they are known to fit.
pub(crate) struct Work<'a> {
    /// The job of each stage.
    pub(crate) jobs: Vec<Job>,
    /// How what each stage but the last returns becomes items of the next.
    pub(crate) passages: Vec<Passage>,
    /// What prints the ends of items, in the order of the line.
    pub(crate) printing: &'a mut dyn Sink,
    pub(crate) reporter: Box<dyn Reporter + Send>,
    /// What ends each stage.
    pub(crate) cancellations: Vec<Cancellation>,
}

/// The guests of all stages, which are being compiled.
pub(crate) struct Opened<'scope> {
    descriptions: Vec<Description>,
    others: Vec<Other<'scope>>,
    last: Opening<'scope>,
    stages: &'scope [Stage],
}

/// A stage with a thread of its own.
struct Other<'scope> {
    parts: Sender<Part>,
    thread: ScopedJoinHandle<'scope, ()>,
}

/// What the thread of a stage is to do.
struct Part {
    stage: usize,
    job: Job,
    sink: Handing,
    voice: Voice,
    cancellation: Cancellation,
    line: Arc<Line>,
}

/// Opens the guests of all stages side by side, and calls `then` when it is known what each offers.
///
/// # Errors
/// If one of them cannot be used, or processes cannot be started; those of `then`.
pub(crate) fn open<T>(
    stages: &[Stage],
    then: impl FnOnce(Opened<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let guests = stages.iter().map(|stage| GuestFile::open(&stage.guest)).collect::<Result<Vec<_>, _>>()?;
    let (Some((last_guest, guests)), Some((last, others))) = (guests.split_last(), stages.split_last())
    else {
        return Err(Error::usage("there are no stages", "name two of them"));
    };
    thread::scope(|scope| {
        let opening = guests.iter().zip(others).map(|(guest, stage)| Other::open(scope, guest, stage));
        let opening = opening.collect::<Result<Vec<_>, _>>()?;
        let last = pool::open(last_guest.name(), last_guest.memory(), last.options.clone());
        let mut descriptions = Vec::new();
        let mut others = Vec::new();
        for (other, described) in opening {
            descriptions.push(described.recv().unwrap_or_else(|_| panic!("the thread of a stage panicked"))?);
            others.push(other);
        }
        let last = last?;
        descriptions.push(last.description().clone());
        then(Opened { descriptions, others, last, stages })
    })
}

impl<'scope> Other<'scope> {
    fn open<'env>(
        scope: &'scope Scope<'scope, 'env>,
        guest: &'env GuestFile,
        stage: &'env Stage,
    ) -> Result<(Self, Receiver<Result<Description, Error>>), Error> {
        let (parts, part) = channel();
        let (described, description) = channel();
        let thread = thread::Builder::new()
            .name("stage".into())
            .spawn_scoped(scope, move || run(guest, stage, &described, &part))
            .map_err(pool::cannot_start)?;
        Ok((Self { parts, thread }, description))
    }
}

/// The thread of a stage: tells what its guest offers, waits for what to do, and does it.
fn run(
    guest: &GuestFile,
    stage: &Stage,
    described: &Sender<Result<Description, Error>>,
    parts: &Receiver<Part>,
) {
    // Who does not wait any more has gone home.
    let opening = match pool::open(guest.name(), guest.memory(), stage.options.clone()) {
        Ok(opening) => opening,
        Err(error) => return described.send(Err(error)).unwrap_or_default(),
    };
    described.send(Ok(opening.description().clone())).unwrap_or_default();
    if let Ok(part) = parts.recv() {
        part.run(opening);
    }
}

impl Part {
    fn run(self, opening: Opening<'_>) {
        let Self { stage, job, mut sink, mut voice, cancellation, line } = self;
        let panicking = Panicking(Arc::clone(&line));
        let ended = opening.run(job, &mut sink, &mut voice, cancellation).map(drop);
        drop(panicking);
        let ended = match ended {
            // What was read goes on to its end, and then the next stage cannot read any further.
            Err(error) if sink.is_cut_short() => {
                sink.behind.finish(Err(error));
                Ok(())
            }
            ended => ended,
        };
        line.ended(stage, ended);
    }
}

/// Ends all stages if the thread of one panics: the others would wait for ever.
struct Panicking(Arc<Line>);

impl Drop for Panicking {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancellers.iter().for_each(cancel_at_once);
        }
    }
}

impl Opened<'_> {
    /// What the guest of each stage offers.
    pub(crate) fn descriptions(&self) -> &[Description] {
        &self.descriptions
    }

    /// Runs all stages to their end.
    ///
    /// # Errors
    /// That of the stage that ended the others.
    pub(crate) fn run(self, line: &Arc<Line>, work: Work<'_>) -> Result<Summary, Error> {
        let Self { others, last, stages, .. } = self;
        let Work { mut jobs, passages, printing, reporter, mut cancellations } = work;
        let labels: Vec<_> = stages.iter().map(|stage| Arc::clone(&stage.label)).collect();
        let workers: Vec<_> = jobs.iter().map(|job| job.workers).collect();
        let places = places(&labels, &workers, &line.queues);
        let total = jobs.last().and_then(|job| job.source.total());
        let told = Told::start(reporter, labels, &workers, total);

        let (Some(job), Some(cancellation)) = (jobs.pop(), cancellations.pop()) else {
            return Err(Error::usage("there are no stages", "name two of them"));
        };
        let parts = jobs.into_iter().zip(cancellations).zip(passages).zip(&places).zip(&line.queues);
        for ((stage, other), part) in others.iter().enumerate().zip(parts) {
            let ((((job, cancellation), passage), place), behind) = part;
            let sink = Handing::new(place.clone(), Arc::clone(behind), passage);
            let voice = Voice::new(&told, stage, place.first_worker);
            let part = Part { stage, job, sink, voice, cancellation, line: Arc::clone(line) };
            if other.parts.send(part).is_err() {
                // It has panicked, which is found out when it is joined.
                line.cancellers.iter().for_each(cancel_at_once);
            }
        }
        let stage = others.len();
        let mut sink = Last { place: places[stage].clone(), printing, ended: 0 };
        let mut voice = Voice::new(&told, stage, places[stage].first_worker);
        let panicking = Panicking(Arc::clone(line));
        let ended = last.run(job, &mut sink, &mut voice, cancellation).map(drop);
        drop(panicking);
        line.ended(stage, ended);
        for other in others {
            assert!(other.thread.join().is_ok(), "the thread of a stage panicked");
        }
        let cause = line.lock().cause.take();
        let rest = cause.as_ref().map_or(Ok(Vec::new()), |cause| end_rest(cause, line, &places, &mut sink));
        let (rest, lost) = rest.map_or_else(|error| (Vec::new(), Some(error)), |rest| (rest, None));
        let summary = told.finish(&rest);
        match cause.or(lost) {
            Some(error) => Err(error),
            None => Ok(summary),
        }
    }
}

fn places(labels: &[Arc<str>], workers: &[usize], queues: &[Arc<Queue>]) -> Vec<Place> {
    let mut first_worker = 0_u32;
    let mut places = Vec::new();
    for (stage, (label, workers)) in labels.iter().zip(workers).enumerate() {
        let before = stage.checked_sub(1).and_then(|before| queues.get(before)).cloned();
        places.push(Place { label: Arc::clone(label), first_worker, before });
        first_worker = first_worker.saturating_add(u32::try_from(*workers).unwrap_or(u32::MAX));
    }
    places
}

/// Everything that was read has an end, where a run was ended that could have gone on.
fn end_rest(
    cause: &Error,
    line: &Line,
    places: &[Place],
    sink: &mut Last<'_>,
) -> Result<Vec<Outcome>, Error> {
    if !matches!(cause, Error::Interrupted { .. } | Error::Deadline { .. } | Error::FailFast { .. }) {
        return Ok(Vec::new());
    }
    let mut outcomes = Vec::new();
    // From the back: what is there was made of what comes first in the input.
    for (queue, place) in line.queues.iter().zip(&places[1..]).rev() {
        outcomes.extend(sink.end_rest(place, queue.take_rest())?);
    }
    Ok(outcomes)
}
