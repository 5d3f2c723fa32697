//! The worker's conversation with the host, from the handshake to the end. Names no runtime and no system call: what
//! runs items is an [`Engine`], and it waits for nothing but its two pipes.

use std::io::{self, Read, Write};

use super::Refusal;
use super::outbox::{Outbox, Sender};
use crate::guest::Description;
use crate::item::{Input, ItemIndex};
use crate::limits::CodeOptions;
use crate::sandbox::Enforced;
use crate::shm::segment::{Area, Segment};
use crate::wire::frame::FRAME_CAP;
use crate::wire::msg::{
    Allowance, Back, Call, CallEnd, Hello, Load, MAX_ANSWER, Ready, Refused, Report, Request, Response, Serve,
};
use crate::wire::version::{self, Mismatch};
use crate::wire::{Decoder, ReadError, WireError, read_message};

/// The longest message from the host: a chunk, and texts in one have less than 4 GiB. The host is trusted.
const MAX_REQUEST: usize = u32::MAX as usize;

/// What a worker can become.
pub trait Loader {
    /// A guest that was described and can be compiled.
    type Prepared;
    /// A guest that was loaded and can be called.
    type Engine: Engine;

    /// Reads what the guest offers from its bytes; `code` is what it would be compiled with.
    ///
    /// # Errors
    /// If it is no guest.
    fn describe(self, code: CodeOptions) -> Result<(Description, Self::Prepared), Refusal>;

    /// Compiles it.
    ///
    /// # Errors
    /// If it cannot be compiled.
    fn compile(prepared: Self::Prepared) -> Result<Vec<u8>, Refusal>;

    /// Loads the compiled guest, then locks the process.
    ///
    /// # Errors
    /// If it cannot be loaded.
    fn load(self, serve: &Serve) -> Result<(Self::Engine, Enforced), Refusal>;

    /// Locks the process with nothing in it.
    ///
    /// # Errors
    /// If a layer does not hold that must.
    fn probe(self) -> Result<Enforced, Refusal>;
}

/// Runs one item after the other.
pub trait Engine {
    /// What items may use from now on.
    fn allow(&mut self, allowance: Allowance);

    /// Runs an item with the export at place `export` of [`Serve::exports`], which exists. However that ends is the
    /// report. For the same item and input it is the same in every worker, but for what it measures.
    fn call(&mut self, item: ItemIndex, export: usize, input: Input<'_>) -> Report<'_>;
}

/// How a worker came to its end when nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It said goodbye.
    Bye,
    /// The host is gone, or wants no more.
    Closed,
    /// It refused the guest, or the host, and said why.
    Refused,
}

/// Why a worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The requests cannot be read.
    #[error("cannot read from the host: {0}")]
    Read(#[source] io::Error),
    /// A request is not what the protocol says.
    #[error("the host broke the protocol: {0}")]
    Wire(#[from] WireError),
    /// A request is not one that may come now.
    #[error("the host broke the protocol: {found} where {expected} was expected")]
    Order {
        /// What may come.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// A call names an export that was not loaded.
    #[error("the host broke the protocol: a call of export {export} of {loaded}")]
    Export {
        /// Its place, from 0.
        export: u32,
        /// How many there are.
        loaded: usize,
    },
    /// The responses cannot be written.
    #[error("cannot write to the host: {0}")]
    Write(#[source] io::Error),
}

/// Talks with the host until one of the two ends it. `now_ns` reads `CLOCK_MONOTONIC`.
///
/// # Errors
/// If the host breaks the protocol or the pipes fail; that the host is gone is no failure.
pub fn run<L: Loader>(
    requests: impl Read,
    results: impl Write,
    segment: Segment<impl Area>,
    now_ns: impl Fn() -> u64,
    loader: L,
) -> Result<End, Failure> {
    let mut host = Host { input: requests, decoder: Decoder::new(MAX_REQUEST), sender: Sender::new(results) };
    match converse(&mut host, segment, now_ns, loader) {
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Closed),
        other => other,
    }
}

fn converse<R: Read, W: Write, L: Loader>(
    host: &mut Host<R, W>,
    segment: Segment<impl Area>,
    now_ns: impl Fn() -> u64,
    loader: L,
) -> Result<End, Failure> {
    match host.request()? {
        None => return Ok(End::Closed),
        Some(Request::Hello(hello)) => {
            let answer = version::check(&hello);
            host.send(&Response::Hello(version::hello()))?;
            if let Err(mismatch) = answer {
                return host.refuse(&stranger(&mismatch));
            }
        }
        Some(other) => return Err(unexpected("hello", &other)),
    }
    match host.request()? {
        None => Ok(End::Closed),
        Some(Request::Load(Load::Compile { describe_only, code })) => {
            compile(host, loader, describe_only, code)
        }
        Some(Request::Load(Load::Probe)) => match loader.probe() {
            Err(refusal) => host.refuse(&refusal),
            Ok(enforced) => {
                host.send(&Response::Ready(Ready { layers: enforced.layers }))?;
                // Whoever asked looks at this process, and then wants no more.
                host.request().map(|_| End::Closed)
            }
        },
        Some(Request::Load(Load::Serve(wanted))) => match loader.load(&wanted) {
            Err(refusal) => host.refuse(&refusal),
            Ok((engine, enforced)) => {
                host.send(&Response::Ready(Ready { layers: enforced.layers }))?;
                let outbox = Outbox::new(segment);
                Server { host, outbox, now_ns, engine, n_exports: wanted.exports.len() }.run()
            }
        },
        Some(other) => Err(unexpected("load", &other)),
    }
}

fn compile<R: Read, W: Write, L: Loader>(
    host: &mut Host<R, W>,
    loader: L,
    describe_only: bool,
    code: CodeOptions,
) -> Result<End, Failure> {
    let prepared = match loader.describe(code) {
        Err(refusal) => return host.refuse(&refusal),
        Ok((description, prepared)) => {
            let bytes = postcard::to_stdvec(&description).expect("a description is plain data");
            host.send(&Response::Description(&bytes))?;
            prepared
        }
    };
    let end = if describe_only { host.bye()? } else { send_code::<_, _, L>(host, prepared)? };
    // The host looks at this process before it believes the description, and then wants no more.
    host.request().map(|_| end)
}

fn send_code<R: Read, W: Write, L: Loader>(
    host: &mut Host<R, W>,
    prepared: L::Prepared,
) -> Result<End, Failure> {
    match L::compile(prepared) {
        Err(refusal) => host.refuse(&refusal),
        Ok(code) => {
            for piece in code.chunks(FRAME_CAP) {
                host.send(&Response::Code(piece))?;
            }
            host.bye()
        }
    }
}

/// The host, as the worker sees it.
struct Host<R, W> {
    input: R,
    decoder: Decoder,
    sender: Sender<W>,
}

impl<R: Read, W: Write> Host<R, W> {
    /// Waits for the next request; none if the host closed the pipe.
    fn request(&mut self) -> Result<Option<Request<'_>>, Failure> {
        match read_message(&mut self.input, &mut self.decoder) {
            Ok(None) => Ok(None),
            Ok(Some(message)) => Ok(Some(Request::parse(message)?)),
            Err(ReadError::Io(error)) => Err(Failure::Read(error)),
            Err(ReadError::Wire(error)) => Err(Failure::Wire(error)),
        }
    }

    fn send(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        self.sender.send(response).map_err(Failure::Write)
    }

    fn refuse(&mut self, Refusal { about, message, hint }: &Refusal) -> Result<End, Failure> {
        self.send(&Response::Refused(Refused { about: *about, message, hint: hint.as_deref() }))?;
        Ok(End::Refused)
    }

    fn bye(&mut self) -> Result<End, Failure> {
        self.send(&Response::Bye)?;
        Ok(End::Bye)
    }
}

/// A worker that is ready.
struct Server<'h, R, W, A, C, E> {
    host: &'h mut Host<R, W>,
    outbox: Outbox<A>,
    now_ns: C,
    engine: E,
    n_exports: usize,
}

impl<R: Read, W: Write, A: Area, C: Fn() -> u64, E: Engine> Server<'_, R, W, A, C, E> {
    fn run(mut self) -> Result<End, Failure> {
        loop {
            match self.host.request()? {
                None => return Ok(End::Closed),
                Some(Request::Call(call) | Request::Merge(call)) => self.serve(&call)?,
                // Every call is answered before the next request is read.
                Some(Request::Drain) => self.host.send(&Response::Drain)?,
                Some(Request::Bye) => return self.host.bye(),
                Some(Request::Allow(allowance)) => self.engine.allow(allowance),
                Some(other @ (Request::Hello(_) | Request::Load(_))) => {
                    return Err(unexpected("a call", &other));
                }
            }
        }
    }

    /// Runs the items of a chunk and sends all their reports.
    fn serve(&mut self, call: &Call) -> Result<(), Failure> {
        let export = usize::try_from(call.export).ok().filter(|export| *export < self.n_exports);
        let Some(export) = export else {
            return Err(Failure::Export { export: call.export, loaded: self.n_exports });
        };
        let ended = self.run_items(call, export).and_then(|()| self.outbox.flush(&mut self.host.sender));
        self.outbox.idle();
        ended.map_err(Failure::Write)
    }

    fn run_items(&mut self, call: &Call, export: usize) -> io::Result<()> {
        let sender = &mut self.host.sender;
        let mut now_ns = (self.now_ns)();
        let mut answered = 0;
        self.outbox.restart(now_ns);
        let inputs = (0..).map_while(|position| call.chunk.input(position));
        for (item, input) in (call.chunk.first()..).zip(inputs) {
            if answered >= MAX_ANSWER {
                return self.give_back(call, item);
            }
            self.outbox.running(item, call.attempt, now_ns);
            let mut report = self.engine.call(item, export, input);
            let named = refused_item(&report.end, item, input);
            if let Some(error) = &named {
                report.end = CallEnd::Input { error };
            }
            answered += report.held_len();
            self.outbox.push(item, call.attempt, &report, sender)?;
            // Writing may take as long as the host likes, and is on nobody's account.
            self.outbox.idle();
            now_ns = (self.now_ns)();
            if self.outbox.is_due(now_ns) {
                self.outbox.flush(sender)?;
                // The pipe may have been full: the next item starts only now.
                now_ns = (self.now_ns)();
                self.outbox.restart(now_ns);
            }
        }
        Ok(())
    }

    /// Gives back the items of the chunk from `first` on.
    fn give_back(&mut self, call: &Call, first: ItemIndex) -> io::Result<()> {
        self.outbox.flush(&mut self.host.sender)?;
        let count = call.chunk.first() + call.chunk.len() - first;
        let count = u32::try_from(count).expect("a chunk has fewer than 2^32 items");
        self.host.sender.send(&Response::Back(Back { first, attempt: call.attempt, count }))
    }
}

/// Why an item was refused, with its name before it: whoever reads a file of refused items finds it by that. Arguments
/// and merges are not numbered for anybody.
fn refused_item(end: &CallEnd<'_>, item: ItemIndex, input: Input<'_>) -> Option<String> {
    let error = match end {
        CallEnd::Input { error } => error,
        CallEnd::Ok(_)
        | CallEnd::Trap { .. }
        | CallEnd::Memory { .. }
        | CallEnd::OutOfFuel
        | CallEnd::Exit { .. }
        | CallEnd::Output { .. }
        | CallEnd::Denied { .. } => return None,
    };
    match input {
        Input::Arguments(_) | Input::Fold(_) => None,
        Input::Span { .. } | Input::Number(_) | Input::Text(_) | Input::File { .. } | Input::Json { .. } => {
            Some(format!("item {item}, {error}"))
        }
    }
}

fn unexpected(expected: &'static str, request: &Request<'_>) -> Failure {
    let found = match request {
        Request::Hello(Hello { .. }) => "hello",
        Request::Load(_) => "load",
        Request::Call(_) => "a call",
        Request::Merge(_) => "a merge",
        Request::Allow(_) => "an allowance",
        Request::Drain => "drain",
        Request::Bye => "bye",
    };
    Failure::Order { expected, found }
}

fn stranger(mismatch: &Mismatch) -> Refusal {
    Refusal::new(format!("cannot run in this worker: {mismatch}"))
}

#[cfg(test)]
mod tests;
