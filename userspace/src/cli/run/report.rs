//! What a run prints of what it counts.

use std::time::{Duration, Instant};

use geodrop::{Counter, datapath::counters::Counters};

use crate::cli::words;

/// When to print the next report.
pub(super) struct Reports {
    interval: Duration,
    last: Instant,
}

impl Reports {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: Instant::now(),
        }
    }

    pub(super) fn due(&mut self) -> bool {
        let due = !self.interval.is_zero() && self.last.elapsed() >= self.interval;
        if due {
            self.last = Instant::now();
        }
        due
    }
}

/// One line of what was counted: "12 packets blocked (CN 10, HK 2), 345 passed, 0 not IP".
pub(super) fn report(counters: &Counters) -> String {
    let named: Vec<_> = words::dropped(counters)
        .into_iter()
        .map(|(name, Counter { packets, .. })| format!("{name} {packets}"))
        .collect();
    let reasons = if named.is_empty() {
        String::new()
    } else {
        format!(" ({})", named.join(", "))
    };
    format!(
        "{} packets blocked{reasons}, {} passed, {} not IP",
        counters.dropped(),
        counters.passed.packets,
        counters.non_ip.packets
    )
}

#[cfg(test)]
mod tests {
    use geodrop::geoip::Country;

    use super::*;

    fn packets(packets: u64) -> Counter {
        Counter { packets, bytes: 0 }
    }

    #[test]
    fn a_report_names_what_was_blocked_most_first() {
        let counters = Counters {
            passed: packets(5),
            malformed: packets(1),
            countries: [
                (Country::CHINA, packets(2)),
                (Country::HONG_KONG, packets(7)),
            ]
            .into(),
            ..Counters::default()
        };
        assert_eq!(
            report(&counters),
            "10 packets blocked (HK 7, CN 2, malformed 1), 5 passed, 0 not IP"
        );
        assert_eq!(
            report(&Counters::default()),
            "0 packets blocked, 0 passed, 0 not IP"
        );
    }
}
