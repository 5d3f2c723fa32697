//! `wasmpool:pool/segments`: shared memory that guests use as their own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::SealFlags;
use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, WasmList, WasmStr};

use super::Thing;
use super::types::{self, AttachError, OpenError};
use crate::shm::reservation::Visibility;
use crate::worker::memory::PlaceError;
use crate::worker::wasi::State;

/// A segment's file, sealed as it has to be.
#[derive(Debug)]
pub(super) struct Segment {
    file: OwnedFd,
    length: usize,
    visibility: Visibility,
}

impl Segment {
    /// # Errors
    /// If somebody could shorten it under a guest that has it mapped, or change what is said not to change.
    pub(super) fn new(file: OwnedFd, length: u64, writable: bool) -> io::Result<Self> {
        let mut needed = SealFlags::SHRINK;
        needed.set(SealFlags::WRITE, !writable);
        let is_sealed = rustix::fs::fcntl_get_seals(&file)?.contains(needed);
        let has = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        let length = usize::try_from(length).ok().filter(|_| is_sealed && length > 0 && length <= has);
        let length =
            length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not sealed, or shorter"))?;
        let visibility = if writable { Visibility::Shared } else { Visibility::Private };
        Ok(Self { file, length, visibility })
    }
}

type Store<'a> = StoreContextMut<'a, State>;

pub(super) fn add(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker
        .func_wrap("find", |mut store: Store<'_>, (name,): (String,)| Ok((find(store.data_mut(), &name),)))?;
    linker.func_wrap("attach", |store: Store<'_>, (name, place): (WasmStr, WasmList<u8>)| {
        let name = name.to_str(&store)?.into_owned();
        // Where it is, and no reference to it: what is there is about to become something else.
        let place = place.as_le_slice(&store).first().map(|byte| std::ptr::from_ref(byte).addr());
        Ok((attach(store.data(), &name, place),))
    })
}

fn find(state: &mut State, name: &str) -> Result<types::Segment, OpenError> {
    let at = state.hands.shares().find(name, |thing| matches!(thing, Thing::Segment(_)))?;
    let Thing::Segment(Segment { length, visibility, .. }) = state.hands.thing(at) else {
        return Err(OpenError::OtherKind);
    };
    let found = types::Segment { length: *length as u64, writable: *visibility == Visibility::Shared };
    if state.hands.find(at) {
        state.limiter.allow_segment(found.length);
    }
    Ok(found)
}

fn attach(state: &State, name: &str, place: Option<usize>) -> Result<(), AttachError> {
    let place = place.ok_or(AttachError::Place)?;
    let shares = state.hands.shares();
    let at =
        shares.find(name, |thing| matches!(thing, Thing::Segment(_))).map_err(|_| AttachError::Refused)?;
    let Thing::Segment(Segment { file, length, visibility }) = state.hands.thing(at) else {
        return Err(AttachError::Refused);
    };
    let put = shares.memories.put(place, *length, file.as_fd(), *visibility);
    put.map_err(|error| match error {
        PlaceError::Place => AttachError::Place,
        PlaceError::NotGrown => AttachError::NotGrown,
        PlaceError::Refused => AttachError::Refused,
    })
}
