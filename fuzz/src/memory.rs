//! How much memory is asked for, of the allocator of Rust: what C libraries take is not in it.

use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What `work` gives, and how many bytes it had at a time at most, beyond those that there were before.
///
/// One at a time, whichever threads ask: all of a process count.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let outcome = work();
    (outcome, ALLOCATOR.peak_usage().saturating_sub(before))
}
