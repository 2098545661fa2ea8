//! Connections, and which process holds them, as `/proc` shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use super::{Service, process::System};
use crate::policy::Protocol;

/// The tables of a network namespace, by their names under `/proc/PID/net`.
const TABLES: [(&str, Protocol); 4] = [
    ("tcp", Protocol::Tcp),
    ("tcp6", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("udp6", Protocol::Udp),
];

/// `TCP_ESTABLISHED`; UDP sockets that are connected have it too.
const ESTABLISHED: u8 = 1;
/// `TCP_LISTEN`.
const LISTEN: u8 = 10;

/// A line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) protocol: Protocol,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    state: u8,
    inode: u64,
}

impl Socket {
    /// Reads a line of a table; `None` for its heading.
    ///
    /// ```text
    ///  sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …
    ///   0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000   0       0 12345 …
    /// ```
    fn parse(line: &str, protocol: Protocol) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        Some(Self {
            protocol,
            local: endpoint(fields.nth(1)?)?,
            remote: endpoint(fields.next()?)?,
            state: u8::from_str_radix(fields.next()?, 16).ok()?,
            inode: fields.nth(5)?.parse().ok()?,
        })
    }

    /// What the packets that it receives are sent to.
    pub(super) const fn service(&self) -> Service {
        Service {
            protocol: self.protocol,
            local_port: self.local.port(),
        }
    }

    /// Whether there is someone at the other end, on another host.
    pub(super) const fn has_remote_peer(&self) -> bool {
        let remote = self.remote.ip();
        self.state == ESTABLISHED && !remote.is_loopback() && !remote.is_unspecified()
    }

    /// Whether it is a UDP socket that talks with whoever writes to it.
    pub(super) const fn is_open_to_all(&self) -> bool {
        matches!(self.protocol, Protocol::Udp) && self.remote.port() == 0
    }
}

/// An address and a port, as the kernel prints them: the words of the address as numbers of this machine's byte
/// order, which are in the network's order in memory. An IPv6 address that stands for an IPv4 one is that one, for
/// that is what its packets have.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = address.get(index * 8..(index + 1) * 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets = <[u8; 16]>::try_from(words.as_flattened()).ok()?;
            IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The sockets of a network namespace.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    all: Vec<Socket>,
    listened: BTreeSet<u16>,
}

impl Sockets {
    /// Reads the tables in a directory: `/proc/PID/net`. One that is not there (a kernel without IPv6) is empty.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let mut sockets = Self::default();
        for (name, protocol) in TABLES {
            match fs::read_to_string(directory.join(name)) {
                Ok(text) => sockets.add(&text, protocol),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sockets)
    }

    fn add(&mut self, text: &str, protocol: Protocol) {
        let sockets = text
            .lines()
            .filter_map(|line| Socket::parse(line, protocol));
        for socket in sockets {
            if protocol == Protocol::Tcp && socket.state == LISTEN {
                self.listened.insert(socket.local.port());
            }
            self.all.push(socket);
        }
    }

    /// TCP connections to other hosts.
    pub(super) fn connections(&self) -> impl Iterator<Item = &Socket> {
        let of_tcp = |socket: &&Socket| socket.protocol == Protocol::Tcp;
        self.all
            .iter()
            .filter(of_tcp)
            .filter(|socket| socket.has_remote_peer())
    }

    /// Whether the connection came in, as far as one can see: someone listens at its port.
    pub(super) fn came_in(&self, socket: &Socket) -> bool {
        self.listened.contains(&socket.local.port())
    }
}

/// What a process holds.
pub(super) enum Held {
    /// These sockets; none, if it has gone.
    Sockets(Vec<Socket>),
    /// This user may not see it.
    Unseen,
}

/// The sockets of processes. The tables of a network namespace are read once.
#[derive(Debug)]
pub(super) struct Holders<'a> {
    system: &'a System,
    namespaces: BTreeMap<PathBuf, Sockets>,
}

impl<'a> Holders<'a> {
    pub(super) const fn new(system: &'a System) -> Self {
        Self {
            system,
            namespaces: BTreeMap::new(),
        }
    }

    /// The sockets of the network namespace that a process is in. None, if it has gone.
    pub(super) fn around(&mut self, process: u32) -> &Sockets {
        let path = |file: &str| self.system.path(format!("proc/{process}/{file}"));
        // Without the right to see which namespace it is, it counts as one of the process's own.
        let namespace = fs::read_link(path("ns/net")).unwrap_or_else(|_| path("net"));
        self.namespaces
            .entry(namespace)
            .or_insert_with(|| Sockets::read(&path("net")).unwrap_or_default())
    }

    /// The sockets that a process holds.
    pub(super) fn held_by(&mut self, process: u32) -> Held {
        let descriptors = self.system.path(format!("proc/{process}/fd"));
        let entries = match fs::read_dir(descriptors) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Held::Unseen,
            // It has gone.
            Err(_) => return Held::Sockets(Vec::new()),
        };
        let inodes: BTreeSet<u64> = entries
            .filter_map(|entry| inode(&fs::read_link(entry.ok()?.path()).ok()?))
            .collect();
        if inodes.is_empty() {
            return Held::Sockets(Vec::new());
        }
        let of_process = |socket: &&Socket| inodes.contains(&socket.inode);
        let around = self.around(process);
        Held::Sockets(around.all.iter().filter(of_process).copied().collect())
    }
}

/// The inode of a socket that a descriptor stands for: it links to `socket:[12345]`.
fn inode(target: &Path) -> Option<u64> {
    let number = target.to_str()?.strip_prefix("socket:[")?;
    number.strip_suffix(']')?.parse().ok()
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    const HEADING: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

    #[test]
    fn endpoints_are_read_as_the_kernel_prints_them() {
        for (text, wanted) in [
            ("0100007F:0277", "127.0.0.1:631"),
            ("01010001:0016", "1.0.1.1:22"),
            ("00000000:0000", "0.0.0.0:0"),
            ("00000000000000000000000000000000:0016", "[::]:22"),
            ("B80D0120000000000000000001000000:01BB", "[2001:db8::1]:443"),
            (
                "00320024000000000000000001000000:FFFF",
                "[2400:3200::1]:65535",
            ),
            // An IPv4 connection at a socket for both families.
            ("0000000000000000FFFF000001010001:0016", "1.0.1.1:22"),
        ] {
            assert_eq!(endpoint(text), Some(wanted.parse().unwrap()), "{text}");
        }
        for broken in ["", "0100007F", "0100007:0016", "0100007F:", "0100007G:0016"] {
            assert_eq!(endpoint(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_table_gives_connections_and_the_ports_that_are_listened_at() {
        let mut sockets = Sockets::default();
        let tcp = [
            HEADING,
            "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0",
            "   1: 010200C0:0016 01010001:C350 01 00000000:00000000 02:000AE8E1 00000000     0        0 12 4 0",
            "   2: 010200C0:9C40 01010001:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0",
            "   3: 0100007F:0016 0100007F:C351 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0",
            // TIME_WAIT: no longer anybody's.
            "   4: 010200C0:0016 02010001:C350 06 00000000:00000000 03:000017A8 00000000     0        0 0 3 0",
            "a line that is cut off",
        ];
        sockets.add(&tcp.join("\n"), Protocol::Tcp);
        let udp = "  77: 00000000:EA61 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000 0 15 2 0 0";
        sockets.add(udp, Protocol::Udp);

        assert_eq!(sockets.all.len(), 6);
        let connections: Vec<_> = sockets
            .connections()
            .map(|socket| (socket.inode, sockets.came_in(socket)))
            .collect();
        assert_eq!(connections, [(12, true), (13, false)]);
        assert!(sockets.all[5].is_open_to_all());
    }

    #[test]
    fn descriptors_name_sockets() {
        assert_eq!(inode(Path::new("socket:[4711]")), Some(4711));
        for other in [
            "pipe:[4711]",
            "/dev/null",
            "socket:[]",
            "anon_inode:bpf-map",
        ] {
            assert_eq!(inode(Path::new(other)), None, "{other}");
        }
    }
}
