//! What became of every packet.
//!
//! Where packets go, the kernel counts them: those that the interface received, those that came to IP, and those that IP handed
//! on. What a filter dropped, it counts itself, if it counts. What was sent and is in none of these is told, and not explained
//! away.

use std::{collections::BTreeMap, fs};

use anyhow::Context as _;
use geodrop::testbed::veth::End;
use serde::{Deserialize, Serialize};

/// The kernel's counters at the receiving end, IPv4's of its whole namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that the interface received.
    pub received: u64,
    /// Frames that found its queue full.
    pub overflowed: u64,
    /// Packets that came to IP.
    pub reached_ip: u64,
    /// Packets that IP handed on to a transport.
    pub delivered: u64,
    /// Packets that IP refused, by the kernel's names of the reasons; those that are none are left out.
    pub refused: BTreeMap<String, u64>,
}

impl Counts {
    /// The counters at an end.
    ///
    /// # Errors
    ///
    /// When the proc file system does not have them.
    pub fn read(end: &End) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/thread-self/net/{name}");
            fs::read_to_string(&path).with_context(|| format!("reading {path}"))
        };
        let (devices, ip) = end.run(|| anyhow::Ok((read("dev")?, read("snmp")?)))??;
        Self::parse(&devices, &end.interface.name, &ip).with_context(|| {
            format!(
                "/proc/net does not tell what {} received",
                end.interface.name
            )
        })
    }

    fn parse(devices: &str, interface: &str, ip: &str) -> Option<Self> {
        let fields = devices.lines().find_map(|line| {
            let (name, fields) = line.split_once(':')?;
            (name.trim() == interface).then_some(fields)
        })?;
        // Bytes, packets, errors, drops; then others.
        let mut fields = fields.split_whitespace().skip(1).map(str::parse);
        let received = fields.next()?.ok()?;
        let overflowed = fields.nth(1)?.ok()?;
        let mut ip = ip.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let names = ip.next()?.split(' ');
        let numbers = ip
            .next()?
            .split(' ')
            .map(|number| number.parse().unwrap_or(0));
        let counters: BTreeMap<&str, u64> = names.zip(numbers).collect();
        let refused = [
            "InHdrErrors",
            "InAddrErrors",
            "InUnknownProtos",
            "InDiscards",
        ];
        let refused = refused
            .iter()
            .map(|name| ((*name).to_owned(), counters.get(name)));
        Some(Self {
            received,
            overflowed,
            reached_ip: *counters.get("InReceives")?,
            delivered: *counters.get("InDelivers")?,
            refused: refused
                .filter_map(|(name, count)| Some((name, *count.filter(|count| **count > 0)?)))
                .collect(),
        })
    }
}

/// What became of packets that were sent. All are counts of packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Sent.
    pub sent: u64,
    /// Dropped by the filter.
    pub dropped: u64,
    /// Whether the filter counted these itself. Where it does not, they are what the interface received and IP was not given.
    pub counted_by_filter: bool,
    /// Came out behind the filter, to a transport.
    pub delivered: u64,
    /// Found the receiving queue full.
    pub overflowed: u64,
    /// Refused by IP, by the kernel's names of the reasons.
    pub refused: BTreeMap<String, u64>,
    /// Sent, and in none of these; below zero when more came out than was sent.
    pub unexplained: i64,
}

impl Ledger {
    /// What became of so many packets, between two readings of the counters. `dropped` is what the filter counted, if it counts.
    #[must_use]
    pub fn between(sent: u64, before: &Counts, after: &Counts, dropped: Option<u64>) -> Self {
        let since = |of: fn(&Counts) -> u64| of(after).wrapping_sub(of(before));
        let by_difference =
            since(|counts| counts.received).saturating_sub(since(|counts| counts.reached_ip));
        let refused: BTreeMap<_, _> = after
            .refused
            .iter()
            .map(|(name, count)| {
                let before = before.refused.get(name).copied().unwrap_or(0);
                (name.clone(), count.wrapping_sub(before))
            })
            .filter(|(_, count)| *count > 0)
            .collect();
        let mut ledger = Self {
            sent,
            dropped: dropped.unwrap_or(by_difference),
            counted_by_filter: dropped.is_some(),
            delivered: since(|counts| counts.delivered),
            overflowed: since(|counts| counts.overflowed),
            refused,
            unexplained: 0,
        };
        let explained = ledger.dropped
            + ledger.delivered
            + ledger.overflowed
            + ledger.refused.values().sum::<u64>();
        ledger.unexplained = sent.cast_signed().wrapping_sub(explained.cast_signed());
        ledger
    }

    /// What is not as it should be, in words; `None` if every packet was dropped by the filter or delivered.
    #[must_use]
    pub fn losses(&self) -> Option<String> {
        let mut losses = Vec::new();
        if self.overflowed > 0 {
            losses.push(format!(
                "{} found the receiving queue full",
                self.overflowed
            ));
        }
        for (name, count) in &self.refused {
            losses.push(format!("{count} were refused by IP ({name})"));
        }
        if self.unexplained != 0 {
            losses.push(format!("{} are unexplained", self.unexplained));
        }
        let of = || format!("of {} packets {}", self.sent, losses.join(", "));
        (!losses.is_empty()).then(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICES: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:       0       0    0    0    0     0          0         0        0       0    0    0
server: 1000000   12345    0   67    0     0          0         0      480       6    0    0
";
    const IP: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests
Ip: 2 64 2345 0 5 0 0 0 2340 1
Icmp: InMsgs
Icmp: 0
";

    #[test]
    fn counters_are_found_by_name() {
        let counts = Counts::parse(DEVICES, "server", IP).unwrap();
        assert_eq!((counts.received, counts.overflowed), (12_345, 67));
        assert_eq!((counts.reached_ip, counts.delivered), (2345, 2340));
        assert_eq!(counts.refused, [("InAddrErrors".to_owned(), 5)].into());
        assert_eq!(Counts::parse(DEVICES, "client", IP), None);
        assert_eq!(Counts::parse(DEVICES, "server", "Icmp: 1"), None);
    }

    #[test]
    fn a_filter_that_counts_is_believed_and_checked() {
        let before = Counts::default();
        let after = Counts::parse(DEVICES, "server", IP).unwrap();
        let ledger = Ledger::between(12_412, &before, &after, Some(10_000));
        assert_eq!((ledger.dropped, ledger.unexplained), (10_000, 0));
        let said = ledger.losses().unwrap();
        assert_eq!(
            said,
            "of 12412 packets 67 found the receiving queue full, 5 were refused by IP (InAddrErrors)"
        );
        let ledger = Ledger::between(12_412, &before, &after, Some(9_990));
        assert_eq!(ledger.unexplained, 10);
        let ledger = Ledger::between(12_412, &before, &after, Some(10_001));
        assert!(ledger.losses().unwrap().ends_with("-1 are unexplained"));
    }

    #[test]
    fn what_no_filter_counts_is_what_never_came_to_ip() {
        let before = Counts::parse(DEVICES, "server", IP).unwrap();
        let after = Counts {
            received: before.received + 100,
            reached_ip: before.reached_ip + 40,
            delivered: before.delivered + 40,
            ..before.clone()
        };
        let ledger = Ledger::between(100, &before, &after, None);
        assert_eq!((ledger.dropped, ledger.counted_by_filter), (60, false));
        assert_eq!(ledger.losses(), None);
    }
}
