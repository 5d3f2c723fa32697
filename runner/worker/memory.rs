//! Memories of guests that can have segments of shared memory in them.
//!
//! The runtime's own allocators reset a memory by writing to it, or by giving its pages back, and know nothing of pages
//! that are somebody else's. So guests with segments get their memories from here: each is mapped for one instance, and
//! unmapped with it, segments and all.
#![expect(unsafe_code, reason = "the runtime cannot prove that a memory is where it is said to be")]

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::shm::reservation::{PAGE, Reservation, Visibility};

/// What a page of a guest's memory has.
pub(super) const WASM_PAGE: usize = 1 << 16;

/// The memories of a worker's instances, by where they begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Memories(Arc<Mutex<BTreeMap<usize, Memory>>>);

#[derive(Debug)]
struct Memory {
    reservation: Reservation,
    /// How long it was when its instance was made. In these bytes is what the guest was built with.
    initial: usize,
}

/// Why a segment cannot be put into a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceError {
    /// The place does not begin at a page of the guest.
    Place,
    /// It is not in memory that the guest has grown.
    NotGrown,
    /// The system says no.
    Refused,
}

/// A memory, as the runtime holds it.
struct Held {
    memories: Memories,
    base: usize,
}

impl Memories {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Memory>> {
        // Whoever panicked had changed all of it or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a segment of `length` bytes in the place of the memory at the address `place`.
    pub(super) fn put(
        &self,
        place: usize,
        length: usize,
        file: BorrowedFd<'_>,
        visibility: Visibility,
    ) -> Result<(), PlaceError> {
        let memories = self.lock();
        let (base, memory) = memories.range(..=place).next_back().ok_or(PlaceError::NotGrown)?;
        let at = place - base;
        if !at.is_multiple_of(WASM_PAGE) || length == 0 {
            return Err(PlaceError::Place);
        }
        let ends_within = length
            .checked_next_multiple_of(WASM_PAGE)
            .and_then(|pages| at.checked_add(pages))
            .is_some_and(|end| end <= memory.reservation.length());
        if at < memory.initial || !ends_within {
            return Err(PlaceError::NotGrown);
        }
        // SAFETY: the guest is in a host call and nothing else refers to its memory: the runtime keeps addresses of it,
        // no references. Whoever declared the segment has sealed its file, which the worker has checked.
        let put = unsafe { memory.reservation.put(at, length, file, visibility) };
        put.map_err(|_| PlaceError::Refused)
    }
}

// SAFETY: a memory is made for one instance, its addresses are reserved as far as the runtime asks, without memory behind
// what it has, and they stay until it is dropped. All of it is 0 when it is made.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let needed = minimum.max(maximum.unwrap_or(0)).next_multiple_of(PAGE);
        // With no reservation asked for, it must have room for all that it may come to.
        let capacity = reserved.map_or(needed, |reserved| reserved.max(minimum)).next_multiple_of(PAGE);
        let mut reservation = Reservation::new(capacity, guard).map_err(|error| error.to_string())?;
        reservation.grow_to(minimum).map_err(|error| error.to_string())?;
        let base = reservation.base().addr();
        self.lock().insert(base, Memory { reservation, initial: minimum });
        Ok(Box::new(Held { memories: self.clone(), base }))
    }
}

impl Held {
    fn with<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memories = self.memories.lock();
        act(memories.get_mut(&self.base).expect("a memory stays as long as it is held"))
    }
}

// SAFETY: what it says is so of the reservation, which stays where it is and is unmapped only with this.
unsafe impl LinearMemory for Held {
    fn byte_size(&self) -> usize {
        self.with(|memory| memory.reservation.length())
    }

    fn byte_capacity(&self) -> usize {
        self.with(|memory| memory.reservation.capacity())
    }

    fn grow_to(&mut self, length: usize) -> wasmtime::Result<()> {
        self.with(|memory| memory.reservation.grow_to(length)).map_err(wasmtime::Error::from)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.with(|memory| memory.reservation.base())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memories.lock().remove(&self.base);
    }
}
