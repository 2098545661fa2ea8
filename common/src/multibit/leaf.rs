//! A leaf: where the class changes among up to 2^15 addresses, in one cache line.
//!
//! 16 *places* of 16 bits, ascending, then 16 *values* of 16 bits. The value of an address is the one at the number
//! of places that are not beyond the address. All places are compared at once, as lanes of 64-bit numbers: an
//! address has 15 bits at most, and a place stands as what is missing from it to 2^15, so that the sum of the two has its
//! highest bit set when the address has reached the place, and no lane ever overflows into the next.
//! (SIMD within a register; Lamport, "Multiple byte processing with full-word instructions", CACM 1975.)

/// How many 32-bit words a leaf has.
pub const WORDS: u32 = 16;

/// How many 64-bit numbers a leaf has.
pub const PAIRS: u32 = WORDS / 2;

/// How many places a leaf has at most at which the value changes.
pub const PLACES: usize = 15;

/// What stands for a place, which is an address of 15 bits.
#[must_use]
pub const fn place(address: u16) -> u16 {
    (1 << 15) - (address & 0x7fff)
}

/// What stands where a leaf has no more places: no address reaches it. The last of the 16 is always that.
pub const NEVER: u16 = 0;

/// The value that is no class but says that there is a link.
pub const LINK: u16 = u16::MAX;

/// A one in each lane.
const ONES: u64 = 0x0001_0001_0001_0001;

/// How many of 16 places are not beyond `address`, which has 15 bits.
#[inline(always)]
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "at most 16")]
pub const fn rank(places: [u64; 4], address: u32) -> u32 {
    let addresses = (address as u64).wrapping_mul(ONES);
    let [a, b, c, d] = places;
    // One in each lane whose place is reached.
    let lanes = ((addresses.wrapping_add(a) >> 15) & ONES)
        + ((addresses.wrapping_add(b) >> 15) & ONES)
        + ((addresses.wrapping_add(c) >> 15) & ONES)
        + ((addresses.wrapping_add(d) >> 15) & ONES);
    // The sum of the lanes, in the highest one.
    (lanes.wrapping_mul(ONES) >> 48) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 places as they lie in memory.
    fn pairs(places: [u16; 16]) -> [u64; 4] {
        core::array::from_fn(|pair| {
            (0..4).fold(0, |number, lane| {
                number | u64::from(places[4 * pair + lane]) << (16 * lane)
            })
        })
    }

    #[test]
    fn a_rank_is_the_number_of_places_not_beyond() {
        let addresses = [
            1, 2, 3, 100, 101, 4096, 4097, 5000, 6000, 16384, 32766, 32767,
        ];
        let mut places = [NEVER; 16];
        for (stands, address) in places.iter_mut().zip(addresses) {
            *stands = place(address);
        }
        for address in 0..1 << 15 {
            let reached = addresses.iter().filter(|&&place| place <= address);
            assert_eq!(
                rank(pairs(places), address.into()) as usize,
                reached.count()
            );
        }
    }

    #[test]
    fn a_rank_is_never_beyond_the_values_whatever_is_compared() {
        for places in [[0; 4], [u64::MAX; 4], [0x8000_7fff_ffff_0001; 4]] {
            for address in [0, 1, 0x7fff, 0x8000, 0xffff, u32::MAX] {
                assert!(rank(places, address) <= 16);
            }
        }
    }
}
