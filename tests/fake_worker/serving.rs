//! A fake worker that is ready: its results, its status page, its misdeeds.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::fs::OFlags;
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use wasmpool::item::ItemIndex;
use wasmpool::shm::segment::{Segment, SegmentMap};
use wasmpool::wire::msg::{Call, Response};

use super::actor::{Actor, Asked, die, open, stay_without};
use super::bytes::{GARBAGE, batch, encoded, report, single, value};
use super::chaos;
use super::script::{Death, Fault, Misdeed, Page, Results, Step, When};

/// Marks of two workers that meet.
const HAS_IT: &str = "has-it";
const FORGED: &str = "forged";

/// How often a page that never keeps still is written.
const BLINK: Duration = Duration::from_millis(1);

/// How the serving of a chunk ended.
enum Served {
    Well,
    /// The process ends with this code.
    Ending(i32),
    /// It says nothing more.
    Silent,
}

/// Results of a chunk that have not been written.
#[derive(Default)]
struct Held {
    first: ItemIndex,
    count: u32,
    reports: Vec<u8>,
}

impl Actor {
    pub(super) fn serve(mut self, segment: SegmentMap) -> io::Result<i32> {
        let segment = Segment::new(segment);
        if let Page::Frozen(item) = self.script.page {
            segment.running(item, 1, now_ns());
        }
        loop {
            match self.hear() {
                Asked::Calls(call) => match self.chunk(&call, &segment)? {
                    Served::Well => {}
                    Served::Ending(code) => return Ok(code),
                    Served::Silent => return self.hang(),
                },
                Asked::End if self.script.stay => return self.hang_on(),
                Asked::End => return self.send(&Response::Bye).map(|()| 0),
                Asked::Compile { .. } | Asked::Serve | Asked::Other => panic!("the host broke the protocol"),
            }
        }
    }

    fn chunk(&mut self, call: &Call, segment: &Segment<SegmentMap>) -> io::Result<Served> {
        let mut held = Held { first: call.chunk.first(), ..Held::default() };
        let mut at_the_end = None;
        for position in 0..call.chunk.len() {
            let item = call.chunk.first() + position;
            let value = value(call.chunk.input(position).unwrap());
            let misdeed = self.misdeed_at(item, call.attempt);
            let begins = !matches!(misdeed, Some(Misdeed::Fail(Step::Decode, _)));
            if matches!(self.script.page, Page::Honest) && begins {
                segment.running(item, call.attempt, now_ns());
            }
            self.talk()?;
            if !self.script.work.is_zero() {
                rest(self.script.work);
            }
            self.meet(item);
            match misdeed {
                None => self.answer(&mut held, call.attempt, &value, segment)?,
                Some(Misdeed::DieUncleared(death)) => {
                    self.answer(&mut held, call.attempt, &value, segment)?;
                    at_the_end = Some(death);
                }
                Some(misdeed) => match self.misbehave(misdeed, (item, call.attempt), &value, segment)? {
                    // A liar that is still believed goes on behind the item.
                    Served::Well => held.first = item + 1,
                    end => return Ok(end),
                },
            }
        }
        if held.count > 0 {
            let bytes = batch(held.first, call.attempt, held.count, &held.reports);
            self.write_held(&bytes)?;
            if let Some(death) = at_the_end {
                return Ok(Served::Ending(die(death)));
            }
            segment.clear();
        }
        if let Page::Honest = self.script.page {
            segment.idle();
        }
        Ok(Served::Well)
    }

    /// Gives a result, or keeps it for later.
    fn answer(
        &mut self,
        held: &mut Held,
        attempt: u32,
        value: &str,
        segment: &Segment<SegmentMap>,
    ) -> io::Result<()> {
        let report = report(value.as_bytes(), self.script.stdout);
        let item = held.first + u64::from(held.count);
        match self.script.results {
            Results::OneByOne => {
                held.first += 1;
                return self.write(&batch(item, attempt, 1, &report));
            }
            Results::Batched | Results::InPieces(_) => {}
            Results::Outbox => {
                if held.count == 0 {
                    segment.begin(item, attempt);
                }
                segment.append(held.reports.len(), &report, held.count + 1);
            }
        }
        held.count += 1;
        held.reports.extend(report);
        Ok(())
    }

    fn write_held(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.script.results {
            Results::OneByOne | Results::Batched | Results::Outbox => self.write(bytes),
            Results::InPieces(length) => bytes.chunks(length).try_for_each(|piece| self.write(piece)),
        }
    }

    /// Writes to standard error.
    fn talk(&self) -> io::Result<()> {
        let line = [&[b'x'; 99][..], b"\n"].concat();
        (0..self.script.talk / line.len()).try_for_each(|_| io::stderr().write_all(&line))
    }

    fn misdeed_at(&self, item: ItemIndex, attempt: u32) -> Option<Misdeed> {
        if let Some(seed) = self.script.chaos {
            return chaos::misdeed(seed, item, attempt);
        }
        let (when, misdeed) = self.script.misdeed?;
        let due = match when {
            When::Always(bad) => item == bad,
            When::First(bad) => item == bad && attempt == 1,
            When::Everywhere => true,
        };
        due.then_some(misdeed)
    }

    fn misbehave(
        &mut self,
        misdeed: Misdeed,
        (item, attempt): (ItemIndex, u32),
        value: &str,
        segment: &Segment<SegmentMap>,
    ) -> io::Result<Served> {
        let honest = single(item, attempt, value.as_bytes(), self.script.stdout);
        self.show(item, attempt);
        match misdeed {
            Misdeed::Lie(lie) => self.write(&lie.bytes(item, attempt, value.as_bytes()))?,
            Misdeed::Die(death) => return Ok(Served::Ending(die(death))),
            Misdeed::DieMidFrame => {
                self.write(&honest[..honest.len() / 2])?;
                return Ok(Served::Ending(0));
            }
            Misdeed::DieAfter(death) | Misdeed::DieUncleared(death) => {
                self.write(&honest)?;
                return Ok(Served::Ending(die(death)));
            }
            Misdeed::DieForging(ahead, death) => {
                segment.begin(item + ahead, attempt);
                segment.append(0, &report(b"\"forged\"", 0), 1);
                return Ok(Served::Ending(die(death)));
            }
            Misdeed::DieScribbling(death) => {
                segment.begin(item, attempt);
                segment.append(0, &GARBAGE, 1);
                return Ok(Served::Ending(die(death)));
            }
            Misdeed::Fail(step, fault) => {
                if step == Step::Encode {
                    self.write(&honest[..honest.len() / 2])?;
                }
                match fault {
                    Fault::Crash => return Ok(Served::Ending(die(Death::Signal(Signal::SEGV.as_raw())))),
                    Fault::Exit => return Ok(Served::Ending(1)),
                    Fault::Error => self.write(&GARBAGE)?,
                }
            }
            Misdeed::Forge(_) => {
                self.wait_for(HAS_IT);
                let other = std::fs::read_to_string(self.stage().join(HAS_IT)).unwrap().parse().unwrap();
                // Before the lie: it may be the last thing this process does.
                self.mark(FORGED);
                self.write(&single(other, attempt, b"\"forged\"", 0))?;
                self.write(&honest)?;
            }
            Misdeed::Stop => {
                stop_for_a_moment();
                self.write(&honest)?;
            }
            Misdeed::Rest(pause) => {
                rest(pause);
                self.write(&honest)?;
            }
            Misdeed::Late(pause) => {
                write_later(self.stage(), pause, &honest);
                return Ok(Served::Silent);
            }
            Misdeed::Hang => return Ok(Served::Silent),
            Misdeed::HangMidFrame => {
                self.write(&honest[..honest.len() / 2])?;
                return Ok(Served::Silent);
            }
            Misdeed::Trickle(pause) => {
                for byte in &honest {
                    self.write(std::slice::from_ref(byte))?;
                    rest(pause);
                }
            }
            Misdeed::Log => {
                self.send(&Response::Log(b"a line for the log"))?;
                self.write(&honest)?;
            }
            Misdeed::LogForEver => {
                let lines = encoded(&Response::Log(b"still here")).repeat(1000);
                loop {
                    self.write(&lines)?;
                }
            }
            Misdeed::CloseResults => return Err(stay_without("4>&-")),
            Misdeed::CloseRequests => return Err(stay_without("3<&-")),
        }
        Ok(Served::Well)
    }

    /// Two workers that are to meet do so at the first item of the second, which it runs and the other speaks for.
    fn meet(&self, item: ItemIndex) {
        if let Some((_, Misdeed::Forge(first))) = self.script.misdeed
            && item >= first
            && !self.stage().join(FORGED).exists()
        {
            let name = self.stage().join(item.to_string());
            std::fs::write(&name, item.to_string()).unwrap();
            // Whole when it is there.
            std::fs::rename(name, self.stage().join(HAS_IT)).unwrap();
            self.wait_for(FORGED);
            // The lie is to come first.
            rest(50 * BLINK);
        }
    }

    fn mark(&self, name: &str) {
        File::create(self.stage().join(name)).unwrap();
    }

    fn wait_for(&self, name: &str) {
        while !self.stage().join(name).exists() {
            rest(BLINK);
        }
    }

    /// Starts a thread that writes a page that never keeps still, if the script asks for one.
    fn show(&self, item: ItemIndex, attempt: u32) {
        let flickers = match self.script.page {
            Page::Blank | Page::Honest | Page::Frozen(_) => return,
            Page::Restarting => false,
            Page::Flickering => true,
        };
        std::thread::spawn(move || {
            let segment = Segment::new(SegmentMap::new(open(6, OFlags::RDWR).as_fd()).unwrap());
            loop {
                segment.running(item, attempt, now_ns());
                rest(BLINK);
                if flickers {
                    segment.idle();
                    rest(BLINK);
                }
            }
        });
    }

    /// Stays although the host wants no more; that kills it.
    fn hang_on(self) -> io::Result<i32> {
        Err(stay_without("3<&-"))
    }
}

/// Stops this process, which another one continues.
#[expect(clippy::zombie_processes, reason = "it ends after this process has gone on, or is gone")]
fn stop_for_a_moment() {
    let own = rustix::process::getpid();
    // What it inherits is closed, or the end of a worker that is killed meanwhile would not be seen in its pipes.
    let script = format!(
        "exec 3<&- 4>&-; until grep -q '^State:.T' /proc/{own}/status; do [ -e /proc/{own} ] || exit; done; \
         sleep 0.01; kill -CONT {own}"
    );
    Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
    rustix::process::kill_process(own, Signal::STOP).unwrap();
}

/// Has these bytes written to the results after a while, by a process that is not killed with this one.
#[expect(clippy::zombie_processes, reason = "it outlives this process")]
fn write_later(stage: &Path, pause: Duration, bytes: &[u8]) {
    let path = stage.join("late");
    fs::write(&path, bytes).unwrap();
    let script = format!("sleep {}; cat '{}' >&4", pause.as_secs_f64(), path.display());
    Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
}

/// Does nothing for so long: a worker that is slow is what is tested here.
fn rest(pause: Duration) {
    let pause = Timespec::try_from(pause).unwrap();
    rustix::event::poll(&mut [], Some(&pause)).unwrap();
}

/// What the monotonic clock shows.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}
