//! An address of either family in one form, for keys and hashes.

/// An IPv6 address, or an IPv4 address as the IPv6 address that carries it, `::ffff:a.b.c.d` (RFC 4291 section
/// 2.5.5.2): 16 bytes in network byte order, as the two words that they are in memory.
///
/// Words, for of bytes the compiler clears many by a call and compares many by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Address([u64; 2]);

impl Address {
    /// The address of these 4 bytes.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])])
    }

    /// The address of these 16 bytes.
    #[inline(always)]
    #[must_use]
    pub const fn ipv6(bytes: [u8; 16]) -> Self {
        let [prefix @ .., _, _, _, _, _, _, _, _] = bytes;
        let [_, _, _, _, _, _, _, _, interface @ ..] = bytes;
        Self([u64::from_ne_bytes(prefix), u64::from_ne_bytes(interface)])
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn octets(self) -> [u8; 16] {
        let [prefix, interface] = self.0;
        // Of a number whose bytes in memory are first those of the one word, then those of the other.
        let (prefix, interface) = (u64::from_be(prefix), u64::from_be(interface));
        ((prefix as u128) << 64 | interface as u128).to_be_bytes()
    }

    /// 64 bits that only want chance, each as good as the others.
    ///
    /// Not keyed: who chooses addresses can make them meet, and gains nothing by it but a look into a map, or a count
    /// that is off (which whoever chooses source addresses has anyhow).
    #[inline(always)]
    #[must_use]
    pub const fn hash(self) -> u64 {
        let [prefix, interface] = self.0;
        // The same on every machine.
        let (prefix, interface) = (u64::from_be(prefix), u64::from_be(interface));
        // Odd, so that a prefix and an interface that are alike do not cancel each other.
        finalise(prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ finalise(interface))
    }
}

/// The finaliser of `MurmurHash3` (Appleby): a bijection in which every bit of the input moves half of the output's.
#[inline(always)]
const fn finalise(word: u64) -> u64 {
    let word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_is_its_bytes() {
        let bytes = *b"0123456789abcdef";
        assert_eq!(Address::ipv6(bytes).octets(), bytes);
        let address = Ipv4Addr::new(192, 0, 2, 1);
        let mapped = address.to_ipv6_mapped().octets();
        assert_eq!(Address::ipv4(address.octets()).octets(), mapped);
        assert_eq!(Address::ipv4(address.octets()), Address::ipv6(mapped));
    }

    /// Of either family, one bit of the address more or less moves about half of the hash's.
    #[test]
    fn every_bit_counts() {
        let addresses = [
            Address::ipv4([192, 0, 2, 1]).octets(),
            [0; 16],
            [0xff; 16],
            *b"\x20\x01\x0d\xb8 geodroptest",
        ];
        for bytes in addresses {
            for bit in 0..128 {
                let flipped = (u128::from_be_bytes(bytes) ^ 1 << bit).to_be_bytes();
                let difference = Address::ipv6(bytes).hash() ^ Address::ipv6(flipped).hash();
                let moved = difference.count_ones();
                assert!((12..=52).contains(&moved), "{bytes:?}, bit {bit}: {moved}");
            }
        }
    }
}
