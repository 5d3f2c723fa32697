//! `wasmpool:pool/queues`: messages from guest to guest.

use wasmtime::component::{LinkerInstance, Resource, ResourceType, WasmList};
use wasmtime::{StoreContextMut, bail};

use super::types::{self, OpenError};
use super::{Thing, handle, number, place, until};
use crate::shm::raw::{GetError, PutError, RawPipeEnd, RawQueue};
use crate::worker::wasi::State;

/// What handles are of. They are places in the list of shared things, as the numbers of queues are.
struct PipeEnd;

type Store<'a> = StoreContextMut<'a, State>;

pub(super) fn add(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    add_queues(linker)?;
    add_pipes(linker)
}

fn add_queues(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("open-queue", |store: Store<'_>, (name,): (String,)| {
        let found = store.data().hands.shares().find(&name, |thing| matches!(thing, Thing::Queue(_)));
        Ok((found.map(number),))
    })?;
    linker.func_wrap(
        "put",
        |store: Store<'_>, (queue, message, timeout): (u32, WasmList<u8>, Option<u64>)| {
            let (state, message) = (store.data(), message.as_le_slice(&store));
            let put = raw_queue(state, queue)?.put(state.hands.who(), message, until(timeout));
            Ok((put.map_err(types::PutError::from),))
        },
    )?;
    linker.func_wrap("get", |store: Store<'_>, (queue, timeout): (u32, Option<u64>)| {
        let (state, mut message) = (store.data(), Vec::new());
        let got = raw_queue(state, queue)?.get(state.hands.who(), &mut message, until(timeout));
        Ok((got.map(|()| message).map_err(types::GetError::from),))
    })?;
    linker.func_wrap("close", |store: Store<'_>, (queue,): (u32,)| {
        raw_queue(store.data(), queue)?.close();
        Ok(())
    })?;
    linker.func_wrap("length", |store: Store<'_>, (queue,): (u32,)| {
        Ok((raw_queue(store.data(), queue)?.length(),))
    })?;
    linker.func_wrap("capacity", |store: Store<'_>, (queue,): (u32,)| {
        Ok((raw_queue(store.data(), queue)?.bounds().messages,))
    })
}

fn add_pipes(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.resource("pipe-end", ResourceType::host::<PipeEnd>(), |mut store, at| {
        store.data_mut().hands.close_end(at as usize);
        Ok(())
    })?;
    linker.func_wrap("[static]pipe-end.open", |mut store: Store<'_>, (name,): (String,)| {
        let hands = &mut store.data_mut().hands;
        let found = hands.shares().find(&name, |thing| matches!(thing, Thing::PipeEnd(_)));
        let opened = found.and_then(|at| if hands.take_end(at) { Ok(at) } else { Err(OpenError::Taken) });
        Ok((opened.map(handle::<PipeEnd>),))
    })?;
    linker.func_wrap(
        "[method]pipe-end.send",
        |store: Store<'_>, (end, message, timeout): (Resource<PipeEnd>, WasmList<u8>, Option<u64>)| {
            let (state, message) = (store.data(), message.as_le_slice(&store));
            let put = raw_end(state, &end)?.send(state.hands.who(), message, until(timeout));
            Ok((put.map_err(types::PutError::from),))
        },
    )?;
    linker.func_wrap(
        "[method]pipe-end.receive",
        |store: Store<'_>, (end, timeout): (Resource<PipeEnd>, Option<u64>)| {
            let (state, mut message) = (store.data(), Vec::new());
            let got = raw_end(state, &end)?.receive(state.hands.who(), &mut message, until(timeout));
            Ok((got.map(|()| message).map_err(types::GetError::from),))
        },
    )
}

/// The queue of a number, which may be any: a guest has made it up if it has opened none.
fn raw_queue(state: &State, queue: u32) -> wasmtime::Result<&RawQueue> {
    match state.hands.shares().thing(queue) {
        Some(Thing::Queue(queue)) => Ok(queue),
        _ => bail!("{queue} is the number of no queue"),
    }
}

fn raw_end<'a>(state: &'a State, end: &Resource<PipeEnd>) -> wasmtime::Result<&'a RawPipeEnd> {
    match state.hands.thing(place(end)) {
        Thing::PipeEnd(end) => Ok(end),
        other => Err(other.stranger()),
    }
}

impl From<PutError> for types::PutError {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Closed => Self::Closed,
            PutError::TimedOut => Self::TimedOut,
            PutError::TooLong => Self::TooLong,
        }
    }
}

impl From<GetError> for types::GetError {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Closed => Self::Closed,
            GetError::TimedOut => Self::TimedOut,
        }
    }
}
