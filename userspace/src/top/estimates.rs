//! Who sends most of what drops, and to which ports, estimated from a sample.
//!
//! The kernel hands over so many packets a second, and counts how many it did not. Each packet stands for its share of those as
//! well, so that all estimates together are the packets that dropped. What is longer ago counts less: weights fade to 1/e in
//! [`MEMORY`], and so does the time that they came in; a weight by that time is an average rate, from the first second on.

use std::{net::IpAddr, time::Duration};

use super::heavy_hitters::{HeavyHitters, Hitter};
use crate::datapath::{
    report::Origin,
    watch::{Event, Headers},
};

/// How long ago packets were that count for 1/e of what they did.
const MEMORY: Duration = Duration::from_secs(30);

/// How many sources, and how many ports, have a place.
const PLACES: usize = 512;

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its address.
    pub address: IpAddr,
    /// Why its packets drop.
    pub origin: Option<Origin>,
}

/// Where a packet goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The number of the protocol; `None` if it could not be read.
    pub protocol: Option<u8>,
    /// The port, if the protocol is TCP or UDP, and the packet no later fragment.
    pub port: Option<u16>,
}

/// Something that packets have in common, and how many of them there are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate<K> {
    /// What.
    pub key: K,
    /// Packets a second at most, averaged over the last while.
    pub packets: f64,
    /// By how much that may be too large because others had to make room. What the sample leaves to chance comes on top.
    pub error: f64,
    /// Its share of all that drops: 0 to 1.
    pub share: f64,
}

/// Who sends most of what a filter drops, and to which ports.
#[derive(Clone, Debug)]
pub struct Estimates {
    senders: HeavyHitters<Sender>,
    targets: HeavyHitters<Target>,
    /// Seconds and packets that weights come from, faded as these are.
    seconds: f64,
    packets: f64,
    /// Packets that were not handed over, and that no other stands for yet.
    unassigned: u64,
}

impl Default for Estimates {
    fn default() -> Self {
        Self {
            senders: HeavyHitters::new(PLACES),
            targets: HeavyHitters::new(PLACES),
            seconds: 0.0,
            packets: 0.0,
            unassigned: 0,
        }
    }
}

impl Estimates {
    /// Takes up the packets that were seen in so much time, and how many others there were.
    #[expect(
        clippy::cast_precision_loss,
        reason = "of more than 2^52 packets nobody minds the last ones"
    )]
    pub fn add(&mut self, elapsed: Duration, events: &[Event], missed: u64) {
        let factor = (-elapsed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.senders.fade(factor);
        self.targets.fade(factor);
        self.seconds = self.seconds * factor + elapsed.as_secs_f64();
        self.packets *= factor;
        self.unassigned = self.unassigned.saturating_add(missed);
        if events.is_empty() {
            return;
        }
        let missed = std::mem::take(&mut self.unassigned) as f64;
        let weight = 1.0 + missed / events.len() as f64;
        for event in events {
            self.packets += weight;
            if let Some(headers) = event.headers() {
                self.take(&headers, event.origin, weight);
            }
        }
    }

    fn take(&mut self, headers: &Headers, origin: Option<Origin>, weight: f64) {
        self.senders.add(
            Sender {
                address: headers.source,
                origin,
            },
            weight,
        );
        self.targets.add(
            Target {
                protocol: headers.protocol,
                port: headers.ports.map(|ports| ports.destination),
            },
            weight,
        );
    }

    /// Who sends most, the busiest first.
    #[must_use]
    pub fn senders(&self) -> Vec<Estimate<Sender>> {
        self.rates(&self.senders)
    }

    /// Where most goes to, the busiest first.
    #[must_use]
    pub fn targets(&self) -> Vec<Estimate<Target>> {
        self.rates(&self.targets)
    }

    fn rates<K: Copy + PartialEq>(&self, hitters: &HeavyHitters<K>) -> Vec<Estimate<K>> {
        let of = |hitter: &Hitter<K>| Estimate {
            key: hitter.key,
            packets: hitter.estimate / self.seconds,
            error: hitter.error / self.seconds,
            share: hitter.estimate / self.packets,
        };
        // Weights that faded to nothing, or came in no time, have no rate.
        let all = hitters.iter().map(of);
        let mut rates: Vec<_> = all.filter(|rate| rate.packets.is_finite()).collect();
        rates.sort_by(|one, other| other.packets.total_cmp(&one.packets));
        rates
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use jiff::Timestamp;

    use super::*;
    use crate::{geoip::Country, policy::Verdict};

    const SECOND: Duration = Duration::from_secs(1);

    /// A packet from 1.0.1.`host`.
    fn event(host: u8, port: u16) -> Event {
        let mut bytes = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([1, 0, 1, host], [192, 0, 2, 1], 64)
            .udp(40000, port)
            .write(&mut bytes, b"")
            .unwrap();
        Event {
            time: Timestamp::UNIX_EPOCH,
            verdict: Verdict::Drop,
            enforced: true,
            origin: Some(Origin::Country(Country::CHINA)),
            rule: None,
            length: 42,
            bytes,
        }
    }

    /// Hosts and how many packets a second they send, in whole ones.
    fn senders(estimates: &Estimates) -> Vec<(String, f64)> {
        let senders = estimates.senders().into_iter();
        senders
            .map(|one| (one.key.address.to_string(), one.packets.round()))
            .collect()
    }

    /// Ports, and how many packets a second go there.
    fn targets(estimates: &Estimates) -> Vec<(Option<u16>, f64)> {
        let targets = estimates.targets().into_iter();
        targets
            .map(|one| (one.key.port, one.packets.round()))
            .collect()
    }

    #[test]
    fn what_was_seen_stands_for_what_was_not() {
        let mut estimates = Estimates::default();
        // In the first second as later: a rate is a rate.
        for _ in 0..100 {
            let events = [event(1, 53), event(1, 80), event(2, 53), event(1, 53)];
            estimates.add(SECOND, &events, 396);
            assert_eq!(
                senders(&estimates),
                [("1.0.1.1".to_owned(), 300.0), ("1.0.1.2".to_owned(), 100.0)]
            );
            assert_eq!(targets(&estimates), [(Some(53), 300.0), (Some(80), 100.0)]);
            let share = estimates.senders()[0].share;
            assert!((share - 0.75).abs() < 1e-9, "{share}");
        }
    }

    #[test]
    fn what_is_long_ago_counts_less() {
        let mut estimates = Estimates::default();
        let many = vec![event(1, 53); 1000];
        for _ in 0..60 {
            estimates.add(SECOND, &many, 0);
        }
        for _ in 0..MEMORY.as_secs() {
            estimates.add(SECOND, &[event(2, 53)], 0);
        }
        let first = estimates.senders()[0].packets;
        assert!((300.0..400.0).contains(&first), "{first}");
        for _ in 0..300 {
            estimates.add(SECOND, &[event(2, 53)], 0);
        }
        assert_eq!(senders(&estimates)[0].0, "1.0.1.2");
    }

    #[test]
    fn what_nobody_was_seen_of_is_not_forgotten() {
        let mut estimates = Estimates::default();
        estimates.add(SECOND, &[], 90);
        assert_eq!(estimates.senders(), []);
        estimates.add(SECOND, &[event(1, 53)], 9);
        let rate = estimates.senders()[0].packets;
        assert!((50.0..52.0).contains(&rate), "{rate}");
    }

    #[test]
    fn malformed_packets_are_nobodys_but_count() {
        let mut estimates = Estimates::default();
        let cut = Event {
            origin: None,
            bytes: Vec::new(),
            ..event(1, 53)
        };
        estimates.add(SECOND, &[cut, event(1, 53)], 0);
        let [sender] = estimates.senders().try_into().unwrap();
        assert!((sender.share - 0.5).abs() < 1e-9);
    }

    #[test]
    fn memory_is_bounded_however_many_there_are() {
        let mut estimates = Estimates::default();
        for port in 0..2_000 {
            estimates.add(SECOND, &[event(1, port)], 0);
        }
        assert_eq!(estimates.targets().len(), PLACES);
        // Of each of them there was one, and that is what is certain.
        let all = estimates.targets();
        assert!(
            all.iter()
                .all(|one| one.error > 0.0 && one.error < one.packets)
        );
    }

    #[test]
    fn nothing_has_no_rate() {
        let mut estimates = Estimates::default();
        assert_eq!(estimates.targets(), []);
        estimates.add(Duration::ZERO, &[event(1, 53)], 0);
        assert_eq!(estimates.targets(), []);
    }
}
