//! A policy applied to the world: which class an address is of.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    panic::resume_unwind,
    thread,
};

use geodrop_common::{
    Class, Entry, Rule, Slot,
    class::{CAPACITY, Carried},
    judgement,
    ports::{self, Protocol},
};

use super::{Count, CountryRule, Policy, Unknown, carrier, special_purpose};
use crate::{
    geoip::{Country, Located, Opinions, Regions},
    range::{Address, Labelled, Range, align, find, flatten, join_adjacent, overlay},
};

/// A range of addresses and their class.
pub type Classified<A> = Labelled<A, Class>;

/// A policy applied to the world: disjoint ranges of a class, and what each class means.
///
/// Addresses in no range are of [`Class::DEFAULT`]. No two neighbours are of one class, and no range means
/// what the default means, so that there are as few ranges as can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    classes: Vec<Entry>,
    ports: Vec<u64>,
    ipv4: Vec<Classified<Ipv4Addr>>,
    ipv6: Vec<Classified<Ipv6Addr>>,
}

impl Ruleset {
    /// Applies a policy to the world that data knows.
    ///
    /// Where several sources are heard, the rules are resolved for what each of them says, and an address is refused what
    /// any of these refuses it. It is unknown if none knows it.
    #[must_use]
    pub fn new<'a>(policy: &Policy, data: impl Into<Opinions<'a>>) -> Self {
        let data = data.into();
        let entries = Entries::of(policy);
        let ipv4 = || ruled(policy, &entries, data.iter().map(Regions::ipv4));
        let ipv6 = || ruled(policy, &entries, data.iter().map(Regions::ipv6));
        let (ipv4, ipv6) = thread::scope(|scope| {
            match thread::Builder::new().spawn_scoped(scope, ipv6) {
                Ok(thread) => {
                    let ipv4 = ipv4();
                    (
                        ipv4,
                        thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                    )
                }
                // One after the other will do.
                Err(_) => (ipv4(), ipv6()),
            }
        });
        let mut classes = Classes::default();
        classes.class(policy.entry(None));
        Self {
            ipv4: classes.classified(ipv4),
            ipv6: classes.classified(ipv6),
            classes: classes.entries,
            ports: ports(policy),
        }
    }

    /// What each class means, by its number; the first is [`Class::DEFAULT`].
    #[must_use]
    pub fn classes(&self) -> &[Entry] {
        &self.classes
    }

    /// What a class means.
    #[must_use]
    pub fn entry(&self, class: Class) -> Entry {
        self.classes
            .get(class.index())
            .copied()
            .unwrap_or(Entry::PASS)
    }

    /// Which rule is for which port, laid out as [`ports`] says; empty if no rule is for some ports only.
    ///
    /// [`ports`]: geodrop_common::ports
    #[must_use]
    pub fn ports(&self) -> &[u64] {
        &self.ports
    }

    /// The class of an address; in O(log n).
    #[must_use]
    pub fn class(&self, address: IpAddr) -> Class {
        let found = match address {
            IpAddr::V4(address) => find(&self.ipv4, address).map(|classified| classified.label),
            IpAddr::V6(address) => find(&self.ipv6, address).map(|classified| classified.label),
        };
        found.unwrap_or(Class::DEFAULT)
    }

    /// What the class of an address means, or the class of the address that it carries.
    #[must_use]
    pub fn meaning(&self, address: IpAddr) -> Entry {
        let entry = self.entry(self.class(address));
        match (address, entry.carried()) {
            (IpAddr::V4(_), _) | (_, Carried::Nothing) => entry,
            (IpAddr::V6(address), place) => {
                let carried = judgement::carried(address, place);
                self.entry(self.class(carried.into()))
            }
        }
    }

    /// The rule that packets to a port come under; without a port, the one for all that have none.
    #[must_use]
    pub fn rule(&self, port: Option<(Protocol, u16)>) -> Rule {
        let found = port.and_then(|(protocol, port)| {
            let word = self.ports.get(ports::word(protocol, port))?;
            Some(ports::rule(*word, port))
        });
        found.unwrap_or(Rule::GENERAL)
    }

    /// The IPv4 ranges, sorted and disjoint.
    #[must_use]
    pub fn ipv4(&self) -> &[Classified<Ipv4Addr>] {
        &self.ipv4
    }

    /// The IPv6 ranges, sorted and disjoint.
    #[must_use]
    pub fn ipv6(&self) -> &[Classified<Ipv6Addr>] {
        &self.ipv6
    }
}

impl CountryRule {
    /// Whether it is against a country, or against addresses that no data knows.
    pub(super) fn is_against(&self, country: Option<Country>, unknown: Option<Unknown>) -> bool {
        match (self, country) {
            (Self::Block(blocked), Some(country)) => blocked.contains(&country),
            (Self::Only(admitted), Some(country)) => !admitted.contains(&country),
            (Self::Block(_), None) => unknown == Some(Unknown::Block),
            (Self::Only(_), None) => unknown != Some(Unknown::Pass),
        }
    }
}

impl Policy {
    /// What it means for packets to come from a country, or from an address that no data knows.
    fn entry(&self, country: Option<Country>) -> Entry {
        let is_against = |rule: &CountryRule| rule.is_against(country, self.unknown);
        let of_ports = self.rules.iter().map(|rule| is_against(&rule.countries));
        let rules: Vec<bool> = [is_against(&self.countries)]
            .into_iter()
            .chain(of_ports)
            .collect();

        let mut against = (0..)
            .map(Rule::masked)
            .zip(&rules)
            .filter(|(_, against)| **against)
            .fold(0, |set, (rule, _)| set | rule.bit());
        if rules.iter().all(|against| *against) {
            against |= Rule::LATER_FRAGMENT.bit();
        }
        if rules.contains(&true) {
            against |= Rule::NO_PORTS.bit();
        }

        let code = country.map(Country::code);
        let admitted = match self.count {
            Count::Blocked => None,
            Count::All => code.and_then(Slot::of_admitted),
        };
        let passed = admitted.unwrap_or(Slot::PASSED);
        if against == 0 {
            return Entry::pass(passed);
        }
        let refused = code.and_then(Slot::of_country).unwrap_or(Slot::UNKNOWN);
        Entry::ruled(against, refused, passed)
    }
}

/// The first rule that names a port has it.
fn ports(policy: &Policy) -> Vec<u64> {
    if policy.rules.is_empty() {
        return Vec::new();
    }
    let mut words = vec![0; ports::WORDS];
    let numbers = (1..).map_while(Rule::of_ports);
    for (rule, number) in policy.rules.iter().zip(numbers) {
        for ports in &rule.ports {
            for port in ports.numbers.clone() {
                let word = &mut words[ports::word(ports.protocol, port)];
                if ports::rule(*word, port) == Rule::GENERAL {
                    *word = ports::with_rule(*word, port, number);
                }
            }
        }
    }
    words
}

/// The list that a prefix stands on. Where both lists have a prefix, the lesser wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ListedIn {
    Allow,
    Deny,
}

/// The rules laid one over another, the strongest on top.
fn ruled<'a, A: Address>(
    policy: &Policy,
    entries: &Entries,
    sources: impl Iterator<Item = &'a [Located<A>]>,
) -> Vec<Labelled<A, Entry>> {
    let default = policy.entry(None);

    let sources: Vec<_> = sources.collect();
    let countries = by_country(entries, &sources, default);

    let special = special_purpose::ranges().into_iter();
    let special: Vec<_> = special
        .map(|range| Labelled::new(range, Entry::PASS))
        .collect();

    let carriers: Vec<_> = carrier::CARRIERS
        .iter()
        .filter_map(|carrier| {
            let range = Range::of_prefix(carrier.prefix.into())?;
            Some(Labelled::new(range, Entry::carrying(carrier.carried)))
        })
        .collect();

    let listed = |prefixes: &[_], list| -> Vec<_> {
        let ranges = prefixes
            .iter()
            .filter_map(|prefix| Range::of_prefix(*prefix));
        ranges.map(|range| Labelled::new(range, list)).collect()
    };
    let prefixes = [
        listed(&policy.allow, ListedIn::Allow),
        listed(&policy.deny, ListedIn::Deny),
    ];
    let prefixes = flatten(prefixes.concat()).into_iter();
    let prefixes: Vec<_> = prefixes
        .map(|piece| match piece.label {
            ListedIn::Allow => Labelled::new(piece.range, Entry::PASS),
            ListedIn::Deny => Labelled::new(piece.range, Entry::DENY),
        })
        .collect();

    let ruled = overlay(&overlay(&countries, &special), &carriers);
    let mut ruled = overlay(&ruled, &prefixes);
    ruled.retain(|ruled| ruled.label != default);
    join_adjacent(&mut ruled);
    ruled
}

/// The country rules alone, where they are not the default. Where several sources say where an address is, all that is
/// against it counts.
fn by_country<A: Address>(
    entries: &Entries,
    sources: &[&[Located<A>]],
    default: Entry,
) -> Vec<Labelled<A, Entry>> {
    let ruled = |source: &&[Located<A>]| {
        let located = source.iter();
        let ruled: Vec<_> = located
            .map(|located| Labelled::new(located.range, entries.entry(located.label)))
            // What several sources say of an address is held together first.
            .filter(|ruled| sources.len() > 1 || ruled.label != default)
            .collect();
        ruled
    };
    let together = |before: Vec<_>, next: Vec<_>| {
        let pieces = align(&before, &next).filter_map(|piece| {
            let entry = match piece.label {
                (Some(one), Some(other)) => Entry::or(one, other),
                (one, other) => one.or(other)?,
            };
            Some(Labelled::new(piece.range, entry))
        });
        pieces.collect()
    };
    let mut all = sources
        .iter()
        .map(ruled)
        .reduce(together)
        .unwrap_or_default();
    all.retain(|ruled| ruled.label != default);
    all
}

/// What a policy means for each country: countries are few, and their ranges are many.
struct Entries([Entry; Country::PLACES]);

impl Entries {
    fn of(policy: &Policy) -> Self {
        let mut entries = [Entry::PASS; Country::PLACES];
        for country in Country::all() {
            entries[country.place()] = policy.entry(Some(country));
        }
        Self(entries)
    }

    fn entry(&self, country: Country) -> Entry {
        self.0[country.place()]
    }
}

/// The classes so far, each for one meaning.
#[derive(Default)]
struct Classes {
    entries: Vec<Entry>,
    numbers: HashMap<Entry, Class>,
}

impl Classes {
    /// The ranges, with the classes of what they mean.
    fn classified<A>(&mut self, ruled: Vec<Labelled<A, Entry>>) -> Vec<Classified<A>> {
        let ruled = ruled.into_iter();
        ruled
            .map(|ruled| Labelled::new(ruled.range, self.class(ruled.label)))
            .collect()
    }

    /// The class with this meaning.
    ///
    /// There is one class a country, and those of what passed, was denied, is unknown, and carries an address at one of two
    /// places. Where several sources are heard and many rules are for ports, there may be one for each set of rules that are
    /// against an address, too. Should these ever be more than fit, all rules are against what is left over: an address that
    /// sources disagree on is refused more than was asked for, never less.
    fn class(&mut self, entry: Entry) -> Class {
        const { assert!(Country::COUNT + 6 <= CAPACITY && CAPACITY <= u16::MAX as usize) };
        let fits = self.entries.len() + 1 < CAPACITY || self.numbers.contains_key(&entry);
        let entry = if fits {
            entry
        } else {
            Entry::ruled(u32::MAX, Slot::UNKNOWN, Slot::PASSED)
        };
        *self.numbers.entry(entry).or_insert_with(|| {
            let number = u16::try_from(self.entries.len()).unwrap_or_default();
            self.entries.push(entry);
            Class::masked(number)
        })
    }
}
