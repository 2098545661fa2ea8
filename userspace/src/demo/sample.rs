//! Source addresses to try a policy with.
//!
//! They are picked from the data, not drawn by lot: every run on the same data tries the same ones. Where
//! rules go wrong is at the ends of ranges, so these are among them.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;

use crate::{
    geoip::{Country, Located, Opinions},
    policy::{Policy, special_purpose},
    range::{Address, Range},
};

/// Countries to try beside those that the policy names: neighbours of the default ones, and some of every
/// continent.
const OTHERS: [&[u8; 2]; 7] = [b"TW", b"SG", b"JP", b"US", b"DE", b"BR", b"ZA"];

/// How many ranges of a country and family are tried, spread evenly over the data.
const RANGES: usize = 6;

/// Why an address is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// It is in this country.
    Country(Country),
    /// It is at an end of a prefix that the policy allows or denies.
    Listed,
    /// It is of a block for special purposes.
    SpecialPurpose,
}

/// A source address to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Why it is tried.
    pub group: Group,
    /// The address.
    pub address: IpAddr,
}

/// Picks addresses: in the countries that the policy names and in others, at the ends of the prefixes that it
/// lists, and special ones. Countries without addresses in the data are left out.
#[must_use]
pub fn pick<'a>(policy: &Policy, data: impl Into<Opinions<'a>>) -> Vec<Sample> {
    let data = data.into();
    let named = policy.countries.countries().iter().copied();
    let others = OTHERS
        .iter()
        .filter_map(|code| Country::from_code(**code))
        .filter(|other| !policy.countries.countries().contains(other));
    let mut samples = Vec::new();
    for country in named.chain(others) {
        let group = Group::Country(country);
        let addresses = data.iter().flat_map(|regions| {
            in_country(regions.ipv4(), country).chain(in_country(regions.ipv6(), country))
        });
        samples.extend(addresses.map(|address| Sample { group, address }));
    }
    let ends = policy.allow.iter().chain(&policy.deny).flat_map(ends);
    let ends: BTreeSet<_> = ends.collect();
    samples.extend(ends.into_iter().map(|address| Sample {
        group: Group::Listed,
        address,
    }));
    samples.extend(special().map(|address| Sample {
        group: Group::SpecialPurpose,
        address,
    }));
    samples
}

/// The first, middle and last addresses of some of a country's ranges. Data gives some special-purpose ranges
/// a country too; no country rule applies to these.
fn in_country<A: Address>(
    ranges: &[Located<A>],
    country: Country,
) -> impl Iterator<Item = IpAddr> + use<A> {
    let ranges: Vec<_> = ranges
        .iter()
        .filter(|located| located.label == country)
        .map(|located| located.range)
        .filter(|range| {
            let special = |address: A| special_purpose::block_of(address.into()).is_some();
            !special(range.first()) && !special(range.last())
        })
        .collect();
    let picked: BTreeSet<A> = spread(&ranges, RANGES)
        .flat_map(|range| [range.first(), middle(range), range.last()])
        .collect();
    picked.into_iter().map(Into::into)
}

/// At most `count` of the items, the first and the last among them, spread evenly.
fn spread<T: Copy>(items: &[T], count: usize) -> impl Iterator<Item = T> {
    let last = items.len().saturating_sub(1);
    let steps = count.saturating_sub(1).max(1);
    let places: BTreeSet<_> = (0..count).map(|step| step * last / steps).collect();
    places
        .into_iter()
        .filter_map(|place| items.get(place).copied())
}

fn middle<A: Address>(range: Range<A>) -> A {
    let number = range.first().number() + (range.last().number() - range.first().number()) / 2;
    A::from_number(number).unwrap_or(range.first())
}

fn ends(prefix: &IpNet) -> [IpAddr; 2] {
    [prefix.network(), prefix.broadcast()]
}

/// The first address of each special-purpose range.
fn special() -> impl Iterator<Item = IpAddr> {
    let ipv4 = special_purpose::ranges::<std::net::Ipv4Addr>();
    let ipv6 = special_purpose::ranges::<std::net::Ipv6Addr>();
    ipv4.into_iter()
        .map(|range| range.first().into())
        .chain(ipv6.into_iter().map(|range| range.first().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geoip;

    #[test]
    fn items_are_spread_from_the_first_to_the_last() {
        let picked = |length: usize, count| -> Vec<_> {
            let items: Vec<_> = (0..length).collect();
            spread(&items, count).collect()
        };
        assert_eq!(picked(100, 4), [0, 33, 66, 99]);
        assert_eq!(picked(3, 6), [0, 1, 2]);
        assert_eq!(picked(1, 6), [0]);
        assert_eq!(picked(0, 6), [] as [usize; 0]);
        assert_eq!(picked(9, 1), [0]);
    }

    #[test]
    fn the_default_policy_is_tried_with_some_hundred_addresses_of_either_fate() {
        let world = geoip::builtin().unwrap().regions;
        let samples = pick(&Policy::default(), &world);
        assert!((300..1000).contains(&samples.len()), "{}", samples.len());
        for country in [Country::CHINA, Country::HONG_KONG, Country::MACAO] {
            for ipv4 in [true, false] {
                let tried = samples.iter().filter(|sample| {
                    sample.group == Group::Country(country) && sample.address.is_ipv4() == ipv4
                });
                assert!(tried.count() >= 10, "{country}");
            }
        }
        for sample in &samples {
            if let Group::Country(country) = sample.group {
                let located = world.lookup(sample.address).map(|(country, _)| country);
                assert_eq!(located, Some(country), "{sample:?}");
            }
        }
    }

    #[test]
    fn listed_prefixes_are_tried_at_both_ends() {
        let policy = Policy {
            allow: vec!["1.0.1.0/24".parse().unwrap()],
            deny: vec!["2001:db8::/64".parse().unwrap()],
            ..Policy::default()
        };
        let listed: Vec<_> = pick(&policy, &geoip::Regions::default())
            .iter()
            .filter(|sample| sample.group == Group::Listed)
            .map(|sample| sample.address.to_string())
            .collect();
        let ends = [
            "1.0.1.0",
            "1.0.1.255",
            "2001:db8::",
            "2001:db8::ffff:ffff:ffff:ffff",
        ];
        assert_eq!(listed, ends);
    }

    #[test]
    fn special_addresses_are_tried_once_each() {
        let special: Vec<_> = special().collect();
        let once: BTreeSet<_> = special.iter().collect();
        assert_eq!(once.len(), special.len());
        assert!(special.contains(&"10.0.0.0".parse().unwrap()));
        assert!(special.contains(&"fe80::".parse().unwrap()));
    }
}
