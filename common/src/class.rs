//! What a table says of an address: a class, and what a class means.
//!
//! A table maps addresses to small integers. What an integer stands for is the rule set's business: a side
//! table of [`Entry`]s, one a class, gives the action and the counter. So the table stays small however much
//! a policy tells apart, and the kernel needs one lookup however long the policy is.

use crate::counter::Slot;

/// How many classes one rule set can have: one for every country (ISO 3166-1 has 249 of them) and the
/// few that are none, with room to spare. A power of two, so that a mask bounds an index.
pub const CAPACITY: usize = 512;

const MASK: u16 = 511;
const _: () = assert!(MASK as usize + 1 == CAPACITY);

/// A small integer that a table gives an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Class(u16);

impl Class {
    /// The class of every address that a table says nothing of.
    pub const DEFAULT: Self = Self(0);

    /// The class with this number, which is below [`CAPACITY`]; `None` for any other.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if (number as usize) < CAPACITY {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The class in whose number all bits above [`CAPACITY`] are cut off: for numbers that come out of a
    /// map, where a wrong class is the worst that may happen.
    #[must_use]
    pub const fn masked(number: u16) -> Self {
        Self(number & MASK)
    }

    /// The class's number: what tables hold.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The class's place in the side table, always below [`CAPACITY`].
    #[must_use]
    pub const fn index(self) -> usize {
        (self.0 & MASK) as usize
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It goes on to the network stack.
    Pass,
    /// It is dropped.
    Drop,
}

/// What a class means: an action and a counter, in the word that the kernel's side table holds.
///
/// Bits 0-15 are the number of the counter's [`Slot`], bit 16 is set when packets drop; the rest is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Entry(u32);

impl Entry {
    const DROP: u32 = 1 << 16;

    /// Packets pass and count as passed: what an unused class means.
    pub const PASS: Self = Self::new(Action::Pass, Slot::PASSED);

    /// The entry for an action and the counter it is counted under.
    #[must_use]
    pub const fn new(action: Action, slot: Slot) -> Self {
        let drop = match action {
            Action::Pass => 0,
            Action::Drop => Self::DROP,
        };
        Self(drop | slot.number() as u32)
    }

    /// The entry that a word of the side table stands for.
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The word that stands for this entry in the side table.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// What becomes of the class's packets.
    #[must_use]
    pub const fn action(self) -> Action {
        if self.0 & Self::DROP == 0 {
            Action::Pass
        } else {
            Action::Drop
        }
    }

    /// Where the class's packets are counted.
    #[must_use]
    pub const fn slot(self) -> Slot {
        let [low, high, _, _] = self.0.to_le_bytes();
        Slot::masked(u16::from_le_bytes([low, high]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_what_it_was_made_of() {
        for action in [Action::Pass, Action::Drop] {
            for slot in [
                Slot::PASSED,
                Slot::DENIED,
                Slot::of_country(*b"ZZ").unwrap(),
            ] {
                let entry = Entry::from_word(Entry::new(action, slot).word());
                assert_eq!((entry.action(), entry.slot()), (action, slot));
            }
        }
    }

    #[test]
    fn any_word_is_an_entry_within_bounds() {
        for word in [0, u32::MAX, 0xffff, 0x1_0000, 0xdead_beef] {
            assert!(u32::from(Entry::from_word(word).slot().number()) < crate::counter::CAPACITY);
        }
    }

    #[test]
    fn a_class_is_below_the_capacity() {
        assert_eq!(Class::new(0), Some(Class::DEFAULT));
        assert_eq!(Class::new(511).map(Class::number), Some(511));
        assert_eq!(Class::new(512), None);
        assert_eq!(Class::masked(513).number(), 1);
    }
}
