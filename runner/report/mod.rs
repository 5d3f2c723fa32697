//! Talk about a run, to standard error: progress, warnings, the summary.
//!
//! The dispatcher calls a reporter synchronously, so a reporter must be quick and must not fail. Time passes for a
//! reporter only when it is told something: one that shows progress wants [`RunEvent::Progress`] some times a
//! second, even if nothing ended.

mod bar;
mod lines;
mod plain;
mod quiet;
mod stats;
mod summary;

use std::io::{self, Write};
use std::time::Duration;

use bar::Bar;
use indicatif::ProgressDrawTarget;
use lines::Lines;
use plain::Plain;
use quiet::Quiet;
use summary::Ending;

pub use self::stats::{ItemTimes, StageStats, Stats, WorkerShare};
use crate::color::Color;
use crate::item::ItemIndex;

/// Told about a run as it goes.
pub trait Reporter {
    /// Takes note of one event.
    fn report(&mut self, event: RunEvent<'_>);

    /// A writer to `output`, which is on the same terminal: what this reporter has drawn there is taken away
    /// while something is written, and comes back below it. It is to be given whole lines.
    fn beside<'w>(&self, output: Box<dyn Write + 'w>) -> Box<dyn Write + 'w> {
        output
    }
}

/// What is worth telling about a run.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// Workers have been asked for.
    Started {
        /// How many work side by side.
        workers: usize,
        /// How many items there will be, where that is known.
        items: Option<u64>,
    },
    /// Some items ended.
    Progress {
        /// The counts so far.
        counts: Counts,
    },
    /// A worker takes items from now on.
    WorkerReady {
        /// Which worker slot, from 0.
        worker: u32,
        /// The process.
        pid: u32,
    },
    /// A worker died or was killed, and another takes its place.
    WorkerReplaced {
        /// Which worker slot, from 0.
        worker: u32,
        /// The process that is gone.
        pid: u32,
        /// Why, as one lower-case line to be read after the worker: `was killed by SIGKILL`.
        reason: &'a str,
    },
    /// A worker cannot be started; those that are there go on.
    WorkerMissing {
        /// Which worker slot, from 0.
        worker: u32,
        /// What the system says.
        reason: &'a str,
    },
    /// A line a worker wrote to its own standard error, control characters and all.
    WorkerSaid {
        /// Which worker slot, from 0.
        worker: u32,
        /// The line, without its end.
        line: &'a str,
    },
    /// An item says how far it is, while it runs.
    ItemProgress {
        /// Which.
        item: ItemIndex,
        /// How much of it is done, in millionths.
        millionths: u32,
    },
    /// A worker is gone that held something shared, which was taken back.
    Recovered {
        /// The process that is gone.
        pid: u32,
        /// What the shared thing is called.
        name: &'a str,
        /// What it held, and what became of that: one lower-case line.
        what: &'a str,
    },
    /// What the guest of a single call printed, for whoever made the call: its result goes elsewhere.
    GuestPrinted {
        /// `stdout` or `stderr`, as the guest saw it.
        stream: &'a str,
        /// All of it, control characters and all.
        text: &'a str,
    },
    /// The items of a worker share its instance, which gives up what is promised of items.
    SharedInstance,
    /// Workers have no layer of protection around them: that was asked for.
    NoSandbox,
    /// Workers lack a layer of protection.
    LayerMissing {
        /// Which.
        layer: &'a str,
        /// Why, as one lower-case line.
        why: &'a str,
    },
    /// What workers say of their layers cannot be verified.
    SandboxHidden {
        /// Why, as one lower-case line.
        why: &'a str,
    },
    /// What the user should know, most of it before anything runs: one lower-case line.
    Note {
        /// The line.
        line: &'a str,
    },
    /// Something about the input that the user should know: one lower-case line.
    InputRemark {
        /// The line.
        line: &'a str,
    },
    /// The run is over.
    Finished {
        /// Everything counted.
        summary: &'a Summary,
    },
}

/// How many items ended how. `items == ok + failed + cancelled` once a run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items accepted from the input.
    pub items: u64,
    /// Items that ended `ok`.
    pub ok: u64,
    /// Of the `ok` ones, how many returned the `err` of a WIT `result`.
    pub err: u64,
    /// Items that ended otherwise, but for the cancelled.
    pub failed: u64,
    /// Items that were cut short by the end of the run.
    pub cancelled: u64,
}

/// The figures of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many items ended how.
    pub counts: Counts,
    /// How many merges failed.
    pub failed_merges: u64,
    /// How often an item was started; not at all where its input could not be read.
    pub attempts: u64,
    /// From the first worker asked for to the last item emitted.
    pub wall: Duration,
    /// CPU time of the host and of every worker.
    pub cpu: Duration,
    /// The sum of the times items ran, by the workers' clocks.
    pub busy: Duration,
    /// The part of `wall` that went by until the guest was compiled.
    pub start_up: Duration,
    /// How many worker slots there were.
    pub workers: usize,
    /// How many chunks were taken from another worker's deque.
    pub steals: u64,
    /// How many workers were replaced.
    pub replaced: u64,
    /// How times, work and failures were spread.
    pub stats: Stats,
}

/// What is told about a run, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// Its progress.
    pub progress: Progress,
    /// [`Stats`] too, at the end, whatever the progress.
    pub stats: bool,
    /// Standard error is a terminal.
    pub terminal: bool,
    /// Whether it takes colours.
    pub color: Color,
}

/// How the progress of a run is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, nothing elsewhere; a summary at the end.
    #[default]
    Auto,
    /// A bar, if there is a terminal to draw it on; a summary at the end.
    Bar,
    /// A line every few seconds, for logs; a summary at the end.
    Plain,
    /// Nothing but warnings.
    None,
}

/// The reporter that talks to standard error.
#[must_use]
pub fn for_run(options: ReportOptions) -> Box<dyn Reporter + Send> {
    let ReportOptions { progress, stats, terminal, color } = options;
    let talk = io::stderr();
    let lines = Lines::new(color);
    let ending = Ending { summary: progress != Progress::None, stats };
    match progress {
        Progress::Auto | Progress::Bar if terminal => {
            Box::new(Bar::new(ProgressDrawTarget::stderr(), talk, lines, ending))
        }
        Progress::Auto | Progress::Bar | Progress::None => Box::new(Quiet::new(talk, lines, ending)),
        Progress::Plain => Box::new(Plain::new(talk, lines, ending)),
    }
}

impl Counts {
    /// How many items have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ok + self.failed + self.cancelled
    }
}

/// `1 item`, `2 items`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// Items a second: whole ones, but for a slow run.
fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1} items/s") } else { format!("{per_second:.0} items/s") }
}

/// How far an item is that has said so, in whole percent.
fn so_far(item: ItemIndex, millionths: u32) -> String {
    format!("item {item} is at {} %", millionths / 10_000)
}

/// What is said of failures behind other figures: nothing if there are none.
fn failures(counts: Counts) -> String {
    match counts.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    }
}
