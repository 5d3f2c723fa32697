//! What a worker shares with others, and how its guests use it: the interfaces of `wit/pool/pool.wit`.
//!
//! What guests open are places in the worker's list of shared things, which cost nothing and end with nothing. What an
//! item *holds*, locks and ends of pipes, its [`Hands`] know, which give it back with the item, however that ends.

mod hands;
mod queues;
mod segments;
mod types;
mod values;
mod watching;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use wasmtime::component::{Linker, Resource};

use self::segments::Segment;
use self::types::OpenError;
use super::Refusal;
use super::guest::Given;
use super::memory::Memories;
use super::wasi::State;
use crate::shm::declared::{Declared, Holder, Shape};
use crate::shm::raw::{RawArray, RawLock, RawPipeEnd, RawQueue, RawValue};

pub(super) use self::hands::Hands;
pub(super) use self::watching::Herald;

/// The interfaces, as components name them.
pub(super) const INTERFACES: [&str; 4] =
    ["wasmpool:pool/queues", "wasmpool:pool/segments", "wasmpool:pool/values", "wasmpool:pool/watching"];

/// The version of all of them.
const VERSION: &str = "@0.1.0";

/// Whether this is the name of one of them, in a version that is met.
pub(super) fn provides(name: &str) -> bool {
    name.strip_suffix(VERSION).is_some_and(|name| INTERFACES.contains(&name) || name == TYPES)
}

/// What the others take their types from.
const TYPES: &str = "wasmpool:pool/types";

/// Everything that a worker shares.
#[derive(Debug)]
pub(super) struct Shares {
    things: Vec<(String, Thing)>,
    /// Who the worker is.
    who: Holder,
    /// Where segments are put.
    memories: Memories,
}

/// A shared thing, ready to be used.
#[derive(Debug)]
enum Thing {
    Segment(Segment),
    Value(RawValue),
    Array(RawArray),
    Lock(RawLock),
    Queue(RawQueue),
    PipeEnd(RawPipeEnd),
}

impl Shares {
    /// Maps what there is. Segments wait for guests that have a place for them in `memories`.
    pub(super) fn new(given: Given, declared: &[Declared], memories: Memories) -> Result<Self, Refusal> {
        let Given { shared, holder: who, .. } = given;
        if shared.len() != declared.len() {
            let message = format!("shares {} things, of which {} are open", declared.len(), shared.len());
            return Err(Refusal::new(message));
        }
        let things = declared.iter().zip(shared).map(|(Declared { name, shape }, file)| {
            let thing = Thing::new(*shape, file).map_err(|error| {
                Refusal::machine(format!("the shared `{name}` cannot be mapped by a worker: {error}"), None)
            })?;
            Ok((name.clone(), thing))
        });
        Ok(Self { things: things.collect::<Result<_, _>>()?, who, memories })
    }

    /// Where the thing of this name is, if it is what is wanted.
    fn find(&self, name: &str, is_wanted: impl FnOnce(&Thing) -> bool) -> Result<usize, OpenError> {
        let at = self.things.iter().position(|(other, _)| other == name).ok_or(OpenError::Unknown)?;
        if is_wanted(&self.things[at].1) { Ok(at) } else { Err(OpenError::OtherKind) }
    }

    /// The thing at this place, if there is one.
    fn thing(&self, at: u32) -> Option<&Thing> {
        self.things.get(usize::try_from(at).ok()?).map(|(_, thing)| thing)
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self { things: Vec::new(), who: Holder::HOST, memories: Memories::default() }
    }
}

impl Thing {
    fn new(shape: Shape, file: OwnedFd) -> io::Result<Self> {
        Ok(match shape {
            Shape::Segment { length, writable } => Self::Segment(Segment::new(file, length, writable)?),
            Shape::Value(number) => Self::Value(RawValue::map(file.as_fd(), number)?),
            Shape::Array { number, length } => Self::Array(RawArray::map(file.as_fd(), number, length)?),
            Shape::Lock => Self::Lock(RawLock::map(file.as_fd())?),
            Shape::Queue(bounds) => Self::Queue(RawQueue::map(file.as_fd(), bounds)?),
            Shape::PipeEnd { second, bounds } => {
                Self::PipeEnd(RawPipeEnd::map(file.as_fd(), second, bounds)?)
            }
        })
    }
}

impl Thing {
    /// A handle leads to what it was made for, unless its maker has made a mistake.
    fn stranger(&self) -> wasmtime::Error {
        wasmtime::Error::msg("a handle of something else")
    }
}

/// Puts all interfaces into a linker.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let full = |interface: &str| format!("wasmpool:pool/{interface}{VERSION}");
    segments::add(&mut linker.instance(&full("segments"))?)?;
    values::add(&mut linker.instance(&full("values"))?)?;
    queues::add(&mut linker.instance(&full("queues"))?)?;
    watching::add(&mut linker.instance(&full("watching"))?)
}

/// A handle for the thing at this place.
fn handle<T: 'static>(at: usize) -> Resource<T> {
    Resource::new_own(number(at))
}

/// The place as guests have it.
fn number(at: usize) -> u32 {
    u32::try_from(at).expect("few things are shared")
}

/// Where the thing of a handle is.
fn place<T: 'static>(handle: &Resource<T>) -> usize {
    handle.rep() as usize
}

/// When so many nanoseconds are over.
fn until(timeout: Option<u64>) -> Option<Instant> {
    // Later than any clock goes is never.
    timeout.and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)))
}
