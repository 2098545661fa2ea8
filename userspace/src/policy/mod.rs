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
//! 2. An address that carries an IPv4 address is judged by that: see [`carrier`].
//! 3. A special-purpose address passes: see [`special_purpose`].
//! 4. The first rule for ports that names the packet's destination port; for all other packets the country rule. An
//!    address that no data knows passes where countries are blocked, and drops where only some are admitted,
//!    unless the policy says otherwise.
//! 5. What 4 would drop passes all the same if it answers what this host began, or before the policy takes effect.

pub mod carrier;
pub mod config;
pub mod groups;
mod ruleset;
pub mod special_purpose;
mod verdict;

use std::{collections::BTreeSet, ops::RangeInclusive};

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::geoip::Country;

pub use geodrop_common::ports::Protocol;
pub use ruleset::{Classified, Ruleset};
pub use verdict::{Explanation, Reason, Verdict, explain, explain_port};

/// Which addresses pass and which drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of addresses by their country.
    pub countries: CountryRule,
    /// What becomes of packets to some ports by their country, in the place of `countries`: the first rule that names
    /// a packet's destination port decides.
    pub rules: Vec<PortRule>,
    /// Prefixes that pass whatever country they are in. Host bits count for nothing.
    pub allow: Vec<IpNet>,
    /// Prefixes that drop whatever country they are in. Host bits count for nothing.
    pub deny: Vec<IpNet>,
    /// What becomes of addresses that no data knows; `None` leaves it to each country rule.
    pub unknown: Option<Unknown>,
    /// Count what would drop, and let it pass. Verdicts are given as if this were off.
    pub monitor: bool,
    /// Before this instant `countries` and `rules` count what they would drop, and let it pass.
    pub effective_from: Option<Timestamp>,
    /// Whether packets pass that answer what this host began.
    pub replies: Replies,
    /// What the sender of a packet that does not pass gets to know.
    pub refusal: Refusal,
    /// Which packets are counted by country.
    pub count: Count,
}

/// What becomes of addresses by their country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountryRule {
    /// These countries drop; all others pass, and so does what no data knows, unless [`Policy::unknown`] says otherwise.
    Block(BTreeSet<Country>),
    /// These countries pass; all others drop, and so does what no data knows, unless [`Policy::unknown`] says otherwise.
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

/// A country rule for packets to some ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRule {
    /// The ports, in no order; they may overlap.
    pub ports: Vec<Ports>,
    /// What becomes of addresses by their country.
    pub countries: CountryRule,
}

/// Neighbouring ports of a protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The protocol.
    pub protocol: Protocol,
    /// The ports, the first not above the last.
    pub numbers: RangeInclusive<u16>,
}

/// What becomes of addresses that no data knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// They pass.
    Pass,
    /// They drop.
    Block,
}

/// What becomes of packets that answer what this host began: connections that it opened, datagrams and pings that
/// it sent first, to addresses that would not get in by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replies {
    /// They pass, unless they come from a deny prefix.
    #[default]
    Pass,
    /// They are judged as all others.
    Drop,
}

/// What the sender of a packet that does not pass gets to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Nothing.
    #[default]
    Drop,
    /// That it was refused: an RST for TCP, an ICMP error for all else, no more than so many a second.
    Reject,
}

/// Which packets are counted by country.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Those that do not pass.
    #[default]
    Blocked,
    /// All, which takes a table of the whole world.
    All,
}

/// Blocks China, Hong Kong and Macao.
impl Default for Policy {
    fn default() -> Self {
        let blocked = [Country::CHINA, Country::HONG_KONG, Country::MACAO];
        Self {
            countries: CountryRule::Block(blocked.into()),
            rules: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            unknown: None,
            monitor: false,
            effective_from: None,
            replies: Replies::default(),
            refusal: Refusal::default(),
            count: Count::default(),
        }
    }
}
