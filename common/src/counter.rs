//! What is counted, and where.
//!
//! Counters stand in one per-CPU array. A country's slot follows from its code alone, so the array outlives
//! every reload: a new rule set, other data, a newer geodrop all find a country's count where it was.

/// How many bits a slot's number has.
pub const BITS: u32 = 11;

/// How many slots the counter array has. A power of two, so that a mask bounds an index.
pub const CAPACITY: u32 = 1 << BITS;

const MASK: u16 = 2047;
const _: () = assert!(MASK as u32 + 1 == CAPACITY);

/// The first country's slot; below it stand the slots that belong to no country.
const COUNTRIES: u16 = 16;

/// How far behind a country's slot stands the one of its packets that pass.
const ADMITTED: u16 = 1024;

/// Below it stand all slots that refused packets count in.
pub const REFUSED: u32 = ADMITTED as u32;
const _: () = assert!(COUNTRIES + 26 * 26 <= ADMITTED);

/// Packets and their bytes, as one element of the counter array on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of whole frames, from the Ethernet header on, without the frame check sequence. What pads a
    /// packet of at most 1,522 bytes is not counted where a driver keeps it in another buffer than all that it pads.
    pub bytes: u64,
}

/// A place in the counter array: one of the named ones, or a country's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Slot(u16);

impl Slot {
    /// IP packets that passed.
    pub const PASSED: Self = Self(0);
    /// Packets from a prefix of the deny list.
    pub const DENIED: Self = Self(1);
    /// Packets whose IP header is cut short or contradicts itself.
    pub const MALFORMED: Self = Self(2);
    /// Frames that carry neither IPv4 nor IPv6.
    pub const NON_IP: Self = Self(3);
    /// Packets dropped because no data knows their source.
    pub const UNKNOWN: Self = Self(4);

    /// Packets that passed because they answer what this host began.
    pub const REPLIES: Self = Self(5);

    /// The slot of a country, from its ISO 3166-1 alpha-2 code; `None` for anything but two capital letters.
    #[must_use]
    pub const fn of_country(code: [u8; 2]) -> Option<Self> {
        let [high, low] = code;
        if high.is_ascii_uppercase() && low.is_ascii_uppercase() {
            let letters = (high - b'A') as u16 * 26 + (low - b'A') as u16;
            Some(Self(COUNTRIES + letters))
        } else {
            None
        }
    }

    /// The slot of what passes from a country, where that is told apart.
    #[must_use]
    pub const fn of_admitted(code: [u8; 2]) -> Option<Self> {
        match Self::of_country(code) {
            Some(slot) => Some(Self(slot.0 + ADMITTED)),
            None => None,
        }
    }

    /// The country whose slot this is: the inverse of [`Slot::of_country`].
    #[must_use]
    pub fn country(self) -> Option<[u8; 2]> {
        Self::letters(self.0.checked_sub(COUNTRIES)?)
    }

    /// The country of whose passing packets this is the slot: the inverse of [`Slot::of_admitted`].
    #[must_use]
    pub fn admitted(self) -> Option<[u8; 2]> {
        Self::letters(self.0.checked_sub(COUNTRIES + ADMITTED)?)
    }

    fn letters(letters: u16) -> Option<[u8; 2]> {
        let high = u8::try_from(letters / 26).ok().filter(|high| *high < 26)?;
        let low = u8::try_from(letters % 26).ok()?;
        Some([b'A' + high, b'A' + low])
    }

    /// The slot whose number is the low bits of `number`, below [`CAPACITY`].
    #[must_use]
    pub const fn masked(number: u16) -> Self {
        Self(number & MASK)
    }

    /// Every slot of the counter array, named or a country's or free.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=MASK).map(Self)
    }

    /// The slot's index in the counter array, below [`CAPACITY`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_slot_of_its_own() {
        let mut last = COUNTRIES - 1;
        for high in b'A'..=b'Z' {
            for low in b'A'..=b'Z' {
                let slot = Slot::of_country([high, low]).unwrap();
                assert_eq!(slot.number(), last + 1);
                assert_eq!(slot.country(), Some([high, low]));
                assert_eq!(slot.admitted(), None);
                let admitted = Slot::of_admitted([high, low]).unwrap();
                assert_eq!(admitted.admitted(), Some([high, low]));
                assert_eq!(admitted.country(), None);
                last = slot.number();
            }
        }
        assert!(u32::from(last) < CAPACITY);
    }

    #[test]
    fn what_is_no_code_has_no_slot() {
        for code in [*b"cn", *b"C1", *b"  ", [0, 0], [0xff, 0xff]] {
            assert_eq!(Slot::of_country(code), None);
        }
        for slot in [Slot::PASSED, Slot::UNKNOWN, Slot::masked(u16::MAX)] {
            assert_eq!(slot.country(), None);
        }
    }
}
