//! The metrics that there are. `docs/metrics.md` lists the same, which a test sees to.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{Snapshot, Work};
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

/// Metrics of one name.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, without the `_total` that a counter's samples end with.
    name: &'static str,
    /// Whether it only ever grows.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is, in a sentence.
    pub help: &'static str,
    samples: fn(&Snapshot) -> Vec<Sample>,
}

/// What a metric may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It grows, or begins anew at zero.
    Counter,
    /// It goes up and down.
    Gauge,
}

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

impl Family {
    /// Its name in descriptions of `OpenMetrics`: a counter's without `_total`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The name of its samples.
    #[must_use]
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge => self.name.to_owned(),
        }
    }

    /// What there is of it.
    #[must_use]
    pub fn samples(&self, snapshot: &Snapshot) -> Vec<Sample> {
        (self.samples)(snapshot)
    }
}

/// All of them.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "geodrop_up",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Whether a filter judges what the interface receives.",
        samples: up,
    },
    Family {
        name: "geodrop_enforcing",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Whether the filter drops what its country rules are against, and does not only count it.",
        samples: |snapshot| {
            per_filter(snapshot, |filter| {
                Some((filter.enforcement(snapshot.now) == Enforcement::Drops).into())
            })
        },
    },
    Family {
        name: "geodrop_on_trial",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Whether the policy gives way to the one before unless somebody confirms it.",
        samples: |snapshot| {
            per_filter(snapshot, |filter| {
                let is_open = filter.trial.is_some_and(|trial| trial.left.is_some());
                Some(is_open.into())
            })
        },
    },
    Family {
        name: "geodrop_attended",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Whether a process looks after the filter.",
        samples: |snapshot| per_filter(snapshot, |filter| Some(filter.owner.is_some().into())),
    },
    Family {
        name: "geodrop_filter_info",
        kind: Kind::Gauge,
        labels: &["interface", "hook", "mode", "engine", "version"],
        help: "What the filter is, in its labels.",
        samples: filter_info,
    },
    Family {
        name: "geodrop_packets",
        kind: Kind::Counter,
        labels: &["interface", "verdict", "reason", "country"],
        help: "Packets, by verdict; where a policy only counts, those that it would have dropped are told as dropped.",
        samples: |snapshot| counted(snapshot, |counter| counter.packets),
    },
    Family {
        name: "geodrop_bytes",
        kind: Kind::Counter,
        labels: &["interface", "verdict", "reason", "country"],
        help: "Bytes of those packets, from the Ethernet header on.",
        samples: |snapshot| counted(snapshot, |counter| counter.bytes),
    },
    Family {
        name: "geodrop_attached_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Since when there has been a filter without a break.",
        samples: |snapshot| per_filter(snapshot, |filter| filter.about.attached.map(Into::into)),
    },
    Family {
        name: "geodrop_generation",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "The number of the generation in force: how often the filter was replaced, plus one.",
        samples: |snapshot| per_filter(snapshot, |filter| Some(filter.generation.into())),
    },
    Family {
        name: "geodrop_generation_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "When the generation in force was made.",
        samples: |snapshot| per_filter(snapshot, |filter| filter.about.since.map(Into::into)),
    },
    Family {
        name: "geodrop_ranges",
        kind: Kind::Gauge,
        labels: &["interface", "family"],
        help: "Ranges of addresses in the tables.",
        samples: ranges,
    },
    Family {
        name: "geodrop_memory_bytes",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Kernel memory of the filter's tables, counters and report.",
        samples: |snapshot| per_filter(snapshot, |filter| Some(filter.memory.into())),
    },
    Family {
        name: "geodrop_exceptions",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Addresses for which `geodrop allow` or `geodrop deny` holds.",
        samples: |snapshot| per_filter(snapshot, |filter| Some(filter.exceptions.len().into())),
    },
    Family {
        name: "geodrop_data_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &["source"],
        help: "The beginning of the day that the GeoIP data in force is of, where it says so.",
        samples: data,
    },
    Family {
        name: "geodrop_warnings",
        kind: Kind::Gauge,
        labels: &[],
        help: "How many warnings `geodrop status` gives.",
        samples: |snapshot| vec![sample([], snapshot.warnings)],
    },
    Family {
        name: "geodrop_reload_failed",
        kind: Kind::Gauge,
        labels: &["interface"],
        help: "Whether the last reload failed, so that what was in force before still is.",
        samples: |snapshot| per_filter(snapshot, |filter| Some(filter.failure.is_some().into())),
    },
    Family {
        name: "geodrop_reloads",
        kind: Kind::Counter,
        labels: &["result"],
        help: "Reloads of the process that looks after the filters, since it began.",
        samples: |snapshot| {
            let of_work = |work: &Work| {
                let results = [("success", work.reloaded), ("failure", work.failed)];
                results.map(|(result, count)| sample([result], count))
            };
            let work = snapshot.work.iter();
            work.flat_map(of_work).collect()
        },
    },
    Family {
        name: "geodrop_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "When that process last put in force what its configuration says.",
        samples: |snapshot| {
            let work = snapshot.work.as_ref();
            let instant = work.and_then(|work| work.succeeded_at);
            instant
                .map(|instant| sample([], instant))
                .into_iter()
                .collect()
        },
    },
    Family {
        name: "geodrop_watch_left_out_packets",
        kind: Kind::Counter,
        labels: &["interface"],
        help: "Packets that `geodrop watch` was not told of, for there were more than its rate.",
        samples: |snapshot| {
            per_filter(snapshot, |filter| {
                filter.missed.map(|missed| missed.left_out.into())
            })
        },
    },
    Family {
        name: "geodrop_watch_lost_packets",
        kind: Kind::Counter,
        labels: &["interface"],
        help: "Packets that `geodrop watch` was not told of, for it did not read as fast as they came.",
        samples: |snapshot| {
            per_filter(snapshot, |filter| {
                filter.missed.map(|missed| missed.lost.into())
            })
        },
    },
    Family {
        name: "geodrop_program_runs",
        kind: Kind::Counter,
        labels: &["interface"],
        help: "How often the kernel ran the program of this generation, while it kept statistics.",
        samples: |snapshot| {
            per_filter(snapshot, |filter| filter.runs.map(|runs| runs.count.into()))
        },
    },
    Family {
        name: "geodrop_program_run_seconds",
        kind: Kind::Counter,
        labels: &["interface"],
        help: "How long that took, on all CPUs together.",
        samples: |snapshot| {
            let time = |filter: &Running| Some(Value::Real(filter.runs?.time.as_secs_f64()));
            per_filter(snapshot, time)
        },
    },
    Family {
        name: "geodrop_build_info",
        kind: Kind::Gauge,
        labels: &["version"],
        help: "What exposes these metrics, in its label.",
        samples: |_| vec![sample([env!("CARGO_PKG_VERSION")], 1_u64)],
    },
];

fn sample<const N: usize>(labels: [&str; N], value: impl Into<Value>) -> Sample {
    Sample {
        labels: labels.map(str::to_owned).into(),
        value: value.into(),
    }
}

/// What there is to say of each filter.
fn per_filter(snapshot: &Snapshot, of: impl Fn(&Running) -> Option<Value>) -> Vec<Sample> {
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
fn up(snapshot: &Snapshot) -> Vec<Sample> {
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

fn filter_info(snapshot: &Snapshot) -> Vec<Sample> {
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

fn ranges(snapshot: &Snapshot) -> Vec<Sample> {
    let ranges = |filter: &Running| {
        let name = filter.interface.name.as_str();
        let ranges = filter.about.ranges;
        [("ipv4", ranges.ipv4), ("ipv6", ranges.ipv6)]
            .map(|(family, count)| sample([name, family], count))
    };
    snapshot.status.running.iter().flat_map(ranges).collect()
}

fn data(snapshot: &Snapshot) -> Vec<Sample> {
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
fn counted(snapshot: &Snapshot, count: fn(Counter) -> u64) -> Vec<Sample> {
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// The rows of the documented list, as families would be written there.
    fn documented() -> BTreeSet<String> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let page = fs::read_to_string(page).unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| `geodrop_"));
        rows.map(str::to_owned).collect()
    }

    #[test]
    fn the_documented_list_is_what_there_is() {
        let row = |family: &Family| {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let labels = family.labels.iter().map(|label| format!("`{label}`"));
            let labels: Vec<_> = labels.collect();
            format!(
                "| `{}` | {kind} | {} | {} |",
                family.sample_name(),
                labels.join(", "),
                family.help
            )
        };
        let all: BTreeSet<_> = FAMILIES.iter().map(row).collect();
        assert_eq!(all.len(), FAMILIES.len());
        assert_eq!(all, documented());
    }

    #[test]
    fn alert_rules_ask_for_what_there_is() {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/prometheus");
        let mut asked = 0;
        for file in ["geodrop.rules.yml", "geodrop.rules.test.yml"] {
            let text = fs::read_to_string(rules.join(file)).unwrap();
            let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            for name in words.filter(|word| word.starts_with("geodrop_")) {
                let mut known = FAMILIES.iter();
                assert!(known.any(|family| family.sample_name() == name), "{name}");
                asked += 1;
            }
        }
        assert!(asked > 20, "only {asked}");
    }

    #[test]
    fn names_are_as_prometheus_wants_them() {
        for family in FAMILIES {
            let name = family.name();
            assert!(name.starts_with("geodrop_"), "{name}");
            assert!(!name.ends_with("_total"), "{name}");
            assert!(family.help.ends_with('.'), "{name}");
        }
    }
}
