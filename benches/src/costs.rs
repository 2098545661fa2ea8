//! What a lookup costs, and how many times less than in the kernel's trie.

use crate::measure::{Estimate, Rounds};

/// The least that a lookup is said to cost, in nanoseconds. Of less nobody could tell whether it is there, and a
/// ratio to it would be of any size.
pub const LEAST: f64 = 1.0;

/// The places of the programs in a round.
const BASELINE: usize = 0;
const LPM: usize = 1;
const ENGINE: usize = 2;

/// What was measured in one table with one traffic: nanoseconds, and how they compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A run of the program without a lookup.
    pub baseline: Estimate,
    /// A lookup in the kernel's trie: what a run takes longer.
    pub lpm: Estimate,
    /// A lookup in the engine's table.
    pub engine: Estimate,
    /// How many times as long the one takes as the other.
    pub ratio: Estimate,
    /// Of how many rounds these are the medians.
    pub rounds: usize,
    /// How many runs of each program a round has.
    pub runs: [u64; 3],
}

impl Costs {
    /// The costs of rounds of these programs: the baseline, the kernel's trie, the engine. Each difference and each
    /// ratio is taken within a round, where what slows one program down slows the others too.
    #[must_use]
    pub fn of(rounds: &Rounds) -> Self {
        let lookup = |place: usize| move |times: &[f64]| cost(times[place], times[BASELINE]);
        let (lpm, engine) = (lookup(LPM), lookup(ENGINE));
        Self {
            baseline: rounds.estimate(|times| times[BASELINE]),
            lpm: rounds.estimate(lpm),
            engine: rounds.estimate(engine),
            ratio: rounds.estimate(|times| lpm(times) / engine(times)),
            rounds: rounds.count(),
            runs: [BASELINE, LPM, ENGINE].map(|place| rounds.runs()[place]),
        }
    }
}

/// What a lookup costs: what a run with it takes longer than one without, and never less than [`LEAST`].
fn cost(run: f64, baseline: f64) -> f64 {
    (run - baseline).max(LEAST)
}

/// The number whose power of their count the product of some ratios is; `None` of no ratios.
#[must_use]
pub fn geometric_mean(ratios: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for ratio in ratios {
        sum += ratio.ln();
        count += 1.0;
    }
    (count > 0.0).then(|| f64::exp(sum / count))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use super::*;
    use crate::measure::Effort;

    fn costs(times: [u64; 3]) -> Costs {
        let effort = Effort {
            least_runs: 100,
            ..Effort::TRY
        };
        // A run takes tenths of nanoseconds.
        let rounds = Rounds::measure(&effort, &[0, 1, 2], &[1], |program: usize, runs| {
            Ok::<_, Infallible>(Duration::from_nanos(times[program] * runs / 10))
        });
        Costs::of(&rounds.unwrap())
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn the_baseline_is_subtracted() {
        let costs = costs([300, 1300, 325]);
        assert!(near(costs.baseline.median, 30.0));
        assert!(near(costs.lpm.median, 100.0));
        assert!(near(costs.engine.median, 2.5));
        assert!(near(costs.ratio.median, 40.0));
        assert_eq!((costs.rounds, costs.runs), (1, [100; 3]));
    }

    #[test]
    fn less_than_a_nanosecond_counts_as_one() {
        for engine in [309, 300, 290] {
            let costs = costs([300, 1300, engine]);
            assert!(near(costs.engine.median, 1.0), "{engine}");
            assert!(near(costs.ratio.median, 100.0), "{engine}");
        }
    }

    #[test]
    fn the_geometric_mean_is_that_of_the_schoolbooks() {
        let mean = |ratios: &[f64]| geometric_mean(ratios.iter().copied());
        assert!(near(mean(&[2.0, 8.0]).unwrap(), 4.0));
        assert!(near(mean(&[1.0, 10.0, 100.0]).unwrap(), 10.0));
        assert!(near(mean(&[7.0]).unwrap(), 7.0));
        assert_eq!(mean(&[]), None);
    }
}
