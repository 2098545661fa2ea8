//! What is to be reached in a device: one core, native mode, short frames, all of them from blocked addresses all over the table,
//! the generator included.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{case::Case, contestant::Contestant, report::Row, start::Start};
use crate::{measure::Estimate, tables::Countries};

/// A goal, and what was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Goal {
    /// What is meant, in words.
    pub what: String,
    /// What is to be reached.
    pub target: f64,
    /// Whether it is the most that it may be, or else the least.
    pub at_most: bool,
    /// What was measured.
    pub measured: Estimate,
    /// Whether the worse end of the interval reaches the target.
    pub met: bool,
}

impl Goal {
    fn at_least(what: String, target: f64, measured: Estimate) -> Self {
        Self {
            what,
            target,
            at_most: false,
            measured,
            met: measured.low >= target,
        }
    }

    fn at_most(what: String, target: f64, measured: Estimate) -> Self {
        Self {
            what,
            target,
            at_most: true,
            measured,
            met: measured.high <= target,
        }
    }
}

/// How many times another's packets geodrop is to take.
const TIMES: [(Countries, Contestant, f64); 5] = [
    (Countries::China, Contestant::NftablesIngress, 5.0),
    (Countries::China, Contestant::NftablesRaw, 5.0),
    (Countries::China, Contestant::Ipset, 5.0),
    (Countries::China, Contestant::GeodropLpm, 2.2),
    (Countries::World, Contestant::GeodropLpm, 4.0),
];

/// Which part of the packets of `XDP_DROP` is to be reached.
const OF_DROP: [(Countries, Contestant, f64); 3] = [
    (Countries::China, Contestant::Geodrop, 0.9),
    (Countries::China, Contestant::GeodropReplies, 0.8),
    (Countries::World, Contestant::Geodrop, 0.75),
];

/// How long it may take from the start until a packet is dropped.
const READY: [(Countries, Duration); 2] = [
    (Countries::China, Duration::from_millis(100)),
    (Countries::World, Duration::from_millis(250)),
];

/// How much of that may be other than reading the kernel's types and attaching, in milliseconds, with the smaller table.
const BEYOND_MS: f64 = 50.0;

/// The goals of which there are figures.
#[must_use]
pub fn of(rows: &[Row], starts: &[Start]) -> Vec<Goal> {
    let row = |countries, contestant: Contestant| {
        let case = Case::of(countries).to_string();
        rows.iter()
            .find(|row| row.contestant == contestant.name() && row.case() == case)
    };
    let start = |countries: Countries, contestant: Contestant| {
        starts
            .iter()
            .find(|it| it.contestant == contestant.name() && it.table == countries.name())
    };
    let mut goals = Vec::new();
    for (countries, contestant, target) in TIMES {
        if let Some(row) = row(countries, contestant) {
            let what = format!(
                "{}: geodrop's packets, by those of {}",
                countries.name(),
                contestant.name()
            );
            goals.push(Goal::at_least(what, target, row.geodrop_times));
        }
    }
    for (countries, contestant, target) in OF_DROP {
        if let Some(row) = row(countries, contestant) {
            let what = format!(
                "{}: packets of {}, by those of XDP_DROP",
                countries.name(),
                contestant.name()
            );
            goals.push(Goal::at_least(what, target, row.of_drop));
        }
    }
    for (countries, ready) in READY {
        let Some(ours) = start(countries, Contestant::Geodrop) else {
            continue;
        };
        let name = countries.name();
        goals.push(Goal::at_most(
            format!("{name}: milliseconds from the start to the first dropped packet"),
            ready.as_secs_f64() * 1e3,
            ours.ready_ms,
        ));
        if countries == Countries::China
            && let Some(parts) = &ours.parts
        {
            goals.push(Goal::at_most(
                format!("{name}: the same without the kernel's types and the attach call"),
                BEYOND_MS,
                parts.beyond_ms,
            ));
        }
        if let Some(theirs) = start(countries, Contestant::NftablesRaw) {
            goals.push(Goal::at_most(
                format!("{name}: the same, by what nft -f takes for the same prefixes"),
                theirs.ready_ms.low,
                ours.ready_ms,
            ));
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_by_the_worse_end_of_its_interval() {
        let measured = Estimate {
            median: 5.5,
            low: 4.9,
            high: 6.0,
        };
        assert!(!Goal::at_least(String::new(), 5.0, measured).met);
        assert!(Goal::at_least(String::new(), 4.9, measured).met);
        assert!(!Goal::at_most(String::new(), 5.5, measured).met);
        assert!(Goal::at_most(String::new(), 6.0, measured).met);
    }

    #[test]
    fn without_figures_there_are_no_goals() {
        assert!(of(&[], &[]).is_empty());
    }
}
