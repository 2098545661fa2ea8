//! Which peers a policy would cut off, and the refusal to do so.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::{Peer, Peers, Role, Service};
use crate::{
    geoip::{Country, Opinions},
    policy::{self, Explanation, Policy, Reason, Verdict},
};

/// A peer whose packets a policy would drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endangered {
    /// What it is to this host.
    pub role: Role,
    /// Its address.
    pub address: IpAddr,
    /// What its packets are sent to, where the guard knows.
    pub service: Option<Service>,
    /// Its country; `None` when no data knows it.
    pub country: Option<Country>,
    /// The rule that would drop its packets.
    pub reason: Reason,
}

impl Endangered {
    /// The prefix that saves it, if put in `allow`: it holds that one address, so no prefix of `deny` is longer.
    #[must_use]
    pub fn remedy(&self) -> IpNet {
        self.address.into()
    }
}

/// `your session (sshd, process 812, tcp/22): 1.0.1.1 in China (CN), dropped by country`
impl fmt::Display for Endangered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.role)?;
        if let Some(service) = self.service {
            write!(f, " at {service}")?;
        }
        write!(f, ": {}", self.address)?;
        match self.country {
            Some(country) => write!(f, " in {} ({country})", country.name())?,
            None => write!(f, " in no country that the data knows")?,
        }
        let rule = match self.reason {
            Reason::Deny => "a prefix of deny",
            Reason::Only => "a country that is not admitted",
            Reason::Unknown => "an unknown country",
            _ => "its country",
        };
        write!(f, ", dropped because of {rule}")
    }
}

/// The peers that a policy would cut off, were it enforced now: `monitor` and `effective_from` count for nothing, since
/// what is cut off tomorrow is cut off when nobody looks. Nor does `replies`: whether a packet answers something is
/// known only of what began after the filter was attached, and for as long as that is remembered.
#[must_use]
pub fn endangered<'a>(
    policy: &Policy,
    data: impl Into<Opinions<'a>>,
    peers: &Peers,
) -> Vec<Endangered> {
    let data = data.into();
    let endangered = peers.guarded.iter().filter_map(|peer| {
        let explained = judge(policy, data, peer);
        (explained.verdict == Verdict::Drop).then(|| Endangered {
            role: peer.role.clone(),
            address: peer.address,
            service: peer.service,
            country: explained.country,
            reason: explained.reason,
        })
    });
    endangered.collect()
}

/// The verdict on a peer's packets.
fn judge(policy: &Policy, data: Opinions<'_>, peer: &Peer) -> Explanation {
    judge_at(policy, data, peer.address, peer.service)
}

/// The verdict on packets from an address to a service of this host.
pub(super) fn judge_at(
    policy: &Policy,
    data: Opinions<'_>,
    address: IpAddr,
    service: Option<Service>,
) -> Explanation {
    let port = service.map(|service| (service.protocol, service.local_port));
    policy::explain_port(policy, data, address, port)
}

/// Refuses a policy that would cut off a peer. One that only counts (`monitor`) cuts nobody off.
///
/// # Errors
///
/// The [`Refusal`], which lists them.
pub fn check<'a>(
    policy: &Policy,
    data: impl Into<Opinions<'a>>,
    peers: &Peers,
) -> Result<(), Refusal> {
    let endangered = endangered(policy, data, peers);
    if endangered.is_empty() || policy.monitor {
        Ok(())
    } else {
        Err(Refusal { endangered })
    }
}

/// Why a policy is not put in force: it would cut off peers. As text, it lists them, and says how to keep each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// Those that it would cut off: at least one.
    pub endangered: Vec<Endangered>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "this policy would cut off:")?;
        for peer in &self.endangered {
            writeln!(f, "  {peer}")?;
            writeln!(
                f,
                "    to admit it: allow = [\"{}\"] or --allow {}",
                peer.remedy(),
                peer.address
            )?;
        }
        let mut all: Vec<_> = self.endangered.iter().map(Endangered::remedy).collect();
        all.sort_unstable();
        all.dedup();
        if all.len() > 1 {
            let quoted: Vec<_> = all.iter().map(|prefix| format!("\"{prefix}\"")).collect();
            let addresses: Vec<_> = all.iter().map(|prefix| prefix.addr().to_string()).collect();
            writeln!(
                f,
                "  to admit them all: allow = [{}] or --allow {}",
                quoted.join(", "),
                addresses.join(",")
            )?;
        }
        write!(f, "nothing was changed; --force overrides this")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        geoip,
        guard::Process,
        policy::{CountryRule, PortRule, Ports, Protocol},
    };

    fn peers() -> Peers {
        let sshd = Process {
            id: 812,
            name: "sshd".to_owned(),
            parent: 1,
            group: 812,
            session: 812,
            terminal: 0,
        };
        let interface = || "eth0".to_owned();
        let ssh = Service {
            protocol: Protocol::Tcp,
            local_port: 22,
        };
        let peer = |role, address: &str, service| Peer {
            role,
            address: address.parse().unwrap(),
            service,
        };
        Peers {
            guarded: vec![
                peer(Role::Session(sshd), "1.0.1.7", Some(ssh)),
                peer(
                    Role::Gateway {
                        interface: interface(),
                    },
                    "10.0.0.1",
                    None,
                ),
                peer(Role::NameServer, "8.8.8.8", None),
                peer(
                    Role::OwnAddress {
                        interface: interface(),
                    },
                    "2400:3200::1",
                    None,
                ),
            ],
            ..Peers::default()
        }
    }

    #[test]
    fn a_refusal_says_who_and_how_to_keep_them() {
        let world = geoip::builtin().unwrap().regions;
        let policy = Policy {
            deny: vec!["8.8.8.0/24".parse().unwrap()],
            ..Policy::default()
        };
        let refusal = check(&policy, &world, &peers()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "this policy would cut off:\n  \
             your session (sshd, process 812) at tcp/22: 1.0.1.7 in China (CN), dropped because of its country\n    \
             to admit it: allow = [\"1.0.1.7/32\"] or --allow 1.0.1.7\n  \
             a name server: 8.8.8.8 in United States of America (US), dropped because of a prefix of deny\n    \
             to admit it: allow = [\"8.8.8.8/32\"] or --allow 8.8.8.8\n  \
             this host's own address on eth0: 2400:3200::1 in China (CN), dropped because of its country\n    \
             to admit it: allow = [\"2400:3200::1/128\"] or --allow 2400:3200::1\n  \
             to admit them all: allow = [\"1.0.1.7/32\", \"8.8.8.8/32\", \"2400:3200::1/128\"] or --allow \
             1.0.1.7,8.8.8.8,2400:3200::1\n\
             nothing was changed; --force overrides this"
        );

        // What it says helps.
        let policy = Policy {
            allow: refusal.endangered.iter().map(Endangered::remedy).collect(),
            ..policy
        };
        assert_eq!(check(&policy, &world, &peers()), Ok(()));
    }

    #[test]
    fn monitoring_is_not_refused_and_yet_told() {
        let world = geoip::builtin().unwrap().regions;
        let policy = Policy {
            monitor: true,
            ..Policy::default()
        };
        assert_eq!(endangered(&policy, &world, &peers()).len(), 2);
        assert_eq!(check(&policy, &world, &peers()), Ok(()));
    }

    #[test]
    fn a_session_is_judged_at_its_port() {
        let world = geoip::builtin().unwrap().regions;
        let at = |port, admitted| {
            let ports = Ports {
                protocol: Protocol::Tcp,
                numbers: port..=port,
            };
            let policy = Policy {
                rules: vec![PortRule {
                    ports: vec![ports],
                    countries: CountryRule::Only([admitted].into()),
                }],
                ..Policy::default()
            };
            let endangered = endangered(&policy, &world, &peers());
            let mut sessions = endangered.into_iter();
            let session = sessions.find(|peer| matches!(peer.role, Role::Session(_)));
            session.map(|session| session.reason)
        };
        assert_eq!(at(22, Country::CHINA), None);
        assert_eq!(at(22, Country::HONG_KONG), Some(Reason::Only));
        assert_eq!(at(23, Country::CHINA), Some(Reason::Country));
    }
}
