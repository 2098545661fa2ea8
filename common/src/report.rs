//! What is collected of packets that pass only because the policy does not drop yet: whom a block would affect.
//!
//! Three maps, all by the [`Slot`] that a refused packet counts in: packets and bytes as an array of
//! [`Counter`](crate::Counter)s, sources as an array of [`Sketch`](crate::sketch::Sketch)es, and where packets go to as a
//! hash map of [`Counter`](crate::Counter)s that forgets what it has not seen for the longest time.

use crate::{
    counter::{self, Slot},
    reach::Reach,
};

/// How many sketches there are: one for each slot that refused packets count in.
pub const SKETCHES: u32 = counter::REFUSED;

/// How many destinations are remembered.
pub const MOST_DESTINATIONS: u32 = 1 << 14;

/// Packets of one slot that go to the same port, or to none: the key of the hash map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Where the packets count.
    pub slot: Slot,
    /// Where they go to.
    pub reach: Reach,
}

impl Destination {
    /// How many bits the words of a [`Reach`] have.
    const REACH_BITS: u32 = 19;

    /// It as one number.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        (self.slot.number() as u32) << Self::REACH_BITS | self.reach.word()
    }

    /// The inverse of [`Destination::word`]; of any other number some destination.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a slot takes the low bits only"
    )]
    pub const fn from_word(word: u32) -> Self {
        Self {
            slot: Slot::masked((word >> Self::REACH_BITS) as u16),
            reach: Reach::from_word(word & ((1 << Self::REACH_BITS) - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Protocol;

    #[test]
    fn a_destination_is_its_word() {
        let slots = [Slot::DENIED, Slot::UNKNOWN, Slot::masked(u16::MAX)];
        let slots = slots.into_iter().chain(Slot::of_country(*b"ZZ"));
        for slot in slots {
            for reach in [
                Reach::NoPorts,
                Reach::LaterFragment,
                Reach::Hidden,
                Reach::Port(Protocol::Tcp, 0),
                Reach::Port(Protocol::Udp, u16::MAX),
            ] {
                let destination = Destination { slot, reach };
                assert_eq!(Destination::from_word(destination.word()), destination);
            }
        }
    }
}
