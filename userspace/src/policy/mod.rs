//! What a user wants: which addresses pass and which drop.
//!
//! A [`Policy`] says it in the user's terms. Two things are made of one:
//!
//! - [`Ruleset`]: the policy applied to the world, as disjoint ranges of a class. Tables are made of it.
//! - [`explain`]: the verdict on one address, with its reason, straight from the rules. It serves `lookup`,
//!   and tests hold the tables against it.
//!
//! The rules, the first that applies decides:
//!
//! 1. A prefix of `allow` passes, a prefix of `deny` drops. Where both apply, the longer prefix decides, and
//!    of equal ones `allow`.
//! 2. A special-purpose address passes: see [`special_purpose`].
//! 3. The country rule, for an address whose country the data knows.
//! 4. An address that the data does not know passes when countries are blocked, and drops when only some
//!    are admitted.

mod ruleset;
pub mod special_purpose;
mod verdict;

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::geoip::Country;

pub use ruleset::{Classified, Ruleset};
pub use verdict::{Explanation, Reason, Verdict, explain};

/// Which addresses pass and which drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of addresses by their country.
    pub countries: CountryRule,
    /// Prefixes that pass whatever country they are in. Host bits count for nothing.
    pub allow: Vec<IpNet>,
    /// Prefixes that drop whatever country they are in. Host bits count for nothing.
    pub deny: Vec<IpNet>,
    /// Count what would drop, and let it pass. Verdicts are given as if this were off.
    pub monitor: bool,
}

/// What becomes of addresses by their country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountryRule {
    /// These countries drop; all others pass, and so does what no data knows.
    Block(BTreeSet<Country>),
    /// These countries pass; all others drop, and so does what no data knows.
    Only(BTreeSet<Country>),
}

impl CountryRule {
    /// The countries that the rule names.
    #[must_use]
    pub const fn countries(&self) -> &BTreeSet<Country> {
        match self {
            Self::Block(countries) | Self::Only(countries) => countries,
        }
    }
}

/// Blocks China, Hong Kong and Macao.
impl Default for Policy {
    fn default() -> Self {
        let blocked = [Country::CHINA, Country::HONG_KONG, Country::MACAO];
        Self {
            countries: CountryRule::Block(blocked.into()),
            allow: Vec::new(),
            deny: Vec::new(),
            monitor: false,
        }
    }
}
