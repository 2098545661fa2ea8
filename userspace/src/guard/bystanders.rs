//! Those whom a policy is meant for: peers that it would cut off and that nobody guards, to be shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    GuardError, Peers, endangered::judge_at, process::System, routes::Way, sockets::Sockets,
};
use crate::{
    geoip::{Country, Opinions},
    policy::{Policy, Verdict},
};

/// TCP connections with a country that a policy would cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bystanders {
    /// The country; `None`: no data knows it.
    pub country: Option<Country>,
    /// How many addresses.
    pub addresses: usize,
    /// How many connections.
    pub connections: usize,
    /// How many of those were most likely opened from here: nobody listens at their ports.
    pub opened_here: usize,
}

/// Counts the established TCP connections of this thread's network namespace that a policy would cut off, most first.
/// Peers that are guarded are left out, and those whose packets come through other interfaces than the filter's.
///
/// Blocks until done, on a runtime of its own: not to be called from inside one.
///
/// # Errors
///
/// When the connections or the routes cannot be read.
pub fn bystanders<'a>(
    policy: &Policy,
    data: impl Into<Opinions<'a>>,
    peers: &Peers,
) -> Result<Vec<Bystanders>, GuardError> {
    let path = System::default().path("proc/thread-self/net");
    let sockets = Sockets::read(&path).map_err(|source| GuardError::Processes { path, source })?;
    let mut cut_off = count(policy, data.into(), peers, &sockets);
    if let Some(network) = &peers.network {
        let ways: Vec<_> = cut_off.keys().map(|&to| Way { to, from: None }).collect();
        let mut concern = network.concern(&ways)?.into_iter();
        cut_off.retain(|_, _| concern.next().unwrap_or(true));
    }
    Ok(by_country(cut_off.into_values()))
}

/// The connections that a policy would cut off, by address.
fn count(
    policy: &Policy,
    data: Opinions<'_>,
    peers: &Peers,
    sockets: &Sockets,
) -> BTreeMap<IpAddr, Bystanders> {
    let guarded: BTreeSet<_> = peers.guarded.iter().map(|peer| peer.address).collect();
    let mut cut_off = BTreeMap::new();
    for connection in sockets.connections() {
        let address = connection.remote.ip();
        let explained = judge_at(policy, data, address, Some(connection.service()));
        if explained.verdict == Verdict::Pass || guarded.contains(&address) {
            continue;
        }
        let counted = cut_off.entry(address).or_insert(Bystanders {
            country: explained.country,
            addresses: 1,
            connections: 0,
            opened_here: 0,
        });
        counted.connections += 1;
        counted.opened_here += usize::from(!sockets.came_in(connection));
    }
    cut_off
}

/// Adds up, most connections first.
fn by_country(counted: impl Iterator<Item = Bystanders>) -> Vec<Bystanders> {
    let mut countries: BTreeMap<Option<Country>, Bystanders> = BTreeMap::new();
    for one in counted {
        countries
            .entry(one.country)
            .and_modify(|sum| {
                sum.addresses += one.addresses;
                sum.connections += one.connections;
                sum.opened_here += one.opened_here;
            })
            .or_insert(one);
    }
    let mut countries: Vec<_> = countries.into_values().collect();
    countries.sort_by_key(|sum| std::cmp::Reverse(sum.connections));
    countries
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        geoip,
        guard::{Peer, Role},
    };

    #[cfg(target_endian = "little")]
    #[test]
    fn connections_are_counted_by_country() {
        let line = |local: &str, remote: &str, state: &str| {
            format!(" 0: {local} {remote} {state} 0:0 00:0 0 0 0 1 1 0\n")
        };
        let web = "010200C0:01BB";
        let table = [
            line("00000000:01BB", "00000000:0000", "0A"),
            line(web, "01010001:C350", "01"),
            line(web, "01010001:C351", "01"),
            line(web, "02010001:C350", "01"),
            line("010200C0:9C40", "02010001:01BB", "01"),
            // Guarded.
            line(web, "07010001:C350", "01"),
            // 143.89.1.1, Hong Kong.
            line(web, "0101598F:C350", "01"),
            // 8.8.8.8 passes; so does what is over.
            line(web, "08080808:C350", "01"),
            line(web, "09010001:C350", "06"),
        ];
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tcp"), table.concat()).unwrap();
        let sockets = Sockets::read(directory.path()).unwrap();
        let peers = Peers {
            guarded: vec![Peer {
                role: Role::NameServer,
                address: "1.0.1.7".parse().unwrap(),
                service: None,
            }],
            ..Peers::default()
        };
        let world = geoip::builtin().unwrap().regions;
        let counted = count(&Policy::default(), (&world).into(), &peers, &sockets);
        let of = |country, addresses, connections, opened_here| Bystanders {
            country: Some(country),
            addresses,
            connections,
            opened_here,
        };
        assert_eq!(
            by_country(counted.into_values()),
            [of(Country::CHINA, 2, 4, 1), of(Country::HONG_KONG, 1, 1, 0)]
        );
    }
}
