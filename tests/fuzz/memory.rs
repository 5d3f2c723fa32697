//! Counts the memory that a thread has, to hold a reader to its bound.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Without a destructor, so that they are there as long as the thread is.
    static NOW: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, and what each thread has of it.
#[derive(Debug)]
pub struct Counting;

/// Runs `read`; the most memory that this thread had at once while it ran, beyond what it had before.
pub fn peak(read: impl FnOnce()) -> usize {
    let before = NOW.get();
    PEAK.set(before);
    read();
    PEAK.get().saturating_sub(before)
}

fn take(bytes: usize) {
    NOW.set(NOW.get().wrapping_add(bytes));
    PEAK.set(PEAK.get().max(NOW.get()));
}

/// Memory may come from another thread, so the count may be too small, and must not go below zero.
fn give_back(bytes: usize) {
    NOW.set(NOW.get().saturating_sub(bytes));
}

// SAFETY: memory comes from the system's allocator alone, and goes back to it with the layout that it was asked for
// with; counting touches none of it and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller promises that the layout is not empty.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: the caller promises that the memory came from here, so from the system, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at once.
        take(size);
        give_back(layout.size());
        // SAFETY: the caller promises that the memory came from here with this layout, and that the size is none that
        // a layout cannot have.
        unsafe { System.realloc(memory, layout, size) }
    }
}
