//! Prefixes of one family.

use std::fmt;

use ipnet::IpNet;

use super::{Address, Range};

/// A prefix (a CIDR block): the addresses that share their first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix<A> {
    pub(super) network: A,
    pub(super) length: u8,
}

impl<A: Address> Prefix<A> {
    /// All addresses of the family: the prefix of no bits.
    pub const ALL: Self = Self {
        network: A::MIN,
        length: 0,
    };

    /// The prefix of `length` bits around an address; `None` when `length` is more than [`Address::WIDTH`].
    #[must_use]
    pub fn around(address: A, length: u8) -> Option<Self> {
        let network = A::from_number(address.number() & !host_bits::<A>(length)?)?;
        Some(Self { network, length })
    }

    /// The first address: all host bits zero.
    #[must_use]
    pub const fn network(self) -> A {
        self.network
    }

    /// How many leading bits all addresses of the prefix share: 0 to [`Address::WIDTH`].
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// The two prefixes that are one bit longer, in order; `None` when there is but one address.
    #[must_use]
    pub fn halves(self) -> Option<[Self; 2]> {
        let length = self.length + 1;
        let last = self.range().last;
        Some([
            Self::around(self.network, length)?,
            Self::around(last, length)?,
        ])
    }

    /// The addresses of the prefix.
    #[must_use]
    pub fn range(self) -> Range<A> {
        let last = host_bits::<A>(self.length)
            .and_then(|host| A::from_number(self.network.number() | host))
            .unwrap_or(self.network);
        Range {
            first: self.network,
            last,
        }
    }
}

impl<A: Address> fmt::Display for Prefix<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl<A: Address> From<Prefix<A>> for IpNet {
    fn from(prefix: Prefix<A>) -> Self {
        // Asserts that a prefix is no longer than an address, and none is.
        Self::new_assert(prefix.network.into(), prefix.length)
    }
}

/// The bits that a prefix of this length leaves to its hosts; `None` when it is longer than an address.
fn host_bits<A: Address>(length: u8) -> Option<u128> {
    let hosts = A::WIDTH.checked_sub(length)?;
    Some(u128::MAX.checked_shr(128 - u32::from(hosts)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_prefix_is_a_range_and_a_network() {
        let net: IpNet = "192.0.2.77/24".parse().unwrap();
        let range = Range::<Ipv4Addr>::of_prefix(net).unwrap();
        assert_eq!(range.to_string(), "192.0.2.0-192.0.2.255");
        assert_eq!(Range::<Ipv6Addr>::of_prefix(net), None);
        let prefix = Prefix::around(Ipv4Addr::new(192, 0, 2, 77), 24).unwrap();
        assert_eq!(prefix.range(), range);
        assert_eq!(IpNet::from(prefix), net.trunc());
        assert_eq!(Prefix::around(Ipv4Addr::LOCALHOST, 33), None);
        let halves = prefix.halves().unwrap().map(|half| half.to_string());
        assert_eq!(halves, ["192.0.2.0/25", "192.0.2.128/25"]);
        assert_eq!(
            Prefix::around(Ipv4Addr::LOCALHOST, 32).unwrap().halves(),
            None
        );
        assert_eq!(Prefix::<Ipv6Addr>::ALL.to_string(), "::/0");
    }
}
