//! The Internet checksum (RFC 1071), over 32-bit words as they stand in memory.
//!
//! A sum in one's complement comes out in the order of bytes that it was made in, so nothing is swapped; and a carry
//! out of 16 bits is added to the other 16, so words of 32 bits can be summed up and folded at the end.

/// Four bytes as the word that they are in memory.
#[inline(always)]
pub(crate) const fn word(bytes: [u8; 4]) -> u32 {
    u32::from_ne_bytes(bytes)
}

/// The same of 8 bytes.
#[inline(always)]
pub(crate) const fn two_words(bytes: [u8; 8]) -> [u32; 2] {
    let [first @ .., _, _, _, _] = bytes;
    let [_, _, _, _, second @ ..] = bytes;
    [word(first), word(second)]
}

/// The same of 16 bytes.
#[inline(always)]
pub(crate) const fn four_words(bytes: [u8; 16]) -> [u32; 4] {
    let [head @ .., _, _, _, _, _, _, _, _] = bytes;
    let [_, _, _, _, _, _, _, _, tail @ ..] = bytes;
    let (head, tail) = (two_words(head), two_words(tail));
    [head[0], head[1], tail[0], tail[1]]
}

/// The checksum of what has this sum, as it stands in memory.
#[inline(always)]
pub(crate) const fn fold(sum: u64) -> [u8; 2] {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let [first, second, ..] = (!sum).to_le_bytes();
    u16::from_le_bytes([first, second]).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 section 3: 0001, f203, f4f5, f6f7 sum up to ddf2.
    #[test]
    fn the_example_of_the_rfc() {
        let words = two_words([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(fold(words.map(u64::from).iter().sum()), [!0xdd, !0xf2]);
    }

    #[test]
    fn carries_are_carried_as_long_as_there_are_any() {
        assert_eq!(fold(0), [0xff; 2]);
        for sum in [
            0xffff,
            0xffff_ffff,
            u64::MAX,
            0xffff_ffff_0000_0000,
            0xffff << 16,
        ] {
            assert_eq!(fold(sum), [0; 2], "{sum:#x}");
        }
        // By definition: the sum is a number modulo 2¹⁶ - 1.
        for sum in (1..u64::MAX - 0x1_2345_6789_abcd).step_by(0x1_2345_6789_abcd) {
            let [checksum, sum] = [u64::from(u16::from_ne_bytes(fold(sum))), sum % 0xffff];
            assert_eq!((checksum + sum) % 0xffff, 0);
        }
    }

    #[test]
    fn words_are_bytes() {
        let bytes: [u8; 16] = core::array::from_fn(|place| u8::try_from(place).unwrap());
        let words = four_words(bytes).map(u32::to_ne_bytes);
        assert_eq!(words.as_flattened(), bytes);
    }
}
