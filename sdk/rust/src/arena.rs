//! A bump allocator for guests.
//!
//! For: the host makes a fresh instance for every call, so memory never has to be given back, and an allocator that
//! only moves a pointer is the smallest and fastest there is. It starts behind the module's static data and grows the
//! memory when that is used up; the host's limit ends a policy that asks for too much. Never frees, except that the
//! newest block can grow in place (which is how a `Vec` or a `String` under construction grows).
#![allow(unsafe_code)] // a global allocator is unsafe by definition

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

const PAGE: usize = 65_536;

unsafe extern "C" {
    /// First address behind the static data; set by the linker.
    static __heap_base: u8;
}

/// See the module.
pub struct Arena {
    next: Cell<usize>,
}

// SAFETY: a guest has one thread; the host never enters an instance twice at once.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena that has given out nothing.
    #[must_use]
    pub const fn new() -> Arena {
        Arena { next: Cell::new(0) }
    }

    /// Moves the end to `end`, growing the memory when needed; false: the host gives no more.
    fn reach(&self, end: usize) -> bool {
        let have = core::arch::wasm32::memory_size(0) * PAGE;
        if end > have && core::arch::wasm32::memory_grow(0, (end - have).div_ceil(PAGE)) == usize::MAX {
            return false;
        }
        self.next.set(end);
        true
    }
}

// SAFETY: every block lies between the heap's base and the end of the memory, is aligned as asked, and overlaps no
// other, since `next` only grows.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = self.next.get();
        let from = if next == 0 { (&raw const __heap_base) as usize } else { next };
        let start = from.next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if self.reach(end) => start as *mut u8,
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.get() {
            return match start.checked_add(size) {
                Some(end) if self.reach(end) => block,
                _ => core::ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the new block is fresh and at least as large as the old one.
        unsafe {
            let fresh = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !fresh.is_null() {
                core::ptr::copy_nonoverlapping(block, fresh, layout.size());
            }
            fresh
        }
    }
}
