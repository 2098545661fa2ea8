//! The demo's report in JSON.

use geodrop::{
    datapath::about::Ranges,
    demo::{
        Outcome,
        burst::{Burst, Bursts},
        judge::Tally,
        sample::Group,
    },
    geoip::{Country, GeoData, Source},
};
use serde::Serialize;

use super::{super::json::CountersReport, name};

/// What `demo --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    geoip: Vec<&'a Source>,
    ranges: Ranges,
    mode: Option<String>,
    /// Why the mode is not native; null if it is.
    fallback: Option<&'a str>,
    groups: Vec<GroupReport>,
    #[serde(flatten)]
    counted: CountersReport,
    bursts: Vec<BurstReport>,
    /// Why there was no burst; null if there was.
    burst_skipped: Option<&'a str>,
    /// What is not as it should be, a sentence each.
    failures: &'a [String],
}

#[derive(Debug, Serialize)]
struct GroupReport {
    /// Null when the group is not a country's.
    country: Option<Country>,
    name: &'static str,
    sources: u64,
    sent: u64,
    dropped: u64,
    delivered: u64,
}

#[derive(Debug, Serialize)]
struct BurstReport {
    family: &'static str,
    sources: usize,
    sent: u64,
    dropped: u64,
    passed: u64,
    lost: u64,
    seconds: f64,
    packets_per_second: f64,
}

impl<'a> Report<'a> {
    pub(super) fn new(outcome: &'a Outcome, data: &'a GeoData, failures: &'a [String]) -> Self {
        let (bursts, skipped) = match &outcome.bursts {
            Bursts::Done(bursts) => (bursts.as_slice(), None),
            Bursts::Skipped(reason) => (&[][..], Some(reason.as_str())),
        };
        Self {
            geoip: data.sources().collect(),
            ranges: Ranges {
                ipv4: outcome.ranges.0,
                ipv6: outcome.ranges.1,
            },
            mode: outcome.mode.map(|mode| mode.to_string()),
            fallback: outcome.fallback.as_deref(),
            groups: outcome
                .judged
                .tallies
                .iter()
                .map(GroupReport::new)
                .collect(),
            counted: (&outcome.counters).into(),
            bursts: bursts.iter().map(BurstReport::new).collect(),
            burst_skipped: skipped,
            failures,
        }
    }
}

impl GroupReport {
    fn new(tally: &Tally) -> Self {
        Self {
            country: match tally.group {
                Group::Country(country) => Some(country),
                Group::Listed | Group::SpecialPurpose => None,
            },
            name: name(tally.group),
            sources: tally.sources,
            sent: tally.sent,
            dropped: tally.dropped,
            delivered: tally.delivered,
        }
    }
}

impl BurstReport {
    fn new(burst: &Burst) -> Self {
        Self {
            family: burst.family,
            sources: burst.sources,
            sent: burst.sent.frames,
            dropped: burst.dropped,
            passed: burst.passed,
            lost: burst.lost(),
            seconds: burst.sent.time.as_secs_f64(),
            packets_per_second: burst.rate(),
        }
    }
}
