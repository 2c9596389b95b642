//! What a computation takes in memory: counted at the allocator, so that a bound is measured and not believed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Gauge;

thread_local! {
    /// Bytes that this thread has allocated, less those that it has freed.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that there were.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// So many bytes more, and at the height of it so many on top.
fn change(by: isize, on_top: usize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + by);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get() + on_top as isize)));
    });
}

#[allow(unsafe_code)] // a global allocator cannot be written without it
unsafe impl GlobalAlloc for Gauge {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        change(layout.size() as isize, 0);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        change(layout.size() as isize, 0);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        change(-(layout.size() as isize), 0);
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it is moved there are both.
        change(size as isize - layout.size() as isize, layout.size());
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static GAUGE: Gauge = Gauge;

/// What this thread holds, in bytes.
pub fn held() -> isize {
    HELD.get()
}

/// What comes of a computation, and how many bytes more than before it has held at its height.
pub fn cost_of<T>(compute: impl FnOnce() -> T) -> (T, usize) {
    let before = held();
    MOST.set(before);
    let outcome = compute();
    (outcome, usize::try_from(MOST.get() - before).expect("the most is not less than what there was"))
}
