//! Which packets come, and how many of them are blocked.

use fastrand::Rng;
use geodrop::testbed::generator::{IMIX, LONGEST, SHORTEST};

use super::blocked::Blocked;
use crate::{
    tables::Countries,
    traffic::{SEED, Traffic},
};

use std::net::Ipv4Addr;

/// How long frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As short as Ethernet's may be: 64 bytes with the checksum that follows them on a cable.
    Short,
    /// As long as they may be, with 1500 bytes of IP.
    Long,
    /// Of twelve seven short ones, four of 576 bytes of IP and one of 1500.
    Mixed,
}

impl Length {
    /// The name, as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "64 B",
            Self::Long => "1500 B",
            Self::Mixed => "IMIX",
        }
    }

    /// The lengths of frames that follow one another.
    #[must_use]
    pub const fn lengths(self) -> &'static [u16] {
        match self {
            Self::Short => &[SHORTEST],
            Self::Long => &[LONGEST],
            Self::Mixed => &IMIX,
        }
    }
}

/// Which blocked addresses packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// One: everything that a lookup reads is in the nearest cache.
    OneFlow,
    /// Four thousand, from every range alike.
    FourThousand,
    /// From few prefixes often and from most rarely.
    Zipf,
    /// From every range alike, as many addresses as there are: the cruel case for caches.
    AllRanges,
}

impl Spread {
    /// The name, as it stands in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneFlow => "one flow",
            Self::FourThousand => "4,000 flows",
            Self::Zipf => "Zipf",
            Self::AllRanges => "all ranges",
        }
    }

    /// So many blocked addresses, some of them more than once.
    fn addresses(self, blocked: &Blocked, count: u32) -> Vec<Ipv4Addr> {
        let over_ranges = |count| Traffic::OverRanges.addresses(&blocked.ranges, &[], count);
        match self {
            Self::OneFlow => over_ranges(1),
            Self::FourThousand => over_ranges(4_000),
            Self::Zipf => Traffic::Zipf.addresses(&blocked.ranges, &blocked.prefixes, count),
            Self::AllRanges => over_ranges(count),
        }
    }
}

/// A case: all that is compared meets the same packets in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is blocked.
    pub countries: Countries,
    /// Whether XDP programs run in native mode, or else in generic mode. Nothing else differs by it.
    pub native: bool,
    /// How long frames are.
    pub length: Length,
    /// How many of a hundred packets come from blocked addresses.
    pub blocked: u8,
    /// Which of these.
    pub spread: Spread,
    /// How many cores send and receive.
    pub cores: usize,
}

impl Case {
    /// What is asked first: short frames in native mode on one core, all from blocked addresses all over the table.
    #[must_use]
    pub const fn of(countries: Countries) -> Self {
        Self {
            countries,
            native: true,
            length: Length::Short,
            blocked: 100,
            spread: Spread::AllRanges,
            cores: 1,
        }
    }

    /// The cases of a table that answer the first questions.
    #[must_use]
    pub fn quick(countries: Countries) -> Vec<Self> {
        let base = Self::of(countries);
        match countries {
            Countries::China | Countries::Own => vec![
                base,
                Self {
                    blocked: 90,
                    ..base
                },
                Self { blocked: 0, ..base },
                Self {
                    native: false,
                    ..base
                },
            ],
            Countries::World => vec![base],
        }
    }

    /// All cases of a table: from the first one, one thing at a time is another, and the share of blocked packets with each
    /// mode and length. `cores` is how many the machine has.
    #[must_use]
    pub fn all(countries: Countries, cores: usize) -> Vec<Self> {
        let base = Self::of(countries);
        let mut cases = Vec::new();
        let shares = match countries {
            Countries::China | Countries::Own => [100, 90, 50, 0].as_slice(),
            Countries::World => &[100, 50],
        };
        for native in [true, false] {
            for &blocked in shares {
                cases.push(Self {
                    native,
                    blocked,
                    ..base
                });
            }
        }
        let of_base = |case| cases.push(case);
        [Spread::OneFlow, Spread::FourThousand, Spread::Zipf]
            .map(|spread| Self { spread, ..base })
            .into_iter()
            .chain([Length::Long, Length::Mixed].map(|length| Self { length, ..base }))
            .chain((cores > 1).then_some(Self { cores, ..base }))
            .for_each(of_base);
        if countries != Countries::World {
            for length in [Length::Long, Length::Mixed] {
                cases.push(Self {
                    length,
                    blocked: 0,
                    ..base
                });
            }
        }
        cases
    }

    /// The mode's name.
    #[must_use]
    pub const fn mode(self) -> &'static str {
        if self.native { "native" } else { "generic" }
    }

    /// The addresses that packets come from, one after the other: so many of a hundred from blocked ones, in no order.
    /// Where `instead` is given, the blocked ones are its addresses in turn.
    #[must_use]
    pub fn sources(self, blocked: &Blocked, instead: Option<&[Ipv4Addr]>) -> Vec<Ipv4Addr> {
        let count = blocked.sources();
        let drawn = self.spread.addresses(blocked, count);
        let drawn = instead.unwrap_or(&drawn);
        let mut rng = Rng::with_seed(SEED);
        (0..count as usize)
            .map(|place| {
                let from = if rng.u8(0..100) < self.blocked {
                    drawn
                } else {
                    &blocked.allowed
                };
                from.get(place % from.len().max(1))
                    .copied()
                    .unwrap_or(Ipv4Addr::LOCALHOST)
            })
            .collect()
    }
}

/// As it stands in reports and messages: `CN-HK-MO, native, 64 B, 90 % blocked, all ranges, 1 core`.
impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { blocked, cores, .. } = self;
        write!(
            f,
            "{}, {}, {}, {blocked} % blocked, {}, {cores} core{}",
            self.countries.name(),
            self.mode(),
            self.length.name(),
            self.spread.name(),
            if *cores == 1 { "" } else { "s" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basis::Basis;

    #[test]
    fn as_many_sources_are_blocked_as_is_asked_for() {
        let blocked = Blocked::of(Countries::China, &Basis::builtin().unwrap()).unwrap();
        for spread in [
            Spread::OneFlow,
            Spread::FourThousand,
            Spread::Zipf,
            Spread::AllRanges,
        ] {
            for share in [0, 50, 90, 100] {
                let case = Case {
                    blocked: share,
                    spread,
                    ..Case::of(Countries::China)
                };
                let sources = case.sources(&blocked, None);
                let dropped = sources.iter().filter(|source| blocked.holds(**source));
                let expected = sources.len() * usize::from(share) / 100;
                assert!(
                    dropped.count().abs_diff(expected) < sources.len() / 100,
                    "{case}"
                );
            }
        }
    }

    #[test]
    fn other_addresses_may_stand_for_the_blocked_ones() {
        let blocked = Blocked::of(Countries::China, &Basis::builtin().unwrap()).unwrap();
        let instead = [Ipv4Addr::new(1, 0, 1, 1), Ipv4Addr::new(1, 0, 1, 2)];
        let sources = Case::of(Countries::China).sources(&blocked, Some(&instead));
        assert_eq!(sources[..4], [instead, instead].concat());
    }

    #[test]
    fn no_case_is_measured_twice() {
        for countries in Countries::ALL {
            let cases = Case::all(countries, 2);
            for (place, case) in cases.iter().enumerate() {
                assert!(!cases[..place].contains(case), "{case}");
            }
            assert!(
                Case::quick(countries)
                    .iter()
                    .all(|case| cases.contains(case))
            );
        }
    }
}
