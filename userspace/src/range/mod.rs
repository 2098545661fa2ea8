//! Addresses, and ranges of them, for both families alike.
//!
//! Everything between a GeoIP file and a table is a list of ranges that say something: a country, a class, a
//! rule. Three operations on such lists carry the whole of it:
//!
//! - [`flatten`] makes disjoint ranges of nested ones: the most specific range wins.
//! - [`overlay()`] lays one disjoint list over another: what lies on top wins.
//! - [`align`] puts two disjoint lists side by side: what each says of the same addresses.
//!
//! All are generic over the [`Address`] family and over what the ranges say, so that each rule is written
//! once.

mod alignment;
mod labelled;
mod nesting;
mod overlay;
mod prefix;

use std::{
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

pub use alignment::align;
pub use labelled::{Labelled, boundaries, find, join_adjacent};
pub use nesting::flatten;
pub use overlay::overlay;
pub use prefix::Prefix;

/// An IP address of one family: [`Ipv4Addr`] or [`Ipv6Addr`], and nothing else.
///
/// Addresses are compared and counted as the numbers that their octets are in network order.
pub trait Address:
    sealed::Sealed
    + Copy
    + Ord
    + Hash
    + fmt::Debug
    + fmt::Display
    + Into<IpAddr>
    + Send
    + Sync
    + 'static
{
    /// How many bits an address has: the length of the longest prefix.
    const WIDTH: u8;
    /// The first address: all bits zero.
    const MIN: Self;
    /// The last address: all bits one.
    const MAX: Self;
    /// The address as octets in network order.
    type Octets: AsRef<[u8]> + Copy + fmt::Debug + Send + Sync + 'static;

    /// The address as octets in network order.
    fn octets(self) -> Self::Octets;

    /// The number that the octets are, in the low [`Self::WIDTH`] bits.
    fn number(self) -> u128;

    /// The address whose octets are this number; `None` when it is greater than [`Self::MAX`].
    fn from_number(number: u128) -> Option<Self>;

    /// The address, if it is of this family.
    fn from_ip(address: IpAddr) -> Option<Self>;

    /// The address after this one; `None` after [`Self::MAX`].
    fn successor(self) -> Option<Self>;

    /// The address before this one; `None` before [`Self::MIN`].
    fn predecessor(self) -> Option<Self>;

    /// The fewest prefixes that together hold the addresses of `range` and no others, in order.
    fn prefixes(range: Range<Self>) -> impl Iterator<Item = Prefix<Self>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::net::Ipv4Addr {}
    impl Sealed for std::net::Ipv6Addr {}
}

macro_rules! address {
    ($address:ident, $bits:ty, $variant:ident, $subnets:ident) => {
        impl Address for $address {
            #[allow(clippy::cast_possible_truncation, reason = "the widths are 32 and 128")]
            const WIDTH: u8 = <$bits>::BITS as u8;
            const MIN: Self = Self::from_bits(<$bits>::MIN);
            const MAX: Self = Self::from_bits(<$bits>::MAX);
            type Octets = [u8; size_of::<$bits>()];

            fn octets(self) -> Self::Octets {
                $address::octets(&self)
            }

            #[inline]
            fn number(self) -> u128 {
                self.to_bits().into()
            }

            #[inline]
            fn from_number(number: u128) -> Option<Self> {
                <$bits>::try_from(number).ok().map(Self::from_bits)
            }

            fn from_ip(address: IpAddr) -> Option<Self> {
                match address {
                    IpAddr::$variant(address) => Some(address),
                    _ => None,
                }
            }

            #[inline]
            fn successor(self) -> Option<Self> {
                self.to_bits().checked_add(1).map(Self::from_bits)
            }

            #[inline]
            fn predecessor(self) -> Option<Self> {
                self.to_bits().checked_sub(1).map(Self::from_bits)
            }

            fn prefixes(range: Range<Self>) -> impl Iterator<Item = Prefix<Self>> {
                $subnets::new(range.first, range.last, 0).map(|net| Prefix {
                    network: net.network(),
                    length: net.prefix_len(),
                })
            }
        }
    };
}

address!(Ipv4Addr, u32, V4, Ipv4Subnets);
address!(Ipv6Addr, u128, V6, Ipv6Subnets);

/// A range of addresses, both ends included. It is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range<A> {
    first: A,
    last: A,
}

/// A range's first address comes after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first address, {first}, comes after the last, {last}")]
pub struct ReversedRange<A: fmt::Debug + fmt::Display> {
    /// What was given as the first address.
    pub first: A,
    /// What was given as the last address.
    pub last: A,
}

impl<A: Address> Range<A> {
    /// All addresses of the family.
    pub const ALL: Self = Self {
        first: A::MIN,
        last: A::MAX,
    };

    /// The range from `first` to `last`, both included.
    ///
    /// # Errors
    ///
    /// [`ReversedRange`] when `first` comes after `last`.
    #[inline]
    pub fn new(first: A, last: A) -> Result<Self, ReversedRange<A>> {
        if first <= last {
            Ok(Self { first, last })
        } else {
            Err(ReversedRange { first, last })
        }
    }

    /// The addresses of a prefix, if it is of this family. Host bits that are set in it count for nothing.
    #[must_use]
    pub fn of_prefix(prefix: IpNet) -> Option<Self> {
        Some(Self {
            first: A::from_ip(prefix.network())?,
            last: A::from_ip(prefix.broadcast())?,
        })
    }

    /// The first address.
    #[must_use]
    pub const fn first(self) -> A {
        self.first
    }

    /// The last address.
    #[must_use]
    pub const fn last(self) -> A {
        self.last
    }

    /// How many addresses the range has. All of IPv6 is one more than can be said, and says [`u128::MAX`].
    #[must_use]
    pub fn size(self) -> u128 {
        (self.last.number() - self.first.number()).saturating_add(1)
    }

    /// Whether the range holds an address.
    #[must_use]
    pub fn contains(self, address: A) -> bool {
        self.first <= address && address <= self.last
    }

    /// Whether the range holds all of another.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// The addresses that are in both ranges, if there are any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last)).ok()
    }

    /// The fewest prefixes that together hold the range's addresses and no others, in order.
    pub fn prefixes(self) -> impl Iterator<Item = Prefix<A>> {
        A::prefixes(self)
    }

    /// The largest prefix that holds an address and lies inside the range; `None` when the address does not
    /// lie in the range.
    #[must_use]
    pub fn largest_prefix_around(self, address: A) -> Option<Prefix<A>> {
        // A prefix lies inside when it is long enough to part the address from its nearest neighbours
        // outside.
        let parting =
            |neighbour: Option<A>| neighbour.map_or(0, |outside| common_bits(address, outside) + 1);
        let length = parting(self.first.predecessor()).max(parting(self.last.successor()));
        Prefix::around(address, length).filter(|_| self.contains(address))
    }
}

/// How many leading bits two addresses share.
fn common_bits<A: Address>(one: A, other: A) -> u8 {
    let differing = u128::BITS - (one.number() ^ other.number()).leading_zeros();
    // At most the width.
    u8::try_from(differing).map_or(0, |differing| A::WIDTH.saturating_sub(differing))
}

impl<A: fmt::Display> fmt::Display for Range<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range<A: Address>(first: &str, last: &str) -> Range<A> {
        let address = |text: &str| A::from_ip(text.parse().unwrap()).unwrap();
        Range::new(address(first), address(last)).unwrap()
    }

    #[test]
    fn a_range_ends_where_it_begins_or_later() {
        let (one, two) = (Ipv4Addr::new(0, 0, 0, 1), Ipv4Addr::new(0, 0, 0, 2));
        assert_eq!(Range::new(one, one).unwrap().size(), 1);
        assert_eq!(Range::new(one, two).unwrap().to_string(), "0.0.0.1-0.0.0.2");
        assert_eq!(
            Range::new(two, one).unwrap_err().to_string(),
            "the first address, 0.0.0.2, comes after the last, 0.0.0.1"
        );
    }

    #[test]
    fn both_families_end_somewhere() {
        assert_eq!(Ipv4Addr::MAX.successor(), None);
        assert_eq!(Ipv4Addr::MIN.predecessor(), None);
        assert_eq!(<Ipv6Addr as Address>::MAX.successor(), None);
        assert_eq!(Ipv4Addr::from_number(1 << 32), None);
        assert_eq!(Range::<Ipv4Addr>::ALL.size(), 1 << 32);
        assert_eq!(Range::<Ipv6Addr>::ALL.size(), u128::MAX);
    }

    #[test]
    fn the_largest_prefix_around_an_address_stays_inside_the_range() {
        let around = |first, last, address: &str| {
            range::<Ipv4Addr>(first, last)
                .largest_prefix_around(address.parse().unwrap())
                .map(|prefix| prefix.to_string())
        };
        for (first, last, address, prefix) in [
            ("0.0.0.0", "255.255.255.255", "10.1.2.3", Some("0.0.0.0/0")),
            ("10.0.0.0", "10.0.2.255", "10.0.1.1", Some("10.0.0.0/23")),
            ("10.0.0.0", "10.0.2.255", "10.0.2.1", Some("10.0.2.0/24")),
            ("10.0.0.1", "10.0.0.1", "10.0.0.1", Some("10.0.0.1/32")),
            ("10.0.0.1", "10.0.0.6", "10.0.0.6", Some("10.0.0.6/32")),
            ("10.0.0.1", "10.0.0.6", "10.0.0.5", Some("10.0.0.4/31")),
            ("10.0.0.1", "10.0.0.6", "10.0.0.7", None),
        ] {
            assert_eq!(
                around(first, last, address).as_deref(),
                prefix,
                "{first}-{last} {address}"
            );
        }
        let all = Range::<Ipv6Addr>::ALL.largest_prefix_around(Ipv6Addr::LOCALHOST);
        assert_eq!(all.unwrap().to_string(), "::/0");
    }

    #[test]
    fn prefixes_are_the_fewest() {
        let prefixes = |first, last| -> Vec<_> {
            let range = range::<Ipv6Addr>(first, last);
            range.prefixes().map(|prefix| prefix.to_string()).collect()
        };
        assert_eq!(
            prefixes("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ["::/0"]
        );
        assert_eq!(
            prefixes("2001:db8::1", "2001:db8::6"),
            [
                "2001:db8::1/128",
                "2001:db8::2/127",
                "2001:db8::4/127",
                "2001:db8::6/128"
            ]
        );
    }

    proptest! {
        #[test]
        fn the_largest_prefix_is_the_shortest_that_is_covered(a: u32, b: u32, c: u32, shift in 0_u32..32) {
            let mut ends = [a, b, c].map(|end| Ipv4Addr::from_bits(end >> shift));
            ends.sort();
            let [first, address, last] = ends;
            let range = Range::new(first, last).unwrap();
            let truth = (0..=32)
                .filter_map(|length| Prefix::around(address, length))
                .find(|prefix| range.covers(prefix.range()));
            prop_assert_eq!(range.largest_prefix_around(address), truth);
        }

        #[test]
        fn prefixes_hold_their_range_and_nothing_else(a: u128, b: u128, shift in 0_u32..128) {
            let [a, b] = [a, b].map(|end| Ipv6Addr::from_bits(end >> shift));
            let range = Range::new(a.min(b), a.max(b)).unwrap();
            let prefixes: Vec<_> = range.prefixes().map(Prefix::range).collect();
            prop_assert_eq!(prefixes[0].first(), range.first());
            prop_assert_eq!(prefixes[prefixes.len() - 1].last(), range.last());
            for pair in prefixes.windows(2) {
                prop_assert_eq!(pair[0].last().successor(), Some(pair[1].first()));
            }
        }
    }
}
