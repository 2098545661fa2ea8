//! The sources that a policy drops, as ranges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use geodrop_common::{Class, Entry, Rule};

use crate::{
    policy::{Classified, Ruleset, carrier},
    range::{Address, Labelled, Prefix, Range, find, join_adjacent, overlay},
};

/// The sources that a policy drops, told apart by what stays the drop and by where packets go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocklist {
    /// Those that drop whatever else is the case: what the prefixes of `deny` are left with.
    pub denied: Sources,
    /// Those that drop besides, of packets that come under no rule for ports.
    pub blocked: Sources,
    /// Those that drop besides, of packets that come under each rule for ports, in the order of the rules.
    pub by_port: Vec<Sources>,
}

/// Addresses of both families. No two ranges touch, so their prefixes are as few as can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    ipv4: Vec<Labelled<Ipv4Addr, ()>>,
    ipv6: Vec<Labelled<Ipv6Addr, ()>>,
}

impl Blocklist {
    /// What a rule set drops that has so many rules for ports.
    #[must_use]
    pub fn new(ruleset: &Ruleset, rules: usize) -> Self {
        let by_rule =
            |rule| Sources::of(ruleset, |entry| entry.is_against(rule) && !entry.is_firm());
        let numbers = (1..).map_while(Rule::of_ports).take(rules);
        Self {
            denied: Sources::of(ruleset, |entry| {
                entry.is_against(Rule::GENERAL) && entry.is_firm()
            }),
            blocked: by_rule(Rule::GENERAL),
            by_port: numbers.map(by_rule).collect(),
        }
    }

    /// Those that drop of packets that come under no rule for ports.
    #[must_use]
    pub fn all(&self) -> Sources {
        let Self {
            denied, blocked, ..
        } = self;
        Sources {
            ipv4: joined(overlay(&blocked.ipv4, &denied.ipv4)),
            ipv6: joined(overlay(&blocked.ipv6, &denied.ipv6)),
        }
    }
}

impl Sources {
    /// The addresses whose class's meaning, or that of the address which they carry, is what is asked for.
    fn of(ruleset: &Ruleset, is_asked_for: impl Fn(Entry) -> bool) -> Self {
        let is_asked_for = |class| is_asked_for(ruleset.entry(class));
        let ipv4 = whole(ruleset.ipv4());
        let ipv4 = ipv4.into_iter().filter(|piece| is_asked_for(piece.label));
        let ipv4 = joined(ipv4.map(|piece| Labelled::new(piece.range, ())).collect());

        let mut ipv6 = Vec::new();
        for Labelled { range, label } in whole(ruleset.ipv6()) {
            match carrier::carried(range.first().into()) {
                Some((_, carrier)) if ruleset.entry(label).carried() == carrier.carried => {
                    let carrying = ipv4.iter().filter_map(|of| carrier.carrying(of.range));
                    let inside = carrying.filter_map(|carrying| carrying.intersection(range));
                    ipv6.extend(inside.map(|range| Labelled::new(range, ())));
                }
                _ if is_asked_for(label) => ipv6.push(Labelled::new(range, ())),
                _ => {}
            }
        }
        Self {
            ipv4,
            ipv6: joined(ipv6),
        }
    }

    /// The IPv4 ranges, in order.
    #[must_use]
    pub fn ipv4(&self) -> impl ExactSizeIterator<Item = Range<Ipv4Addr>> {
        self.ipv4.iter().map(|labelled| labelled.range)
    }

    /// The IPv6 ranges, in order.
    #[must_use]
    pub fn ipv6(&self) -> impl ExactSizeIterator<Item = Range<Ipv6Addr>> {
        self.ipv6.iter().map(|labelled| labelled.range)
    }

    /// The fewest prefixes that hold the IPv4 addresses and no others, in order.
    pub fn ipv4_prefixes(&self) -> impl Iterator<Item = Prefix<Ipv4Addr>> {
        self.ipv4().flat_map(Range::prefixes)
    }

    /// The fewest prefixes that hold the IPv6 addresses and no others, in order.
    pub fn ipv6_prefixes(&self) -> impl Iterator<Item = Prefix<Ipv6Addr>> {
        self.ipv6().flat_map(Range::prefixes)
    }

    /// Whether an address is among them; in O(log n).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => find(&self.ipv4, address).is_some(),
            IpAddr::V6(address) => find(&self.ipv6, address).is_some(),
        }
    }
}

/// The class of every address, the default one too.
fn whole<A: Address>(classified: &[Classified<A>]) -> Vec<Classified<A>> {
    overlay(&[Labelled::new(Range::ALL, Class::DEFAULT)], classified)
}

fn joined<A: Address>(mut ranges: Vec<Labelled<A, ()>>) -> Vec<Labelled<A, ()>> {
    join_adjacent(&mut ranges);
    ranges
}
