//! The clock by which the kernel judges deadlines.
//!
//! Nanoseconds of `CLOCK_BOOTTIME`: it goes on while the machine sleeps, and takes no steps when somebody sets the wall
//! clock. So an instant of the wall clock is turned into one of it when a filter is made, and anew by a running
//! geodrop when the wall clock has taken a step; without one the error is that step.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// What the clock says.
#[must_use]
pub fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // Neither is negative: the clock began when the machine did.
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

/// An instant of the wall clock as the kernel holds a deadline; 0, which is none, if it is not ahead.
pub(super) fn deadline(instant: Timestamp) -> u64 {
    let ahead = instant.duration_since(Timestamp::now());
    let ahead = Duration::try_from(ahead).unwrap_or_default();
    if ahead.is_zero() {
        return 0;
    }
    nanoseconds(now() + ahead)
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

    #[test]
    fn what_has_passed_is_no_deadline() {
        assert_eq!(deadline(Timestamp::now() - Duration::from_secs(1)), 0);
        assert_eq!(deadline(Timestamp::MIN), 0);
        assert_eq!(until(0), None);
        assert_eq!(until(1), None);
        assert!(until(deadline(Timestamp::MAX)).is_some());
    }
}
