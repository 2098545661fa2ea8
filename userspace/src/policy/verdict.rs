//! The verdict on one address, and why.
//!
//! This is the policy as a person would apply it, rule by rule. It shares nothing with [`Ruleset`] but the
//! data, so that each can be tested against the other.
//!
//! [`Ruleset`]: super::Ruleset

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use serde::Serialize;

use super::{CountryRule, Policy, PortRule, Protocol, Refusal, Unknown, carrier, special_purpose};
use crate::geoip::{Country, Opinions};

/// What becomes of packets from an address, were the policy enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They go on to the network stack.
    Pass,
    /// They are dropped.
    Drop,
    /// They are dropped, and their sender is told.
    Reject,
}

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A prefix of `allow`.
    Allow,
    /// A prefix of `deny`.
    Deny,
    /// The address is special: see [`special_purpose`].
    SpecialPurpose,
    /// Its country is blocked.
    Country,
    /// Only some countries are admitted, and its country is, or is not, one of them.
    Only,
    /// No data knows its country.
    Unknown,
    /// Its country is not blocked.
    Default,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The verdict on an address, and why. Its JSON is what `lookup --json` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The address.
    pub ip: IpAddr,
    /// Its country, whether that decided or not; `None` when no data knows it. Where several sources are heard that
    /// disagree, the one that decided, or else the first one's.
    pub country: Option<Country>,
    /// The largest prefix that holds the address and lies inside its range of the data.
    pub prefix: Option<IpNet>,
    /// What becomes of its packets.
    pub verdict: Verdict,
    /// The rule that decided.
    pub reason: Reason,
}

/// Judges an address by the rules of a policy, as if its packets went to no port that a rule names.
///
/// `monitor`, `effective_from` and `replies` count for nothing here.
#[must_use]
pub fn explain<'a>(policy: &Policy, data: impl Into<Opinions<'a>>, ip: IpAddr) -> Explanation {
    explain_port(policy, data, ip, None)
}

/// The same for packets that go to this port.
#[must_use]
pub fn explain_port<'a>(
    policy: &Policy,
    data: impl Into<Opinions<'a>>,
    ip: IpAddr,
    port: Option<(Protocol, u16)>,
) -> Explanation {
    let data = data.into();
    let (country, prefix) = data.lookup(ip).next().unzip();
    if let Some((verdict, reason)) = by_prefix(policy, ip) {
        return Explanation {
            ip,
            country,
            prefix,
            verdict,
            reason,
        };
    }
    if let Some((carried, carrier)) = carrier::carried(ip) {
        let by_carried = explain_port(policy, data, carried.into(), port);
        return Explanation {
            ip,
            prefix: by_carried
                .prefix
                .and_then(|prefix| carrier::around(prefix, carrier)),
            ..by_carried
        };
    }
    let explanation = |located: Option<(Country, IpNet)>, (verdict, reason)| {
        let (country, prefix) = located.unzip();
        Explanation {
            ip,
            country,
            prefix,
            verdict,
            reason,
        }
    };
    let mut known = data.lookup(ip).map(Some).peekable();
    let first = known.peek().copied().flatten();
    if special_purpose::block_of(ip).is_some() {
        return explanation(first, (Verdict::Pass, Reason::SpecialPurpose));
    }
    let rule = rule(policy, port);
    let judge = |located: Option<(Country, IpNet)>| {
        by_country(policy, rule, located.map(|(country, _)| country))
    };
    // Of several sources the first one decides that says what is against the address.
    let against = known.find(|located| judge(*located).0 != Verdict::Pass);
    let decides = against.flatten().or(first);
    explanation(decides, judge(decides))
}

/// The country rule for packets to a port.
fn rule(policy: &Policy, port: Option<(Protocol, u16)>) -> &CountryRule {
    let names = |rule: &&PortRule| {
        port.is_some_and(|(protocol, port)| {
            rule.ports
                .iter()
                .any(|ports| ports.protocol == protocol && ports.numbers.contains(&port))
        })
    };
    let found = policy.rules.iter().find(names);
    found.map_or(&policy.countries, |rule| &rule.countries)
}

fn by_prefix(policy: &Policy, ip: IpAddr) -> Option<(Verdict, Reason)> {
    let longest = |prefixes: &[IpNet]| {
        prefixes
            .iter()
            .filter(|prefix| prefix.contains(&ip))
            .map(IpNet::prefix_len)
            .max()
    };
    match (longest(&policy.allow), longest(&policy.deny)) {
        (None, None) => None,
        (allow, deny) if allow >= deny => Some((Verdict::Pass, Reason::Allow)),
        _ => Some((refused(policy), Reason::Deny)),
    }
}

fn by_country(policy: &Policy, rule: &CountryRule, country: Option<Country>) -> (Verdict, Reason) {
    let drops = match (rule, country) {
        (CountryRule::Block(blocked), Some(country)) => blocked.contains(&country),
        (CountryRule::Only(admitted), Some(country)) => !admitted.contains(&country),
        (CountryRule::Block(_), None) => policy.unknown == Some(Unknown::Block),
        (CountryRule::Only(_), None) => policy.unknown != Some(Unknown::Pass),
    };
    let reason = match (rule, country) {
        (_, None) => Reason::Unknown,
        (CountryRule::Only(_), Some(_)) => Reason::Only,
        (CountryRule::Block(_), Some(_)) if drops => Reason::Country,
        (CountryRule::Block(_), Some(_)) => Reason::Default,
    };
    (
        if drops {
            refused(policy)
        } else {
            Verdict::Pass
        },
        reason,
    )
}

const fn refused(policy: &Policy) -> Verdict {
    match policy.refusal {
        Refusal::Drop => Verdict::Drop,
        Refusal::Reject => Verdict::Reject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geoip;

    fn countries(codes: &[&str]) -> std::collections::BTreeSet<Country> {
        codes.iter().map(|code| code.parse().unwrap()).collect()
    }

    fn verdicts(policy: &Policy, cases: &[(&str, Verdict, Reason)]) {
        let world = geoip::builtin().unwrap().regions;
        for &(ip, verdict, reason) in cases {
            let explained = explain(policy, &world, ip.parse().unwrap());
            assert_eq!(
                (explained.verdict, explained.reason),
                (verdict, reason),
                "{explained:?}"
            );
        }
    }

    #[test]
    fn blocked_countries_drop_and_all_else_passes() {
        verdicts(
            &Policy::default(),
            &[
                ("1.0.1.1", Verdict::Drop, Reason::Country),
                ("2400:3200::1", Verdict::Drop, Reason::Country),
                ("143.89.1.1", Verdict::Drop, Reason::Country),
                ("60.246.1.1", Verdict::Drop, Reason::Country),
                ("8.8.8.8", Verdict::Pass, Reason::Default),
                ("10.0.0.1", Verdict::Pass, Reason::SpecialPurpose),
                ("4000::1", Verdict::Pass, Reason::Unknown),
            ],
        );
    }

    #[test]
    fn admitted_countries_pass_and_all_else_drops() {
        let policy = Policy {
            countries: CountryRule::Only(countries(&["US"])),
            ..Policy::default()
        };
        verdicts(
            &policy,
            &[
                ("8.8.8.8", Verdict::Pass, Reason::Only),
                ("1.0.1.1", Verdict::Drop, Reason::Only),
                ("4000::1", Verdict::Drop, Reason::Unknown),
                // The data says that this is in Australia.
                ("192.168.1.1", Verdict::Pass, Reason::SpecialPurpose),
            ],
        );
    }

    #[test]
    fn the_longer_prefix_decides_and_of_equal_ones_allow() {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        let policy = Policy {
            allow: nets(&["1.0.1.0/24", "9.9.9.9/32", "192.168.7.0/24"]),
            deny: nets(&["1.0.1.128/25", "9.9.9.9/32", "192.168.0.0/16"]),
            ..Policy::default()
        };
        verdicts(
            &policy,
            &[
                ("1.0.1.127", Verdict::Pass, Reason::Allow),
                ("1.0.1.128", Verdict::Drop, Reason::Deny),
                ("1.0.2.1", Verdict::Drop, Reason::Country),
                ("9.9.9.9", Verdict::Pass, Reason::Allow),
                ("192.168.7.1", Verdict::Pass, Reason::Allow),
                ("192.168.8.1", Verdict::Drop, Reason::Deny),
            ],
        );
    }

    #[test]
    fn an_explanation_is_what_scripts_read() {
        let world = geoip::builtin().unwrap().regions;
        let json = |ip: &str| {
            let explained = explain(&Policy::default(), &world, ip.parse().unwrap());
            serde_json::to_string(&explained).unwrap()
        };
        assert_eq!(
            json("1.0.1.1"),
            r#"{"ip":"1.0.1.1","country":"CN","prefix":"1.0.1.0/24","verdict":"drop","reason":"country"}"#
        );
        assert_eq!(
            json("10.0.0.1"),
            r#"{"ip":"10.0.0.1","country":null,"prefix":null,"verdict":"pass","reason":"special-purpose"}"#
        );
    }
}
