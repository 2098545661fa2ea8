//! The clock by which the kernel judges deadlines.
//!
//! Nanoseconds of `CLOCK_BOOTTIME`: it goes on while the machine sleeps, and takes no steps when somebody sets the wall
//! clock. So an instant of the wall clock is turned into one of it when a filter is made, and anew by a running
//! geodrop when the wall clock has taken a step; without one the error is that step.

use std::{io, os::fd::OwnedFd, time::Duration};

use jiff::Timestamp;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::error::DatapathError;

/// What the clock says.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // Neither is negative: the clock began when the machine did.
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

/// What both clocks say at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The wall clock.
    pub wall: Timestamp,
    /// The kernel's, as [`now`] tells it.
    pub boot: Duration,
}

impl Clocks {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        Self {
            wall: Timestamp::now(),
            boot: now(),
        }
    }

    /// What the wall clock would have said, as it goes now, when the kernel's said so many nanoseconds.
    pub(super) fn instant(self, boot: u64) -> Timestamp {
        let ago = Duration::from_nanos(nanoseconds(self.boot).saturating_sub(boot));
        // No calendar ends so soon after the machine began.
        self.wall.checked_sub(ago).unwrap_or(self.wall)
    }

    /// An instant of the wall clock as the kernel holds a deadline; 0, which is none, if it is not ahead.
    pub(super) fn deadline(self, instant: Timestamp) -> u64 {
        let ahead = instant.duration_since(self.wall);
        let ahead = Duration::try_from(ahead).unwrap_or_default();
        if ahead.is_zero() {
            return 0;
        }
        nanoseconds(self.boot.saturating_add(ahead))
    }

    /// What the deadline for an instant of the wall clock is to be in place of the one that is held; `None` if it may stay.
    ///
    /// The wall clock as it is now decides, in both directions: a deadline that has passed, and that the kernel holds as 0
    /// since then, comes back if the instant is ahead again.
    pub(super) fn corrected(self, held: u64, instant: Timestamp) -> Option<u64> {
        // All that has passed is the same.
        let left = |deadline: u64| deadline.saturating_sub(nanoseconds(self.boot));
        let right = self.deadline(instant);
        (left(held).abs_diff(left(right)) > TOLERANCE).then_some(right)
    }
}

/// How far apart deadlines may be, in nanoseconds, that are the same but for the time between readings of two clocks.
const TOLERANCE: u64 = 10_000_000;

/// An instant of the wall clock as the kernel holds a deadline; 0, which is none, if it is not ahead.
pub(super) fn deadline(instant: Timestamp) -> u64 {
    Clocks::read().deadline(instant)
}

/// Tells that somebody set the wall clock.
#[derive(Debug)]
pub struct Steps {
    timer: AsyncFd<OwnedFd>,
}

impl Steps {
    /// Watches from now on. To be called in an event loop of tokio's.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn new() -> Result<Self, DatapathError> {
        let made = || -> io::Result<_> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
            arm(&timer)?;
            // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives.
            let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) };
            timer.map_err(|error| error.into_parts().1)
        };
        Ok(Self {
            timer: made().map_err(DatapathError::system("watching the wall clock"))?,
        })
    }

    /// Waits until it was set since this returned the last time.
    pub async fn next(&mut self) {
        if let Ok(mut ready) = self.timer.readable().await {
            ready.clear_ready();
        }
        // Armed anew it is as if it had been read; that it can be armed was seen before.
        let _ = arm(self.timer.get_ref());
    }
}

/// Sets a timer to a time that never comes, which the kernel cancels when the wall clock is set.
fn arm(timer: &OwnedFd) -> io::Result<()> {
    let never = Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        },
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(timer, flags, &never)?;
    Ok(())
}

/// The deadline so far ahead.
pub(super) fn in_time(ahead: Duration) -> u64 {
    nanoseconds(now().saturating_add(ahead))
}

/// How long it is until a deadline; `None` if it has passed, or is none.
pub(super) fn until(deadline: u64) -> Option<Duration> {
    let ahead = Duration::from_nanos(deadline).checked_sub(now())?;
    (!ahead.is_zero()).then_some(ahead)
}

/// The greatest number of nanoseconds is five centuries.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_ahead_is_as_far_ahead_by_either_clock() {
        let ahead = Duration::from_hours(1);
        let until = until(deadline(Timestamp::now() + ahead)).unwrap();
        assert!(until <= ahead && ahead.saturating_sub(until) < Duration::from_secs(1));
        let until = super::until(in_time(ahead)).unwrap();
        assert!(until <= ahead && ahead.saturating_sub(until) < Duration::from_secs(1));
    }

    fn clocks(wall: &str, boot: u64) -> Clocks {
        Clocks {
            wall: wall.parse().unwrap(),
            boot: Duration::from_secs(boot),
        }
    }

    #[test]
    fn a_deadline_follows_the_wall_clock() {
        let instant: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let seconds = |seconds: u64| seconds * 1_000_000_000;
        let held = clocks("2026-12-01T11:00:00Z", 100).deadline(instant);
        assert_eq!(held, seconds(3700));
        for (wall, boot, held, corrected) in [
            // Time goes by, the clocks drift a little, or are read one after the other.
            ("2026-12-01T11:30:00Z", 1900, held, None),
            ("2026-12-01T11:30:00.009Z", 1900, held, None),
            ("2026-12-01T11:29:59.991Z", 1900, held, None),
            // Set forward, and back.
            ("2026-12-01T11:40:00Z", 1900, held, Some(seconds(3100))),
            ("2026-12-01T11:00:00Z", 1900, held, Some(seconds(5500))),
            // Forward beyond the instant.
            ("2026-12-01T13:00:00Z", 1900, held, Some(0)),
            // It has passed, and the kernel knows, or no packet has come since.
            ("2026-12-01T12:10:00Z", 4300, 0, None),
            ("2026-12-01T12:10:00Z", 4300, held, None),
            ("2026-12-01T12:00:00Z", 3700, held, None),
            // Set back, to where it is ahead again; by a little that is nothing.
            ("2026-12-01T11:00:00Z", 4300, 0, Some(seconds(7900))),
            ("2026-12-01T11:00:00Z", 4300, held, Some(seconds(7900))),
            ("2026-12-01T11:59:59.995Z", 3700, 0, None),
        ] {
            let clocks = clocks(wall, boot);
            assert_eq!(clocks.corrected(held, instant), corrected, "{wall} {held}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_nobody_sets_takes_no_steps() {
        let mut steps = Steps::new().unwrap();
        let step = tokio::time::timeout(Duration::from_millis(50), steps.next()).await;
        assert!(step.is_err());
    }

    #[test]
    fn what_has_passed_is_no_deadline() {
        assert_eq!(deadline(Timestamp::now() - Duration::from_secs(1)), 0);
        assert_eq!(deadline(Timestamp::MIN), 0);
        assert_eq!(until(0), None);
        assert_eq!(until(1), None);
        assert!(until(deadline(Timestamp::MAX)).is_some());
    }
}
