//! What a filter's counters say over time.

use std::{
    collections::{BTreeMap, VecDeque},
    iter,
    time::{Duration, Instant},
};

use crate::{Counter, datapath::counters::Counters, geoip::Country};

/// How many rates are remembered of everything.
pub const HISTORY: usize = 240;

/// What packets are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Blocked for their country.
    Country(Country),
    /// Blocked because a prefix or an exception denies them.
    Denied,
    /// Blocked because no data knows their source.
    Unknown,
    /// Blocked because their IP header is cut short or contradicts itself.
    Malformed,
    /// Passed, from this country, where a policy tells them apart.
    Admitted(Country),
    /// Passed because they answer what this host began.
    Replies,
    /// Passed, being neither IPv4 nor IPv6.
    NonIp,
    /// Passed for any other reason.
    Passed,
}

impl Category {
    /// Whether the policy is against such packets.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        match self {
            Self::Country(_) | Self::Denied | Self::Unknown | Self::Malformed => true,
            Self::Admitted(_) | Self::Replies | Self::NonIp | Self::Passed => false,
        }
    }

    /// The country that they come from, if they are counted by it.
    #[must_use]
    pub const fn country(self) -> Option<Country> {
        match self {
            Self::Country(country) | Self::Admitted(country) => Some(country),
            _ => None,
        }
    }

    /// All that were counted, and how often.
    fn of(counters: &Counters) -> impl Iterator<Item = (Self, Counter)> {
        let named = [
            (Self::Denied, counters.denied),
            (Self::Unknown, counters.unknown),
            (Self::Malformed, counters.malformed),
            (Self::Replies, counters.replies),
            (Self::NonIp, counters.non_ip),
            (Self::Passed, counters.passed),
        ];
        let by_country = |counters: &BTreeMap<Country, Counter>, of: fn(Country) -> Self| {
            let all = counters.iter();
            all.map(|(country, counter)| (of(*country), *counter))
                .collect::<Vec<_>>()
        };
        iter::empty()
            .chain(by_country(&counters.countries, Self::Country))
            .chain(by_country(&counters.admitted, Self::Admitted))
            .chain(named.into_iter().filter(|(_, counter)| counter.packets > 0))
    }
}

/// How much came in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Packets.
    pub packets: f64,
    /// Bits of whole frames, as [`Counter`] counts bytes.
    pub bits: f64,
}

impl Rate {
    #[expect(
        clippy::cast_precision_loss,
        reason = "of more than 2^52 bytes a second nobody minds the last ones"
    )]
    fn of(counter: Counter, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        Self {
            packets: counter.packets as f64 / seconds,
            bits: counter.bytes as f64 * 8.0 / seconds,
        }
    }
}

/// One thing that is counted, over time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// All since the filter was attached.
    pub total: Counter,
    /// How fast it came, the latest last: [`HISTORY`] rates at most, and nothing before the second reading.
    pub rates: VecDeque<Rate>,
}

impl Series {
    /// How fast it came lately.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rates.back().copied().unwrap_or_default()
    }

    fn begin(total: Counter) -> Self {
        Self {
            total,
            rates: VecDeque::new(),
        }
    }

    fn sample(&mut self, total: Counter, time: Duration) {
        let more = Counter {
            packets: total.packets.saturating_sub(self.total.packets),
            bytes: total.bytes.saturating_sub(self.total.bytes),
        };
        self.total = total;
        if self.rates.len() == HISTORY {
            self.rates.pop_front();
        }
        self.rates.push_back(Rate::of(more, time));
    }
}

/// What a filter has dropped and let pass, over time.
#[derive(Clone, Debug)]
pub struct Traffic {
    at: Instant,
    categories: BTreeMap<Category, Series>,
    /// All that the policy is against.
    pub blocked: Series,
    /// All else.
    pub passed: Series,
}

impl Traffic {
    /// As it is at an instant: rates are known from the next one on.
    #[must_use]
    pub fn begin(at: Instant, counters: &Counters) -> Self {
        Self {
            at,
            categories: Category::of(counters)
                .map(|(category, counter)| (category, Series::begin(counter)))
                .collect(),
            blocked: Series::begin(sum(counters, true)),
            passed: Series::begin(sum(counters, false)),
        }
    }

    /// As it is at another instant. Counters that are lower than they were have been made anew: then all begins anew.
    pub fn sample(&mut self, at: Instant, counters: &Counters) {
        let elapsed = at.saturating_duration_since(self.at);
        let now: BTreeMap<_, _> = Category::of(counters).collect();
        let went_on = |(category, series): (&Category, &Series)| {
            let now = now.get(category);
            series.total.packets <= now.map_or(0, |counter| counter.packets)
        };
        if !self.categories.iter().all(went_on) {
            *self = Self::begin(at, counters);
            return;
        }
        // Rates of no time are none.
        if elapsed.is_zero() {
            return;
        }
        self.at = at;
        for (category, counter) in now {
            let series = self.categories.entry(category).or_default();
            series.sample(counter, elapsed);
        }
        self.blocked.sample(sum(counters, true), elapsed);
        self.passed.sample(sum(counters, false), elapsed);
    }

    /// All that was counted so far.
    pub fn categories(&self) -> impl Iterator<Item = (Category, &Series)> {
        self.categories
            .iter()
            .map(|(category, series)| (*category, series))
    }
}

fn sum(counters: &Counters, blocked: bool) -> Counter {
    Category::of(counters)
        .filter(|(category, _)| category.is_blocked() == blocked)
        .fold(Counter::default(), |sum, (_, counter)| Counter {
            packets: sum.packets.wrapping_add(counter.packets),
            bytes: sum.bytes.wrapping_add(counter.bytes),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(packets: u64) -> Counter {
        Counter {
            packets,
            bytes: packets * 100,
        }
    }

    fn counters(blocked: u64, passed: u64) -> Counters {
        Counters {
            passed: counter(passed),
            countries: [(Country::CHINA, counter(blocked))].into(),
            ..Counters::default()
        }
    }

    const CHINA: Category = Category::Country(Country::CHINA);

    fn series(traffic: &Traffic, category: Category) -> &Series {
        let mut all = traffic.categories();
        all.find(|(other, _)| *other == category).unwrap().1
    }

    #[test]
    fn rates_are_what_came_by_how_long_it_took() {
        let start = Instant::now();
        let mut traffic = Traffic::begin(start, &counters(1_000, 0));
        assert_eq!(traffic.blocked.rate(), Rate::default());
        traffic.sample(start + Duration::from_secs(2), &counters(1_500, 20));
        let expected = Rate {
            packets: 250.0,
            bits: 200_000.0,
        };
        assert_eq!(series(&traffic, CHINA).rate(), expected);
        assert_eq!(traffic.blocked.rate(), expected);
        assert_eq!(traffic.blocked.total, counter(1_500));
        // A category that was not there before has come since.
        let expected = Rate {
            packets: 10.0,
            bits: 8_000.0,
        };
        assert_eq!(series(&traffic, Category::Passed).rate(), expected);
        assert_eq!(traffic.passed.rate(), expected);
        // Twice at one instant is once.
        traffic.sample(start + Duration::from_secs(2), &counters(1_500, 20));
        assert_eq!(traffic.blocked.rates.len(), 1);
    }

    #[test]
    fn counters_that_were_made_anew_begin_anew() {
        let start = Instant::now();
        let mut traffic = Traffic::begin(start, &counters(1_000, 5));
        traffic.sample(start + Duration::from_secs(1), &counters(1_001, 5));
        traffic.sample(start + Duration::from_secs(2), &counters(3, 5));
        assert_eq!(traffic.blocked.rates.len(), 0);
        assert_eq!(traffic.blocked.total, counter(3));
        traffic.sample(start + Duration::from_secs(3), &Counters::default());
        assert_eq!(traffic.categories().count(), 0);
    }

    #[test]
    fn history_is_bounded() {
        let start = Instant::now();
        let mut traffic = Traffic::begin(start, &counters(0, 0));
        for second in 1..=300 {
            traffic.sample(start + Duration::from_secs(second), &counters(second, 0));
        }
        assert_eq!(series(&traffic, CHINA).rates.len(), HISTORY);
        assert_eq!(traffic.passed.rates.len(), HISTORY);
    }

    #[test]
    fn each_counter_is_blocked_or_passed() {
        let counters = Counters {
            passed: counter(1),
            denied: counter(10),
            malformed: counter(100),
            non_ip: counter(1_000),
            unknown: counter(10_000),
            replies: counter(100_000),
            countries: [(Country::CHINA, counter(1_000_000))].into(),
            admitted: [(Country::CHINA, counter(10_000_000))].into(),
        };
        let traffic = Traffic::begin(Instant::now(), &counters);
        assert_eq!(traffic.blocked.total.packets, 1_010_110);
        assert_eq!(traffic.passed.total.packets, 10_101_001);
        assert_eq!(traffic.blocked.total.packets, counters.dropped());
    }
}
