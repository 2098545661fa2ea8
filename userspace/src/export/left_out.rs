//! What a format does not say of a policy.

use std::fmt;

use jiff::Timestamp;

use super::Export;
use crate::policy::{Refusal, Replies, config::ports_text};

/// Something that a policy says and a format does not, so that the tool that loads it will do something else, unless its
/// user sees to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Rules for these ports.
    Ports(Vec<String>),
    /// Which rule the later fragments of packets to these ports come under.
    LaterFragments,
    /// That replies pass.
    Replies,
    /// That nothing drops.
    Monitor,
    /// That countries drop from an instant on that is to come.
    EffectiveFrom(Timestamp),
    /// That senders are told.
    Reject,
    /// The policies that these interfaces have of their own.
    OwnPolicies(Vec<String>),
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(ports) => write!(
                f,
                "the rules for {}; these are the sources that drop of packets to all other ports",
                ports.join(", ")
            ),
            Self::LaterFragments => f.write_str(
                "which rule for ports later fragments come under; without connection tracking, that of all other ports",
            ),
            Self::Replies => f.write_str(
                "that replies to what this host began pass; let them pass by connection tracking before you drop these sources",
            ),
            Self::Monitor => {
                f.write_str("that the policy only counts (monitor); these are the sources that it would drop")
            }
            Self::EffectiveFrom(instant) => {
                write!(f, "that countries drop from {instant} on only; load it then")
            }
            Self::Reject => {
                f.write_str("that senders are told (action = \"reject\"); what becomes of them is for your own rule to say")
            }
            Self::OwnPolicies(interfaces) => write!(
                f,
                "the policies that {} have of their own; this is the one at the top level",
                interfaces.join(", ")
            ),
        }
    }
}

impl Export<'_> {
    /// What a list of sources, and nothing else, does not say of the policy.
    #[must_use]
    pub fn left_out_of_lists(&self) -> Vec<LeftOut> {
        let policy = self.policy;
        let ports = policy.rules.iter().flat_map(|rule| &rule.ports);
        let ports: Vec<_> = ports.map(ports_text).collect();
        let all = [
            (!ports.is_empty()).then_some(LeftOut::Ports(ports)),
            (policy.replies == Replies::Pass).then_some(LeftOut::Replies),
            policy.monitor.then_some(LeftOut::Monitor),
            self.held_back_until().map(LeftOut::EffectiveFrom),
            (policy.refusal == Refusal::Reject).then_some(LeftOut::Reject),
        ];
        all.into_iter().flatten().collect()
    }
}
