//! The metrics that there are. `docs/metrics.md` lists the same, which a test sees to.

use super::{
    Snapshot, Work,
    samples::{Sample, Value, counted, data, filter_info, per_filter, ranges, sample, up},
};
use crate::datapath::status::{Enforcement, Running};

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
