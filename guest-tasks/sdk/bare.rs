//! What a guest without the standard library needs: memory, from the C library.
//!
//! Its `malloc` begins with the memory that a module has from the start, so an instance that needs little never
//! asks its host for more. That is a system call saved for each item.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;

/// `malloc` aligns everything to this.
const ALIGNMENT: usize = 8;

// Without the standard library nobody else brings the C library.
#[link(name = "c")]
unsafe extern "C" {
    safe fn malloc(size: usize) -> *mut c_void;
    safe fn calloc(count: usize, size: usize) -> *mut c_void;
    safe fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
}

/// The C library's heap.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: `malloc` and its siblings return memory that nothing else uses and that is large enough, or null. It is
// aligned enough too: `suits_malloc` decides which of them is asked.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if suits_malloc(layout) {
            malloc(layout.size()).cast()
        } else {
            aligned_alloc(layout.align(), layout.size()).cast()
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if suits_malloc(layout) {
            return calloc(1, layout.size()).cast();
        }
        let pointer = aligned_alloc(layout.align(), layout.size()).cast::<u8>();
        if !pointer.is_null() {
            // SAFETY: it was just allocated with this size.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _layout: Layout) {
        // SAFETY: the caller got it from this allocator, so from one of the three functions that `free` goes with.
        unsafe { free(pointer.cast()) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // `realloc` keeps the content, but no alignment beyond that of `malloc`.
        if layout.align() <= ALIGNMENT {
            // SAFETY: the caller got it from this allocator, and gives it up if this succeeds.
            return unsafe { realloc(pointer.cast(), new_size) }.cast();
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return core::ptr::null_mut();
        };
        // SAFETY: the caller's `new_size` is not zero.
        let moved = unsafe { self.alloc(new_layout) };
        if !moved.is_null() {
            // SAFETY: both have at least the smaller size, and the new one overlaps nothing.
            unsafe { moved.copy_from_nonoverlapping(pointer, layout.size().min(new_size)) };
            // SAFETY: the caller got it from this allocator, and gives it up.
            unsafe { self.dealloc(pointer, layout) };
        }
        moved
    }
}

fn suits_malloc(layout: Layout) -> bool {
    layout.align() <= ALIGNMENT && layout.align() <= layout.size()
}
