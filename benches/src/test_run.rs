//! Running programs by `BPF_PROG_TEST_RUN`, and timing that.
//!
//! The kernel says how long a run took in whole nanoseconds, which is too coarse for what is to be
//! measured. So the whole system call is timed, over so many runs that entering and leaving the kernel, some
//! microseconds, does not show. What counts is the time that this thread had a CPU for itself: a run waits for
//! nothing, and on a machine that does other things as well the clock on the wall would count these.
//!
//! When a test run begins and when it ends, the kernel writes anew by which jumps it reaches XDP programs (its
//! *dispatcher*), and sleeps until no CPU takes the old ones: some 10 ms. The CPU halts meanwhile and is another virtual machine's,
//! and then neither caches nor clock are what they were. All that is spared for a program that is attached
//! somewhere. So the one that is measured is, to the loopback interface of a network namespace of our own, where no packet ever
//! comes: nothing is between its untimed runs and those that count. Only that one: the more programs the dispatcher tells
//! apart, the longer is the way to some of them, by up to 3 ns. While the kernel puts one in the place of another, a thread
//! that does nothing keeps the CPU busy.

use std::{
    hint,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use aya::programs::{ProgramError, TestRun, TestRunOptions, TestRunResult};

use crate::measure::cpu_time;

/// The loopback interface of every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// The most runs that one system call is asked for: some seconds of the slowest.
const AT_ONCE: u32 = 1 << 22;

/// Keeps this CPU from halting while `work` sleeps in the kernel: a thread waits beside it, and is on the same CPU if this
/// one [stays](crate::measure::stay_on_this_cpu) there.
pub(crate) fn awake<T>(work: impl FnOnce() -> T) -> T {
    /// Set when it is dropped, so that nobody waits for a work that panicked.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        });
        let _done = Done(&done);
        work()
    })
}

/// A program that takes a frame.
pub(crate) trait TakesFrames:
    for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>
{
}

impl<P> TakesFrames for P where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>
{
}

/// Runs a program so many times on a frame, in one system call.
pub(crate) fn run(
    program: &impl TakesFrames,
    frame: &[u8],
    repeat: u32,
) -> Result<TestRunResult, ProgramError> {
    program.test_run(TestRunOptions {
        data_in: Some(frame),
        repeat,
        ..TestRunOptions::default()
    })
}

/// How much CPU time so many runs of a program take, one system call after another.
pub(crate) fn time(
    program: &impl TakesFrames,
    frame: &[u8],
    runs: u64,
) -> Result<Duration, ProgramError> {
    let mut left = runs;
    let start = cpu_time();
    while left > 0 {
        let repeat = u32::try_from(left).unwrap_or(u32::MAX).min(AT_ONCE);
        run(program, frame, repeat)?;
        left -= u64::from(repeat);
    }
    Ok(cpu_time().saturating_sub(start))
}
