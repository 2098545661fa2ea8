//! IPv4 and IPv6: what differs between them.

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::Pod;
use geodrop::{
    Class,
    geoip::{Located, Regions},
    policy::{Classified, Ruleset},
    range::{Address, Prefix, Range},
    table::multibit::{self, Image, TooLarge},
};

/// An address family that is measured.
pub trait Family: Address<Octets: Pod> {
    /// Its name, as it stands in the names of benches, kernel programs and, in capitals, maps.
    const NAME: &str;

    /// The addresses that traffic comes from when it comes from everywhere.
    fn space() -> Range<Self>;

    /// The family's ranges of a rule set.
    fn ranges(ruleset: &Ruleset) -> &[Classified<Self>];

    /// The family's ranges of GeoIP data.
    fn located(regions: &Regions) -> &[Located<Self>];

    /// The image of a multibit trie.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] when there are too many ranges for one.
    fn image(ranges: &[Classified<Self>]) -> Result<Image<Self>, TooLarge>;

    /// The class of an address, looked up in an image as the kernel does.
    fn class(image: &Image<Self>, address: Self) -> Class;
}

impl Family for Ipv4Addr {
    const NAME: &str = "ipv4";

    fn space() -> Range<Self> {
        Range::ALL
    }

    fn ranges(ruleset: &Ruleset) -> &[Classified<Self>] {
        ruleset.ipv4()
    }

    fn located(regions: &Regions) -> &[Located<Self>] {
        regions.ipv4()
    }

    fn image(ranges: &[Classified<Self>]) -> Result<Image<Self>, TooLarge> {
        multibit::ipv4(ranges)
    }

    #[inline]
    fn class(image: &Image<Self>, address: Self) -> Class {
        image.class(address)
    }
}

impl Family for Ipv6Addr {
    const NAME: &str = "ipv6";

    /// `2000::/3`, which holds all global unicast addresses: elsewhere there is nothing to find, and not finding
    /// it costs nothing.
    fn space() -> Range<Self> {
        let first = Self::new(0x2000, 0, 0, 0, 0, 0, 0, 0);
        Prefix::around(first, 3).map_or(Range::ALL, Prefix::range)
    }

    fn ranges(ruleset: &Ruleset) -> &[Classified<Self>] {
        ruleset.ipv6()
    }

    fn located(regions: &Regions) -> &[Located<Self>] {
        regions.ipv6()
    }

    fn image(ranges: &[Classified<Self>]) -> Result<Image<Self>, TooLarge> {
        multibit::ipv6(ranges)
    }

    #[inline]
    fn class(image: &Image<Self>, address: Self) -> Class {
        image.class(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_traffic_comes_from_global_unicast_addresses() {
        assert_eq!(
            Ipv6Addr::space().to_string(),
            "2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }
}
