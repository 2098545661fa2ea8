//! What became of the packets, against what should have.
//!
//! The measure is [`policy::explain`], what `geodrop lookup` prints: it shares no table and no lookup with
//! the filter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    Plan, TRANSPORTS,
    sample::{Group, Sample},
};
use crate::{
    Counter,
    datapath::counters::Counters,
    policy::{self, Explanation, Reason, Verdict},
    testbed::{Probe, TestbedError, probe::Transport},
};

/// What became of the packets of a group of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The group.
    pub group: Group,
    /// How many addresses sent.
    pub sources: u64,
    /// How many packets they sent.
    pub sent: u64,
    /// How many of these did not arrive behind the filter.
    pub dropped: u64,
    /// How many did.
    pub delivered: u64,
}

/// A packet that met another fate than its source should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What it carried.
    pub transport: Transport,
    /// What the policy says of its source.
    pub explanation: Explanation,
    /// What became of it.
    pub fate: Verdict,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "UDP",
            Transport::TcpSyn => "TCP SYN",
            Transport::EchoRequest => "ICMP echo",
        };
        let fate = match self.fate {
            Verdict::Pass => "was delivered",
            Verdict::Drop | Verdict::Reject => "was dropped",
        };
        let Explanation {
            ip,
            verdict,
            reason,
            ..
        } = self.explanation;
        write!(
            f,
            "a {transport} packet from {ip} {fate}, where `geodrop lookup` says {verdict} ({reason})"
        )
    }
}

/// What became of the packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// By group, in the order of the samples.
    pub tallies: Vec<Tally>,
    /// Those that met the wrong fate.
    pub wrong: Vec<Wrong>,
    /// What the filter should have counted.
    pub expected: Counters,
}

/// Holds what arrived against what the policy says.
pub(super) fn judge(
    plan: &Plan<'_>,
    samples: &[Sample],
    probes: &[Probe],
    arrived: &BTreeSet<u32>,
) -> Result<Judged, TestbedError> {
    let mut tallies: Vec<Tally> = Vec::new();
    let mut wrong = Vec::new();
    let mut expected = Counters::default();
    for (sample, probes) in samples.iter().zip(probes.chunks(TRANSPORTS.len())) {
        let explanation = policy::explain(plan.policy, plan.data, sample.address);
        let tally = match tallies.last_mut() {
            Some(last) if last.group == sample.group => last,
            _ => tallies.push_mut(Tally {
                group: sample.group,
                sources: 0,
                sent: 0,
                dropped: 0,
                delivered: 0,
            }),
        };
        tally.sources += 1;
        for probe in probes {
            tally.sent += 1;
            let fate = if arrived.contains(&probe.id) {
                tally.delivered += 1;
                Verdict::Pass
            } else {
                tally.dropped += 1;
                Verdict::Drop
            };
            if fate != explanation.verdict {
                wrong.push(Wrong {
                    transport: probe.transport,
                    explanation,
                    fate,
                });
            }
            let counter = counter_of(&mut expected, &explanation);
            counter.packets += 1;
            counter.bytes += probe.to_frame()?.len() as u64;
        }
    }
    Ok(Judged {
        tallies,
        wrong,
        expected,
    })
}

/// Where packets with this explanation are counted.
fn counter_of<'a>(counters: &'a mut Counters, explanation: &Explanation) -> &'a mut Counter {
    match (explanation.verdict, explanation.reason, explanation.country) {
        (Verdict::Pass, ..) => &mut counters.passed,
        (_, Reason::Deny, _) => &mut counters.denied,
        (_, _, Some(country)) => counters.countries.entry(country).or_default(),
        (_, _, None) => &mut counters.unknown,
    }
}

/// Where counters differ, a line each.
pub(super) fn compare(expected: &Counters, counted: &Counters) -> Vec<String> {
    let (expected, counted) = (by_name(expected), by_name(counted));
    let names: BTreeSet<_> = expected.keys().chain(counted.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let of = |counters: &BTreeMap<_, _>| counters.get(name).copied().unwrap_or_default();
            let (expected, counted): (Counter, Counter) = (of(&expected), of(&counted));
            (expected != counted).then(|| {
                format!(
                    "the filter counted {} packets and {} bytes as {name}, where {} and {} were sent",
                    counted.packets, counted.bytes, expected.packets, expected.bytes
                )
            })
        })
        .collect()
}

fn by_name(counters: &Counters) -> BTreeMap<String, Counter> {
    let Counters {
        passed,
        denied,
        malformed,
        non_ip,
        unknown,
        replies,
        countries,
        admitted,
    } = counters;
    let named = [
        ("passed", passed),
        ("denied", denied),
        ("malformed", malformed),
        ("not IP", non_ip),
        ("unknown", unknown),
        ("replies", replies),
    ];
    let named = named.map(|(name, counter)| (name.to_owned(), *counter));
    let countries = countries
        .iter()
        .map(|(country, counter)| (country.to_string(), *counter));
    let admitted = admitted
        .iter()
        .map(|(country, counter)| (format!("passed from {country}"), *counter));
    named.into_iter().chain(countries).chain(admitted).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::probes, *};
    use crate::{
        geoip::{Country, Regions},
        policy::Policy,
    };

    /// Two packets from a denied address and two from another, numbered from 0.
    fn judged(arrived: &[u32]) -> Judged {
        let policy = Policy {
            deny: vec!["192.0.2.0/24".parse().unwrap()],
            ..Policy::default()
        };
        let nowhere = Regions::default();
        let plan = Plan {
            policy: &policy,
            data: (&nowhere).into(),
            burst: Duration::ZERO,
        };
        let samples = ["192.0.2.1", "8.8.8.8"].map(|address| Sample {
            group: Group::Listed,
            address: address.parse().unwrap(),
        });
        let arrived = arrived.iter().copied().collect();
        judge(&plan, &samples, &probes(&samples), &arrived).unwrap()
    }

    #[test]
    fn fates_that_are_as_they_should_be_are_not_wrong() {
        let judged = judged(&[2, 3]);
        assert_eq!(judged.wrong, []);
        let tally = Tally {
            group: Group::Listed,
            sources: 2,
            sent: 4,
            dropped: 2,
            delivered: 2,
        };
        assert_eq!(judged.tallies, [tally]);
        let expected = (judged.expected.denied, judged.expected.passed);
        // A UDP datagram of 4 bytes, and a SYN without options.
        let both = Counter {
            packets: 2,
            bytes: (14 + 20 + 8 + 4) + (14 + 20 + 20),
        };
        assert_eq!(expected, (both, both));
    }

    #[test]
    fn wrong_fates_are_told_apart() {
        let wrong: Vec<_> = judged(&[0, 2])
            .wrong
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            wrong,
            [
                "a UDP packet from 192.0.2.1 was delivered, where `geodrop lookup` says drop (deny)",
                "a TCP SYN packet from 8.8.8.8 was dropped, where `geodrop lookup` says pass (unknown)",
            ]
        );
    }

    #[test]
    fn counters_that_differ_are_named() {
        let two = Counter {
            packets: 2,
            bytes: 100,
        };
        let expected = Counters {
            countries: [(Country::CHINA, two)].into(),
            ..Counters::default()
        };
        let counted = Counters {
            passed: two,
            ..Counters::default()
        };
        assert_eq!(compare(&expected, &expected), [] as [&str; 0]);
        assert_eq!(
            compare(&expected, &counted),
            [
                "the filter counted 0 packets and 0 bytes as CN, where 2 and 100 were sent",
                "the filter counted 2 packets and 100 bytes as passed, where 0 and 0 were sent",
            ]
        );
    }
}
