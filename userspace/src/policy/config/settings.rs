//! What somebody said of a policy, key by key, and what they did not.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    super::{
        Count, CountryRule, Policy, PortRule, Ports, Refusal, Replies, Unknown, groups::Members,
    },
    source::Location,
};
use crate::geoip::{Country, CountryBy, Merge, Origin, Reconciliation};

/// What was written, and where: nowhere if on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// What.
    pub value: T,
    /// Where.
    pub location: Option<Location>,
}

impl<T> Placed<T> {
    /// Something of the command line.
    pub const fn nowhere(value: T) -> Self {
        Self {
            value,
            location: None,
        }
    }
}

/// A country rule, and what of it was written by code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countries {
    /// The rule.
    pub rule: CountryRule,
    /// The countries that somebody wrote by their codes: GeoIP data must have each of them.
    pub named: Vec<Placed<Country>>,
    /// Where the rule stands.
    pub location: Option<Location>,
}

impl Countries {
    /// The rule that blocks, or admits only, what names on the command line stand for.
    #[must_use]
    pub fn of_members(rule: fn(BTreeSet<Country>) -> CountryRule, members: Members) -> Self {
        Self {
            rule: rule(members.countries),
            named: members.named.into_iter().map(Placed::nowhere).collect(),
            location: None,
        }
    }
}

/// A rule for ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSetting {
    /// For which.
    pub ports: Vec<Ports>,
    /// What becomes of addresses.
    pub countries: Countries,
    /// Where it stands.
    pub location: Option<Location>,
}

/// What somebody said of GeoIP data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoipSettings {
    /// `sources`.
    pub sources: Option<Vec<Origin>>,
    /// `merge`.
    pub merge: Option<Merge>,
    /// `country`.
    pub country: Option<CountryBy>,
}

impl GeoipSettings {
    /// These settings, and where they say nothing those below.
    #[must_use]
    pub fn over(self, below: &Self) -> Self {
        Self {
            sources: self.sources.or_else(|| below.sources.clone()),
            merge: self.merge.or(below.merge),
            country: self.country.or(below.country),
        }
    }

    /// Where data comes from: what this program carries with it, if nobody says otherwise.
    #[must_use]
    pub fn origins(&self) -> Vec<Origin> {
        let default = || vec![Origin::Builtin];
        self.sources.clone().unwrap_or_else(default)
    }

    /// How data is read that can be read in more than one way.
    #[must_use]
    pub fn reconciliation(&self) -> Reconciliation {
        Reconciliation {
            merge: self.merge.unwrap_or_default(),
            country: self.country.unwrap_or_default(),
        }
    }
}

/// Where a process that looks after filters exposes metrics; where nobody says anything, nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// `metrics`: where they are served.
    pub address: Option<SocketAddr>,
    /// `metrics_file`: the file that they are written to.
    pub file: Option<PathBuf>,
}

impl MetricsSettings {
    /// These settings, and where they say nothing those below.
    #[must_use]
    pub fn over(self, below: &Self) -> Self {
        Self {
            address: self.address.or(below.address),
            file: self.file.or_else(|| below.file.clone()),
        }
    }
}

/// What somebody said of a policy. The command line says one of these, and so does each table of a configuration: see
/// [`Self::over`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `block` or `only`: they are one key.
    pub countries: Option<Countries>,
    /// `rules`.
    pub rules: Option<Vec<RuleSetting>>,
    /// `allow`.
    pub allow: Option<Vec<Placed<IpNet>>>,
    /// `deny`.
    pub deny: Option<Vec<Placed<IpNet>>>,
    /// `unknown`.
    pub unknown: Option<Unknown>,
    /// `monitor`.
    pub monitor: Option<bool>,
    /// `effective_from`.
    pub effective_from: Option<Timestamp>,
    /// `replies`.
    pub replies: Option<Replies>,
    /// `action`.
    pub action: Option<Refusal>,
    /// `count`.
    pub count: Option<Count>,
}

impl Settings {
    /// These settings, and where they say nothing those below. A whole key is taken from one or the other: lists are
    /// not joined, so that a list can also be made shorter.
    #[must_use]
    pub fn over(self, below: &Self) -> Self {
        fn either<T: Clone>(above: Option<T>, below: Option<&T>) -> Option<T> {
            above.or_else(|| below.cloned())
        }
        Self {
            countries: either(self.countries, below.countries.as_ref()),
            rules: either(self.rules, below.rules.as_ref()),
            allow: either(self.allow, below.allow.as_ref()),
            deny: either(self.deny, below.deny.as_ref()),
            unknown: either(self.unknown, below.unknown.as_ref()),
            monitor: either(self.monitor, below.monitor.as_ref()),
            effective_from: either(self.effective_from, below.effective_from.as_ref()),
            replies: either(self.replies, below.replies.as_ref()),
            action: either(self.action, below.action.as_ref()),
            count: either(self.count, below.count.as_ref()),
        }
    }

    /// Whether the default decides which countries are blocked, because nobody said anything of countries.
    #[must_use]
    pub fn leaves_countries_to_the_default(&self) -> bool {
        self.countries.is_none() && self.rules.as_ref().is_none_or(Vec::is_empty)
    }

    /// The policy. Of what nobody spoke, it has the default; but who wrote rules for ports, and neither `block` nor
    /// `only`, spoke of countries, and what no rule names passes.
    #[must_use]
    pub fn policy(&self) -> Policy {
        fn prefixes(placed: Option<&Vec<Placed<IpNet>>>) -> Vec<IpNet> {
            placed
                .into_iter()
                .flatten()
                .map(|placed| placed.value)
                .collect()
        }
        let default = Policy::default();
        let countries = match &self.countries {
            Some(countries) => countries.rule.clone(),
            None if self.leaves_countries_to_the_default() => default.countries,
            None => CountryRule::Block(BTreeSet::new()),
        };
        let rules = self.rules.iter().flatten().map(|rule| PortRule {
            ports: rule.ports.clone(),
            countries: rule.countries.rule.clone(),
        });
        Policy {
            countries,
            rules: rules.collect(),
            allow: prefixes(self.allow.as_ref()),
            deny: prefixes(self.deny.as_ref()),
            unknown: self.unknown.or(default.unknown),
            monitor: self.monitor.unwrap_or(default.monitor),
            effective_from: self.effective_from.or(default.effective_from),
            replies: self.replies.unwrap_or(default.replies),
            refusal: self.action.unwrap_or(default.refusal),
            count: self.count.unwrap_or(default.count),
        }
    }

    /// All country rules that somebody wrote.
    pub fn country_rules(&self) -> impl Iterator<Item = &Countries> {
        let rules = self.rules.iter().flatten().map(|rule| &rule.countries);
        self.countries.iter().chain(rules)
    }
}
