//! Which rule is for which port, as the kernel's map holds it.
//!
//! One byte a port, the number of its [`Rule`], and zero for [`Rule::GENERAL`]: first those of TCP, then those of UDP,
//! eight to a word, the lowest port in the lowest byte. Words because elements of a kernel array take eight bytes in any case.

use crate::{
    class::Rule,
    transport::{TCP, UDP},
};

/// A protocol that has ports, as far as rules can name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The protocol with this number in IP headers.
    #[inline(always)]
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            TCP => Some(Self::Tcp),
            UDP => Some(Self::Udp),
            _ => None,
        }
    }

    /// Its number in IP headers.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => TCP,
            Self::Udp => UDP,
        }
    }
}

/// How many words the map has.
pub const WORDS: usize = 2 << (16 - 3);

/// The word in which a port's rule stands.
#[inline(always)]
#[must_use]
pub const fn word(protocol: Protocol, port: u16) -> usize {
    let first = match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => WORDS / 2,
    };
    first + (port >> 3) as usize
}

/// The rule for a port, out of the word in which it stands.
#[inline(always)]
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a rule takes the low bits only"
)]
pub const fn rule(word: u64, port: u16) -> Rule {
    Rule::masked((word >> shift(port)) as u8)
}

/// The word with another rule for a port in it, which had none.
#[must_use]
pub const fn with_rule(word: u64, port: u16, rule: Rule) -> u64 {
    word | (rule.number() as u64) << shift(port)
}

#[inline(always)]
const fn shift(port: u16) -> u32 {
    (port as u32 & 7) * 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(
        clippy::large_stack_arrays,
        reason = "a test has the stack for it, and no heap here"
    )]
    fn every_port_has_a_place_of_its_own() {
        let mut words = [0; WORDS];
        let mut number = 0;
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for port in 0..=u16::MAX {
                number = number % 29 + 1;
                let place = &mut words[word(protocol, port)];
                *place = with_rule(*place, port, Rule::of_ports(number).unwrap());
            }
        }
        number = 0;
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for port in 0..=u16::MAX {
                number = number % 29 + 1;
                let found = rule(words[word(protocol, port)], port);
                assert_eq!(found.number(), u32::from(number), "{protocol:?} {port}");
            }
        }
    }
}
