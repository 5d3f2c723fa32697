//! A driver: one thread that owns one worker process at a time and keeps it busy.
//!
//! It is one poll loop over the worker's pipes, its standard error, its end, and a descriptor that wakes the driver
//! when there is work again. It never blocks on a write. What it may believe of what it reads, [`super::state`]
//! decides.

mod parting;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Shared;
use super::cancelled::Head;
use super::dispatcher::Event;
use super::link::Received;
use super::process::Process;
use super::run_state::StartFault;
use super::session::{Heard, Session};
use super::spawn::Hatch;
use super::state::{Cause, Judgement, Retry};
use super::wake::WakeFd;
use crate::chunk::Chunk;
use crate::error::Error;
use crate::item::{ItemIndex, MERGE_BIT};
use crate::outcome::{Completion, Meta, Outcome};
use crate::scheduler::{LocalQueue, Next};
use crate::wire::msg::Refusal;

/// Chunks sent to a worker at most, so that it finds its next one in the pipe.
const MAX_SENT: usize = 8;

/// Work that is sent ahead, at most: what is in a pipe cannot be stolen any more.
const SENT_AHEAD: Duration = Duration::from_millis(4);

/// Reads from one pipe before the others get their turn.
const READS_PER_TURN: usize = 16;

/// Reads that take in whatever a pipe can hold, at 4 KiB each or more.
const READS_PER_PIPE: usize = 256;

/// Owns one worker slot.
pub(super) struct Driver {
    pub(super) slot: u32,
    pub(super) queue: LocalQueue<Chunk>,
    pub(super) wake: Arc<WakeFd>,
    pub(super) hatch: Hatch,
    pub(super) events: Sender<Event>,
    pub(super) shared: Arc<Shared>,
    /// An item that brought a worker down, to be tried alone.
    pub(super) suspect: Option<Retry>,
    /// Items that failed and are to be run again.
    pub(super) again: VecDeque<Retry>,
    /// Processes that have been killed and not yet waited for.
    pub(super) dying: Vec<Process>,
    /// No worker can be started for this slot, and that has been told.
    pub(super) is_missing: bool,
}

/// How the conversation with a worker ended.
pub(super) enum End {
    /// There is no more work.
    Finished,
    /// It has run as many items as a worker may.
    UsedUp,
    /// The run is over, whatever is left.
    Stopped,
    /// The worker said that the guest cannot be used.
    Refused,
    /// The system has no process to spare.
    NotStarted,
    /// It ended before it was ready.
    NeverReady(String),
    /// It was killed from outside before it was ready.
    KilledAtStart(String),
    /// It ended, or had to be ended.
    Lost(Cause),
    /// It ended before it was given anything to do.
    LostIdle(Cause),
}

/// What a look at the descriptors found.
#[derive(Clone, Copy, Default)]
struct Found {
    responses: bool,
    stderr: bool,
    ended: bool,
}

impl Driver {
    /// Serves until there is no more work or the run is stopped.
    pub(super) fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let end = match self.hatch.take() {
                Ok(process) => {
                    self.is_missing = false;
                    self.serve(process)
                }
                Err(error) => self.go_without(&error),
            };
            match end {
                End::Finished | End::Stopped | End::Refused => break,
                End::Lost(_) | End::UsedUp => failures = 0,
                // A program that ends whenever it is ready would be started again and again.
                End::LostIdle(_) => {
                    failures += 1;
                    if !self.back_off(failures) {
                        break;
                    }
                }
                End::KilledAtStart(reason) => {
                    // It may have been the spare.
                    self.hatch.prepare_spare();
                    self.tell(Event::NeverReady { reason, fault: StartFault::Outside });
                }
                End::NotStarted => {
                    failures += 1;
                    if !self.back_off(failures) {
                        break;
                    }
                }
                End::NeverReady(reason) => {
                    failures += 1;
                    self.tell(Event::NeverReady { reason, fault: StartFault::Own });
                    if !self.back_off(failures) {
                        break;
                    }
                }
            }
        }
        self.dying.clear();
        let left = self.suspect.iter().chain(&self.again);
        self.tell(Event::Unfinished { starts: left.map(Retry::starts).collect() });
        self.tell(Event::Left);
    }

    /// There is no worker for this slot now. Those of others go on without it, and run what only this one could.
    fn go_without(&mut self, error: &io::Error) -> End {
        if self.shared.staffed.load(Ordering::Acquire) == 0 {
            return End::NeverReady(format!("a worker cannot be started: {error}"));
        }
        // Once, however long it lasts, and before others take over: they may end the run.
        if !std::mem::replace(&mut self.is_missing, true) {
            self.tell(Event::Missing { worker: self.slot, reason: error.to_string() });
        }
        let left: Vec<_> = self.suspect.take().into_iter().chain(self.again.drain(..)).collect();
        if !left.is_empty() {
            self.shared.left_over().extend(left);
            self.shared.scheduler.wake_all();
        }
        End::NotStarted
    }

    /// Waits a moment, longer each time, before another start; `false` if the run has been stopped meanwhile.
    fn back_off(&mut self, failures: u32) -> bool {
        self.queue.unregister();
        let pause = Duration::from_millis(5 << failures.min(8));
        let until = self.shared.clock.now().after(pause);
        while !self.shared.is_stopping() && !self.shared.is_over() && !self.shared.is_draining() {
            let left = until.since(self.shared.clock.now());
            if left.is_zero() {
                return true;
            }
            let mut fds = [PollFd::new(&*self.wake, PollFlags::IN)];
            wait(&mut fds, Some(left));
            self.wake.clear();
        }
        false
    }

    /// Keeps one process busy until it ends, or has nothing left to do.
    fn serve(&mut self, process: Process) -> End {
        let mut session = Session::new(self.slot, process, self.shared.rules, Arc::clone(&self.shared.clock));
        self.shared.staffed.fetch_add(1, Ordering::AcqRel);
        let end = self.converse(&mut session);
        self.shared.staffed.fetch_sub(1, Ordering::AcqRel);
        let end = match end {
            End::Lost(cause) if session.state.is_unused() => End::LostIdle(cause),
            end => end,
        };
        self.pass_on(&mut session);
        match end {
            End::Finished => self.farewell(&mut session),
            End::UsedUp => {
                self.replace(session);
                return end;
            }
            End::Stopped => self.cut_short(session),
            // Dropping it kills it.
            End::Refused | End::NotStarted | End::NeverReady(_) | End::KilledAtStart(_) => {}
            End::Lost(ref cause) | End::LostIdle(ref cause) => self.recover(session, cause),
        }
        end
    }

    fn converse(&mut self, session: &mut Session) -> End {
        loop {
            let is_over = self.shared.is_over() || self.shared.is_draining();
            if self.shared.is_stopping() || is_over && !session.state.is_ready() {
                return End::Stopped;
            }
            self.welcome(session);
            let closed = self.fill(session);
            if session.state.outstanding() == 0 {
                if closed {
                    return End::Finished;
                }
                if session.state.is_ready() && session.state.room() == 0 {
                    return End::UsedUp;
                }
            }
            session.link.write(&session.process.requests);
            let found = self.look(session);
            if found.stderr {
                self.listen(session);
            }
            if found.responses
                && let Err(end) = self.receive(session)
            {
                return end;
            }
            self.pass_on(session);
            if let Some((item, millionths)) = session.take_progress() {
                self.tell(Event::ItemProgress { item, millionths });
            }
            if found.ended || session.hung_up {
                return self.lost(session);
            }
            if let Err(end) = self.heed_cancellations(session).and_then(|()| self.judge(session)) {
                return end;
            }
        }
    }

    /// Tells that a worker takes items from now on. Had it said so and ended in one breath, it would never have been
    /// of any use: such workers break the pool, as those do that are never ready.
    fn welcome(&self, session: &mut Session) {
        if session.state.is_ready() && !session.started {
            session.started = true;
            self.tell(Event::Ready { worker: self.slot, pid: session.process.pid() });
        }
    }

    /// Sends work until the worker has enough; `true` if there will never be any more.
    fn fill(&mut self, session: &mut Session) -> bool {
        if !session.state.is_ready() {
            self.queue.unregister();
            return false;
        }
        if self.shared.is_draining() {
            self.queue.unregister();
            return true;
        }
        if let Some(suspect) = self.suspect.take() {
            self.try_alone(session, suspect);
        }
        while self.wants_work(session) && self.may_send_more(session) {
            if let Some(again) = self.again.pop_front() {
                let goes = session.state.goes_with(&again.chunk);
                match (again.is_suspect(), session.state.outstanding()) {
                    (false, _) if goes => self.run_again(session, again),
                    (true, 0) => self.try_alone(session, again),
                    (false | true, _) => {
                        self.again.push_front(again);
                        break;
                    }
                }
                continue;
            }
            let gate = &self.shared.gate;
            match self
                .queue
                .next_through_or_register(|| gate.is_open(), |chunk| gate.lets_through(chunk.first()))
            {
                Next::Chunk(chunk, _) if !session.state.goes_with(&chunk) => {
                    self.queue.push(chunk);
                    break;
                }
                Next::Chunk(chunk, _) => {
                    let Some(mut chunk) = self.wanted(chunk) else { continue };
                    if let Some(rest) = chunk.split_off(session.state.room()) {
                        self.queue.push(rest);
                    }
                    if let Err(error) = self.note_start(&chunk) {
                        self.tell(Event::RecordLost { error });
                        return false;
                    }
                    let call = session.state.assign(chunk, self.shared.clock.now());
                    session.send(call);
                }
                // What is left over from now on wakes it.
                Next::Empty if !self.take_over(session) => return false,
                Next::Empty => {}
                Next::Closed => return true,
            }
        }
        // It has enough: a wake-up would be wasted on it.
        self.queue.unregister();
        false
    }

    /// The beginning of a chunk, up to a cancelled item; those that it begins with end here.
    fn wanted(&mut self, chunk: Chunk) -> Option<Chunk> {
        let mut rest = Some(chunk);
        while let Some(chunk) = rest {
            let head;
            (head, rest) = self.shared.cancelled.head(chunk);
            match head {
                Head::Wanted(chunk) => {
                    if let Some(rest) = rest {
                        self.queue.push(rest);
                    }
                    return Some(chunk);
                }
                Head::Cancelled(chunk) => self.end_cancelled(&chunk, 0),
            }
        }
        None
    }

    /// Ends an item that is not wanted any more and was started so often.
    fn end_cancelled(&self, item: &Chunk, attempts: u32) {
        let completion = Completion { file: item.file(0), ..Completion::new(Outcome::Cancelled) };
        let meta = Box::new(Meta { attempts, worker: self.slot, ..Meta::default() });
        self.shared.tell_ends(&self.events, vec![(item.first(), Completion { meta, ..completion })]);
    }

    /// Ends the worker if it runs an item that is not wanted any more. One that it has and does not run yet is waited
    /// for: it is a few milliseconds away, and what runs until then is innocent.
    fn heed_cancellations(&mut self, session: &mut Session) -> Result<(), End> {
        session.unwanted = None;
        let cancelled = Arc::clone(&self.shared);
        let cancelled = &cancelled.cancelled;
        let is_unwanted = |item: ItemIndex| cancelled.contains(item);
        if cancelled.is_empty() || session.state.find(is_unwanted).is_none() {
            return Ok(());
        }
        // What it has finished counts.
        self.drain(session)?;
        self.pass_on(session);
        // Where the page names no item, it is the one whose result is due that it is about to run, or has just run.
        let running = session.state.running(session.hint()).or_else(|| session.state.due());
        if let Some(item) = running.filter(|item| is_unwanted(*item)) {
            return Err(End::Lost(Cause::Cancelled(item)));
        }
        session.unwanted = Some(self.shared.clock.now().after(SENT_AHEAD));
        Ok(())
    }

    /// Notes that the items of a chunk are started, where none may be started twice.
    fn note_start(&self, chunk: &Chunk) -> Result<(), Error> {
        match &self.shared.starts {
            Some(starts) if chunk.first() & MERGE_BIT == 0 => starts.started(chunk.first(), chunk.len()),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes an item that a driver without a worker had to leave to others, if this one has nothing else in hand.
    fn take_over(&self, session: &mut Session) -> bool {
        if session.state.outstanding() > 0 || session.state.room() == 0 {
            return false;
        }
        let left_over = self.shared.left_over().pop_front();
        left_over.map(|item| self.try_alone(session, item)).is_some()
    }

    /// Takes over what is left over, before anything else. A worker that has something in hand gets nothing more until it
    /// is done: whoever is first takes the item, and the others go on with the rest.
    fn may_send_more(&self, session: &mut Session) -> bool {
        !self.take_over(session) && (session.state.outstanding() == 0 || self.shared.left_over().is_empty())
    }

    fn try_alone(&self, session: &mut Session, item: Retry) {
        session.alone = true;
        self.run_again(session, item);
    }

    fn run_again(&self, session: &mut Session, item: Retry) {
        if self.shared.cancelled.contains(item.chunk.first()) {
            self.end_cancelled(&item.chunk, item.starts().1);
            return;
        }
        let call = session.state.assign_again(item, self.shared.clock.now());
        session.send(call);
    }

    fn wants_work(&self, session: &Session) -> bool {
        if session.state.room() == 0 {
            return false;
        }
        match session.state.chunks() {
            0 => true,
            _ if session.alone => false,
            MAX_SENT.. => false,
            _ => self.shared.chunk_size.expected(session.state.outstanding()) < SENT_AHEAD,
        }
    }

    /// Waits until something happens, or a deadline is reached.
    fn look(&mut self, session: &Session) -> Found {
        // A pipe whose other end is closed ends every poll at once, whatever it was to be polled for; so those that
        // nothing is wanted from are left out.
        let nothing = || PollFd::new(&*self.wake, PollFlags::empty());
        let Process { requests, results, stderr, .. } = &session.process;
        let mut fds = vec![
            PollFd::new(results, PollFlags::IN),
            if session.talk.is_open() { PollFd::new(stderr, PollFlags::IN) } else { nothing() },
            PollFd::new(session.process.pidfd(), PollFlags::IN),
            PollFd::new(&*self.wake, PollFlags::IN),
            if session.link.wants_write() { PollFd::new(requests, PollFlags::OUT) } else { nothing() },
        ];
        fds.extend(self.dying.iter().map(|process| PollFd::new(process.pidfd(), PollFlags::IN)));
        let timeout = session.deadline().map(|deadline| deadline.since(self.shared.clock.now()));
        wait(&mut fds, timeout);

        let found = Found {
            responses: !fds[0].revents().is_empty(),
            stderr: !fds[1].revents().is_empty(),
            ended: !fds[2].revents().is_empty(),
        };
        if !fds[3].revents().is_empty() {
            self.wake.clear();
        }
        let gone: Vec<bool> = fds[5..].iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut gone = gone.into_iter();
        // Dropping a process that has ended reaps it without waiting.
        self.dying.retain(|_| !gone.next().unwrap_or(false));
        found
    }

    fn listen(&self, session: &mut Session) {
        let lines = session.talk.read(&session.process.stderr);
        self.quote(lines);
    }

    fn quote(&self, lines: Vec<String>) {
        for line in lines {
            self.tell(Event::WorkerSaid { worker: self.slot, line });
        }
    }

    /// Reads and believes what may be believed.
    fn receive(&mut self, session: &mut Session) -> Result<(), End> {
        for _ in 0..READS_PER_TURN {
            match session.link.read(&session.process.results) {
                Received::Nothing => break,
                Received::End => {
                    session.hung_up = true;
                    break;
                }
                Received::Some => {}
            }
            self.hear(session)?;
            self.quote(session.talk.lines());
        }
        Ok(())
    }

    /// Takes in every message that has arrived whole.
    fn hear(&self, session: &mut Session) -> Result<(), End> {
        loop {
            match session.hear() {
                Ok(Heard::Nothing) => return Ok(()),
                Ok(Heard::Ready { layers, sight }) => {
                    self.tell(Event::Locked { layers, hidden: sight.hidden });
                }
                Ok(Heard::Refused { about, message, hint }) => {
                    self.tell(Event::Refused { about, message, hint });
                    return Err(End::Refused);
                }
                Ok(Heard::Unprotected { message }) => {
                    self.tell(Event::Refused { about: Refusal::Protection, message, hint: None });
                    return Err(End::Refused);
                }
                Err(violation) => return Err(session.broken(violation)),
            }
        }
    }

    /// Reads everything that is in the pipe; a worker that goes on writing does not keep us here.
    fn drain(&self, session: &mut Session) -> Result<(), End> {
        for _ in 0..READS_PER_PIPE {
            if session.link.read(&session.process.results) != Received::Some {
                break;
            }
            self.hear(session)?;
        }
        Ok(())
    }

    /// Passes ends of items on to the dispatcher, and keeps what is to be run again.
    fn pass_on(&mut self, session: &mut Session) {
        let (again, failed): (Vec<_>, Vec<_>) = session.state.take_again().into_iter().unzip();
        self.tell_failed(again.iter().map(|again| again.chunk.first()).zip(failed).collect());
        self.again.extend(again);
        let returned = std::mem::take(&mut session.returned);
        self.shared.scheduler.push_front(returned);
        if session.state.outstanding() == 0 {
            session.alone = false;
        }
        if session.ended.is_empty() {
            return;
        }
        let items = std::mem::take(&mut session.ended);
        let busy = items.iter().map(|(_, completion)| completion.meta.wall).sum();
        let calls = items.len() as u64;
        let bytes = self.shared.tell_ends(&self.events, items);
        self.shared.chunk_size.observe(calls, busy, bytes);
    }

    /// Tells how items failed that are run again: that is how they end if the run does first.
    fn tell_failed(&self, items: Vec<(ItemIndex, Completion)>) {
        if !items.is_empty() {
            let bytes = self.shared.count(&items);
            self.tell(Event::Failed { items, bytes });
        }
    }

    /// Looks at the status page if a deadline has been reached.
    fn judge(&mut self, session: &mut Session) -> Result<(), End> {
        let at = self.shared.clock.now();
        if session.state.deadline().is_none_or(|deadline| at < deadline) {
            return Ok(());
        }
        // What it wrote before this moment counts: this host may have been stopped for a while.
        self.drain(session)?;
        self.pass_on(session);
        session.read_cpu_time(at);
        let hint = session.hint();
        match session.state.judge(hint, at) {
            Judgement::Wait => Ok(()),
            Judgement::TooSlowToStart => Err(End::NeverReady("a worker did not become ready in time".into())),
            Judgement::TimedOut(item) => Err(End::Lost(Cause::TimedOut(item))),
            Judgement::OutOfCpu(item) => Err(End::Lost(Cause::OutOfCpu(item))),
            Judgement::Violation(violation) => Err(End::Lost(Cause::Violation(violation))),
        }
    }

    fn tell(&self, event: Event) {
        // A dispatcher that is gone has seen all it needed.
        let _ = self.events.send(event);
    }
}

/// Waits for one of the descriptors, at most for `timeout`.
fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) {
    // An absurdly long limit is as good as none.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => panic!("descriptors of ours can be polled: {}", io::Error::from(error)),
    }
}
