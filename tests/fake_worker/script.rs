//! What a fake worker is told to do. It is honest unless told otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmpool::item::ItemIndex;
use wasmpool::sandbox::Layer;

/// What every process that a [`Fake`](super::Fake) starts does.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Script {
    /// As a compile worker.
    pub(crate) compiler: Compiler,
    /// As a serving worker, up to being ready.
    pub(crate) start: Start,
    /// How honest results are written.
    pub(crate) results: Results,
    /// What the status page says.
    pub(crate) page: Page,
    /// What goes wrong, if anything.
    pub(crate) misdeed: Option<(When, Misdeed)>,
    /// What goes wrong now and then, as this seed has it.
    pub(crate) chaos: Option<u64>,
    /// Bytes of standard output that each result carries.
    pub(crate) stdout: usize,
    /// How long each item takes.
    pub(crate) work: Duration,
    /// Bytes written to standard error before each result.
    pub(crate) talk: usize,
    /// Have no standard output and error.
    pub(crate) mute: bool,
    /// Do not end when asked to.
    pub(crate) stay: bool,
    /// As a serving worker that shares a lock, have it from the start, if nobody else has it, and keep it.
    pub(crate) hold: bool,
    /// Which processes have the layers around them that are required, as far as the host can see them.
    pub(crate) locked: Locked,
    /// The layers that a serving worker says it has; none: it says nothing of layers.
    pub(crate) claims: Option<Vec<Layer>>,
}

/// Which processes are locked in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Locked {
    #[default]
    None,
    /// Compile workers alone.
    Compiling,
    All,
    /// All, with the capabilities of who runs the tests.
    AllButRights,
}

/// A compile worker's part.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Compiler {
    #[default]
    Honest,
    CodeFirst,
    Garbage,
    Exit(i32),
    /// Describes, sends half of the code and exits.
    ExitMidCode,
    LongDescription,
    BrokenDescription,
    DescribeTwice,
    Ready,
    Refuse,
    /// The machine does not have what it needs.
    Unable,
    OtherBuild,
    Ungreeted,
    /// The first process is killed in the middle of the code.
    KilledOnce,
    /// As that, and the next sends code before its description.
    KilledThenCodeFirst,
    /// Describes, closes its pipe and stays.
    CloseResults,
}

/// A serving worker's beginning.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Start {
    #[default]
    Honest,
    Garbage,
    /// Before saying anything.
    Exit,
    /// The first process exits before saying anything.
    ExitOnce,
    /// After the greeting.
    CloseResults,
    OtherBuild,
    OtherProtocol,
    ReadyUngreeted,
    GreetTwice,
    ReadyTwice,
    /// In one write.
    ReadyThenResult,
    ReadyThenExit,
    /// Is ready and never reads a request.
    Deaf,
    /// As that, the first process.
    DeafOnce,
    ResultUnready,
    Refuse,
    /// The code cannot be loaded.
    Unloadable,
}

/// How honest results are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) enum Results {
    #[default]
    OneByOne,
    /// All of a chunk in one message.
    Batched,
    /// All of a chunk, in writes of this many bytes.
    InPieces(usize),
    /// All of a chunk, held in the outbox until it is done.
    Outbox,
}

/// What the status page says.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) enum Page {
    /// Nothing.
    #[default]
    Blank,
    /// Which item is running.
    Honest,
    /// Always this item.
    Frozen(ItemIndex),
    /// The item that is running, started just now, again and again.
    Restarting,
    /// The item that is running, and none, in turn.
    Flickering,
}

/// When a misdeed is done.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum When {
    /// At each attempt at this item.
    Always(ItemIndex),
    /// At the first attempt at this item.
    First(ItemIndex),
    /// At each item.
    Everywhere,
}

/// What a fake worker does instead of giving an item's result.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Misdeed {
    /// Sends something else, and goes on.
    Lie(Lie),
    /// Ends.
    Die(Death),
    /// Sends half of the result and ends well.
    DieMidFrame,
    /// Gives the result, then ends.
    DieAfter(Death),
    /// Gives the results of the chunk and ends before it clears the outbox.
    DieUncleared(Death),
    /// Leaves the result of an item so far ahead in the outbox and ends.
    DieForging(u64, Death),
    /// Leaves garbage in the outbox and ends.
    DieScribbling(Death),
    /// Fails at this step of the item in this way.
    Fail(Step, Fault),
    /// Gives the result of an item that another worker is running, from this one on, beside its own.
    Forge(ItemIndex),
    /// Stops for a moment, as a whole.
    Stop,
    /// Is slow.
    Rest(Duration),
    /// Says nothing more.
    Hang,
    /// Says nothing more; the result comes when it is no more.
    Late(Duration),
    /// Sends half of the result and says nothing more.
    HangMidFrame,
    /// Sends the result byte by byte, each after a pause.
    Trickle(Duration),
    /// Logs a line, and gives the result.
    Log,
    /// Logs without a pause, for good.
    LogForEver,
    /// Closes its result pipe and stays.
    CloseResults,
    /// Closes its request pipe and stays.
    CloseRequests,
}

/// A step of a worker on its way through an item.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) enum Step {
    /// It has the item, and has not begun.
    Decode,
    /// It has begun.
    Run,
    /// Half of the result is written.
    Encode,
}

/// How a step goes wrong.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Fault {
    Crash,
    Exit,
    /// It says something that makes no sense.
    Error,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Death {
    Exit(i32),
    Abort,
    /// As a program ends that is refused memory.
    NoMemory,
    Signal(i32),
}

/// What is sent in place of a result.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Lie {
    /// A frame whose header names this length.
    Length(u32),
    /// A batch without reports.
    NoReports,
    Garbage,
    Checksum,
    Version,
    Kind,
    /// A fragment that is not full.
    ShortFragment,
    /// The result of an item so far ahead.
    ItemAhead(u64),
    OtherAttempt,
    /// The result, twice.
    Twice,
    /// The result, as often as this in one batch.
    Repeated(u32),
    /// The result of a merge.
    Merge,
    /// Bytes that are no JSON.
    NoJson,
    /// A value with a line break.
    LineBreak,
    /// A value that is no UTF-8.
    NoUtf8,
    /// Arrays in each other, so many.
    Nested(usize),
    /// The first half of that.
    Unclosed(usize),
    /// So many bytes of standard output.
    Output(usize),
    Hello,
    Ready,
    Refusal,
    Description,
    Code,
    Drain,
    /// The item that is due and those behind it, given back.
    Back,
    Bye,
}
