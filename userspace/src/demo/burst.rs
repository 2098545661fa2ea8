//! How many packets a second the filter drops: a burst of live frames, all from sources that it drops.

use std::time::Duration;

use crate::{
    Rule,
    datapath::generation::Generation,
    policy::{Classified, Ruleset},
    range::{Address, Range},
    testbed::{
        Generator, TestbedError,
        generator::{self, Frames, Limit},
        veth::End,
    },
};

/// How many sources a burst has. Few would stay in the CPU's caches, and flatter the filter.
const SOURCES: usize = 1 << 16;

/// What came of the bursts.
#[derive(Clone, Debug)]
pub enum Bursts {
    /// One for each address family of which the policy drops anything.
    Done(Vec<Burst>),
    /// There was none, for this reason.
    Skipped(String),
}

/// A burst of one address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// "IPv4" or "IPv6".
    pub family: &'static str,
    /// How many sources the frames came from.
    pub sources: usize,
    /// How many ranges of the rule set these lie in.
    pub ranges: usize,
    /// What was sent, in how much time.
    pub sent: generator::Burst,
    /// How many frames the filter dropped.
    pub dropped: u64,
    /// How many frames it passed: none, if all is well.
    pub passed: u64,
}

impl Burst {
    /// Packets that the filter dropped, a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let dropped = generator::Burst {
            frames: self.dropped,
            ..self.sent
        };
        dropped.rate()
    }

    /// Frames that never came to the filter. A busy machine may receive them later than it sends others, and
    /// then its queue overflows.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.sent.frames.saturating_sub(self.dropped + self.passed)
    }
}

impl Bursts {
    /// What is not as it should be: no frame is to pass.
    pub(super) fn failures(&self) -> Vec<String> {
        let bursts = match self {
            Self::Done(bursts) => bursts.as_slice(),
            Self::Skipped(_) => &[],
        };
        bursts
            .iter()
            .filter(|burst| burst.passed > 0)
            .map(|burst| {
                format!(
                    "of {} live {} frames from blocked sources, {} were delivered",
                    burst.sent.frames, burst.family, burst.passed
                )
            })
            .collect()
    }
}

/// Sends a burst of each family for `time`.
pub(super) fn run(
    client: &End,
    filter: &Generation,
    ruleset: &Ruleset,
    time: Duration,
) -> Result<Bursts, TestbedError> {
    let ipv4 = dropped(ruleset, ruleset.ipv4());
    let ipv6 = dropped(ruleset, ruleset.ipv6());
    let bursts = burst("IPv4", client, filter, &ipv4, time)
        .and_then(|ipv4| Ok([ipv4, burst("IPv6", client, filter, &ipv6, time)?]));
    match bursts {
        Ok(bursts) => Ok(Bursts::Done(bursts.into_iter().flatten().collect())),
        Err(error @ TestbedError::NoLiveFrames) => Ok(Bursts::Skipped(error.to_string())),
        Err(error) => Err(error),
    }
}

fn burst<A: Address>(
    family: &'static str,
    client: &End,
    filter: &Generation,
    ranges: &[Range<A>],
    time: Duration,
) -> Result<Option<Burst>, TestbedError> {
    if ranges.is_empty() {
        return Ok(None);
    }
    let generator = Generator::load(client, &sources(ranges), Frames::default())?;
    let before = filter.counters()?;
    let sent = generator.run(Limit {
        frames: u64::MAX,
        time,
    })?;
    let after = filter.counters()?;
    Ok(Some(Burst {
        family,
        sources: SOURCES,
        ranges: ranges.len(),
        sent,
        dropped: after.dropped() - before.dropped(),
        passed: after.passed.packets - before.passed.packets,
    }))
}

/// The ranges that are dropped.
fn dropped<A: Address>(ruleset: &Ruleset, ranges: &[Classified<A>]) -> Vec<Range<A>> {
    ranges
        .iter()
        .filter(|classified| ruleset.entry(classified.label).is_against(Rule::GENERAL))
        .map(|classified| classified.range)
        .collect()
}

/// Addresses from all over the ranges, in an order that no cache can foresee, and the same ones every time.
fn sources<A: Address>(ranges: &[Range<A>]) -> Vec<A> {
    let mut number = 0;
    let mut next = || {
        number += 1;
        scrambled(number)
    };
    (0..SOURCES)
        .map(|_| {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "below the number of ranges, which is a `usize`"
            )]
            let range = ranges[(next() % ranges.len() as u64) as usize];
            let offset = (u128::from(next()) << 64 | u128::from(next())) % range.size();
            A::from_number(range.first().number() + offset).unwrap_or(range.first())
        })
        .collect()
}

/// A number that looks like drawn by lot: the finisher of `SplitMix64`.
const fn scrambled(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::Ipv4Addr};

    use super::*;
    use crate::{geoip, policy::Policy};

    #[test]
    fn a_bursts_sources_are_all_dropped_and_all_over_the_ranges() {
        let world = geoip::builtin().unwrap().regions;
        let ruleset = Ruleset::new(&Policy::default(), &world);
        let ranges = dropped(&ruleset, ruleset.ipv6());
        let sources = sources(&ranges);
        let met: BTreeSet<_> = sources
            .iter()
            .map(|source| {
                let place = ranges.partition_point(|range| range.last() < *source);
                assert!(ranges[place].contains(*source), "{source}");
                place
            })
            .collect();
        assert!(
            met.len() * 10 > ranges.len() * 9,
            "{} of {}",
            met.len(),
            ranges.len()
        );
        let different: BTreeSet<_> = sources.iter().collect();
        assert!(different.len() * 10 > SOURCES * 9, "{}", different.len());
    }

    #[test]
    fn what_passes_sends_no_burst() {
        let policy = Policy {
            allow: vec!["192.0.2.0/24".parse().unwrap()],
            deny: vec!["198.51.100.0/24".parse().unwrap()],
            ..Policy::default()
        };
        let ruleset = Ruleset::new(&policy, &geoip::Regions::default());
        let ranges = dropped::<Ipv4Addr>(&ruleset, ruleset.ipv4());
        assert_eq!(ranges.len(), 1);
        assert!(ranges[0].contains(Ipv4Addr::new(198, 51, 100, 0)));
    }

    #[test]
    fn frames_that_pass_are_a_failure_and_lost_ones_are_not() {
        let lossy = Burst {
            family: "IPv4",
            sources: 1,
            ranges: 1,
            sent: generator::Burst {
                frames: 10,
                time: Duration::from_secs(2),
            },
            dropped: 6,
            passed: 0,
        };
        assert_eq!((lossy.lost(), lossy.rate()), (4, 3.0));
        let leaky = Burst { passed: 1, ..lossy };
        assert_eq!(
            Bursts::Done(vec![lossy, leaky]).failures(),
            ["of 10 live IPv4 frames from blocked sources, 1 were delivered"]
        );
    }
}
