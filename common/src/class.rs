//! What a table says of an address: a class, and what a class means.
//!
//! A table maps addresses to small integers. What an integer stands for is the rule set's business: a side
//! table of [`Entry`]s, one a class, gives the action and the counter. So the table stays small however much
//! a policy tells apart, and the kernel needs one lookup however long the policy is.

use crate::counter::{self, Slot};

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

/// Where an address carries an IPv4 address inside of it, by which it is to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carried {
    /// Nowhere.
    Nothing,
    /// In octets 2 to 5: 6to4 (RFC 3056), `2002::/16`.
    AfterPrefix,
    /// In octets 12 to 15: what NAT64 translates (RFC 6052, `64:ff9b::/96`), and IPv4-mapped (RFC 4291,
    /// `::ffff:0:0/96`).
    AtEnd,
}

/// What a class means, in the word that the kernel's side table holds.
///
/// | bits | are |
/// |---|---|
/// | 0-10 | the [`Slot`] that packets count in which the rules are against |
/// | 11-21 | the [`Slot`] that packets count in which pass |
/// | 22 | set when nothing stays the drop: neither a reply nor a day to come |
/// | 23, 24 | where the address carries another: not at all, after the prefix, at the end |
/// | 32-63 | one for each [`Rule`], set when that rule is against the class |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Entry(u64);

impl Entry {
    const PASSED_SHIFT: u32 = counter::BITS;
    const FIRM: u64 = 1 << 22;
    const CARRIED_SHIFT: u32 = 23;
    const RULES_SHIFT: u32 = 32;

    /// Packets pass and count as passed: what an unused class means.
    pub const PASS: Self = Self::pass(Slot::PASSED);

    /// Packets are denied, whatever else is the case.
    pub const DENY: Self =
        Self(Slot::DENIED.number() as u64 | Self::FIRM | !0 << Self::RULES_SHIFT);

    /// Packets pass and count in this slot.
    #[must_use]
    pub const fn pass(slot: Slot) -> Self {
        Self((slot.number() as u64) << Self::PASSED_SHIFT)
    }

    /// The rules of this set (bit `n` for [`Rule`] `n`) are against packets, which count in `refused` then, and in
    /// `passed` else.
    #[must_use]
    pub const fn ruled(against: u32, refused: Slot, passed: Slot) -> Self {
        Self((against as u64) << Self::RULES_SHIFT | refused.number() as u64 | Self::pass(passed).0)
    }

    /// What two entries say together that neither carries another address nor is [denied](Self::DENY): rules are against
    /// packets if they are in either. Packets count where they count in the entry that is against as much as both
    /// together, this one before the other; if none is, in this one.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        let rules = !0 << Self::RULES_SHIFT;
        let both = (self.0 | other.0) & rules;
        let counts = if other.0 & rules == both && self.0 & rules != both {
            other
        } else {
            self
        };
        Self(counts.0 & !rules | both)
    }

    /// Packets are judged by the address that theirs carries.
    #[must_use]
    pub const fn carrying(carried: Carried) -> Self {
        let number = match carried {
            Carried::Nothing => 0,
            Carried::AfterPrefix => 1,
            Carried::AtEnd => 2,
        };
        Self(Self::PASS.0 | number << Self::CARRIED_SHIFT)
    }

    /// The entry that a word of the side table stands for.
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word that stands for this entry in the side table.
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Whether a rule is against the class's packets.
    #[inline(always)]
    #[must_use]
    pub const fn is_against(self, rule: Rule) -> bool {
        self.0 >> (Self::RULES_SHIFT + rule.number()) & 1 != 0
    }

    /// Whether any rule is against the class's packets.
    #[must_use]
    pub const fn is_ever_against(self) -> bool {
        self.0 >> Self::RULES_SHIFT != 0
    }

    /// Where packets count: those that rules are against, or those that pass.
    #[inline(always)]
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a slot takes the low bits only"
    )]
    pub const fn slot(self, refused: bool) -> Slot {
        let shift = if refused { 0 } else { Self::PASSED_SHIFT };
        Slot::masked((self.0 >> shift) as u16)
    }

    /// Whether nothing stays the drop.
    #[inline(always)]
    #[must_use]
    pub const fn is_firm(self) -> bool {
        self.0 & Self::FIRM != 0
    }

    /// Where the class's addresses carry one by which they are to be judged.
    #[inline(always)]
    #[must_use]
    pub const fn carried(self) -> Carried {
        match self.0 >> Self::CARRIED_SHIFT & 3 {
            0 => Carried::Nothing,
            1 => Carried::AfterPrefix,
            _ => Carried::AtEnd,
        }
    }
}

/// Which of a policy's country rules a packet comes under, by where it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Rule(u8);

impl Rule {
    /// The rule for all that comes under no other.
    pub const GENERAL: Self = Self(0);
    /// For the later fragments of TCP and UDP, which have no ports. It is against a class if all others are: what
    /// may not come in with any port cannot come in without. Nothing can be made of the later fragments of
    /// a packet whose first one was dropped.
    pub const LATER_FRAGMENT: Self = Self(31);
    /// For packets of TCP and UDP that are cut short of their ports, or that have more IPv6 extension headers than
    /// we follow. It is against a class if any other is.
    pub const NO_PORTS: Self = Self(30);
    /// How many rules for ports there can be.
    pub const MOST_OF_PORTS: usize = 29;

    /// The rule for ports with this number, from 1 to [`Self::MOST_OF_PORTS`]; `None` for any other.
    #[must_use]
    pub const fn of_ports(number: u8) -> Option<Self> {
        if 1 <= number && number as usize <= Self::MOST_OF_PORTS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The rule whose number is the low bits of `number`: for numbers that come out of a map.
    #[inline(always)]
    #[must_use]
    pub const fn masked(number: u8) -> Self {
        Self(number & 31)
    }

    /// The rule's number, below 32.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32 & 31
    }

    /// A set that holds just this rule.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_what_it_was_made_of() {
        let [china, admitted] =
            [Slot::of_country(*b"CN"), Slot::of_admitted(*b"ZZ")].map(Option::unwrap);
        let ssh = Rule::of_ports(1).unwrap();
        let entry = Entry::from_word(Entry::ruled(ssh.bit(), china, admitted).word());
        assert!(entry.is_against(ssh) && !entry.is_against(Rule::GENERAL));
        assert!(!entry.is_against(Rule::LATER_FRAGMENT) && !entry.is_firm());
        assert_eq!((entry.slot(true), entry.slot(false)), (china, admitted));
        assert_eq!(entry.carried(), Carried::Nothing);
    }

    #[test]
    fn what_is_denied_is_so_under_every_rule() {
        for number in 0..=u8::MAX {
            assert!(Entry::DENY.is_against(Rule::masked(number)));
            assert!(!Entry::PASS.is_against(Rule::masked(number)));
        }
        assert!(Entry::DENY.is_firm() && !Entry::PASS.is_firm());
        assert_eq!(Entry::DENY.slot(true), Slot::DENIED);
        assert_eq!(Entry::PASS.word(), 0);
    }

    #[test]
    fn two_entries_are_against_what_either_is_against() {
        let [china, japan, passed] = [
            Slot::of_country(*b"CN"),
            Slot::of_country(*b"JP"),
            Some(Slot::PASSED),
        ]
        .map(Option::unwrap);
        let [general, ssh, mail] = [Some(Rule::GENERAL), Rule::of_ports(1), Rule::of_ports(2)]
            .map(|rule| rule.unwrap().bit());
        let entry = |against, slot| Entry::ruled(against, slot, passed);
        let pass = Entry::PASS;
        for (one, other, both) in [
            (pass, pass, pass),
            (pass, entry(general, china), entry(general, china)),
            (entry(general, china), pass, entry(general, china)),
            (entry(ssh, japan), entry(ssh, china), entry(ssh, japan)),
            (
                entry(ssh, japan),
                entry(ssh | general, china),
                entry(ssh | general, china),
            ),
            (
                entry(ssh | general, japan),
                entry(ssh, china),
                entry(ssh | general, japan),
            ),
            (
                entry(mail, japan),
                entry(ssh, china),
                entry(mail | ssh, japan),
            ),
        ] {
            assert_eq!(one.or(other), both);
        }
    }

    #[test]
    fn an_entry_may_point_to_another_address() {
        for carried in [Carried::AfterPrefix, Carried::AtEnd] {
            let entry = Entry::carrying(carried);
            assert_eq!(entry.carried(), carried);
            assert!(!entry.is_ever_against());
        }
    }

    #[test]
    fn any_word_is_an_entry_within_bounds() {
        for word in [0, u64::MAX, 0xffff, 0x1_0000, 0xdead_beef_dead_beef] {
            for refused in [false, true] {
                let slot = Entry::from_word(word).slot(refused);
                assert!(u32::from(slot.number()) < counter::CAPACITY);
            }
        }
    }

    #[test]
    fn rules_for_ports_have_numbers_of_their_own() {
        assert_eq!(Rule::of_ports(0), None);
        assert_eq!(Rule::of_ports(30), None);
        assert_eq!(Rule::of_ports(29).map(Rule::number), Some(29));
    }

    #[test]
    fn a_class_is_below_the_capacity() {
        assert_eq!(Class::new(0), Some(Class::DEFAULT));
        assert_eq!(Class::new(511).map(Class::number), Some(511));
        assert_eq!(Class::new(512), None);
        assert_eq!(Class::masked(513).number(), 1);
    }
}
