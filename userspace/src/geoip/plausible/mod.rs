//! Whether new data can be what has become of the data before.
//!
//! Addresses move, but slowly: what lost a country, or a third of one, is most often a file that was cut off, or made of
//! half of its sources. A filter that took it would let by whom it should block. So new data is held against the data in
//! force, and whatever is out of proportion is a [`Doubt`] that a person has to look at.
//!
//! | doubt | about |
//! |---|---|
//! | vanished | a country that was there and is not any more: one that is named, or that had [`NOTABLE_IPV4`] addresses or [`NOTABLE_IPV6`] |
//! | changed | a country that shrank or grew by more than [`Limits::change`], each family on its own: one that is named, or that has [`SIZABLE_IPV4`] addresses or [`SIZABLE_IPV6`] |
//! | lost | addresses that were in some country and are in none: more than [`Limits::lost`] of all, each family on its own |
//! | ranges lost | ranges that were in some country and are in none: more than [`RANGES`] times as large a share of all. What a file that was cut off lacks may be many ranges and few addresses |
//! | older | data of an earlier day |
//!
//! Small countries that nobody names come and go in all data, so they count only among the lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::civil::Date;
use serde::Serialize;

use super::{Country, Located, Regions};
use crate::range::{Address, align, find};

/// From how many IPv4 addresses on a country's disappearance is noted: as few as a country with a network of its own has.
pub const NOTABLE_IPV4: u128 = 1 << 10;
/// From how many IPv6 addresses on a country's disappearance is noted: what one provider gets, a /32.
pub const NOTABLE_IPV6: u128 = 1 << 96;
/// From how many IPv4 addresses on a country's change is noted: a /16.
pub const SIZABLE_IPV4: u128 = 1 << 16;
/// From how many IPv6 addresses on a country's change is noted: a /28.
pub const SIZABLE_IPV6: u128 = 1 << 100;

/// How many times as large a share of the ranges may be lost as of the addresses: small ones come and go.
pub const RANGES: u16 = 5;

/// A share of a whole, in percent. It may be more than all: a country can grow to three times its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Percent(pub u16);

impl Percent {
    /// Whether a part is more than this share of a whole.
    fn is_exceeded(self, part: u128, whole: u128) -> bool {
        // Numbers of IPv6 addresses leave no room to multiply; what is cut off of such numbers does not matter.
        let cut = if part.max(whole) >> 108 == 0 { 0 } else { 20 };
        (part >> cut) * 100 > (whole >> cut) * u128::from(self.0)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// A text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share: write a whole number of percent, like 40%")]
pub struct NoPercent(String);

impl FromStr for Percent {
    type Err = NoPercent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('%').unwrap_or(text).trim_end();
        let number = number.parse().map_err(|_| NoPercent(text.to_owned()))?;
        Ok(Self(number))
    }
}

/// How much may change before data is doubted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Countries that somebody depends on: they are judged however small they are.
    pub named: BTreeSet<Country>,
    /// By how much a country may shrink or grow.
    pub change: Percent,
    /// How many of all addresses may be in no country any more.
    pub lost: Percent,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            named: BTreeSet::new(),
            change: Percent(40),
            lost: Percent(2),
        }
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// Why new data is doubted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "doubt", rename_all = "kebab-case")]
pub enum Doubt {
    /// A country has no address any more.
    Vanished {
        /// The country.
        country: Country,
    },
    /// A country has far more addresses than before, or far fewer.
    Changed {
        /// The country.
        country: Country,
        /// Which addresses.
        family: Family,
        /// How many there were.
        before: u128,
        /// How many there are.
        after: u128,
        /// By how much it may change.
        limit: Percent,
    },
    /// Addresses that were in some country are in none.
    Lost {
        /// Which addresses.
        family: Family,
        /// How many.
        addresses: u128,
        /// How many were in some country.
        before: u128,
        /// What share of them may be lost.
        limit: Percent,
    },
    /// Ranges that were in some country are in none.
    RangesLost {
        /// Of which addresses.
        family: Family,
        /// How many.
        ranges: u128,
        /// How many there were.
        before: u128,
        /// What share of them may be lost.
        limit: Percent,
    },
    /// The data is of an earlier day.
    Older {
        /// The day of the data before.
        before: Date,
        /// The day of the new data.
        after: Date,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vanished { country } => {
                write!(f, "{country} {} has no address any more", country.name())
            }
            Self::Changed {
                country,
                family,
                before,
                after,
                limit,
            } => write!(
                f,
                "{country} {} has {after} {family} addresses and had {before}: a change of more than {limit}",
                country.name()
            ),
            Self::Lost {
                family,
                addresses,
                before,
                limit,
            } => write!(
                f,
                "{addresses} of {before} {family} addresses that were in some country are in none: more than {limit}"
            ),
            Self::RangesLost {
                family,
                ranges,
                before,
                limit,
            } => write!(
                f,
                "{ranges} of {before} {family} ranges that were in some country are in none: more than {limit}"
            ),
            Self::Older { before, after } => {
                write!(
                    f,
                    "it is of {after}, older than what is in force, of {before}"
                )
            }
        }
    }
}

/// Data, and the day whose state it shows.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// Which country an address is in.
    pub regions: &'a Regions,
    /// The day, if it is known.
    pub date: Option<Date>,
}

/// What is doubtful in data that would replace other data; none if it is plausible. Vanished countries come first.
#[must_use]
pub fn doubts(before: State<'_>, after: State<'_>, limits: &Limits) -> Vec<Doubt> {
    let ipv4 = Extents::of(before.regions.ipv4(), after.regions.ipv4());
    let ipv6 = Extents::of(before.regions.ipv6(), after.regions.ipv6());
    let mut doubts = Vec::new();
    let vanished = vanished(&ipv4, &ipv6, limits);
    let all = vanished.iter();
    doubts.extend(all.map(|&country| Doubt::Vanished { country }));
    let families = [
        (Family::Ipv4, &ipv4, SIZABLE_IPV4),
        (Family::Ipv6, &ipv6, SIZABLE_IPV6),
    ];
    for (family, extents, sizable) in families {
        doubts.extend(extents.lost(family, limits));
        doubts.extend(extents.ranges_lost(family, limits));
        doubts.extend(extents.changed(family, sizable, &vanished, limits));
    }
    if let (Some(before), Some(after)) = (before.date, after.date)
        && after < before
    {
        doubts.push(Doubt::Older { before, after });
    }
    doubts
}

/// How many addresses of one family there are where.
#[derive(Debug, Default)]
struct Extents {
    /// By country, before and after.
    countries: BTreeMap<Country, (u128, u128)>,
    /// In some country before.
    known: u128,
    /// In some country before, and in none after.
    lost: u128,
    /// How many ranges there were.
    ranges: u128,
    /// Of how many of them nothing is in any country.
    ranges_lost: u128,
}

impl Extents {
    fn of<A: Address>(before: &[Located<A>], after: &[Located<A>]) -> Self {
        let mut extents = Self {
            ranges: before.len() as u128,
            ..Self::default()
        };
        for piece in align(before, after) {
            let size = piece.range.size();
            let (from, to) = piece.label;
            if let Some(country) = from {
                let (before, _) = extents.countries.entry(country).or_default();
                *before = before.saturating_add(size);
                extents.known = extents.known.saturating_add(size);
            }
            if let Some(country) = to {
                let (_, after) = extents.countries.entry(country).or_default();
                *after = after.saturating_add(size);
            } else if from.is_some() {
                extents.lost = extents.lost.saturating_add(size);
                let is_whole = find(before, piece.range.first())
                    .is_some_and(|located| located.range == piece.range);
                extents.ranges_lost += u128::from(is_whole);
            }
        }
        extents
    }

    fn before(&self, country: Country) -> u128 {
        self.countries
            .get(&country)
            .map_or(0, |(before, _)| *before)
    }

    fn after(&self, country: Country) -> u128 {
        self.countries.get(&country).map_or(0, |(_, after)| *after)
    }

    fn lost(&self, family: Family, limits: &Limits) -> Option<Doubt> {
        let is_lost = limits.lost.is_exceeded(self.lost, self.known);
        is_lost.then_some(Doubt::Lost {
            family,
            addresses: self.lost,
            before: self.known,
            limit: limits.lost,
        })
    }

    fn ranges_lost(&self, family: Family, limits: &Limits) -> Option<Doubt> {
        let limit = Percent(limits.lost.0.saturating_mul(RANGES));
        let is_lost = limit.is_exceeded(self.ranges_lost, self.ranges);
        is_lost.then_some(Doubt::RangesLost {
            family,
            ranges: self.ranges_lost,
            before: self.ranges,
            limit,
        })
    }

    fn changed(
        &self,
        family: Family,
        sizable: u128,
        vanished: &BTreeSet<Country>,
        limits: &Limits,
    ) -> impl Iterator<Item = Doubt> {
        let is_doubtful = move |(country, (before, after)): &(&Country, &(u128, u128))| {
            let is_sizable = *before.max(after) >= sizable;
            // What has its first addresses of a family has grown beyond all measure, and nothing is wrong with that while
            // they are few, or where data had none of that family.
            let is_judged = match before {
                0 => is_sizable && self.known > 0,
                _ => is_sizable || limits.named.contains(country),
            };
            is_judged
                && !vanished.contains(country)
                && limits.change.is_exceeded(before.abs_diff(*after), *before)
        };
        let doubtful = self.countries.iter().filter(is_doubtful);
        doubtful.map(move |(&country, &(before, after))| Doubt::Changed {
            country,
            family,
            before,
            after,
            limit: limits.change,
        })
    }
}

fn vanished(ipv4: &Extents, ipv6: &Extents, limits: &Limits) -> BTreeSet<Country> {
    let all = ipv4.countries.keys().chain(ipv6.countries.keys()).copied();
    let has_vanished = |country: &Country| {
        let before = (ipv4.before(*country), ipv6.before(*country));
        let is_notable =
            limits.named.contains(country) || before.0 >= NOTABLE_IPV4 || before.1 >= NOTABLE_IPV6;
        let was_there = before != (0, 0);
        let is_there = (ipv4.after(*country), ipv6.after(*country)) != (0, 0);
        is_notable && was_there && !is_there
    };
    all.filter(has_vanished).collect()
}

#[cfg(test)]
mod tests;
