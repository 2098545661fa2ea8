//! What moved between two states of data, or between two sources.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::{Country, Located, Regions};
use crate::range::{Address, Labelled, Range, align, join_adjacent};

/// The addresses that one state of data puts in one country and the other in another, or in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where they were; `None` where nothing was known of them.
    pub from: Option<Country>,
    /// Where they are; `None` where nothing is known of them.
    pub to: Option<Country>,
    /// The IPv4 addresses, as sorted ranges that do not touch.
    pub ipv4: Vec<Range<Ipv4Addr>>,
    /// The IPv6 addresses, as sorted ranges that do not touch.
    pub ipv6: Vec<Range<Ipv6Addr>>,
}

/// A way from one country to another; both may be unknown.
type Way = (Option<Country>, Option<Country>);

impl Regions {
    /// What moved from this state of data to another, by the countries that it moved between; most IPv4 addresses first,
    /// and of equally many most IPv6 addresses.
    #[must_use]
    pub fn moves_to(&self, after: &Self) -> Vec<Move> {
        let mut ipv4 = moved(self.ipv4(), after.ipv4());
        let mut ipv6 = moved(self.ipv6(), after.ipv6());
        let mut ways: Vec<Way> = ipv4.keys().chain(ipv6.keys()).copied().collect();
        ways.sort_unstable();
        ways.dedup();
        let moves = ways.into_iter().map(|(from, to)| Move {
            from,
            to,
            ipv4: ipv4.remove(&(from, to)).unwrap_or_default(),
            ipv6: ipv6.remove(&(from, to)).unwrap_or_default(),
        });
        let mut moves: Vec<_> = moves.collect();
        moves.sort_by_cached_key(|one| {
            std::cmp::Reverse((addresses(&one.ipv4), addresses(&one.ipv6)))
        });
        moves
    }
}

/// How many addresses some ranges have together.
#[must_use]
pub fn addresses<A: Address>(ranges: &[Range<A>]) -> u128 {
    let sizes = ranges.iter().map(|range| range.size());
    sizes.fold(0, u128::saturating_add)
}

fn moved<A: Address>(before: &[Located<A>], after: &[Located<A>]) -> BTreeMap<Way, Vec<Range<A>>> {
    let differ = |piece: &Labelled<A, Way>| piece.label.0 != piece.label.1;
    let mut pieces: Vec<_> = align(before, after).filter(differ).collect();
    join_adjacent(&mut pieces);
    let mut moved: BTreeMap<Way, Vec<_>> = BTreeMap::new();
    for piece in pieces {
        moved.entry(piece.label).or_default().push(piece.range);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moved_is_told_by_the_countries_it_moved_between() {
        let before = Regions::of_prefixes(&[
            ("1.0.0.0/24", "CN"),
            ("1.0.1.0/24", "CN"),
            ("1.0.2.0/24", "JP"),
            ("2001:db8::/32", "FR"),
        ]);
        let after = Regions::of_prefixes(&[
            ("1.0.0.0/24", "HK"),
            ("1.0.1.0/25", "HK"),
            ("1.0.1.128/25", "CN"),
            ("1.0.2.0/24", "JP"),
            ("1.0.3.0/24", "US"),
        ]);
        let told = |moves: Vec<Move>| -> Vec<_> {
            let code =
                |country: Option<Country>| country.map_or("-".to_owned(), |one| one.to_string());
            let one = |one: Move| {
                let ranges = one.ipv4.iter().map(ToString::to_string);
                let ranges: Vec<_> = ranges
                    .chain(one.ipv6.iter().map(ToString::to_string))
                    .collect();
                format!("{}>{} {}", code(one.from), code(one.to), ranges.join(" "))
            };
            moves.into_iter().map(one).collect()
        };
        assert_eq!(
            told(before.moves_to(&after)),
            [
                "CN>HK 1.0.0.0-1.0.1.127",
                "->US 1.0.3.0-1.0.3.255",
                "FR>- 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            ]
        );
        assert_eq!(before.moves_to(&before), []);
    }
}
