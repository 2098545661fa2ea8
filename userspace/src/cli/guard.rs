//! The lock-out guard, before a policy is put in force.

use std::net::IpAddr;

use anyhow::Context as _;
use geodrop::{
    datapath::{interface::Interface, reload::Session},
    geoip::Country,
    guard::{self, Bystanders, Peer, Refusal, Role, Service},
    policy::Protocol,
};

use super::{
    attach::Terms,
    options::{Resolved, Share},
    warn,
};

/// Refuses policies that would cut off whom the host or its admin cannot do without; with `force`, tells of them. Others
/// whom they cut off are who they are for: they are counted. What only monitors cuts nobody off.
pub(super) fn check(resolved: &Resolved, terms: &Terms) -> anyhow::Result<()> {
    let force = terms.force;
    let mut refusal = Refusal {
        endangered: Vec::new(),
    };
    for share in resolved.shares.iter().filter(|share| !share.policy.monitor) {
        match look(resolved, share, &terms.sessions) {
            Ok(endangered) => refusal.endangered.extend(endangered),
            Err(error) if force => warn(super::describe(&error)),
            Err(error) => {
                return Err(error.context("nothing was changed; --force goes without the guard"));
            }
        }
    }
    if refusal.endangered.is_empty() {
        return Ok(());
    }
    if !force {
        return Err(refusal.into());
    }
    for peer in &refusal.endangered {
        warn(format_args!("warning: this cuts off {peer}"));
    }
    Ok(())
}

/// Refuses to drop what comes from addresses of those whom the host or its admin cannot do without.
pub(super) fn check_addresses(
    interfaces: &[Interface],
    addresses: &[IpAddr],
) -> anyhow::Result<()> {
    let peers = guard::peers(interfaces)
        .context("looking for whom a filter must not cut off; --force goes without")?;
    let cut_off: Vec<_> = peers
        .guarded
        .iter()
        .filter(|peer| addresses.contains(&peer.address.to_canonical()))
        .map(|peer| format!("  {}: {}", peer.role, peer.address))
        .collect();
    if cut_off.is_empty() {
        return Ok(());
    }
    anyhow::bail!(
        "this would cut off:\n{}\nnothing was changed; --force overrides this",
        cut_off.join("\n")
    )
}

/// Those whom a policy endangers.
fn look(
    resolved: &Resolved,
    share: &Share,
    sessions: &[Session],
) -> anyhow::Result<Vec<guard::Endangered>> {
    let Share {
        interfaces, policy, ..
    } = share;
    let mut peers =
        guard::peers(interfaces).context("looking for whom a filter must not cut off")?;
    let told = sessions.iter().map(told);
    let told: Vec<_> = told.filter(|peer| !peers.has(peer)).collect();
    peers.guarded.extend(told);
    if sessions.is_empty() && !peers.unseen.is_empty() {
        let unseen: Vec<_> = peers.unseen.iter().map(ToString::to_string).collect();
        warn(format_args!(
            "note: sessions held by others are not guarded, since this process may not read their connections, which takes \
             root or CAP_SYS_PTRACE ({})",
            unseen.join("; ")
        ));
    }
    // Of no consequence, so no reason to refuse anything.
    if let Ok(bystanders) = guard::bystanders(policy, &resolved.data, &peers) {
        tell(&bystanders);
    }
    Ok(guard::endangered(policy, &resolved.data, &peers))
}

/// The sessions that this process holds or knows of, whose packets come through these interfaces, for another process to
/// guard.
pub(super) fn sessions(interfaces: &[Interface]) -> anyhow::Result<Vec<Session>> {
    let peers = guard::peers(interfaces)
        .context("looking for whom a filter must not cut off; --force goes without")?;
    let sessions = peers.guarded.into_iter().filter_map(|peer| {
        matches!(peer.role, Role::Session(_) | Role::Login(_)).then(|| Session {
            name: peer.role.to_string(),
            address: peer.address,
            service: peer
                .service
                .map(|service| (service.protocol.number(), service.local_port)),
        })
    });
    Ok(sessions.collect())
}

/// A session that somebody else holds.
fn told(session: &Session) -> Peer {
    let service = session.service.and_then(|(protocol, local_port)| {
        let protocol = Protocol::of_number(protocol)?;
        Some(Service {
            protocol,
            local_port,
        })
    });
    Peer {
        role: Role::Told(session.name.clone()),
        address: session.address,
        service,
    }
}

fn tell(bystanders: &[Bystanders]) {
    if bystanders.is_empty() {
        return;
    }
    let connections: usize = bystanders.iter().map(|one| one.connections).sum();
    let countries: Vec<_> = bystanders
        .iter()
        .map(|one| {
            let country = one.country.as_ref().map_or("unknown", Country::as_str);
            format!("{country} {}", one.connections)
        })
        .collect();
    warn(format_args!(
        "note: {connections} established connections come under this policy ({})",
        countries.join(", ")
    ));
}
