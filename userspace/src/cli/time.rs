//! Lengths of time, as people write and read them; and what comes at an interval.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use tokio::time::{Interval, MissedTickBehavior};

use super::Usage;

/// Reads a length of time: `45s`, `30m`, `1h30m`, `7d`.
pub(super) fn parse(text: &str) -> Result<Duration, Usage> {
    let misspelt = || {
        Usage(format!(
            "`{text}` is no length of time; write it like 45s, 30m, 1h30m or 7d"
        ))
    };
    let span: Span = text.parse().map_err(|_| misspelt())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let time = Duration::try_from(signed.map_err(|_| misspelt())?).map_err(|_| misspelt())?;
    if time.is_zero() {
        return Err(misspelt());
    }
    Ok(time)
}

/// A length of time for a person: `1h 30m`. It is told to the second, and none is told as shorter than it is.
pub(super) fn text(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let time = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    format!("{time:#}")
}

/// A length of time at a glance, by its two largest units: `3d 2h`, `1m 5s`.
pub(super) fn roughly(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut parts = Vec::new();
    let mut left = seconds;
    for (length, unit) in units {
        let count = left / length;
        left %= length;
        if count > 0 || !parts.is_empty() {
            parts.push((count, unit));
        }
    }
    let shown = parts.iter().take(2).filter(|(count, _)| *count > 0);
    let shown: Vec<_> = shown
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() {
        return "0s".to_owned();
    }
    shown.join(" ")
}

/// The instant so far ahead; `None` if no calendar goes that far.
pub(super) fn from_now(ahead: Duration) -> Option<Timestamp> {
    Timestamp::now().checked_add(ahead).ok()
}

/// Ticks that do not catch up after a pause. To be called in an event loop.
pub(super) fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("45s", 45),
            ("30m", 1_800),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            ("90 minutes", 5_400),
            ("PT1H", 3_600),
            ("7d", 7 * 86_400),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_how_to_write_one() {
        for text in ["", "60", "soon", "-1h", "0s", "1 month"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("1h30m"), "{text}: {error}");
        }
    }

    #[test]
    fn lengths_are_told_at_a_glance() {
        for (seconds, told) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_725, "1h 2m"),
            (3_600, "1h"),
            (3_605, "1h"),
            (86_400 * 400 + 7_300, "400d 2h"),
        ] {
            assert_eq!(roughly(Duration::from_secs(seconds)), told, "{seconds}");
        }
    }

    #[test]
    fn times_are_told_to_the_second() {
        assert_eq!(text(Duration::from_millis(42_100)), "43s");
        assert_eq!(text(Duration::from_mins(90)), "1h 30m");
    }
}
