//! What many times say.
//!
//! A machine is never quiet: interrupts, other processes and the clock's frequency make single times longer,
//! now and then much longer, and never shorter. So what is compared is measured in turns, a *round* being
//! one time of each, and every difference or ratio is taken within a round, where what slows one down
//! slows the other too. The median of the rounds counts, and the interval around it assumes nothing about
//! how times are distributed.
//!
//! A difference of a few nanoseconds is small beside what a neighbour on the same processor adds for some milliseconds.
//! So within a round the things whose difference it is are taken in [parts](Effort::parts), side by side. One that
//! would throw the memory of the others out of the caches has a turn of its own.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use rustix::{
    thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};

/// The probability that a median lies outside of its interval, on each side.
const TAIL: f64 = 0.025;

/// How wide an interval may be as a part of its median before it counts as noise.
const TOO_WIDE: f64 = 0.2;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// How long a thing runs in a round.
    pub turn: Duration,
    /// The fewest runs of a thing in a round, however long they take.
    pub least_runs: u64,
    /// In how many parts the turns of things that are taken side by side are cut, at least one.
    pub parts: u64,
    /// As many rounds as fit into this time,
    pub time: Duration,
    /// but no fewer than these, and at least one,
    pub least_rounds: usize,
    /// and no more than these.
    pub most_rounds: usize,
}

impl Effort {
    /// One round of one run: that it works.
    pub const TRY: Self = Self {
        turn: Duration::ZERO,
        least_runs: 1,
        parts: 1,
        time: Duration::ZERO,
        least_rounds: 1,
        most_rounds: 1,
    };

    /// How many runs of a thing make a turn, if `runs` of them take `time`: as many in each part.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a turn has fewer runs than 2^53, and no fewer than none"
    )]
    fn runs(&self, time: Duration, runs: u64) -> u64 {
        let cost = nanoseconds(time).max(1.0) / runs.max(1) as f64;
        let fitting = nanoseconds(self.turn) / cost;
        let runs = (fitting as u64).max(self.least_runs).max(1);
        runs.next_multiple_of(self.parts.max(1))
    }
}

/// Times of several things, measured in turns: nanoseconds a run, one of each thing in a round.
#[derive(Clone, Debug)]
pub struct Rounds {
    times: Vec<Vec<f64>>,
    runs: Vec<u64>,
}

impl Rounds {
    /// Takes rounds; `time` says how long so many runs of a thing took. A first round that does not count shows how
    /// many runs of each thing make a turn.
    ///
    /// A round first takes what is not `apart`, side by side: each has as many runs untimed as are counted later, which
    /// bring back what it reads; then they take turns by parts, and a part too begins with as many runs untimed, so that
    /// what the one before it left in the nearest caches is gone. Then comes each that is `apart`, after as many
    /// runs untimed. Every other round goes the opposite way, so that whatever comes and goes slowly favours none.
    ///
    /// # Errors
    ///
    /// The first that `time` has.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a turn has fewer runs than 2^53"
    )]
    pub fn measure<T: Copy + PartialEq, E>(
        effort: &Effort,
        things: &[T],
        apart: &[T],
        mut time: impl FnMut(T, u64) -> Result<Duration, E>,
    ) -> Result<Self, E> {
        let begin = Instant::now();
        let mut runs = vec![effort.least_runs.max(1); things.len()];
        for (&thing, runs) in things.iter().zip(&mut runs) {
            *runs = effort.runs(time(thing, *runs)?, *runs);
        }
        let (far, near): (Vec<usize>, Vec<usize>) =
            (0..things.len()).partition(|&thing| apart.contains(&things[thing]));
        let mut turns = vec![near];
        turns.extend(far.into_iter().map(|thing| vec![thing]));
        let mut rounds = Vec::new();
        while rounds.len() < effort.least_rounds.max(1)
            || rounds.len() < effort.most_rounds && begin.elapsed() < effort.time
        {
            let mut times = vec![0.0; things.len()];
            for turn in &turns {
                for &thing in turn {
                    time(things[thing], runs[thing])?;
                }
                // What is alone has nobody's remains to clear away.
                let parts = if turn.len() > 1 {
                    effort.parts.max(1)
                } else {
                    1
                };
                for _ in 0..parts {
                    for &thing in turn {
                        let part = runs[thing] / parts;
                        if parts > 1 {
                            time(things[thing], part)?;
                        }
                        let taken = time(things[thing], part)?;
                        times[thing] += nanoseconds(taken) / runs[thing] as f64;
                    }
                }
            }
            turns.reverse();
            for turn in &mut turns {
                turn.reverse();
            }
            rounds.push(times);
        }
        Ok(Self {
            times: rounds,
            runs,
        })
    }

    /// How many rounds there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// How many runs of each thing a round has.
    #[must_use]
    pub fn runs(&self) -> &[u64] {
        &self.runs
    }

    /// The median of what `of` makes of the rounds, each the times of the things in nanoseconds a run: one of
    /// them, a difference, a ratio.
    #[must_use]
    pub fn estimate(&self, mut of: impl FnMut(&[f64]) -> f64) -> Estimate {
        Estimate::of(self.times.iter().map(|times| of(times)).collect())
    }

    /// Which places some of the things take, from the cheapest, which is first, on. Those that cannot be told from the first
    /// of a place, as the interval of their ratio holds 1, share it with that one.
    #[must_use]
    pub fn places(&self, of: &[usize]) -> Vec<usize> {
        let cost = |place: usize| self.estimate(|times| times[of[place]]).median;
        let costs: Vec<_> = (0..of.len()).map(cost).collect();
        let mut order: Vec<_> = (0..of.len()).collect();
        order.sort_by(|one, other| costs[*one].total_cmp(&costs[*other]));
        let mut places = vec![0; of.len()];
        let mut first: Option<usize> = None;
        for (before, place) in order.into_iter().enumerate() {
            let shared = first.filter(|first| {
                let ratio = self.estimate(|times| times[of[place]] / times[of[*first]]);
                ratio.low <= 1.0
            });
            places[place] = shared.map_or(before + 1, |first| places[first]);
            first = shared.or(Some(place));
        }
        places
    }
}

/// A median and the interval that holds the true one with a probability of at least 95 %.
///
/// The interval's ends are two of the values (order statistics: how many values lie below the true median
/// is a matter of tossing coins). With fewer than six values it is all of them, and means less than it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Estimate {
    /// There is at least one value.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let outside = values_outside(values.len());
        Self {
            median: f64::midpoint(values[last / 2], values[values.len() / 2]),
            low: values[outside],
            high: values[last - outside],
        }
    }

    /// How wide the interval is, as a part of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / self.median
    }

    /// Whether the interval is so wide, a fifth of the median, that the machine did other things meanwhile, and nobody
    /// should read an order out of the figure.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        // Of a median of zero a spread cannot be told.
        self.spread().is_nan() || self.spread() > TOO_WIDE
    }
}

/// As a cost: `12.3 [12.1, 12.8]`. The unit is the reader's to name.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        f.pad(&format!("{median:.1} [{low:.1}, {high:.1}]"))
    }
}

/// How many of `count` sorted values lie outside of the median's interval, on each side: as many as may be,
/// so that no more than [`TAIL`] is the probability of as few heads among `count` coins.
#[expect(clippy::cast_precision_loss, reason = "nobody waits for 2^52 rounds")]
fn values_outside(count: usize) -> usize {
    let coins = count as f64;
    let mut heads: usize = 0;
    // The probability of exactly as many heads, and of at most as many.
    let mut exactly = (-coins).exp2();
    let mut at_most = exactly;
    while at_most <= TAIL {
        heads += 1;
        exactly *= (coins + 1.0 - heads as f64) / heads as f64;
        at_most += exactly;
    }
    // The first of so many heads that they are too probable: all fewer ones are not.
    heads.saturating_sub(1)
}

/// A time in nanoseconds.
#[must_use]
pub fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// The CPUs that the calling thread may use.
///
/// # Errors
///
/// When the kernel does not tell.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect())
}

/// Keeps the calling thread on the CPU that it is on: another one has other caches, and the programs that are measured
/// count their runs on each CPU apart.
///
/// # Errors
///
/// When the kernel refuses.
pub fn stay_on_this_cpu() -> io::Result<()> {
    stay_on(sched_getcpu())
}

/// Moves the calling thread to a CPU, and keeps it there.
///
/// # Errors
///
/// When the kernel refuses.
pub fn stay_on(cpu: usize) -> io::Result<()> {
    let mut one = CpuSet::new();
    one.set(cpu);
    Ok(sched_setaffinity(None, &one)?)
}

/// The time that the calling thread has had a CPU, in user mode and in the kernel.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It begins at zero and only grows.
    time.try_into().unwrap_or_default()
}

/// How long `work` takes, called `iterations` times. What it returns is handed to `after` while no clock runs.
///
/// # Errors
///
/// The first that `work` has.
pub fn timed<T, E>(
    iterations: u64,
    mut work: impl FnMut() -> Result<T, E>,
    mut after: impl FnMut(T),
) -> Result<Duration, E> {
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        let start = Instant::now();
        let result = work()?;
        total += start.elapsed();
        after(result);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn estimate(values: impl IntoIterator<Item = u32>) -> String {
        Estimate::of(values.into_iter().map(f64::from).collect()).to_string()
    }

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics: the ranks for a median at 95 %, from 1 on.
        for (count, lower) in [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8)] {
            assert_eq!(values_outside(count), lower - 1, "{count}");
        }
        assert_eq!(values_outside(1000), 468);
    }

    #[test]
    fn medians_lie_in_the_middle() {
        assert_eq!(estimate([7]), "7.0 [7.0, 7.0]");
        assert_eq!(estimate([4, 1]), "2.5 [1.0, 4.0]");
        assert_eq!(estimate([9, 1, 2]), "2.0 [1.0, 9.0]");
        assert_eq!(estimate((1..=15).rev()), "8.0 [4.0, 12.0]");
    }

    #[test]
    fn estimates_are_written_to_a_tenth() {
        let estimate = Estimate::of(vec![12.34, 11.96, 13.0]);
        assert_eq!(estimate.to_string(), "12.3 [12.0, 13.0]");
        assert_eq!(format!("{estimate:>20}|"), "   12.3 [12.0, 13.0]|");
    }

    #[test]
    fn what_is_compared_is_measured_in_turns() {
        let effort = Effort {
            least_runs: 8,
            least_rounds: 2,
            ..Effort::TRY
        };
        let mut order = String::new();
        let mut clock = 0;
        let rounds = Rounds::measure(&effort, &["a", "b"], &["b"], |thing, runs| {
            order = format!("{order}{thing}{runs} ");
            clock += 1;
            let cost = if thing == "a" { 5 } else { 8 };
            // A machine that gets slower and slower.
            Ok::<_, Infallible>(Duration::from_nanos(runs * (cost + clock)))
        })
        .unwrap();
        assert_eq!(order, "a8 b8 a8 a8 b8 b8 b8 b8 a8 a8 ");
        assert_eq!((rounds.count(), rounds.runs()), (2, [8, 8].as_slice()));
        // The clock stood at 4, 6, 8 and 10 when it counted.
        let Estimate { median, low, high } = rounds.estimate(|times| times[1] - times[0]);
        assert!(near(low, 1.0) && near(high, 5.0) && near(median, 3.0));
    }

    #[test]
    fn what_is_not_apart_is_taken_by_parts() {
        let effort = Effort {
            least_runs: 7,
            parts: 2,
            least_rounds: 2,
            ..Effort::TRY
        };
        let mut order = String::new();
        let rounds = Rounds::measure(&effort, &["a", "b", "c"], &["b"], |thing, runs| {
            order = format!("{order}{thing}{runs} ");
            let cost = match thing {
                "a" => 3,
                "b" => 50,
                _ => 4,
            };
            Ok::<_, Infallible>(Duration::from_nanos(runs * cost))
        })
        .unwrap();
        let rest = order.strip_prefix("a7 b7 c7 ").unwrap();
        let one = "a8 c8 a4 a4 c4 c4 a4 a4 c4 c4 b8 b8 ";
        let other = "b8 b8 c8 a8 c4 c4 a4 a4 c4 c4 a4 a4 ";
        assert_eq!(rest, format!("{one}{other}"));
        assert_eq!(rounds.runs(), [8, 8, 8]);
        // What is not counted costs nothing.
        let times = rounds.estimate(|times| times[0] + 10.0 * times[1] + 1000.0 * times[2]);
        assert!(near(times.low, 4503.0) && near(times.high, 4503.0));
    }

    #[test]
    fn a_turn_has_as_many_runs_as_it_has_time_for() {
        let effort = Effort {
            turn: Duration::from_micros(1),
            least_runs: 4,
            ..Effort::TRY
        };
        let of_cost = |cost| {
            let time = |(), runs| Ok::<_, Infallible>(Duration::from_nanos(runs * cost));
            let rounds = Rounds::measure(&effort, &[()], &[], time).unwrap();
            rounds.runs().to_vec()
        };
        assert_eq!(of_cost(10), [100]);
        assert_eq!(of_cost(400), [4]);
        assert_eq!(of_cost(0), [4000]);
    }

    #[test]
    fn rounds_fill_their_time_within_bounds() {
        let count = |least_rounds, most_rounds, time| {
            let effort = Effort {
                time,
                least_rounds,
                most_rounds,
                ..Effort::TRY
            };
            let time = |(), _| Ok::<_, Infallible>(Duration::ZERO);
            Rounds::measure(&effort, &[()], &[], time).unwrap().count()
        };
        assert_eq!(count(3, 9, Duration::ZERO), 3);
        assert_eq!(count(3, 9, Duration::from_hours(1)), 9);
        assert_eq!(count(0, 0, Duration::ZERO), 1);
    }

    #[test]
    fn what_cannot_be_told_apart_shares_a_place() {
        let effort = Effort {
            least_rounds: 8,
            ..Effort::TRY
        };
        let mut round = 0;
        let rounds = Rounds::measure(&effort, &["dear", "b", "a"], &[], |thing, _| {
            round += 1;
            let nanoseconds = match thing {
                "dear" => 50,
                "a" => 10,
                // Now cheaper than `a`, now dearer.
                _ => 8 + round % 5,
            };
            Ok::<_, Infallible>(Duration::from_nanos(nanoseconds))
        })
        .unwrap();
        let places = rounds.places(&[0, 1, 2]);
        assert_eq!((places[0], places[1]), (3, places[2]));
        assert_eq!(rounds.places(&[0, 2]), [2, 1]);
    }

    #[test]
    fn wide_intervals_are_noise() {
        let estimate = |low, high| Estimate {
            median: 100.0,
            low,
            high,
        };
        assert!(!estimate(95.0, 110.0).is_noisy());
        assert!(estimate(95.0, 120.0).is_noisy());
        assert!(Estimate::default().is_noisy(), "of nothing");
    }

    #[test]
    fn an_error_ends_the_rounds() {
        let rounds = Rounds::measure(&Effort::TRY, &[0], &[], |_, _| {
            Err::<Duration, _>("refused")
        });
        assert_eq!(rounds.unwrap_err(), "refused");
    }

    #[test]
    fn waiting_takes_no_cpu_time() {
        let start = cpu_time();
        std::thread::sleep(Duration::from_millis(50));
        assert!(cpu_time() < start + Duration::from_millis(25));
    }

    #[test]
    fn what_comes_after_is_not_timed() {
        let mut count = 0;
        let pause = Duration::from_millis(50);
        let slow = |()| {
            std::thread::sleep(pause);
            count += 1;
        };
        let time = timed(2, || Ok::<_, Infallible>(()), slow).unwrap();
        assert!(time < pause, "{time:?}");
        assert_eq!(count, 2);
    }
}
