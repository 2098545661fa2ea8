//! A hash of addresses, for tables and sketches that only want chance.
//!
//! Not keyed: who chooses addresses can make them meet, and gains nothing by it but a look into a map, or a count that
//! is off (which whoever chooses source addresses has anyhow).

/// An IPv4 address as the IPv6 address that carries it: `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
#[inline(always)]
#[must_use]
pub const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// 64 bits, each as good as the others.
#[inline(always)]
#[must_use]
pub const fn address(bytes: [u8; 16]) -> u64 {
    let [prefix @ .., _, _, _, _, _, _, _, _] = bytes;
    let [_, _, _, _, _, _, _, _, interface @ ..] = bytes;
    let (prefix, interface) = (u64::from_be_bytes(prefix), u64::from_be_bytes(interface));
    // Odd, so that a prefix and an interface that are alike do not cancel each other.
    finalise(prefix.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ finalise(interface))
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
    use super::*;

    /// Of either family, one bit of the address more or less moves about half of the hash's.
    #[test]
    fn every_bit_counts() {
        let addresses = [
            mapped([192, 0, 2, 1]),
            [0; 16],
            [0xff; 16],
            *b"\x20\x01\x0d\xb8 geodroptest",
        ];
        for bytes in addresses {
            for bit in 0..128 {
                let flipped = (u128::from_be_bytes(bytes) ^ 1 << bit).to_be_bytes();
                let moved = (address(bytes) ^ address(flipped)).count_ones();
                assert!((12..=52).contains(&moved), "{bytes:?}, bit {bit}: {moved}");
            }
        }
    }
}
