//! What changed from one run to another, and whether it is more than noise.
//!
//! Runs of one version differ by more than the intervals within a run tell: a program lies elsewhere in memory, a virtual machine has
//! other neighbours (benches/README.md has examples). So a change counts only if the two intervals do not touch, and it is larger than
//! a part of the figure and than the [grain](Figure::grain) of its kind. What is measured beside `XDP_DROP` is compared as a
//! multiple of that, in which the machine's own speed is no part.

use serde::Serialize;

use crate::{device::contestant::Contestant, document::Document, measure::Estimate};

/// A figure of a run. Less is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is of, the same in every run.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// What was measured.
    pub estimate: Estimate,
    /// What two runs of one version differ by, as was seen, however small the figure.
    pub grain: f64,
}

/// What a lookup and a packet may cost more in another run of the same, in nanoseconds: benches/README.md.
const NANOSECONDS: f64 = 3.0;
/// What a start may take longer, in milliseconds.
const MILLISECONDS: f64 = 3.0;
/// How many times more of `XDP_DROP`'s time a packet may take.
const TIMES: f64 = 0.03;

/// The figures of our own programs in a run: what others' cost is no change of ours.
#[must_use]
pub fn figures(document: &Document) -> Vec<Figure> {
    let of_interval = |median, [low, high]: [f64; 2]| Estimate { median, low, high };
    let perfmon = |has| if has { "" } else { ", without CAP_PERFMON" };
    let mut figures = Vec::new();
    if let Some(report) = &document.lookup {
        for row in report.rows.iter().chain(&report.rows_without_perfmon) {
            figures.push(Figure {
                name: format!(
                    "lookup: {}, {}, {}, {}{}",
                    row.family,
                    row.table,
                    row.traffic,
                    row.engine,
                    perfmon(row.perfmon)
                ),
                unit: "ns",
                estimate: of_interval(row.engine_ns, row.engine_interval),
                grain: NANOSECONDS,
            });
        }
        for table in &report.tables {
            figures.push(Figure {
                name: format!("table: {}, {}", table.table, table.engine),
                unit: "ms",
                estimate: of_interval(table.ready_ms, table.ready_interval),
                grain: MILLISECONDS,
            });
        }
    }
    if let Some(report) = &document.program {
        for row in report
            .paths
            .iter()
            .chain(&report.egress)
            .chain(&report.floods)
        {
            figures.push(Figure {
                name: format!(
                    "program: {}, {}, {}{}",
                    row.family,
                    row.packet,
                    row.setting,
                    perfmon(row.perfmon)
                ),
                unit: "ns over reference",
                estimate: of_interval(row.over_reference_ns, row.over_reference_interval),
                grain: NANOSECONDS,
            });
        }
    }
    let ours = [
        Contestant::Geodrop,
        Contestant::GeodropReplies,
        Contestant::GeodropLpm,
    ]
    .map(Contestant::name);
    let is_ours = |name: &str| ours.contains(&name);
    if let Some(report) = &document.device {
        for row in report.rows.iter().filter(|row| is_ours(&row.contestant)) {
            let Estimate { median, low, high } = row.of_drop;
            figures.push(Figure {
                name: format!("device: {}, {}", row.case(), row.contestant),
                unit: "× XDP_DROP",
                estimate: of_interval(1.0 / median, [1.0 / high, 1.0 / low]),
                grain: TIMES,
            });
        }
        for start in report
            .starts
            .iter()
            .filter(|start| is_ours(&start.contestant))
        {
            let kinds = [("start", start.ready_ms), ("replace", start.replace_ms)];
            figures.extend(kinds.map(|(kind, estimate)| Figure {
                name: format!("{kind}: {}, {}", start.table, start.contestant),
                unit: "ms",
                estimate,
                grain: MILLISECONDS,
            }));
        }
    }
    figures
}

/// Which way a figure went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It is less.
    Better,
    /// It is more.
    Worse,
    /// What differs may be noise.
    Same,
}

/// A figure that both runs have.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// What it is of.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// What was measured in the first run.
    pub before: Estimate,
    /// What was measured in the second.
    pub after: Estimate,
    /// Which way it went.
    pub direction: Direction,
}

/// What came of comparing two runs.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The figures that both have.
    pub changes: Vec<Change>,
    /// The names of figures that only one of them has.
    pub only_in_one: Vec<String>,
    /// What makes the runs hard to compare: another machine, kernel or policy, or that one was interrupted.
    pub warnings: Vec<String>,
}

impl Comparison {
    /// Compares two runs. A change counts if it is more than `threshold` of the figure, as a part of 1, and more than noise.
    #[must_use]
    pub fn of(before: &Document, after: &Document, threshold: f64) -> Self {
        let (old, new) = (figures(before), figures(after));
        let lacks = |figures: &[Figure], name: &str| figures.iter().all(|it| it.name != name);
        let changes = old.iter().filter_map(|old| {
            let new = new.iter().find(|new| new.name == old.name)?;
            Some(Change {
                name: old.name.clone(),
                unit: old.unit,
                before: old.estimate,
                after: new.estimate,
                direction: direction(old, new, threshold),
            })
        });
        let only_old = old.iter().filter(|old| lacks(&new, &old.name));
        let only_new = new.iter().filter(|new| lacks(&old, &new.name));
        Self {
            changes: changes.collect(),
            only_in_one: only_old.chain(only_new).map(|it| it.name.clone()).collect(),
            warnings: warnings(before, after),
        }
    }

    /// Whether any figure got worse.
    #[must_use]
    pub fn has_regression(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.direction == Direction::Worse)
    }
}

fn direction(old: &Figure, new: &Figure, threshold: f64) -> Direction {
    let (before, after) = (old.estimate, new.estimate);
    let difference = after.median - before.median;
    let matters = difference.abs() > (threshold * before.median.abs()).max(old.grain);
    if matters && after.low > before.high {
        Direction::Worse
    } else if matters && after.high < before.low {
        Direction::Better
    } else {
        Direction::Same
    }
}

fn warnings(before: &Document, after: &Document) -> Vec<String> {
    let (old, new) = (&before.machine, &after.machine);
    let mut warnings = Vec::new();
    for (document, which) in [(before, "first"), (after, "second")] {
        if document.interrupted {
            warnings.push(format!(
                "the {which} run was interrupted: only what it had measured by then is compared"
            ));
        }
    }
    let mut differ = |what: &str, old: &str, new: &str| {
        if old != new {
            warnings.push(format!("{what} differs: {old}; {new}"));
        }
    };
    differ("the processor", &old.cpu, &new.cpu);
    differ(
        "the number of processors",
        &old.cpus.to_string(),
        &new.cpus.to_string(),
    );
    differ("the kernel", &old.kernel, &new.kernel);
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    differ(
        "the frequency governor",
        &text(&old.governor),
        &text(&new.governor),
    );
    differ("the BPF JIT", &text(&old.bpf_jit), &text(&new.bpf_jit));
    if let (Some(old), Some(new)) = (&before.data_checksum, &after.data_checksum) {
        differ("the data's checksum", old, new);
    }
    if old.mitigations != new.mitigations {
        warnings.push("what the kernel does against faults of the processor differs".to_owned());
    }
    for (table, sum) in &before.policies {
        if after.policies.get(table).is_some_and(|other| other != sum) {
            warnings.push(format!(
                "the prefixes of {table} differ: the data or the policy is another"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program;

    fn exactly(median: f64, half: f64) -> Estimate {
        Estimate {
            median,
            low: median - half,
            high: median + half,
        }
    }

    fn figure(median: f64, half: f64) -> Figure {
        Figure {
            name: String::new(),
            unit: "ns",
            estimate: exactly(median, half),
            grain: 3.0,
        }
    }

    #[test]
    fn a_change_counts_if_it_is_more_than_noise() {
        let direction = |old, new| direction(&old, &new, 0.05);
        assert_eq!(
            direction(figure(100.0, 1.0), figure(110.0, 1.0)),
            Direction::Worse
        );
        assert_eq!(
            direction(figure(110.0, 1.0), figure(100.0, 1.0)),
            Direction::Better
        );
        assert_eq!(
            direction(figure(100.0, 6.0), figure(110.0, 6.0)),
            Direction::Same,
            "the intervals touch"
        );
        assert_eq!(
            direction(figure(100.0, 0.1), figure(104.0, 0.1)),
            Direction::Same,
            "less than the threshold"
        );
        assert_eq!(
            direction(figure(4.0, 0.1), figure(6.0, 0.1)),
            Direction::Same,
            "less than the grain"
        );
    }

    fn document(packet: &str, over: f64) -> Document {
        let row = program::Row {
            family: "ipv4".to_owned(),
            packet: packet.to_owned(),
            setting: "ports".to_owned(),
            perfmon: true,
            passes: true,
            ns: over,
            interval: [over; 2],
            over_reference_ns: over,
            over_reference_interval: [over; 2],
            over_addresses_ns: over,
            over_addresses_interval: [over; 2],
            rounds: 9,
        };
        Document {
            program: Some(program::Report {
                paths: vec![row],
                ..program::Report::default()
            }),
            ..Document::default()
        }
    }

    #[test]
    fn runs_are_compared_figure_by_figure() {
        let comparison = Comparison::of(&document("SYN", 20.0), &document("SYN", 40.0), 0.05);
        assert!(comparison.has_regression());
        assert_eq!(comparison.changes[0].name, "program: ipv4, SYN, ports");
        let comparison = Comparison::of(&document("SYN", 40.0), &document("SYN", 20.0), 0.05);
        assert!(!comparison.has_regression());
        let comparison = Comparison::of(&document("SYN", 20.0), &document("RST", 90.0), 0.05);
        assert!(!comparison.has_regression());
        assert_eq!(comparison.only_in_one.len(), 2);
    }

    #[test]
    fn another_machine_is_warned_of() {
        let mut other = document("SYN", 20.0);
        other.machine.kernel = "7".to_owned();
        let comparison = Comparison::of(&document("SYN", 20.0), &other, 0.05);
        assert_eq!(comparison.warnings, ["the kernel differs: ; 7"]);
    }
}
