//! A policy as all that are compared are given it: the same prefixes.

use std::{fmt::Write as _, net::Ipv4Addr};

use fastrand::Rng;
use geodrop::{
    Rule,
    policy::{Classified, Policy, Ruleset, Unknown},
    range::{Prefix, Range, find},
};
use sha2::{Digest as _, Sha256};

use crate::{
    basis::Basis,
    tables::Countries,
    traffic::{SEED, address_in},
};

/// From how many addresses that are not blocked packets come.
const ALLOWED: usize = 1 << 14;

/// In how many of all addresses these are to be found.
const TRIES: usize = 1 << 22;

/// Why a policy cannot be compared with others.
#[derive(Debug, thiserror::Error)]
pub enum BlockedError {
    /// It blocks nothing.
    #[error(
        "the policy blocks no IPv4 address on every port, so there is nothing to compare; name countries in `block` or `only`, or \
         prefixes in `deny`"
    )]
    Nothing,
    /// It blocks everything.
    #[error(
        "the policy blocks nearly every IPv4 address, so nobody is left to get through; let more countries pass"
    )]
    Everything,
}

/// What is blocked, and what is not. Of IPv4, which all that are compared know.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// Of which countries.
    pub countries: Countries,
    /// The policy: what no data knows passes, as a list of prefixes has no name for it.
    pub policy: Policy,
    /// The rules, as geodrop has them.
    pub ruleset: Ruleset,
    /// The ranges that are dropped.
    pub ranges: Vec<Classified<Ipv4Addr>>,
    /// The fewest prefixes that hold each of these: those of different countries are not joined, as geodrop counts them apart
    /// and a list for each country is what other filters are given.
    pub prefixes: Vec<Prefix<Ipv4Addr>>,
    /// Addresses that are not blocked, from all over the space of unicast addresses.
    pub allowed: Vec<Ipv4Addr>,
}

impl Blocked {
    /// What a policy blocks.
    ///
    /// # Errors
    ///
    /// When it blocks no IPv4 address on every port, or all of them.
    pub fn of(countries: Countries, basis: &Basis) -> Result<Self, BlockedError> {
        let policy = Policy {
            unknown: Some(Unknown::Pass),
            ..basis.policy(countries)
        };
        let ruleset = Ruleset::new(&policy, basis.data());
        let ranges: Vec<_> = ruleset
            .ipv4()
            .iter()
            .filter(|classified| ruleset.entry(classified.label).is_against(Rule::GENERAL))
            .copied()
            .collect();
        let prefixes = ranges.iter().flat_map(|it| it.range.prefixes()).collect();
        let mut rng = Rng::with_seed(SEED);
        if ranges.is_empty() {
            return Err(BlockedError::Nothing);
        }
        let allowed: Vec<_> = (0..TRIES)
            .map(|_| address_in(&mut rng, Range::ALL))
            .filter(|address: &Ipv4Addr| {
                // The network stack refuses what comes from elsewhere, whoever filters.
                let is_unicast = !matches!(address.octets()[0], 0 | 127 | 224..);
                is_unicast && find(&ranges, *address).is_none()
            })
            .take(ALLOWED)
            .collect();
        if allowed.len() < ALLOWED {
            return Err(BlockedError::Everything);
        }
        Ok(Self {
            countries,
            policy,
            ruleset,
            ranges,
            prefixes,
            allowed,
        })
    }

    /// Whether an address is blocked.
    #[must_use]
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        find(&self.ranges, address).is_some()
    }

    /// From how many addresses packets come: a power of two, several times the number of ranges or as many as the generator can
    /// be given in a moment.
    #[must_use]
    pub const fn sources(&self) -> u32 {
        if self.ranges.len() < 1 << 14 {
            1 << 16
        } else {
            1 << 18
        }
    }

    /// By what the prefixes are known again: SHA-256 of a line for each, in hexadecimal.
    #[must_use]
    pub fn checksum(&self) -> String {
        let mut hash = Sha256::new();
        for prefix in &self.prefixes {
            hash.update(format!("{prefix}\n"));
        }
        let mut text = String::new();
        for byte in hash.finalize() {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_what_is_blocked_and_nothing_else() {
        let basis = Basis::builtin().unwrap();
        for countries in Countries::ALL {
            let blocked = Blocked::of(countries, &basis).unwrap();
            let size = |range: Range<Ipv4Addr>| range.size();
            let of_ranges: u128 = blocked.ranges.iter().map(|it| size(it.range)).sum();
            let of_prefixes: u128 = blocked.prefixes.iter().map(|it| size(it.range())).sum();
            assert_eq!(of_ranges, of_prefixes);
            let is_dropped = |address: &Ipv4Addr| {
                let entry = blocked.ruleset.meaning((*address).into());
                entry.is_against(Rule::GENERAL) || blocked.holds(*address)
            };
            assert!(!blocked.allowed.iter().any(is_dropped));
            assert_eq!(blocked.checksum().len(), 64);
        }
    }
}
