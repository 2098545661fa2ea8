//! What `geodrop-bench lookup` found, as it prints it.
//!
//! [`Report`] is the part `lookup` of a [document](crate::document): each field is a name in it. Scripts rely on the names.

use std::{collections::BTreeMap, time::Duration};

use geodrop::table::Engine;
use serde::{Deserialize, Serialize};

use crate::{
    built::Way,
    costs::{self, Costs},
    goals::{self, Goal},
    measure::Estimate,
    privilege::Privilege,
    tables::{Countries, Table},
    traffic::Traffic,
};

/// All that was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The cost of a lookup, a row for each family, table, traffic and privilege.
    pub rows: Vec<Row>,
    /// The same, of programs that were loaded without `CAP_PERFMON`: the verifier masks what they read.
    pub rows_without_perfmon: Vec<Row>,
    /// The geometric mean of the ratios of the rows that have a target; null when there are none.
    pub geometric_mean: Option<f64>,
    /// What that is to be at least.
    pub geometric_mean_target: f64,
    /// Whether it is.
    pub geometric_mean_met: Option<bool>,
    /// How much memory of the kernel the default engine's tables take, both families together, by table.
    pub memory_bytes: BTreeMap<String, u64>,
    /// What it takes to get tables into the kernel: a row for each table and engine.
    pub tables: Vec<TableRow>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Fills in what follows from the rows.
    pub fn conclude(&mut self) {
        let with_target = || self.rows.iter().filter(|row| row.target.is_some());
        // Of fewer rows it would not be the mean that the target is of.
        let complete = with_target().count() == goals::ROWS;
        self.geometric_mean = complete
            .then(|| costs::geometric_mean(with_target().map(|row| row.ratio)))
            .flatten();
        self.geometric_mean_target = goals::GEOMETRIC_MEAN;
        self.geometric_mean_met = self
            .geometric_mean
            .map(|mean| mean >= goals::GEOMETRIC_MEAN);
    }
}

/// What a lookup costs in one table with one traffic. Times are nanoseconds; an interval holds the true median with a
/// probability of at least 95 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// `CN-HK-MO`, `world`, `10k`, `100k` or `1M`.
    pub table: String,
    /// `uniform`, `over ranges`, `zipf` or `single flow`.
    pub traffic: String,
    /// The engine that is compared with the kernel's trie.
    pub engine: String,
    /// Whether the programs were loaded with `CAP_PERFMON`. Without it the verifier masks what is read.
    pub perfmon: bool,
    /// A run of the program that does all but the lookup.
    pub baseline_ns: f64,
    /// The interval of `baseline_ns`.
    pub baseline_interval: [f64; 2],
    /// A lookup in the kernel's trie, the baseline subtracted; what is less than 1 is 1.
    pub lpm_ns: f64,
    /// The interval of `lpm_ns`.
    pub lpm_interval: [f64; 2],
    /// A lookup in the engine's table, the baseline subtracted; what is less than 1 is 1.
    pub engine_ns: f64,
    /// The interval of `engine_ns`.
    pub engine_interval: [f64; 2],
    /// How many times as long a lookup in the trie takes: the median of the ratios within rounds.
    pub ratio: f64,
    /// The interval of `ratio`.
    pub ratio_interval: [f64; 2],
    /// What the ratio is to be at least; null where there is no target, as without `CAP_PERFMON`.
    pub target: Option<f64>,
    /// What it is to be if that can be done.
    pub aim: Option<f64>,
    /// Whether the lower end of the ratio's interval reaches the target.
    pub met: Option<bool>,
    /// Of how many rounds the figures are medians.
    pub rounds: usize,
    /// How many runs a round has of the baseline, the trie and the engine.
    pub runs: [u64; 3],
    /// How many addresses are looked up in turn.
    pub addresses: u32,
    /// How many ranges the table has.
    pub ranges: usize,
    /// How many entries the kernel's trie has: the fewest that say the same.
    pub lpm_entries: usize,
}

/// What a row is about.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The family's name.
    pub family: &'static str,
    /// The table.
    pub table: Table,
    /// The traffic.
    pub traffic: Traffic,
    /// The engine that is compared with the kernel's trie.
    pub engine: Engine,
    /// What the programs were loaded with.
    pub privilege: Privilege,
    /// How many addresses are looked up in turn.
    pub addresses: u32,
    /// How many ranges the table has.
    pub ranges: usize,
    /// How many entries the kernel's trie has.
    pub lpm_entries: usize,
}

impl Row {
    /// The row of a case.
    #[must_use]
    pub fn new(case: &Case, costs: &Costs) -> Self {
        let perfmon = case.privilege == Privilege::Full;
        let goal = Goal::of(case.family, case.table, case.traffic).filter(|_| perfmon);
        let interval = |estimate: &Estimate| [estimate.low, estimate.high];
        let Costs {
            baseline,
            lpm,
            engine,
            ratio,
            rounds,
            runs,
        } = costs;
        Self {
            family: case.family.to_owned(),
            table: case.table.name().to_owned(),
            traffic: case.traffic.name().to_owned(),
            engine: case.engine.to_string(),
            perfmon,
            baseline_ns: baseline.median,
            baseline_interval: interval(baseline),
            lpm_ns: lpm.median,
            lpm_interval: interval(lpm),
            engine_ns: engine.median,
            engine_interval: interval(engine),
            ratio: ratio.median,
            ratio_interval: interval(ratio),
            target: goal.map(|goal| goal.target),
            aim: goal.map(|goal| goal.aim),
            met: goal.map(|goal| goal.is_met(ratio)),
            rounds: *rounds,
            runs: *runs,
            addresses: case.addresses,
            ranges: case.ranges,
            lpm_entries: case.lpm_entries,
        }
    }
}

/// What it takes to get the tables of both families into the kernel, from ranges on. Times are milliseconds by the
/// clock on the wall, in one thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// The table's name, as in [`Row::table`].
    pub table: String,
    /// The engine that it is laid out for.
    pub engine: String,
    /// From ranges to the table as the engine lays it out.
    pub build_ms: f64,
    /// From there to filled maps in the kernel.
    pub fill_ms: f64,
    /// Both together.
    pub ready_ms: f64,
    /// The interval of `ready_ms`.
    pub ready_interval: [f64; 2],
    /// What `ready_ms` is to be at most; null where there is no target.
    pub ready_target_ms: Option<f64>,
    /// Whether the upper end of the interval is.
    pub ready_met: Option<bool>,
    /// How much memory of the kernel the maps take. Of a trie the kernel counts the entries only.
    pub memory_bytes: u64,
    /// What that is to be at most; null where there is no target.
    pub memory_target_bytes: Option<u64>,
    /// Whether it is.
    pub memory_met: Option<bool>,
}

impl TableRow {
    /// The row of a table, from going the way several times; `None` of no times. Only the default engine has goals.
    #[must_use]
    pub fn new(table: Table, engine: Engine, ways: &[Way]) -> Option<Self> {
        let memory_bytes = ways.iter().map(|way| way.memory).max()?;
        let median = |of: fn(&Way) -> Duration| {
            Estimate::of(ways.iter().map(|way| milliseconds(of(way))).collect())
        };
        let ready = median(Way::time);
        let goal: Option<Countries> = match table {
            Table::Countries(countries) if engine == Engine::default() => Some(countries),
            _ => None,
        };
        let ready_target_ms = goal.and_then(goals::ready).map(milliseconds);
        let memory_target_bytes = goal.and_then(goals::memory);
        Some(Self {
            table: table.name().to_owned(),
            engine: engine.to_string(),
            build_ms: median(|way| way.build).median,
            fill_ms: median(|way| way.fill).median,
            ready_ms: ready.median,
            ready_interval: [ready.low, ready.high],
            ready_target_ms,
            ready_met: ready_target_ms.map(|target| ready.high <= target),
            memory_bytes,
            memory_target_bytes,
            memory_met: memory_target_bytes.map(|target| memory_bytes <= target),
        })
    }
}

/// A time in milliseconds.
fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case {
        family: "ipv4",
        table: Table::Countries(Countries::China),
        traffic: Traffic::Uniform,
        engine: Engine::Multibit,
        privilege: Privilege::Full,
        addresses: 1 << 19,
        ranges: 10_000,
        lpm_entries: 12_000,
    };

    fn costs(ratio: f64, low: f64) -> Costs {
        let exactly = |median| Estimate {
            median,
            low: median,
            high: median,
        };
        Costs {
            baseline: exactly(30.0),
            lpm: exactly(10.0 * ratio),
            engine: exactly(10.0),
            ratio: Estimate {
                low,
                ..exactly(ratio)
            },
            rounds: 9,
            runs: [3, 2, 1],
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        let mut report = Report {
            rows,
            memory_bytes: [("world".to_owned(), 5)].into(),
            ..Report::default()
        };
        report.conclude();
        report
    }

    #[test]
    fn a_row_is_met_by_the_lower_end_of_its_interval() {
        for (ratio, low, met) in [(16.0, 15.0, true), (25.0, 14.9, false)] {
            let row = Row::new(&CASE, &costs(ratio, low));
            assert_eq!(row.met, Some(met), "{ratio} {low}");
        }
    }

    #[test]
    fn without_perfmon_there_is_no_target() {
        let case = Case {
            privilege: Privilege::WithoutPerfmon,
            ..CASE
        };
        let row = Row::new(&case, &costs(16.0, 15.5));
        assert!(!row.perfmon);
        assert_eq!((row.target, row.aim, row.met), (None, None, None));
    }

    #[test]
    fn only_rows_with_a_target_count_in_the_mean() {
        let without = Case {
            traffic: Traffic::Zipf,
            ..CASE
        };
        let row = |case: &Case, ratio| Row::new(case, &costs(ratio, ratio));
        let mut rows = [vec![row(&CASE, 10.0); 4], vec![row(&CASE, 40.0); 4]].concat();
        rows.push(row(&without, 1e6));
        let some = report(rows[1..].to_vec());
        assert_eq!(
            some.geometric_mean, None,
            "not of fewer rows than there are"
        );
        let report = report(rows);
        let mean = report.geometric_mean.unwrap();
        assert!((mean - 20.0).abs() < 1e-9);
        assert_eq!(self::report(Vec::new()).geometric_mean_met, None);
    }

    #[test]
    fn the_json_has_the_names_that_scripts_rely_on() {
        let row = Row::new(&CASE, &costs(16.0, 15.5));
        let json = serde_json::to_value(report(vec![row; 8])).unwrap();
        let row = &json["rows"][0];
        assert_eq!(row["family"], "ipv4");
        assert_eq!(row["table"], "CN-HK-MO");
        assert_eq!(row["traffic"], "uniform");
        assert_eq!(row["baseline_ns"], 30.0);
        assert_eq!(row["lpm_ns"], 160.0);
        assert_eq!(row["engine_ns"], 10.0);
        assert_eq!(row["ratio"], 16.0);
        assert_eq!(row["ratio_interval"], serde_json::json!([15.5, 16.0]));
        assert_eq!((&row["target"], &row["aim"]), (&15.0.into(), &20.0.into()));
        assert_eq!(row["met"], true);
        assert_eq!(json["memory_bytes"]["world"], 5);
        assert!((json["geometric_mean"].as_f64().unwrap() - 16.0).abs() < 1e-9);
        assert_eq!(json["geometric_mean_met"], false);
    }

    #[test]
    fn a_table_has_goals_where_there_are_any() {
        let way = |build, fill, memory| Way {
            build: Duration::from_millis(build),
            fill: Duration::from_millis(fill),
            memory,
        };
        let ways = [way(4, 1, 1 << 20), way(7, 2, 1 << 20), way(5, 4, 1 << 20)];
        let china = Table::Countries(Countries::China);
        let row = TableRow::new(china, Engine::Multibit, &ways).unwrap();
        assert!((row.ready_ms - 9.0).abs() < 1e-9);
        assert_eq!((row.ready_met, row.memory_met), (Some(true), Some(true)));
        let large = [way(8, 3, 3 << 20)];
        let row = TableRow::new(china, Engine::Multibit, &large).unwrap();
        assert_eq!((row.ready_met, row.memory_met), (Some(false), Some(false)));
        let row = TableRow::new(china, Engine::Lpm, &large).unwrap();
        assert_eq!((row.ready_met, row.memory_target_bytes), (None, None));
        let row = TableRow::new(Table::Million, Engine::Multibit, &large).unwrap();
        assert_eq!(row.ready_target_ms, None);
        assert_eq!(TableRow::new(china, Engine::Multibit, &[]), None);
    }
}
