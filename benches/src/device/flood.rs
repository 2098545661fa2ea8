//! What a peer that is not blocked still gets of a host while blocked addresses flood it.
//!
//! ```text
//!     one core: the peer and its server             another core: the flood
//!  TCP, UDP socket ──▶ `client` ═══ veth, one queue ═══▶ `server` ── filter ──▶ TCP, UDP socket
//! ```
//!
//! The flood keeps to a rate, or comes as fast as it goes, and shares the queue with the peer, as it would on a card: where the filter
//! does not keep up, the queue is full, and the peer's packets are lost like all others. Which core empties the queue, the kernel
//! decides. With one core all share that.
//!
//! A turn: the peer connects; the flood begins; the peer asks questions by UDP at a steady rate; then
//! it sends by TCP as much as goes.

mod peer;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use geodrop::testbed::{
    Generator,
    generator::{Frames, Limit},
};
use serde::{Deserialize, Serialize};

use super::{blocked::Blocked, case::Case, contestant::Contestant};
use crate::measure::{Estimate, stay_on};
use peer::Ends;
pub use peer::Peer;

/// Who is measured: those that let the peer's packets pass.
pub const CONTESTANTS: [Contestant; 6] = [
    Contestant::NoFilter,
    Contestant::Geodrop,
    Contestant::GeodropLpm,
    Contestant::NftablesIngress,
    Contestant::NftablesRaw,
    Contestant::Ipset,
];

/// How fast the flood is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// There is none.
    None,
    /// So many packets a second.
    PerSecond(u32),
    /// As fast as it goes.
    Unbounded,
}

impl Rate {
    /// All rates, rising.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::PerSecond(250_000),
        Self::PerSecond(500_000),
        Self::PerSecond(1_000_000),
        Self::PerSecond(2_000_000),
        Self::PerSecond(4_000_000),
        Self::Unbounded,
    ];
    /// The rates that answer the first questions.
    pub const QUICK: [Self; 4] = [
        Self::None,
        Self::PerSecond(500_000),
        Self::PerSecond(2_000_000),
        Self::Unbounded,
    ];

    /// How much time is between two packets.
    fn interval(self) -> Duration {
        match self {
            Self::PerSecond(rate) => Duration::from_secs(1) / rate.max(1),
            Self::None | Self::Unbounded => Duration::ZERO,
        }
    }
}

/// As it stands in reports: `1.00 million/s`.
impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::PerSecond(rate) => write!(f, "{:.2} million/s", f64::from(*rate) / 1e6),
            Self::Unbounded => f.write_str("as fast as it goes"),
        }
    }
}

/// What a peer got of a host under a flood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// `CN-HK-MO`.
    pub table: String,
    /// Who drops the flood.
    pub contestant: String,
    /// How fast the flood was to be: `none`, a rate, or `as fast as it goes`.
    pub asked: String,
    /// How many packets of the flood a second were sent.
    pub flood_per_second: Estimate,
    /// What the peer's TCP delivered, in megabits a second, without headers.
    pub goodput_mbit: Estimate,
    /// How long the peer waited for an answer, in microseconds: the median of a turn.
    pub round_trip_us: Estimate,
    /// The same, what 99 of a hundred answers did not exceed; 20,000 stand for an answer that did not come.
    pub round_trip_p99_us: Estimate,
    /// How many of a hundred questions were not answered.
    pub unanswered_percent: Estimate,
    /// Of how many turns these are the medians.
    pub rounds: usize,
}

/// How long the flood lasts before anything is measured: setting it up takes the kernel some 30 ms.
const BEGINNING: Duration = Duration::from_millis(120);
/// How long questions and answers are measured, and then TCP, which waits 200 ms at least for what was lost.
const QUESTIONS: Duration = Duration::from_millis(120);
const TRANSFER: Duration = Duration::from_millis(600);
/// How long a turn takes, with connecting and with changing from one contestant to the next.
pub const TURN: Duration = Duration::from_millis(1100);
/// How long the flood goes on at most.
const FLOOD: Duration = Duration::from_secs(1);

/// What one turn found.
#[derive(Clone, Copy, Debug)]
struct Turn {
    flood: f64,
    goodput: f64,
    round_trip: f64,
    round_trip_p99: f64,
    unanswered: f64,
}

/// Measures peers under a flood, in so many rounds. `cores` are those of the peer and of the flood. `go_on` is asked before each turn.
///
/// # Errors
///
/// When the kernel refuses, and those of `go_on`.
pub fn measure(
    rate: Rate,
    peers: &[Peer<'_>],
    blocked: &Blocked,
    rounds: usize,
    cores: &[usize],
    go_on: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Row>> {
    let frames = Frames {
        interval: rate.interval(),
        ..Frames::default()
    };
    let case = Case::of(blocked.countries);
    let generators: Vec<_> = peers
        .iter()
        .map(|peer| peer.rig().generator_of(case, blocked, frames))
        .collect::<anyhow::Result<_>>()?;
    let mut turns = vec![Vec::new(); peers.len()];
    for round in 0..rounds.max(1) {
        let mut places: Vec<_> = (0..peers.len()).collect();
        if round % 2 == 1 {
            places.reverse();
        }
        for place in places {
            go_on()?;
            let peer = &peers[place];
            let flood = (rate != Rate::None).then(|| &generators[place]);
            peer.rig().enter(true)?;
            turns[place].push(turn(peer.ends(), flood, cores)?);
            peer.rig().leave()?;
        }
    }
    let row = |(peer, turns): (&Peer<'_>, &Vec<Turn>)| {
        let estimate = |of: fn(&Turn) -> f64| Estimate::of(turns.iter().map(of).collect());
        Row {
            table: blocked.countries.name().to_owned(),
            contestant: peer.rig().contestant().name().to_owned(),
            asked: rate.to_string(),
            flood_per_second: estimate(|turn| turn.flood),
            goodput_mbit: estimate(|turn| turn.goodput),
            round_trip_us: estimate(|turn| turn.round_trip),
            round_trip_p99_us: estimate(|turn| turn.round_trip_p99),
            unanswered_percent: estimate(|turn| turn.unanswered),
            rounds: turns.len(),
        }
    };
    Ok(peers.iter().zip(&turns).map(row).collect())
}

/// One turn: the peer on the first of the cores, the flood on the last.
fn turn(ends: Ends<'_>, flood: Option<&Generator<'_>>, cores: &[usize]) -> anyhow::Result<Turn> {
    let (Some(&first), Some(&last)) = (cores.first(), cores.last()) else {
        anyhow::bail!("there is no core to run on");
    };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flooding = flood.map(|flood| {
            let done = &done;
            scope.spawn(move || -> anyhow::Result<()> {
                stay_on(last)?;
                let end = Instant::now() + FLOOD;
                // A call that ends early is followed by another.
                while !done.load(Ordering::Relaxed) && Instant::now() < end {
                    flood.run(Limit {
                        frames: u64::MAX,
                        time: end.saturating_duration_since(Instant::now()),
                    })?;
                }
                Ok(())
            })
        });
        let measured = scope.spawn(|| -> anyhow::Result<Turn> {
            stay_on(first)?;
            ends.connected(|connection| {
                thread::sleep(BEGINNING);
                let sent = || flood.map_or(Ok(0), Generator::sent);
                let (begin, before) = (Instant::now(), sent()?);
                let mut times = connection.ask(QUESTIONS)?;
                let goodput = connection.transfer(TRANSFER)?;
                let flood = per_second(sent()?.wrapping_sub(before), begin.elapsed());
                times.sort();
                Ok(Turn {
                    flood,
                    goodput,
                    round_trip: microseconds(&times, 50),
                    round_trip_p99: microseconds(&times, 99),
                    unanswered: unanswered(&times),
                })
            })
        });
        let panicked = |_| Err(anyhow::anyhow!("a thread of the measurement panicked"));
        let measured = measured.join().unwrap_or_else(panicked);
        done.store(true, Ordering::Relaxed);
        if let Some(flooding) = flooding {
            let panicked = |_| Err(anyhow::anyhow!("the thread that floods panicked"));
            flooding.join().unwrap_or_else(panicked)?;
        }
        measured
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "fewer than 2^53 in some milliseconds"
)]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// What so many of a hundred times, which are sorted, do not exceed, in microseconds.
fn microseconds(times: &[Duration], percent: usize) -> f64 {
    let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times
        .get(place)
        .map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// How many of a hundred questions were not answered.
#[expect(
    clippy::cast_precision_loss,
    reason = "fewer than 2^53 in some milliseconds"
)]
fn unanswered(times: &[Duration]) -> f64 {
    let lost = times.iter().filter(|time| **time >= peer::PATIENCE).count();
    100.0 * lost as f64 / times.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-6, "{one} {other}");
        near(microseconds(&times, 50), 100.0);
        near(microseconds(&times, 99), 198.0);
        near(microseconds(&times[..1], 99), 1.0);
        near(microseconds(&[], 50), 0.0);
    }

    #[test]
    fn questions_without_an_answer_are_counted() {
        let times = [Duration::from_micros(9), peer::PATIENCE];
        assert!((unanswered(&times) - 50.0).abs() < 1e-9);
        assert!(unanswered(&[]).abs() < 1e-9);
    }

    #[test]
    fn a_rate_is_an_interval() {
        assert_eq!(
            Rate::PerSecond(250_000).interval(),
            Duration::from_micros(4)
        );
        assert_eq!(Rate::Unbounded.interval(), Duration::ZERO);
        assert_eq!(Rate::PerSecond(250_000).to_string(), "0.25 million/s");
    }
}
