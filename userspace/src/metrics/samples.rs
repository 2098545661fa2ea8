//! The samples of metrics: what a snapshot says, label by label.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Snapshot;
use crate::{
    Counter,
    datapath::{
        counters::Counters,
        status::{Enforcement, Running},
    },
    geoip::Country,
    policy::config::Choice as _,
    warnings,
};

/// One metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The values of its family's labels.
    pub labels: Vec<String>,
    /// Its value.
    pub value: Value,
}

/// The value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Real(f64),
}

impl From<bool> for Value {
    fn from(is_so: bool) -> Self {
        Self::Whole(is_so.into())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Whole(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Whole(count as u64)
    }
}

impl From<Timestamp> for Value {
    fn from(instant: Timestamp) -> Self {
        Self::Real(instant.as_duration().as_secs_f64())
    }
}

pub(super) fn sample<const N: usize>(labels: [&str; N], value: impl Into<Value>) -> Sample {
    Sample {
        labels: labels.map(str::to_owned).into(),
        value: value.into(),
    }
}

/// What there is to say of each filter.
pub(super) fn per_filter(
    snapshot: &Snapshot,
    of: impl Fn(&Running) -> Option<Value>,
) -> Vec<Sample> {
    let of_filter = |filter: &Running| {
        let value = of(filter)?;
        Some(sample([&filter.interface.name], value))
    };
    snapshot
        .status
        .running
        .iter()
        .filter_map(of_filter)
        .collect()
}

/// Also of interfaces that are to be filtered and are not.
pub(super) fn up(snapshot: &Snapshot) -> Vec<Sample> {
    let mut interfaces: BTreeMap<&str, bool> = BTreeMap::new();
    for name in snapshot.work.iter().flat_map(|work| &work.interfaces) {
        interfaces.insert(name, false);
    }
    for filter in &snapshot.status.running {
        let judges = filter.enforcement(snapshot.now) != Enforcement::Lapsed;
        interfaces.insert(&filter.interface.name, judges);
    }
    let interfaces = interfaces.into_iter();
    interfaces
        .map(|(name, is_up)| sample([name], is_up))
        .collect()
}

pub(super) fn filter_info(snapshot: &Snapshot) -> Vec<Sample> {
    let info = |filter: &Running| {
        let mode = filter
            .mode
            .map_or_else(String::new, |mode| mode.to_string());
        let labels = [
            filter.interface.name.as_str(),
            filter.hook.word(),
            &mode,
            &filter.about.engine,
            &filter.about.version,
        ];
        sample(labels, 1_u64)
    };
    snapshot.status.running.iter().map(info).collect()
}

pub(super) fn ranges(snapshot: &Snapshot) -> Vec<Sample> {
    let ranges = |filter: &Running| {
        let name = filter.interface.name.as_str();
        let ranges = filter.about.ranges;
        [("ipv4", ranges.ipv4), ("ipv6", ranges.ipv6)]
            .map(|(family, count)| sample([name, family], count))
    };
    snapshot.status.running.iter().flat_map(ranges).collect()
}

pub(super) fn data(snapshot: &Snapshot) -> Vec<Sample> {
    let midnight = |date: Date| {
        let midnight = date.to_zoned(TimeZone::UTC).ok()?;
        Some(midnight.timestamp())
    };
    // Filters on several interfaces may go by the same source of several days.
    let mut days: BTreeMap<String, Timestamp> = BTreeMap::new();
    for source in warnings::sources(&snapshot.status.running) {
        if let Some(day) = source.date.and_then(midnight) {
            let oldest = days.entry(source.source).or_insert(day);
            *oldest = day.min(*oldest);
        }
    }
    let days = days.into_iter();
    days.map(|(source, day)| sample([&source], day)).collect()
}

/// Counters of all filters, with the words of `geodrop lookup` for reasons.
pub(super) fn counted(snapshot: &Snapshot, count: fn(Counter) -> u64) -> Vec<Sample> {
    let mut samples = Vec::new();
    for filter in &snapshot.status.running {
        let mut add = |verdict: &str, reason: &str, country: &str, counter| {
            let labels = [filter.interface.name.as_str(), verdict, reason, country];
            samples.push(sample(labels, count(counter)));
        };
        let Counters {
            passed,
            denied,
            malformed,
            non_ip,
            unknown,
            replies,
            countries,
            admitted,
        } = &filter.counters;
        add("pass", "other", "", *passed);
        add("pass", "reply", "", *replies);
        add("pass", "non-ip", "", *non_ip);
        for (country, counter) in admitted {
            add("pass", "country", country.as_str(), *counter);
        }
        add("drop", "deny", "", *denied);
        add("drop", "malformed", "", *malformed);
        add("drop", "unknown", "", *unknown);
        // Also those that nothing came from yet, so that the first packet is an increase.
        let blocked = filter.about.block.iter();
        let mut dropped: BTreeMap<Country, Counter> = blocked
            .map(|country| (*country, Counter::default()))
            .collect();
        dropped.extend(countries);
        for (country, counter) in dropped {
            add("drop", "country", country.as_str(), counter);
        }
    }
    samples
}
