//! How a driver and a worker part: what has happened to it, and what becomes of what it had.

use rustix::event::{PollFd, PollFlags};

use super::{Driver, End, wait};
use crate::outcome::WorkerEnd;
use crate::pool::dispatcher::Event;
use crate::pool::process::END_LIMIT;
use crate::pool::session::Session;
use crate::pool::state::{Aftermath, Cause, SIGABRT, SIGKILL, Violation};
use crate::wire::msg::Request;

impl Driver {
    /// The worker has ended, or has closed its pipe: what happened?
    pub(super) fn lost(&self, session: &mut Session) -> End {
        if !session.process.ends_within_on(&self.shared.clock, END_LIMIT) {
            return session.broken(Violation("it closed its pipe and went on".into()));
        }
        if let Err(end) = self.drain(session) {
            return end;
        }
        let status = match session.process.wait() {
            Ok(status) => status,
            // Somebody else has: this program ignores SIGCHLD, say.
            Err(error) if session.started => {
                let rule = format!("its end cannot be told: {error}");
                return End::Lost(Cause::Violation(Violation(rule)));
            }
            Err(error) => return End::NeverReady(format!("a worker cannot be waited for: {error}")),
        };
        self.listen(session);
        if session.started {
            End::Lost(match status {
                WorkerEnd::Signalled(signal) if signal == SIGABRT && session.talk.lacked_memory() => {
                    Cause::OutOfMemory(status)
                }
                status => Cause::Ended(status),
            })
        } else {
            let reason = format!("a worker {status} before it was ready");
            match status {
                WorkerEnd::Signalled(signal) if signal == SIGKILL => End::KilledAtStart(reason),
                WorkerEnd::Signalled(_) | WorkerEnd::Exited(_) => End::NeverReady(reason),
            }
        }
    }

    /// Kills what is left of a worker and sees to its items.
    pub(super) fn recover(&mut self, mut session: Session, cause: &Cause) {
        session.process.kill();
        // A spare takes its place at once, and another spare is started.
        self.hatch.prepare_spare();
        if self.shared.rules.policy.at_most_once {
            // What it starts until it is gone must not be started again.
            session.process.ends_within_on(&self.shared.clock, END_LIMIT);
        }
        let hint = session.hint();
        session.recover_outbox(cause);
        self.pass_on(&mut session);
        let Session { process, state, .. } = session;
        let pid = process.pid();
        self.dying.push(process);

        let Aftermath { completions, suspect, failed, again, requeue } = state.bury(cause, hint);
        self.tell_failed(failed.into_iter().collect());
        self.again.extend(again);
        // One that is still to be tried has not been lost with a worker that was never given it.
        self.suspect = suspect.or_else(|| self.suspect.take());
        if !requeue.is_empty() {
            self.shared.scheduler.push_front(requeue);
        }
        let reason = match cause {
            Cause::Ended(end) => end.to_string(),
            Cause::OutOfMemory(_) => "could not have the memory it needed".into(),
            Cause::Violation(violation) => format!("broke the protocol: {violation}"),
            Cause::TimedOut(_) => "was killed: its item used up its time".into(),
            Cause::OutOfCpu(_) => "was killed: its item used up its CPU time".into(),
            Cause::Cancelled(_) => "was killed: its item was cancelled".into(),
        };
        let rule = match cause {
            Cause::Violation(violation) => Some(violation.0.clone()),
            Cause::Ended(_)
            | Cause::OutOfMemory(_)
            | Cause::TimedOut(_)
            | Cause::OutOfCpu(_)
            | Cause::Cancelled(_) => None,
        };
        self.tell(Event::Replaced { worker: self.slot, pid, reason, rule });
        if !completions.is_empty() {
            self.shared.tell_ends(&self.events, completions);
        }
    }

    /// Ends a worker because the run is over: what it has finished counts, and of the rest, that it was started.
    pub(super) fn cut_short(&self, mut session: Session) {
        session.process.kill();
        // A worker that breaks the protocol now is believed nothing more.
        if self.drain(&mut session).is_ok() {
            session.recover_outbox_until(None);
        }
        self.shared.tell_ends(&self.events, std::mem::take(&mut session.ended));
        let again = session.state.take_again().into_iter();
        self.tell_failed(again.map(|(again, failed)| (again.chunk.first(), failed)).collect());
        self.tell(Event::Unfinished { starts: session.state.starts(session.hint()) });
    }

    /// Ends a worker that has answered everything and whose place another takes.
    pub(super) fn replace(&mut self, mut session: Session) {
        self.hatch.prepare_spare();
        session.process.kill();
        self.dying.push(session.process);
    }

    /// Asks a worker to end, and sees to it.
    pub(super) fn farewell(&self, session: &mut Session) {
        session.link.queue(&Request::Bye);
        session.link.write(&session.process.requests);
        let mut fds = [PollFd::new(session.process.pidfd(), PollFlags::IN)];
        wait(&mut fds, Some(END_LIMIT));
        // Dropping it kills it if it is still there.
    }
}
