//! What `geodrop-bench device` found.

use serde::{Deserialize, Serialize};

use super::{case::Case, contestant::Contestant, flood, goals::Goal, ledger::Ledger, start::Start};
use crate::measure::{Estimate, Rounds};

/// All that was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What a packet costs: a row for each case and contestant.
    pub rows: Vec<Row>,
    /// What a peer got under a flood: a row for each rate and contestant.
    #[serde(default)]
    pub floods: Vec<flood::Row>,
    /// What it takes to be set up: a row for each table and contestant.
    pub starts: Vec<Start>,
    /// What was to be reached, as far as it was measured.
    pub goals: Vec<Goal>,
    /// Who did not take part.
    pub skipped: Vec<Skipped>,
    /// What else is to be known of this run: losses, and figures that are noise.
    pub notes: Vec<String>,
}

/// A contestant that did not take part, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub contestant: String,
    /// With which table.
    pub table: String,
    /// Why not, and what to install.
    pub reason: String,
}

/// What a packet of a case costs with a contestant. Ratios are taken within rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// `CN-HK-MO` or `world`.
    pub table: String,
    /// In which mode XDP programs run: `native` or `generic`.
    pub mode: String,
    /// How long frames are: `64 B`, `1500 B` or `IMIX`.
    pub frames: String,
    /// How many of a hundred packets come from blocked addresses.
    pub blocked_percent: u8,
    /// Which blocked addresses: `one flow`, `4,000 flows`, `Zipf` or `all ranges`.
    pub sources: String,
    /// On how many cores.
    pub cores: usize,
    /// Who drops them.
    pub contestant: String,
    /// Nanoseconds from one packet to the next on all cores together, with making, sending and receiving it.
    pub ns: Estimate,
    /// Packets a second: a thousand million by the median of `ns`.
    pub packets_per_second: f64,
    /// How many times as many packets a second as an unconditional `XDP_DROP`.
    pub of_drop: Estimate,
    /// The same without what the generator takes alone.
    pub of_drop_without_generator: Estimate,
    /// How many times as many packets geodrop takes in the same time.
    pub geodrop_times: Estimate,
    /// The same without what the generator takes alone.
    pub geodrop_times_without_generator: Estimate,
    /// The place among those that drop packets or let them pass, from the fastest, which is 1; those that cannot be told apart
    /// share one. Null for the generator, and where the case is too noisy to rank.
    pub place: Option<usize>,
    /// Whether the interval of `ns` is so wide that the machine did other things meanwhile.
    pub noisy: bool,
    /// Of how many rounds the figures are medians.
    pub rounds: usize,
    /// What became of all packets, those included that warmed up; null for the generator.
    pub ledger: Option<Ledger>,
}

impl Row {
    /// The rows of a case. The generator, `XDP_DROP` and geodrop are the first three of the contestants.
    #[must_use]
    pub fn of(
        case: Case,
        contestants: &[Contestant],
        rounds: &Rounds,
        ledgers: Vec<Option<Ledger>>,
    ) -> Vec<Self> {
        let at = |one: Contestant| contestants.iter().position(|it| *it == one);
        let (generator, drop, geodrop) = (
            at(Contestant::Generator),
            at(Contestant::Drop),
            at(Contestant::Geodrop),
        );
        let alone = |times: &[f64]| generator.map_or(0.0, |generator| times[generator]);
        let ratio = |one: Option<usize>, other: Option<usize>, less_generator: bool| {
            let (Some(one), Some(other)) = (one, other) else {
                return Estimate::default();
            };
            rounds.estimate(|times| {
                let less = if less_generator { alone(times) } else { 0.0 };
                (times[one] - less).max(LEAST) / (times[other] - less).max(LEAST)
            })
        };
        let ranked: Vec<_> = (0..contestants.len())
            .filter(|place| Some(*place) != generator)
            .collect();
        let costs: Vec<_> = (0..contestants.len())
            .map(|place| rounds.estimate(|times| times[place]))
            .collect();
        let is_noisy = ranked
            .iter()
            .filter(|place| costs[**place].is_noisy())
            .count()
            * 2
            > ranked.len();
        let places = rounds.places(&ranked);
        contestants
            .iter()
            .zip(ledgers)
            .enumerate()
            .map(|(index, (contestant, ledger))| {
                let this = Some(index);
                let place = ranked.iter().position(|ranked| *ranked == index);
                Self {
                    table: case.countries.name().to_owned(),
                    mode: case.mode().to_owned(),
                    frames: case.length.name().to_owned(),
                    blocked_percent: case.blocked,
                    sources: case.spread.name().to_owned(),
                    cores: case.cores,
                    contestant: contestant.name().to_owned(),
                    ns: costs[index],
                    packets_per_second: 1e9 / costs[index].median,
                    of_drop: ratio(drop, this, false),
                    of_drop_without_generator: ratio(drop, this, true),
                    geodrop_times: ratio(this, geodrop, false),
                    geodrop_times_without_generator: ratio(this, geodrop, true),
                    place: place.filter(|_| !is_noisy).map(|place| places[place]),
                    noisy: costs[index].is_noisy(),
                    rounds: rounds.count(),
                    ledger,
                }
            })
            .collect()
    }

    /// The case in words, without the contestant.
    #[must_use]
    pub fn case(&self) -> String {
        let Self {
            table,
            mode,
            frames,
            blocked_percent,
            sources,
            cores,
            ..
        } = self;
        let plural = if *cores == 1 { "" } else { "s" };
        format!(
            "{table}, {mode}, {frames}, {blocked_percent} % blocked, {sources}, {cores} core{plural}"
        )
    }
}

/// The least that a packet is said to cost, in nanoseconds, when the generator's share is taken off.
const LEAST: f64 = 1.0;

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use super::*;
    use crate::{measure::Effort, tables::Countries};

    fn rows(times: [u64; 4]) -> Vec<Row> {
        let contestants = [
            Contestant::Generator,
            Contestant::Drop,
            Contestant::Geodrop,
            Contestant::Ipset,
        ];
        let effort = Effort {
            least_rounds: 6,
            ..Effort::TRY
        };
        let rounds = Rounds::measure(&effort, &[0, 1, 2, 3], &[], |place: usize, runs| {
            Ok::<_, Infallible>(Duration::from_nanos(times[place] * runs))
        });
        let case = Case::of(Countries::China);
        Row::of(case, &contestants, &rounds.unwrap(), vec![None; 4])
    }

    #[test]
    fn ratios_are_told_with_and_without_the_generator() {
        let rows = rows([100, 150, 200, 1100]);
        let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
        near(rows[2].of_drop.median, 0.75);
        near(rows[2].of_drop_without_generator.median, 0.5);
        near(rows[3].geodrop_times.median, 5.5);
        near(rows[3].geodrop_times_without_generator.median, 10.0);
        near(rows[1].packets_per_second, 1e9 / 150.0);
        let places: Vec<_> = rows.iter().map(|row| row.place).collect();
        assert_eq!(places, [None, Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_case_is_told_in_words_alike() {
        assert_eq!(
            rows([1; 4])[0].case(),
            Case::of(Countries::China).to_string()
        );
    }
}
