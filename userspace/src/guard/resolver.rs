//! The name servers that this host asks.

use std::{fs, net::IpAddr};

use super::process::System;

/// Where a local name server keeps the servers that it asks in its turn: systemd-resolved, `NetworkManager` with a
/// name server of its own, resolvconf with dnsmasq.
const BEHIND: [&str; 3] = [
    "run/systemd/resolve/resolv.conf",
    "run/NetworkManager/no-stub-resolv.conf",
    "run/dnsmasq/resolv.conf",
];

/// The name servers in `/etc/resolv.conf`, and where one of them is this host itself, those behind it. A file that
/// is not there, or may not be read, names none.
pub(super) fn name_servers(system: &System) -> Vec<IpAddr> {
    let read = |file| fs::read_to_string(system.path(file)).unwrap_or_default();
    let mut servers = parse(&read("etc/resolv.conf"));
    if servers.iter().any(IpAddr::is_loopback) {
        servers.extend(BEHIND.iter().flat_map(|file| parse(&read(file))));
    }
    servers.retain(|server| !server.is_loopback() && !server.is_unspecified());
    servers.sort_unstable();
    servers.dedup();
    servers
}

/// Reads resolv.conf(5).
fn parse(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|&word| word == "nameserver")?;
        address(words.next()?)
    };
    text.lines().filter_map(server).collect()
}

/// An address, perhaps with the interface that it is behind: `fe80::1%eth0`.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let (address, _) = text.split_once('%').unwrap_or((text, ""));
    Some(address.parse::<IpAddr>().ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let servers = name_servers(&System::under(root.path()));
        servers.iter().map(ToString::to_string).collect()
    }

    const CONF: &str = "etc/resolv.conf";
    const RESOLVED: &str = "run/systemd/resolve/resolv.conf";

    #[test]
    fn a_file_names_servers_among_other_things() {
        let text = "# nameserver 9.9.9.9\n; nameserver 9.9.9.9\nsearch example.org\n\
                    nameserver 1.0.1.1\n  nameserver\t2400:3200::1 # a comment\nnameserver fe80::1%eth0\n\
                    nameserver\nnameserver here\noptions edns0\nnameservers 9.9.9.9\nnameserver 1.0.1.1";
        assert_eq!(
            servers(&[(CONF, text)]),
            ["1.0.1.1", "2400:3200::1", "fe80::1"]
        );
    }

    #[test]
    fn behind_a_local_server_are_those_that_it_asks() {
        let behind = (RESOLVED, "nameserver 1.0.1.1");
        let stub = (CONF, "nameserver 127.0.0.53\nnameserver 8.8.8.8");
        assert_eq!(servers(&[stub, behind]), ["1.0.1.1", "8.8.8.8"]);
        assert_eq!(
            servers(&[(CONF, "nameserver 8.8.8.8"), behind]),
            ["8.8.8.8"]
        );
        assert!(servers(&[(CONF, "nameserver ::1")]).is_empty());
        assert!(servers(&[]).is_empty());
    }
}
