//! What is told of packets that the rules are against, while somebody watches.
//!
//! A watcher writes into a [`Watch`] how many packets a second it wants to see, and until when; it renews that for as long as
//! it lives. The kernel hands it an [`Event`] of as many, and counts the others as [`Missed`].
//!
//! An event says little of the packet itself, for it holds the first bytes of it: whoever reads it takes addresses, protocol
//! and ports from these, by the code that the kernel judges by.

use crate::{
    class::Rule,
    counter::{self, Slot},
    rate_limit::Rate,
};

/// The one element of the map by which a watcher says what it wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Watch {
    /// Nobody watches from this instant on, in nanoseconds of the boot-time clock. Zero: nobody does.
    pub until: u64,
    /// How many packets, on all CPUs together.
    pub rate: Rate,
}

/// How many packets were not told of, on one CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Missed {
    /// Because there were more than the watcher wanted to see.
    pub left_out: u64,
    /// Because the watcher did not read events as fast as they came.
    pub lost: u64,
}

/// How many of a packet's first bytes an event has room for: Ethernet, two VLAN tags, IPv6 with an extension header or two,
/// TCP, and some of what is in it.
pub const SNAPSHOT: usize = 128;

/// How many bytes of events wait for a watcher: eight hundred of them. A multiple of every machine's pages.
pub const EVENTS: u32 = 1 << 17;

/// A packet that the rules are against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// What is told of it.
    pub head: Head,
    /// Its first bytes.
    pub snapshot: [u8; SNAPSHOT],
}

/// What is told of a packet besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// When it came, in nanoseconds of the boot-time clock.
    pub time: u64,
    /// The word of its [`Ruling`].
    pub ruling: u32,
    /// How many bytes it has, from the Ethernet header on.
    pub length: u32,
    /// Its outermost VLAN tag, where that is kept apart from its bytes: what it is a tag of (TPID), then what the tag says
    /// (TCI). Zero where it is not.
    pub tag: u32,
    /// How many bytes of the snapshot are the packet's.
    pub captured: u32,
}

/// What became of a packet that the rules are against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Where it is counted, which says why.
    pub slot: Slot,
    /// The rule that it came under.
    pub rule: Rule,
    /// Whether the filter tells the senders of such packets.
    pub rejects: bool,
    /// Whether it passed all the same, because the filter only counts.
    pub passes: bool,
}

impl Ruling {
    const RULE_SHIFT: u32 = counter::BITS;
    const REJECTS: u32 = 1 << 16;
    const PASSES: u32 = 1 << 17;

    /// It as one number.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        let rejects = if self.rejects { Self::REJECTS } else { 0 };
        let passes = if self.passes { Self::PASSES } else { 0 };
        self.slot.number() as u32 | self.rule.number() << Self::RULE_SHIFT | rejects | passes
    }

    /// The inverse of [`Ruling::word`]; of any other number some ruling.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a slot and a rule take the low bits only"
    )]
    pub const fn from_word(word: u32) -> Self {
        Self {
            slot: Slot::masked(word as u16),
            rule: Rule::masked((word >> Self::RULE_SHIFT) as u8),
            rejects: word & Self::REJECTS != 0,
            passes: word & Self::PASSES != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruling_is_its_word() {
        let slots = [Slot::MALFORMED, Slot::UNKNOWN, Slot::masked(u16::MAX)];
        for slot in slots.into_iter().chain(Slot::of_country(*b"ZZ")) {
            for rule in [Rule::GENERAL, Rule::NO_PORTS, Rule::LATER_FRAGMENT] {
                for (rejects, passes) in [(false, false), (false, true), (true, false)] {
                    let ruling = Ruling {
                        slot,
                        rule,
                        rejects,
                        passes,
                    };
                    assert_eq!(Ruling::from_word(ruling.word()), ruling);
                }
            }
        }
    }
}
