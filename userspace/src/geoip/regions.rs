//! Which country an address is in.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{AnyRange, Country};
use crate::range::{Address, Labelled, find, flatten, overlay};

/// A range of addresses and the country that all of them are in.
pub type Located<A> = Labelled<A, Country>;

/// Which country an address is in, for the whole world or a part of it: sorted, disjoint ranges.
///
/// The boundaries are those of the data that it was made from: neighbours of one country are not joined. A clone shares
/// the ranges, and costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    /// The IPv4 ranges, sorted and disjoint.
    ipv4: Arc<Vec<Located<Ipv4Addr>>>,
    /// The IPv6 ranges, sorted and disjoint.
    ipv6: Arc<Vec<Located<Ipv6Addr>>>,
}

impl Regions {
    /// Regions of ranges that are sorted and disjoint already.
    pub(super) fn of_disjoint(ipv4: Vec<Located<Ipv4Addr>>, ipv6: Vec<Located<Ipv6Addr>>) -> Self {
        debug_assert!(ipv4.is_sorted_by(|one, next| one.range.last() < next.range.first()));
        debug_assert!(ipv6.is_sorted_by(|one, next| one.range.last() < next.range.first()));
        Self {
            ipv4: Arc::new(ipv4),
            ipv6: Arc::new(ipv6),
        }
    }

    /// Regions of prefixes and the codes of their countries.
    #[cfg(test)]
    pub(super) fn of_prefixes(rows: &[(&str, &str)]) -> Self {
        let mut builder = Builder::default();
        for (prefix, code) in rows {
            let range = AnyRange::of_prefix(prefix.parse().unwrap());
            builder.add(range, code.parse().unwrap(), 0);
        }
        builder.build().0
    }

    /// What several regions say together: of each address, what the first of them says that knows it.
    #[must_use]
    pub(super) fn first_of(each: &[Self]) -> Self {
        match each {
            [] => Self::default(),
            [one] => one.clone(),
            // Halves, so that hundreds of small files are not laid over a growing whole one by one.
            _ => {
                let (before, after) = each.split_at(each.len() / 2);
                let (before, after) = (Self::first_of(before), Self::first_of(after));
                Self::of_disjoint(
                    overlay(&after.ipv4, &before.ipv4),
                    overlay(&after.ipv6, &before.ipv6),
                )
            }
        }
    }

    /// The IPv4 ranges, sorted and disjoint.
    #[must_use]
    pub fn ipv4(&self) -> &[Located<Ipv4Addr>] {
        &self.ipv4
    }

    /// The IPv6 ranges, sorted and disjoint.
    #[must_use]
    pub fn ipv6(&self) -> &[Located<Ipv6Addr>] {
        &self.ipv6
    }

    /// The country of an address and the largest prefix around it that lies inside its range; `None` when
    /// no range holds it. In O(log n).
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<(Country, IpNet)> {
        match address {
            IpAddr::V4(address) => locate(&self.ipv4, address),
            IpAddr::V6(address) => locate(&self.ipv6, address),
        }
    }

    /// The countries that have an address.
    #[must_use]
    pub fn countries(&self) -> BTreeSet<Country> {
        let ipv4 = self.ipv4.iter().map(|located| located.label);
        let ipv6 = self.ipv6.iter().map(|located| located.label);
        ipv4.chain(ipv6).collect()
    }

    /// Whether there is no range at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }
}

fn locate<A: Address>(ranges: &[Located<A>], address: A) -> Option<(Country, IpNet)> {
    let located = find(ranges, address)?;
    let prefix = located.range.largest_prefix_around(address)?;
    Some((located.label, prefix.into()))
}

/// Where a range was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line, from 1 on; 0 in a file that has no lines.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Two countries that data gives for one and the same range.
///
/// Neither is more specific, so the first in the order of the alphabet is taken: arbitrary, but the same
/// whatever the order of lines, and right for every policy that treats the two alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The first address of the range.
    pub first: IpAddr,
    /// The last address of the range.
    pub last: IpAddr,
    /// The country that was taken, and where it was read.
    pub taken: (Country, Place),
    /// The country that was not, and where it was read.
    pub dropped: (Country, Place),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((taken, here), (dropped, there)) = (&self.taken, &self.dropped);
        let (first, last) = (self.first, self.last);
        write!(
            f,
            "{first}-{last} is {taken} in {here} and {dropped} in {there}; taken for {taken}"
        )
    }
}

/// Makes [`Regions`] of ranges as they stand in files: in any order, nested, some of them twice.
#[derive(Debug, Default)]
pub struct Builder {
    files: Vec<Arc<str>>,
    ipv4: Vec<Labelled<Ipv4Addr, Claim>>,
    ipv6: Vec<Labelled<Ipv6Addr, Claim>>,
}

/// What a line claims: a country. Ordered by country before all else, so that of equal ranges the first
/// country in the order of the alphabet comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    country: Country,
    file: u16,
    line: u32,
}

impl Builder {
    /// Begins a file: ranges that are added from now on were read there.
    pub fn begin_file(&mut self, name: &str) {
        self.files.push(name.into());
    }

    /// Adds a range that was read in a line of the present file, counted from 1; 0 says that it has no lines.
    pub fn add(&mut self, range: AnyRange, country: Country, line: u32) {
        // An archive of more files than that is refused.
        let file = u16::try_from(self.files.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let claim = Claim {
            country,
            file,
            line,
        };
        match range {
            AnyRange::Ipv4(range) => self.ipv4.push(Labelled::new(range, claim)),
            AnyRange::Ipv6(range) => self.ipv6.push(Labelled::new(range, claim)),
        }
    }

    /// Adds all ranges of regions that were read before.
    pub(super) fn add_regions(&mut self, regions: &Regions) {
        for located in regions.ipv4() {
            self.add(AnyRange::Ipv4(located.range), located.label, 0);
        }
        for located in regions.ipv6() {
            self.add(AnyRange::Ipv6(located.range), located.label, 0);
        }
    }

    /// How many ranges were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// Whether no range was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the ranges disjoint: the most specific one wins, as [`flatten`] defines it. Equal ranges of one
    /// country count once; those of two countries are reported, as [`Contradiction`] says.
    #[must_use]
    pub fn build(self) -> (Regions, Vec<Contradiction>) {
        let Self { files, ipv4, ipv6 } = self;
        let mut contradictions = Vec::new();
        let regions = Regions::of_disjoint(
            resolve(ipv4, &files, &mut contradictions),
            resolve(ipv6, &files, &mut contradictions),
        );
        (regions, contradictions)
    }
}

fn resolve<A: Address>(
    mut claims: Vec<Labelled<A, Claim>>,
    files: &[Arc<str>],
    contradictions: &mut Vec<Contradiction>,
) -> Vec<Located<A>> {
    let told = |claim: Claim| {
        let file = files
            .get(usize::from(claim.file))
            .map_or_else(|| "".into(), Arc::clone);
        (
            claim.country,
            Place {
                file,
                line: claim.line,
            },
        )
    };
    claims.sort();
    claims.dedup_by(|next, kept| {
        let equal = next.range == kept.range;
        if equal && next.label.country != kept.label.country {
            contradictions.push(Contradiction {
                first: kept.range.first().into(),
                last: kept.range.last().into(),
                taken: told(kept.label),
                dropped: told(next.label),
            });
        }
        equal
    });
    let located = claims
        .into_iter()
        .map(|claim| Labelled::new(claim.range, claim.label.country));
    flatten(located.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::Range;

    fn ipv4(first: u32, last: u32) -> AnyRange {
        AnyRange::Ipv4(Range::new(Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last)).unwrap())
    }

    fn country(code: &str) -> Country {
        code.parse().unwrap()
    }

    fn built(rows: &[(AnyRange, &str)]) -> (Regions, Vec<Contradiction>) {
        let mut builder = Builder::default();
        builder.begin_file("a.csv");
        for (&(range, code), line) in rows.iter().zip(1..) {
            builder.add(range, country(code), line);
        }
        builder.build()
    }

    #[test]
    fn the_inner_range_is_the_truth() {
        // 2.58.196.0-2.58.197.255 is in Germany, but for one address in Belgium.
        let net = |text: &str| AnyRange::Ipv4(Range::of_prefix(text.parse().unwrap()).unwrap());
        let rows = [(net("2.58.197.15/32"), "BE"), (net("2.58.196.0/23"), "DE")];
        let lookup = |address: &str| built(&rows).0.lookup(address.parse().unwrap());
        let found = |code, prefix: &str| Some((country(code), prefix.parse().unwrap()));
        assert_eq!(lookup("2.58.197.15"), found("BE", "2.58.197.15/32"));
        assert_eq!(lookup("2.58.196.1"), found("DE", "2.58.196.0/24"));
        assert_eq!(lookup("2.58.197.16"), found("DE", "2.58.197.16/28"));
        assert_eq!(lookup("2.58.198.0"), None);
        assert_eq!(lookup("::1"), None);
    }

    #[test]
    fn equal_ranges_of_one_country_count_once() {
        let (regions, contradictions) = built(&[(ipv4(0, 9), "FR"), (ipv4(0, 9), "FR")]);
        assert_eq!((regions.ipv4().len(), contradictions.len()), (1, 0));
    }

    #[test]
    fn equal_ranges_of_two_countries_are_reported_whatever_their_order() {
        let words = |rows: &[_]| {
            let (regions, contradictions) = built(rows);
            assert_eq!(regions.ipv4()[0].label, country("FR"));
            contradictions
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            words(&[(ipv4(0, 9), "JP"), (ipv4(0, 9), "FR")]),
            ["0.0.0.0-0.0.0.9 is FR in a.csv:2 and JP in a.csv:1; taken for FR"]
        );
        assert_eq!(
            words(&[(ipv4(0, 9), "FR"), (ipv4(0, 9), "FR"), (ipv4(0, 9), "JP")]),
            ["0.0.0.0-0.0.0.9 is FR in a.csv:1 and JP in a.csv:3; taken for FR"]
        );
    }

    #[test]
    fn neighbours_of_one_country_keep_their_boundary() {
        let (regions, _) = built(&[(ipv4(0, 9), "FR"), (ipv4(10, 19), "FR")]);
        assert_eq!(regions.ipv4().len(), 2);
    }

    #[test]
    fn the_first_that_knows_an_address_decides() {
        let one = |rows: &[(AnyRange, &str)]| built(rows).0;
        let each = [
            one(&[(ipv4(4, 5), "CN")]),
            one(&[(ipv4(0, 9), "FR")]),
            one(&[(ipv4(5, 12), "JP")]),
        ];
        let told = |regions: &Regions| -> Vec<_> {
            let ranges = regions.ipv4().iter();
            ranges
                .map(|located| (located.range.last().to_bits(), located.label.to_string()))
                .collect()
        };
        let first = told(&Regions::first_of(&each));
        let expected = [(3, "FR"), (5, "CN"), (9, "FR"), (12, "JP")];
        assert_eq!(first, expected.map(|(last, code)| (last, code.to_owned())));
        assert_eq!(Regions::first_of(&[]), Regions::default());
    }

    #[test]
    fn the_world_stays_small_in_memory() {
        assert_eq!(size_of::<Labelled<Ipv4Addr, Claim>>(), 16);
        assert_eq!(size_of::<Labelled<Ipv6Addr, Claim>>(), 40);
        assert_eq!(size_of::<Located<Ipv4Addr>>(), 10);
        assert_eq!(size_of::<Located<Ipv6Addr>>(), 34);
    }
}
