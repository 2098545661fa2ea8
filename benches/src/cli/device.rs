//! `geodrop-bench device`: what packets cost in a device, beside all else that drops packets by their source.

use std::time::Duration;

use clap::Args;
use geodrop_bench::{
    basis::Basis,
    device::{
        blocked::Blocked,
        case::Case,
        contestant::{self, Contestant},
        flood::{self, Peer, Rate},
        goals,
        ledger::Ledger,
        report::{Report, Skipped},
        rig::Rig,
        start, tool, turns, xdp_filter,
    },
    measure::Effort,
    tables::Countries,
};

use super::{
    progress::{Progress, times},
    set_up,
};

/// Who is to be compared.
#[derive(Clone, Debug, Args)]
pub(super) struct Against {
    /// Beside geodrop, no filter and an XDP program that drops everything, measure these; as far as they are installed
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = ALL, value_name = "PEER,…")]
    against: Vec<contestant::Peer>,
}

const ALL: [contestant::Peer; 3] = [
    contestant::Peer::Nft,
    contestant::Peer::Ipset,
    contestant::Peer::XdpFilter,
];

/// How much is measured of a case: some 35 s with ten contestants, of which each turn has its own cost of 100 ms.
const CASE: Effort = Effort {
    turn: Duration::from_millis(80),
    least_runs: 1 << 16,
    parts: 1,
    time: Duration::from_secs(30),
    least_rounds: 7,
    most_rounds: 15,
};

/// How many turns each has under a flood, of which one takes a second.
const FLOODS: usize = 7;
const QUICK_FLOODS: usize = 3;

/// How many addresses xdp-filter is given with `--quick`: three seconds' worth.
const QUICK_ADDRESSES: usize = 1_000;

/// How long it is expected to take to change from one to the next in a case, to set one up and try it, and to measure its setting up
/// once.
const TURN: Duration = Duration::from_millis(500);
const TRYING: Duration = Duration::from_secs(1);
const START: Duration = Duration::from_millis(500);
const START_OF_WORLD: Duration = Duration::from_secs(5);

/// How much is measured.
pub(super) struct Plan<'a> {
    quick: bool,
    against: &'a [contestant::Peer],
    /// On which cores.
    cores: &'a [usize],
    /// What tables are made of.
    basis: &'a Basis,
}

impl<'a> Plan<'a> {
    /// With XDP programs on these cores.
    pub(super) fn of(
        quick: bool,
        against: &'a Against,
        cores: &'a [usize],
        basis: &'a Basis,
    ) -> Self {
        Self {
            quick,
            against: &against.against,
            cores,
            basis,
        }
    }

    fn cases(&self, countries: Countries) -> Vec<Case> {
        if self.quick {
            Case::quick(countries)
        } else {
            Case::all(countries, self.cores.len())
        }
    }

    /// Who takes part with a table: xdp-filter's addresses are no table.
    fn contestants(&self, countries: Countries) -> Vec<Contestant> {
        let mut contestants = self.asked(&Contestant::ALL);
        contestants.retain(|contestant| {
            *contestant != Contestant::XdpFilter || countries != Countries::World
        });
        contestants
    }

    fn starts(&self) -> Vec<Contestant> {
        self.asked(&start::CONTESTANTS)
    }

    /// Those of some that are asked for.
    fn asked(&self, contestants: &[Contestant]) -> Vec<Contestant> {
        let is_asked = |contestant: &&Contestant| {
            let peer = contestant.peer();
            peer.is_none_or(|peer| self.against.contains(&peer))
        };
        contestants.iter().filter(is_asked).copied().collect()
    }

    fn rates(&self) -> &'static [Rate] {
        if self.quick { &Rate::QUICK } else { &Rate::ALL }
    }

    fn rounds_of_floods(&self) -> usize {
        if self.quick { QUICK_FLOODS } else { FLOODS }
    }

    /// How long a case takes with the contestants of a table.
    fn case(&self, countries: Countries) -> Duration {
        CASE.time + times(TURN, self.contestants(countries).len())
    }

    /// How long it takes to set one up as often as it is.
    fn start(&self, countries: Countries) -> Duration {
        let once = match countries {
            Countries::China | Countries::Own => START,
            Countries::World => START_OF_WORLD,
        };
        times(once, start::times(countries, self.quick))
    }

    /// How long all turns under a flood of a rate take.
    fn flood(&self) -> Duration {
        times(
            flood::TURN,
            self.asked(&flood::CONTESTANTS).len() * self.rounds_of_floods(),
        )
    }

    /// How long all of it is expected to take.
    pub(super) fn expected(&self) -> Duration {
        let of = |countries| {
            times(self.start(countries), self.starts().len())
                + times(self.case(countries), self.cases(countries).len())
                + times(TRYING, self.contestants(countries).len())
        };
        let tables = self.basis.tables().iter();
        let floods = times(TRYING, self.asked(&flood::CONTESTANTS).len())
            + times(self.flood(), self.rates().len());
        tables.map(|&countries| of(countries)).sum::<Duration>() + floods
    }

    /// Measures the level, case by case, until it is done or something is in the way: what was found until then is in the
    /// report. `policies` hears of each policy that it was measured with.
    pub(super) fn measure(
        &self,
        progress: &Progress,
        report: &mut Report,
        mut policies: impl FnMut(&Blocked),
    ) -> anyhow::Result<()> {
        let mut measure_all = || {
            for &countries in self.basis.tables() {
                let blocked = Blocked::of(countries, self.basis)?;
                policies(&blocked);
                measure_table(self, &blocked, progress, report)?;
            }
            Ok(())
        };
        let measured = measure_all();
        report.goals = goals::of(&report.rows, &report.starts);
        measured
    }
}

fn measure_table(
    plan: &Plan<'_>,
    blocked: &Blocked,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    let table = blocked.countries.name();
    for contestant in plan.starts() {
        let times = start::times(blocked.countries, plan.quick);
        progress.begin(
            format_args!("{table}: setting up {}", contestant.name()),
            plan.start(blocked.countries),
        )?;
        let measured = able(contestant).and_then(|()| {
            start::measure(contestant, blocked, plan.basis, times, || {
                Ok(progress.go_on()?)
            })
        });
        match measured {
            Ok(mut start) => {
                if contestant.peer().is_none() {
                    let memory = set_up::memory(contestant, blocked.countries, plan.basis)?;
                    start.process_memory_bytes = Some(memory);
                }
                report.starts.push(start);
            }
            Err(error) => skip(contestant, table, error, progress, report)?,
        }
    }
    if blocked.countries != Countries::World {
        measure_floods(plan, blocked, progress, report)?;
    }
    let most = if plan.quick {
        QUICK_ADDRESSES
    } else {
        xdp_filter::MOST
    };
    let contestants = plan.contestants(blocked.countries);
    let rigs = rigs(&contestants, blocked, progress, report, |contestant| {
        let rig = Rig::new(contestant, blocked, plan.cores.len(), most)?;
        rig.check(blocked, true)?;
        Ok(rig)
    })?;
    for case in plan.cases(blocked.countries) {
        progress.begin(case, plan.case(blocked.countries))?;
        let rows = turns::measure(case, &rigs, blocked, plan.cores, &CASE, || {
            Ok(progress.go_on()?)
        })?;
        for row in &rows {
            if let Some(losses) = row.ledger.as_ref().and_then(Ledger::losses) {
                let name = &row.contestant;
                report.notes.push(format!("{case}, {name}: {losses}"));
            }
        }
        report.rows.extend(rows);
    }
    Ok(())
}

/// Sets up those of some contestants that can be.
fn rigs(
    contestants: &[Contestant],
    blocked: &Blocked,
    progress: &Progress,
    report: &mut Report,
    set_up: impl Fn(Contestant) -> anyhow::Result<Rig>,
) -> anyhow::Result<Vec<Rig>> {
    let table = blocked.countries.name();
    let mut rigs = Vec::new();
    for &contestant in contestants {
        progress.begin(
            format_args!("{table}: trying {}", contestant.name()),
            TRYING,
        )?;
        match able(contestant).and_then(|()| set_up(contestant)) {
            Ok(rig) => rigs.push(rig),
            Err(error) => skip(contestant, table, error, progress, report)?,
        }
    }
    Ok(rigs)
}

/// Measures what a peer gets under floods.
fn measure_floods(
    plan: &Plan<'_>,
    blocked: &Blocked,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    let contestants = plan.asked(&flood::CONTESTANTS);
    let rigs = rigs(&contestants, blocked, progress, report, |contestant| {
        Rig::new(contestant, blocked, 1, 0)
    })?;
    let peers: Vec<_> = rigs
        .iter()
        .map(|rig| Peer::new(rig, blocked))
        .collect::<anyhow::Result<_>>()?;
    for &rate in plan.rates() {
        progress.begin(format_args!("flood: {rate}"), plan.flood())?;
        let rows = flood::measure(
            rate,
            &peers,
            blocked,
            plan.rounds_of_floods(),
            plan.cores,
            || Ok(progress.go_on()?),
        )?;
        report.floods.extend(rows);
    }
    Ok(())
}

/// Whether what a contestant takes is installed.
fn able(contestant: Contestant) -> anyhow::Result<()> {
    let Some(peer) = contestant.peer() else {
        return Ok(());
    };
    for command in peer.commands() {
        if !tool::is_installed(command) {
            anyhow::bail!("`{command}` is not installed: install {}", peer.packages());
        }
    }
    Ok(())
}

/// Notes that someone else's filter does not take part. That ours does not is an error.
fn skip(
    contestant: Contestant,
    table: &str,
    error: anyhow::Error,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    // A command that Ctrl-C ended failed for no fault of its own.
    progress.go_on()?;
    let Some(peer) = contestant.peer() else {
        return Err(error.context(contestant.name()));
    };
    let skipped = Skipped {
        contestant: contestant.name().to_owned(),
        table: table.to_owned(),
        reason: format!("{error:#} (its kernel must have {})", peer.kernel()),
    };
    if !report.skipped.contains(&skipped) {
        report.skipped.push(skipped);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_asked_for_does_not_take_part() {
        let plan = Plan {
            quick: true,
            against: &[contestant::Peer::Ipset],
            cores: &[0],
            basis: &Basis::builtin().unwrap(),
        };
        let contestants = plan.contestants(Countries::China);
        assert!(contestants.contains(&Contestant::Ipset));
        assert!(contestants.contains(&Contestant::NoFilter));
        assert!(!contestants.contains(&Contestant::NftablesRaw));
        assert!(!plan.starts().contains(&Contestant::NftablesRaw));
    }

    #[test]
    fn a_full_run_has_a_bounded_time() {
        let plan = Plan {
            quick: false,
            against: &ALL,
            cores: &[0, 1],
            basis: &Basis::builtin().unwrap(),
        };
        assert!(plan.expected() < Duration::from_mins(30));
    }
}
