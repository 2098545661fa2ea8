//! `geodrop-bench lookup`: what a lookup costs, next to the kernel's own trie.

use std::{
    any::Any,
    net::{Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use geodrop::{policy::Classified, table::Engine};
use geodrop_bench::{
    basis::Basis,
    built::{ENGINES, Way, time_to_free},
    costs::Costs,
    family::Family,
    kernel::{Lookups, Program, Tables},
    lookup::{Case, Report, Row, TableRow},
    measure::{Effort, Rounds},
    privilege::Privilege,
    tables::{Table, real_prefixes},
    traffic::{self, Traffic},
};

use super::progress::{Progress, times};

/// How much is measured of a case with `--quick`: 16 of these in less than three minutes.
const QUICK: Effort = Effort {
    turn: Duration::from_millis(25),
    least_runs: 1 << 18,
    parts: 2,
    time: Duration::from_secs(8),
    least_rounds: 9,
    most_rounds: 61,
};

/// How much is measured of a case without.
const FULL: Effort = Effort {
    turn: Duration::from_millis(25),
    least_runs: 1 << 18,
    parts: 2,
    time: Duration::from_secs(6),
    least_rounds: 9,
    most_rounds: 61,
};

/// How often the way into the kernel is gone: the interval of 9 is the 2nd to the 8th value.
const WAYS: usize = 9;

/// How long it is expected to take to load the programs of a case, to build the tables of a family, and to go all ways of a table.
const LOADING: Duration = Duration::from_millis(800);
const BUILDING: Duration = Duration::from_millis(1500);
const WAY: Duration = Duration::from_secs(6);

/// What is measured.
pub(super) struct Plan<'a> {
    basis: &'a Basis,
    tables: Vec<Table>,
    traffics: &'static [Traffic],
    engines: &'static [Engine],
    effort: Effort,
}

impl<'a> Plan<'a> {
    pub(super) fn of(quick: bool, basis: &'a Basis) -> Self {
        let real = basis.tables().iter().copied().map(Table::Countries);
        if quick {
            Self {
                basis,
                tables: real.collect(),
                traffics: &[Traffic::Uniform, Traffic::OverRanges],
                engines: &[Engine::Multibit],
                effort: QUICK,
            }
        } else {
            Self {
                basis,
                tables: if basis.path().is_some() {
                    real.collect()
                } else {
                    Table::ALL.to_vec()
                },
                traffics: &Traffic::ALL,
                engines: &ENGINES,
                effort: FULL,
            }
        }
    }

    /// What the programs for a table are loaded with: what the verifier masks is the same for all tables.
    fn privileges(table: Table) -> &'static [Privilege] {
        match table {
            Table::Countries(_) => &Privilege::ALL,
            _ => &[Privilege::Full],
        }
    }

    /// How many cases a table has in each family.
    fn cases(&self, table: Table) -> usize {
        Self::privileges(table).len() * self.traffics.len()
    }

    /// How long a case takes, with loading the programs.
    fn case(&self) -> Duration {
        self.effort.time + LOADING
    }

    /// How long all of it is expected to take.
    pub(super) fn expected(&self) -> Duration {
        let cases = self.tables.iter().map(|table| self.cases(*table)).sum();
        let ways = self.tables.len() * self.engines.len();
        2 * (times(self.case(), cases) + times(BUILDING, self.tables.len())) + times(WAY, ways)
    }

    /// Measures the level, case by case, until it is done or something is in the way: what was found until then is in the
    /// report.
    pub(super) fn measure(&self, progress: &Progress, report: &mut Report) -> anyhow::Result<()> {
        let measured = measure_all(self, progress, report);
        report.conclude();
        measured
    }
}

fn measure_all(plan: &Plan<'_>, progress: &Progress, report: &mut Report) -> anyhow::Result<()> {
    // What was loaded stays until the end: the kernel frees a trie on some CPU at some time, which is not to be
    // measured.
    let mut loaded = Vec::new();
    measure_family::<Ipv4Addr>(plan, progress, report, &mut loaded)?;
    measure_family::<Ipv6Addr>(plan, progress, report, &mut loaded)?;
    for &engine in plan.engines {
        for &table in &plan.tables {
            measure_way(table, engine, plan.basis, progress, report)?;
        }
    }
    Ok(())
}

/// Adds the rows of one family.
fn measure_family<A: Family>(
    plan: &Plan<'_>,
    progress: &Progress,
    report: &mut Report,
    loaded: &mut Vec<Box<dyn Any>>,
) -> anyhow::Result<()> {
    let basis = plan.basis;
    let real = real_prefixes::<A>(basis.regions());
    for &table in &plan.tables {
        let name = format!("{} {}", A::NAME, table.name());
        progress.begin(format_args!("{name}: building the tables"), BUILDING)?;
        let ranges = table.ranges(basis, &real);
        let tables = match Tables::new(&ranges) {
            Ok(tables) => tables,
            Err(error) => {
                report.notes.push(format!("{name}: {error}"));
                continue;
            }
        };
        for &privilege in Plan::privileges(table) {
            let mut lookups = match Lookups::load(&tables, traffic::COUNT, privilege) {
                Ok(lookups) => lookups,
                Err(error) if progress.go_on().is_err() => return Err(error),
                // That a program needs more than it was given is a finding. That it cannot be loaded at all is not.
                Err(error) if privilege == Privilege::WithoutPerfmon => {
                    report.notes.push(format!(
                        "{name}: not measured without CAP_PERFMON: {}",
                        in_one_line(&error)
                    ));
                    continue;
                }
                Err(error) => return Err(error.context(name)),
            };
            for &traffic in plan.traffics {
                progress.begin(format_args!("{name}/{}", traffic.name()), plan.case())?;
                lookups.look_up(&traffic.addresses(&ranges, &real, traffic::COUNT))?;
                let rounds = Rounds::measure(
                    &plan.effort,
                    &Program::ALL,
                    &Program::APART,
                    |program, runs| {
                        progress.go_on()?;
                        lookups.time(program, runs)
                    },
                )?;
                let case = Case {
                    family: A::NAME,
                    table,
                    traffic,
                    engine: Engine::Multibit,
                    privilege,
                    addresses: traffic::COUNT,
                    ranges: ranges.len(),
                    lpm_entries: tables.entries.len(),
                };
                let row = Row::new(&case, &Costs::of(&rounds));
                match privilege {
                    Privilege::Full => report.rows.push(row),
                    Privilege::WithoutPerfmon => report.rows_without_perfmon.push(row),
                }
            }
            lookups.detach()?;
            loaded.push(Box::new(lookups));
        }
    }
    Ok(())
}

/// Adds the row of an engine's table: how long it takes to get it into the kernel, and how large it is there.
fn measure_way(
    table: Table,
    engine: Engine,
    basis: &Basis,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    let ipv4 = table.ranges(basis, &real_prefixes::<Ipv4Addr>(basis.regions()));
    let ipv6 = table.ranges(basis, &real_prefixes::<Ipv6Addr>(basis.regions()));
    let mut ways = Vec::new();
    progress.begin(
        format_args!("{}: into the kernel, {engine}", table.name()),
        WAY,
    )?;
    for _ in 0..WAYS {
        progress.go_on()?;
        match go(engine, &ipv4, &ipv6) {
            Ok(way) => ways.push(way),
            Err(error) if progress.go_on().is_err() => return Err(error),
            Err(error) => {
                report
                    .notes
                    .push(format!("{}, {engine}: {error:#}", table.name()));
                break;
            }
        }
        if engine == Engine::Lpm {
            thread::sleep(time_to_free(ipv4.len() + ipv6.len()));
        }
    }
    if let Some(row) = TableRow::new(table, engine, &ways) {
        if engine == Engine::default() {
            report
                .memory_bytes
                .insert(row.table.clone(), row.memory_bytes);
        }
        report.tables.push(row);
    }
    Ok(())
}

/// Goes the way of both families once.
fn go(
    engine: Engine,
    ipv4: &[Classified<Ipv4Addr>],
    ipv6: &[Classified<Ipv6Addr>],
) -> anyhow::Result<Way> {
    let mut way = Way::default();
    // Both tables are there at the end, as in a filter.
    let _maps = (way.go(engine, ipv4)?, way.go(engine, ipv6)?);
    Ok(way)
}

/// The cause of an error in one line: of the verifier's log, which may be hundreds of lines long, the last but its
/// statistics.
fn in_one_line(error: &anyhow::Error) -> String {
    let statistics = ["verification time", "stack depth", "processed "];
    let text = format!("{error:#}");
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !statistics.iter().any(|start| line.starts_with(start)));
    let first = text.lines().next().unwrap_or_default().trim();
    match lines
        .rev()
        .find(|line| *line != first && !line.starts_with([';', ':']))
    {
        Some(last) => format!("{first} … {last}"),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_measures_what_has_a_target() {
        let basis = Basis::builtin().unwrap();
        let quick = Plan::of(true, &basis);
        assert_eq!(quick.tables.len() * quick.traffics.len() * 2, 8);
        assert!(quick.expected() < Duration::from_mins(3));
    }

    #[test]
    fn of_the_verifiers_log_its_last_word_is_shown() {
        let error =
            anyhow::anyhow!("a\n 1: R0=1\nR0 is wrong\nverification time 1\nprocessed 3 insns\n")
                .context("loading x");
        assert_eq!(in_one_line(&error), "loading x: a … R0 is wrong");
        let error = anyhow::anyhow!("refused").context("loading x");
        assert_eq!(in_one_line(&error), "loading x: refused");
    }
}
