//! The verdict on a frame.
//!
//! The order of what decides, the first that applies:
//!
//! 1. What is neither IPv4 nor IPv6 passes; what is malformed drops.
//! 2. An exception made while the filter runs (`geodrop allow`, `geodrop deny`).
//! 3. The class of the source, looked up once: it holds all that a policy says of the address, prefixes and
//!    special purposes included. An IPv6 address that carries an IPv4 address is of that one's class.
//! 4. If the rule that the packet comes under is against its class, it drops, unless it answers what this host began, or
//!    the day from which on the rules hold has not come. Neither helps a denied prefix.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    class::{Action, Carried, Class, Entry, Rule},
    counter::Slot,
    frame::Frame,
    ports::Protocol,
    reach::Reach,
    source::Source,
    table::Table,
    transport::{Family, IpHeader},
};

/// What becomes of a frame, and where it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of it, were the filter to enforce.
    pub action: Action,
    /// Where it is counted.
    pub slot: Slot,
    /// The rule that it came under, if the rules are against it.
    pub rule: Rule,
    /// Whether the rules are against it.
    is_refused: bool,
    /// Where its IP header is, if they are. Not in an `Option`, which has no value for the header of `None`: the compiler
    /// moves it about all the same, and the verifier refuses to.
    ip: IpHeader,
}

impl Judgement {
    /// Where its IP header is, if the rules are against it: for what is to be told of it, or to its sender.
    #[inline(always)]
    #[must_use]
    pub fn refused(&self) -> Option<IpHeader> {
        self.is_refused.then_some(self.ip)
    }

    /// Whether it would drop, were the filter to enforce all of its rules by now.
    #[inline(always)]
    #[must_use]
    pub fn is_against(&self) -> bool {
        self.is_refused || self.action == Action::Drop
    }
}

/// A policy's rules, as far as they can be known only when a packet is there.
///
/// What a policy does not use is left as provided here, or answers by a constant that the verifier knows: it costs nothing.
pub trait Rules: Table {
    /// What a class means.
    fn entry(&self, class: Class) -> Entry;

    /// What the class of an IPv6 address means, or that of the IPv4 address which it carries.
    #[inline(always)]
    fn entry_of_ipv6(&self, address: Ipv6Addr) -> Entry {
        let entry = self.entry(self.ipv6(address));
        match entry.carried() {
            Carried::Nothing => entry,
            place => self.entry_of_carried(address, place),
        }
    }

    /// What the class of the IPv4 address means that an IPv6 address carries at a place.
    #[inline(always)]
    fn entry_of_carried(&self, address: Ipv6Addr, place: Carried) -> Entry {
        self.entry(self.ipv4(carried(address, place)))
    }

    /// Whether some rules are for some ports only.
    fn have_ports(&self) -> bool {
        false
    }

    /// Where a packet goes to.
    fn reach<F: Frame + ?Sized>(&self, frame: &F, ip: IpHeader) -> Reach {
        Reach::of(frame, ip)
    }

    /// The rule for packets to a port; [`Rule::GENERAL`] if none is.
    fn of_port(&self, _protocol: Protocol, _port: u16) -> Rule {
        Rule::GENERAL
    }

    /// What was decided for an address while the filter runs.
    fn exception(&self, _source: IpAddr) -> Option<Action> {
        None
    }

    /// Whether a packet answers what this host began.
    fn is_reply<F: Frame + ?Sized>(&self, _frame: &F, _ip: IpHeader) -> bool {
        false
    }

    /// Whether the day from which on the rules hold is still to come.
    fn are_held_back(&self) -> bool {
        false
    }
}

/// Judges one frame.
#[inline(always)]
pub fn judge<F, R>(frame: &F, rules: &R) -> Judgement
where
    F: Frame + ?Sized,
    R: Rules + ?Sized,
{
    judge_source(Source::of(frame), frame, rules)
}

/// Judges one frame, whose source is known.
#[inline(always)]
pub fn judge_source<F, R>(source: Source, frame: &F, rules: &R) -> Judgement
where
    F: Frame + ?Sized,
    R: Rules + ?Sized,
{
    // Whole on each way: of a value that only one of them has, the other one has none, and the compiler may move it
    // about all the same, which the verifier refuses. An exception is looked for last, as the verifier would go all ways
    // through a table anew for each of its answers.
    let (entry, exception, ip) = match source {
        Source::Ipv4 {
            address, header, ..
        } => (
            rules.entry(rules.ipv4(address)),
            rules.exception(address.into()),
            IpHeader {
                family: Family::Ipv4,
                offset: header,
            },
        ),
        Source::Ipv6 {
            address, header, ..
        } => (
            rules.entry_of_ipv6(address),
            rules.exception(address.into()),
            IpHeader {
                family: Family::Ipv6,
                offset: header,
            },
        ),
        Source::NotIp => return passed(Slot::NON_IP),
        Source::Malformed => {
            return Judgement {
                action: Action::Drop,
                ..passed(Slot::MALFORMED)
            };
        }
    };
    let entry = match exception {
        None => entry,
        Some(Action::Pass) => return passed(Slot::PASSED),
        Some(Action::Drop) => Entry::DENY,
    };
    let rule = if rules.have_ports() {
        rule(frame, ip, rules)
    } else {
        Rule::GENERAL
    };
    if !entry.is_against(rule) {
        return passed(entry.slot(false));
    }
    if !entry.is_firm() && rules.is_reply(frame, ip) {
        return passed(Slot::REPLIES);
    }
    Judgement {
        action: if !entry.is_firm() && rules.are_held_back() {
            Action::Pass
        } else {
            Action::Drop
        },
        slot: entry.slot(true),
        rule,
        is_refused: true,
        ip,
    }
}

#[inline(always)]
const fn passed(slot: Slot) -> Judgement {
    Judgement {
        action: Action::Pass,
        slot,
        rule: Rule::GENERAL,
        is_refused: false,
        ip: IpHeader {
            offset: 0,
            family: Family::Ipv4,
        },
    }
}

/// The IPv4 address that an IPv6 address carries at a place; at its end, if at no other.
#[inline(always)]
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    reason = "the halves of an address, and of these the low bits"
)]
pub const fn carried(address: Ipv6Addr, place: Carried) -> Ipv4Addr {
    // By halves, as lookups have the address: its octets would have to be kept one by one until here.
    let bits = address.to_bits();
    let (upper, lower) = ((bits >> 64) as u64, bits as u64);
    Ipv4Addr::from_bits(match place {
        Carried::AfterPrefix => (upper >> 16) as u32,
        Carried::AtEnd | Carried::Nothing => lower as u32,
    })
}

/// The rule that a packet comes under.
#[inline(always)]
fn rule<F, R>(frame: &F, ip: IpHeader, rules: &R) -> Rule
where
    F: Frame + ?Sized,
    R: Rules + ?Sized,
{
    match rules.reach(frame, ip) {
        Reach::Port(protocol, port) => rules.of_port(protocol, port),
        Reach::NoPorts => Rule::GENERAL,
        Reach::LaterFragment => Rule::LATER_FRAGMENT,
        Reach::Hidden => Rule::NO_PORTS,
    }
}
