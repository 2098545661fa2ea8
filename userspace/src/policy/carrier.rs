//! IPv6 addresses that carry an IPv4 address, by which they are judged.
//!
//! Who sends from `2002:100:101::1` has the IPv4 address 1.0.1.1; data knows where that is, and of the whole of
//! `2002::/16` nothing. Such an address is judged as if the IPv4 address had sent: by its country, by
//! the prefixes that allow or deny it, as special if it is. Only a prefix of `allow` or `deny` that holds the IPv6 address itself
//! comes before.
//!
//! Teredo (RFC 4380) is none of them: its addresses carry that of a client behind a NAT, but turned over bit by bit, and hosts
//! have long stopped to use it; it is judged by what the data says of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use geodrop_common::{class::Carried, judgement};
use ipnet::{IpNet, Ipv6Net};

use crate::range::Range;

/// A prefix whose addresses carry an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Where in its addresses the other one stands.
    pub carried: Carried,
}

/// All of them.
pub const CARRIERS: [Carrier; 3] = [
    // IPv4-mapped (RFC 4291 section 2.5.5.2): no such packet should be on a wire, but who sends one is known.
    Carrier::new([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Carried::AtEnd),
    // NAT64's well-known prefix (RFC 6052 section 2.1).
    Carrier::new([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Carried::AtEnd),
    // 6to4 (RFC 3056).
    Carrier::new([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Carried::AfterPrefix),
];

impl Carrier {
    const fn new(segments: [u16; 8], length: u8, carried: Carried) -> Self {
        Self {
            prefix: Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), length),
            carried,
        }
    }

    /// The prefix of all addresses that carry one of `net`.
    #[must_use]
    pub fn around(self, net: ipnet::Ipv4Net) -> Option<Ipv6Net> {
        let address = self.first_carrying(net.network(), self.shift()?);
        Ipv6Net::new(address, self.prefix.prefix_len() + net.prefix_len()).ok()
    }

    /// All addresses that carry one of `range`.
    #[must_use]
    pub fn carrying(self, range: Range<Ipv4Addr>) -> Option<Range<Ipv6Addr>> {
        let shift = self.shift()?;
        let below = (1 << shift) - 1;
        let last = self.first_carrying(range.last(), shift).to_bits() | below;
        Range::new(self.first_carrying(range.first(), shift), last.into()).ok()
    }

    /// How many bits stand below the address that is carried.
    const fn shift(self) -> Option<u32> {
        match self.carried {
            Carried::Nothing => None,
            Carried::AfterPrefix => Some(80),
            Carried::AtEnd => Some(0),
        }
    }

    /// The first of the addresses that carry `address`.
    fn first_carrying(self, address: Ipv4Addr, shift: u32) -> Ipv6Addr {
        let prefix = self.prefix.addr().to_bits();
        (prefix | u128::from(address.to_bits()) << shift).into()
    }
}

/// The IPv4 address that an address carries, if it does, and what carries it.
#[must_use]
pub fn carried(address: IpAddr) -> Option<(Ipv4Addr, Carrier)> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let carrier = CARRIERS
        .into_iter()
        .find(|carrier| carrier.prefix.contains(&address))?;
    Some((judgement::carried(address, carrier.carried), carrier))
}

/// A prefix that holds carried addresses, as the prefix of those that carry them.
pub(super) fn around(prefix: IpNet, carrier: Carrier) -> Option<IpNet> {
    match prefix {
        IpNet::V4(net) => carrier.around(net).map(Into::into),
        IpNet::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_carry_another() {
        for (address, expected) in [
            ("2002:100:101::1", Some(("1.0.1.1", "2002:100:100::/40"))),
            (
                "64:ff9b::8.8.8.8",
                Some(("8.8.8.8", "64:ff9b::808:800/120")),
            ),
            ("::ffff:9.9.9.9", Some(("9.9.9.9", "::ffff:9.9.9.0/120"))),
            ("64:ff9b:1::8.8.8.8", None),
            ("::8.8.8.8", None),
            ("2001::1", None),
            ("1.0.1.1", None),
        ] {
            let found = carried(address.parse().unwrap());
            let found = found.map(|(ipv4, carrier)| {
                let net = ipnet::Ipv4Net::new_assert(ipv4, 24).trunc();
                (ipv4.to_string(), carrier.around(net).unwrap())
            });
            let expected = expected.map(|(ipv4, net)| (ipv4.to_owned(), net.parse().unwrap()));
            assert_eq!(found, expected, "{address}");
        }
    }

    #[test]
    fn a_range_is_carried_by_a_range() {
        let range = Range::new(Ipv4Addr::new(1, 0, 1, 0), Ipv4Addr::new(1, 0, 3, 7)).unwrap();
        let carrying = CARRIERS.map(|carrier| carrier.carrying(range).unwrap().to_string());
        assert_eq!(
            carrying,
            [
                "::ffff:1.0.1.0-::ffff:1.0.3.7",
                "64:ff9b::100:100-64:ff9b::100:307",
                "2002:100:100::-2002:100:307:ffff:ffff:ffff:ffff:ffff"
            ]
        );
    }
}
