//! `wasmpool:pool/values`: numbers, and locks that protect what is shared.

use wasmtime::component::{LinkerInstance, Resource, ResourceType, WasmList};
use wasmtime::{StoreContextMut, ensure};

use super::types::{self, OpenError};
use super::{Thing, handle, place, until};
use crate::shm::declared::{Holder, Number};
use crate::shm::raw::{Held, RawArray, RawValue, TimedOut};
use crate::worker::wasi::State;

/// What handles are of. They are places in the list of shared things.
struct Value;
struct ValueGuard;
struct Array;
struct ArrayGuard;
struct Lock;
struct LockGuard;

type Store<'a> = StoreContextMut<'a, State>;

pub(super) fn add(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    add_values(linker)?;
    add_arrays(linker)?;
    add_locks(linker)
}

fn add_values(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.resource("value", ResourceType::host::<Value>(), |_, _| Ok(()))?;
    linker.resource("value-guard", ResourceType::host::<ValueGuard>(), |mut store, at| {
        store.data_mut().hands.unlock(at as usize);
        Ok(())
    })?;
    linker.func_wrap("[static]value.open", |store: Store<'_>, (name, number): (String, types::Number)| {
        let is_it = |thing: &Thing| matches!(thing, Thing::Value(value) if value.number() == number.into());
        Ok((open::<Value>(store.data(), &name, is_it),))
    })?;
    linker.func_wrap("[method]value.get", |store: Store<'_>, (value,): (Resource<Value>,)| {
        Ok((raw_value(store.data(), place(&value))?.get(),))
    })?;
    linker.func_wrap(
        "[method]value.add",
        |store: Store<'_>, (value, delta, timeout): (Resource<Value>, u64, Option<u64>)| {
            let (at, hands) = (place(&value), &store.data().hands);
            ensure!(!hands.holds(at), "{}", hands.own_lock(at));
            let added = raw_value(store.data(), at)?.add(hands.who(), delta, until(timeout));
            Ok((added.map_err(types::TimedOut::from),))
        },
    )?;
    linker.func_wrap(
        "[method]value.lock",
        |store: Store<'_>, (value, timeout): (Resource<Value>, Option<u64>)| {
            lock::<ValueGuard>(store, place(&value), timeout)
        },
    )?;
    linker.func_wrap("[method]value-guard.get", |store: Store<'_>, (guard,): (Resource<ValueGuard>,)| {
        store.data().hands.guarded(place(&guard))?;
        Ok((raw_value(store.data(), place(&guard))?.get(),))
    })?;
    linker.func_wrap(
        "[method]value-guard.set",
        |store: Store<'_>, (guard, bits): (Resource<ValueGuard>, u64)| {
            store.data().hands.guarded(place(&guard))?;
            raw_value(store.data(), place(&guard))?.set(bits);
            Ok(())
        },
    )?;
    linker
        .func_wrap("[method]value-guard.recovered", |store: Store<'_>, (guard,): (Resource<ValueGuard>,)| {
            recovered(&store, place(&guard))
        })
}

fn add_arrays(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.resource("array", ResourceType::host::<Array>(), |_, _| Ok(()))?;
    linker.resource("array-guard", ResourceType::host::<ArrayGuard>(), |mut store, at| {
        store.data_mut().hands.unlock(at as usize);
        Ok(())
    })?;
    linker.func_wrap("[static]array.open", |store: Store<'_>, (name, number): (String, types::Number)| {
        let is_it = |thing: &Thing| matches!(thing, Thing::Array(array) if array.number() == number.into());
        Ok((open::<Array>(store.data(), &name, is_it),))
    })?;
    linker.func_wrap("[method]array.length", |store: Store<'_>, (array,): (Resource<Array>,)| {
        Ok((raw_array(store.data(), place(&array))?.length(),))
    })?;
    linker.func_wrap("[method]array.read", |store: Store<'_>, (array,): (Resource<Array>,)| {
        read(store.data(), place(&array))
    })?;
    linker.func_wrap(
        "[method]array.lock",
        |store: Store<'_>, (array, timeout): (Resource<Array>, Option<u64>)| {
            lock::<ArrayGuard>(store, place(&array), timeout)
        },
    )?;
    linker.func_wrap("[method]array-guard.read", |store: Store<'_>, (guard,): (Resource<ArrayGuard>,)| {
        store.data().hands.guarded(place(&guard))?;
        Ok((raw_array(store.data(), place(&guard))?.read_locked(),))
    })?;
    linker.func_wrap(
        "[method]array-guard.write",
        |store: Store<'_>, (guard, numbers): (Resource<ArrayGuard>, WasmList<u8>)| {
            store.data().hands.guarded(place(&guard))?;
            let array = raw_array(store.data(), place(&guard))?;
            let bytes = numbers.as_le_slice(&store);
            array.write(bytes).map_err(wasmtime::Error::from)
        },
    )?;
    linker
        .func_wrap("[method]array-guard.recovered", |store: Store<'_>, (guard,): (Resource<ArrayGuard>,)| {
            recovered(&store, place(&guard))
        })
}

fn add_locks(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.resource("lock", ResourceType::host::<Lock>(), |_, _| Ok(()))?;
    linker.resource("lock-guard", ResourceType::host::<LockGuard>(), |mut store, at| {
        store.data_mut().hands.unlock(at as usize);
        Ok(())
    })?;
    linker.func_wrap("[static]lock.open", |store: Store<'_>, (name,): (String,)| {
        Ok((open::<Lock>(store.data(), &name, |thing| matches!(thing, Thing::Lock(_))),))
    })?;
    linker.func_wrap(
        "[method]lock.acquire",
        |store: Store<'_>, (a_lock, timeout): (Resource<Lock>, Option<u64>)| {
            lock::<LockGuard>(store, place(&a_lock), timeout)
        },
    )?;
    linker.func_wrap("[method]lock-guard.recovered", |store: Store<'_>, (guard,): (Resource<LockGuard>,)| {
        recovered(&store, place(&guard))
    })
}

fn open<T: 'static>(
    state: &State,
    name: &str,
    is_it: impl FnOnce(&Thing) -> bool,
) -> Result<Resource<T>, OpenError> {
    state.hands.shares().find(name, is_it).map(handle)
}

/// Locks the thing at this place; the handle is of its guard.
fn lock<T: 'static>(
    mut store: Store<'_>,
    at: usize,
    timeout: Option<u64>,
) -> wasmtime::Result<(Result<Resource<T>, types::TimedOut>,)> {
    let locked = store.data_mut().hands.lock(at, |thing, who| thing.acquire(who, until(timeout)))?;
    Ok((locked.map(|()| handle(at)).map_err(types::TimedOut::from),))
}

fn recovered(store: &Store<'_>, at: usize) -> wasmtime::Result<(bool,)> {
    Ok((store.data().hands.guarded(at)?.recovered,))
}

fn read(state: &State, at: usize) -> wasmtime::Result<(Vec<u8>,)> {
    let hands = &state.hands;
    if hands.holds(at) {
        return Ok((raw_array(state, at)?.read_locked(),));
    }
    // Nobody waits longer than its item may take.
    Ok((raw_array(state, at)?.read(hands.who(), None).map_err(wasmtime::Error::from)?,))
}

fn raw_value(state: &State, at: usize) -> wasmtime::Result<&RawValue> {
    match state.hands.thing(at) {
        Thing::Value(value) => Ok(value),
        other => Err(other.stranger()),
    }
}

fn raw_array(state: &State, at: usize) -> wasmtime::Result<&RawArray> {
    match state.hands.thing(at) {
        Thing::Array(array) => Ok(array),
        other => Err(other.stranger()),
    }
}

impl Thing {
    /// Locks it, if it has a lock.
    fn acquire(&self, who: Holder, until: Option<std::time::Instant>) -> Result<Held, TimedOut> {
        match self {
            Self::Value(value) => value.lock(who, until),
            Self::Array(array) => array.lock(who, until),
            Self::Lock(lock) => lock.acquire(who, until),
            Self::Segment(_) | Self::Queue(_) | Self::PipeEnd(_) => Err(TimedOut { holder: None }),
        }
    }

    /// Unlocks it.
    pub(super) fn release(&self, who: Holder) {
        match self {
            Self::Value(value) => value.unlock(who),
            Self::Array(array) => array.unlock(who),
            Self::Lock(lock) => lock.release(who),
            Self::Segment(_) | Self::Queue(_) | Self::PipeEnd(_) => {}
        }
    }

    /// Unlocks it for who has not.
    pub(super) fn abandon(&self, who: Holder) {
        match self {
            Self::Value(value) => value.abandon(who),
            Self::Array(array) => array.abandon(who),
            Self::Lock(lock) => lock.abandon(who),
            Self::Segment(_) | Self::Queue(_) | Self::PipeEnd(_) => {}
        }
    }
}

impl From<types::Number> for Number {
    fn from(number: types::Number) -> Self {
        match number {
            types::Number::S32 => Self::S32,
            types::Number::U32 => Self::U32,
            types::Number::S64 => Self::S64,
            types::Number::U64 => Self::U64,
            types::Number::F32 => Self::F32,
            types::Number::F64 => Self::F64,
        }
    }
}

impl From<TimedOut> for types::TimedOut {
    fn from(TimedOut { holder }: TimedOut) -> Self {
        Self { holder: holder.map(Holder::number) }
    }
}
