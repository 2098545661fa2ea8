//! Ranges of either family, as files mix them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::range::{Address, Range};

/// A range of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyRange {
    /// Of IPv4 addresses.
    Ipv4(Range<Ipv4Addr>),
    /// Of IPv6 addresses.
    Ipv6(Range<Ipv6Addr>),
}

impl AnyRange {
    /// The range between two addresses; `None` when they are of two families, or the last comes before the first.
    pub(super) fn between(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Range::new(first, last).map(Self::Ipv4).ok(),
            (IpAddr::V6(first), IpAddr::V6(last)) => Range::new(first, last).map(Self::Ipv6).ok(),
            _ => None,
        }
    }

    /// The addresses of a prefix. Host bits that are set in it count for nothing.
    pub(super) fn of_prefix(prefix: IpNet) -> Self {
        let ipv4 = Range::of_prefix(prefix).map(Self::Ipv4);
        let ipv6 = || Range::of_prefix(prefix).map(Self::Ipv6);
        // It is of one family or the other.
        ipv4.or_else(ipv6).unwrap_or(Self::Ipv6(Range::ALL))
    }

    /// This range and the one behind it, if they are of one family and nothing is between them.
    pub(super) fn joined(self, next: Self) -> Option<Self> {
        fn joined<A: Address>(one: Range<A>, next: Range<A>) -> Option<Range<A>> {
            let touch = one.last().successor() == Some(next.first());
            Range::new(one.first(), next.last()).ok().filter(|_| touch)
        }
        match (self, next) {
            (Self::Ipv4(one), Self::Ipv4(next)) => joined(one, next).map(Self::Ipv4),
            (Self::Ipv6(one), Self::Ipv6(next)) => joined(one, next).map(Self::Ipv6),
            _ => None,
        }
    }

    /// The IPv4 range, where IPv4 addresses are written as IPv4-mapped IPv6.
    pub(super) fn unmapped(self) -> Self {
        let Self::Ipv6(range) = self else { return self };
        let ends = (
            range.first().to_ipv4_mapped(),
            range.last().to_ipv4_mapped(),
        );
        match ends {
            (Some(first), Some(last)) => Range::new(first, last).map_or(self, Self::Ipv4),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let between = |first: &str, last: &str| {
            AnyRange::between(first.parse().unwrap(), last.parse().unwrap()).unwrap()
        };
        assert_eq!(
            between("::ffff:1.0.0.0", "::ffff:1.0.0.255").unmapped(),
            between("1.0.0.0", "1.0.0.255")
        );
        for (first, last) in [
            ("::ffff:ffff:ffff", "::1:0:0:0"),
            ("2001:db8::", "2001:db8::1"),
        ] {
            let range = between(first, last);
            assert_eq!(range.unmapped(), range);
        }
    }
}
