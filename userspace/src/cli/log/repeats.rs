//! Telling the same thing once.
//!
//! What is told a second time within a while is counted, and the count is told when that while is over. So a storm of the same
//! message is two lines a minute, and a storm of different ones is bounded too.

use std::time::{Duration, Instant};

/// How long a message is not told again.
const WHILE: Duration = Duration::from_mins(1);

/// How many different messages are told in that time.
const MOST: usize = 100;

/// Messages that were told lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    told: Vec<Told>,
    /// How many more there were than there is room for.
    others: u64,
    /// From when on these are counted.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Told {
    message: String,
    at: Instant,
    again: u64,
}

impl Repeats {
    /// Whether a message is to be told now.
    pub(super) fn is_new(&mut self, now: Instant, message: &str) -> bool {
        if let Some(told) = self.told.iter_mut().find(|told| told.message == message) {
            told.again += 1;
            return false;
        }
        if self.told.len() == MOST {
            self.since.get_or_insert(now);
            self.others += 1;
            return false;
        }
        self.told.push(Told {
            message: message.to_owned(),
            at: now,
            again: 0,
        });
        true
    }

    /// What is to be told of those whose time is over; at the end of all, of every one.
    pub(super) fn over(&mut self, now: Instant, at_the_end: bool) -> Vec<String> {
        let is_over = |at: Instant| at_the_end || now.saturating_duration_since(at) >= WHILE;
        let mut messages = Vec::new();
        self.told.retain(|told| {
            let over = is_over(told.at);
            if over && told.again > 0 {
                messages.push(format!("{} ({} more times)", told.message, told.again));
            }
            !over
        });
        if self.since.is_some_and(is_over) {
            self.since = None;
            let others = std::mem::take(&mut self.others);
            messages.push(format!(
                "{others} more messages were left out, for there were so many"
            ));
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_storm_is_told_once_and_then_with_its_count() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        let told = (0..100).filter(|second| {
            let now = start + SECOND * *second / 2;
            repeats.is_new(now, "it fails")
        });
        assert_eq!(told.count(), 1);
        assert!(repeats.is_new(start, "something else"));
        assert_eq!(repeats.over(start + SECOND * 59, false), [""; 0]);
        assert_eq!(
            repeats.over(start + WHILE, false),
            ["it fails (99 more times)"]
        );
        assert!(repeats.is_new(start + WHILE, "it fails"));
    }

    #[test]
    fn what_was_not_told_is_told_at_the_end() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        assert!(repeats.is_new(now, "it fails") && !repeats.is_new(now, "it fails"));
        assert_eq!(repeats.over(now, true), ["it fails (1 more times)"]);
        assert_eq!(repeats.over(now, true), [""; 0]);
    }

    #[test]
    fn a_storm_of_different_messages_is_bounded() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        let told = (0..1_000).filter(|number| repeats.is_new(now, &number.to_string()));
        assert_eq!(told.count(), MOST);
        assert_eq!(
            repeats.over(now + WHILE, false),
            ["900 more messages were left out, for there were so many"]
        );
        assert!(repeats.is_new(now + WHILE, "0"));
    }
}
