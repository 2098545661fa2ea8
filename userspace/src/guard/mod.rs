//! The lock-out guard: whom a filter must not cut off, and whom it would.
//!
//! [`peers`] finds those whom the host or its administrator cannot do without; [`endangered`] says which of them a
//! policy would drop, and [`check`] refuses such a policy; [`bystanders`] counts everybody else whom it would cut off.
//!
//! | guarded | found by | more in |
//! |---|---|---|
//! | this administrator's sessions | the process tree, the sockets in it, logins, `SSH_CONNECTION` | `session` |
//! | default gateways | routes for everything through the filter's interfaces, in every table | `routes` |
//! | name servers | `/etc/resolv.conf`, and what is behind a local one | `resolver` |
//! | this host's own addresses | those of the filter's interfaces | `routes` |
//!
//! Gateways and name servers are guarded although `replies = "pass"` lets most of what they send pass: not a router's
//! own ICMP and neighbour discovery, and not answers to questions that were under way when the filter came.
//!
//! Peers whose packets come through other interfaces are left alone. The way to a peer is taken for the way from it,
//! which it need not be. Bonds, bridges and VLANs on top of an interface belong to it. Where the kernel knows no way, as
//! before the network is up, the peer is guarded.
//!
//! # Limits
//!
//! - A session through a tunnel or VPN is found by its inner address, whose way leads through the tunnel's interface: it
//!   is listed in [`Peers::elsewhere`]. That the tunnel's own packets come through the filter is not seen.
//! - A session of which this user may not read the sockets, and that left no variable, is not found:
//!   [`Peers::unseen`] lists the processes. Root may read all.
//! - A session that leads here through a proxy or jump host is found up to that host.
//! - What a container's engine runs (`docker exec`), the session behind is out of sight of.

mod bystanders;
mod endangered;
mod error;
mod process;
mod resolver;
mod routes;
mod session;
mod sockets;

use std::{fmt, net::IpAddr};

pub use bystanders::{Bystanders, bystanders};
pub use endangered::{Endangered, Refusal, check, endangered};
pub use error::GuardError;
pub use process::Process;

use self::{
    process::System,
    routes::{Network, Way},
};
use crate::{datapath::interface::Interface, policy::Protocol};

/// Those whom a filter on some interfaces must not cut off.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// Those whose packets come through these interfaces, sessions first.
    pub guarded: Vec<Peer>,
    /// Sessions whose packets come through other interfaces; through a tunnel, perhaps, whose own packets do come
    /// through these.
    pub elsewhere: Vec<Peer>,
    /// Processes that may hold this administrator's session, and that this user may not look into.
    pub unseen: Vec<Process>,
    network: Option<Network>,
}

impl Peers {
    /// Whether a peer is guarded already, whatever it is to this host.
    #[must_use]
    pub fn has(&self, peer: &Peer) -> bool {
        let mut guarded = self.guarded.iter();
        guarded.any(|other| (other.address, other.service) == (peer.address, peer.service))
    }

    /// Whether a session of this administrator was found, wherever its packets come through.
    #[must_use]
    pub fn has_session(&self) -> bool {
        let mut all = self.guarded.iter().chain(&self.elsewhere);
        all.any(|peer| matches!(peer.role, Role::Session(_) | Role::Login(_)))
    }
}

/// Somebody whom a filter must not cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it is to this host.
    pub role: Role,
    /// Its address.
    pub address: IpAddr,
    /// What its packets are sent to, where that is one port.
    pub service: Option<Service>,
}

/// What a peer is to this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The other end of this administrator's session, which this process holds or knows of.
    Session(Process),
    /// The other end of another login of the same user, or of anybody's where it is not known whose this process is.
    Login(Process),
    /// The other end of a session of whoever asked this process for something, in their words.
    Told(String),
    /// A router for everything.
    Gateway {
        /// The interface that it is behind.
        interface: String,
    },
    /// A name server.
    NameServer,
    /// This host itself.
    OwnAddress {
        /// The interface that has the address.
        interface: String,
    },
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(process) => write!(f, "your session ({process})"),
            Self::Login(process) => write!(f, "another login, perhaps yours ({process})"),
            Self::Told(name) => write!(f, "{name}"),
            Self::Gateway { interface } => write!(f, "the default gateway of {interface}"),
            Self::NameServer => write!(f, "a name server"),
            Self::OwnAddress { interface } => {
                write!(f, "this host's own address on {interface}")
            }
        }
    }
}

/// A port of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub local_port: u16,
}

/// As policies write it: `tcp/22`.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}/{}", self.local_port)
    }
}

/// Finds those whom a filter on these interfaces must not cut off.
///
/// Blocks until done, on a runtime of its own: not to be called from inside one.
///
/// # Errors
///
/// When there is no process file system, or the kernel does not answer. What this user may not see is no error.
pub fn peers(interfaces: &[Interface]) -> Result<Peers, GuardError> {
    let system = System::default();
    let this_process = system
        .this_process()
        .map_err(|source| GuardError::Processes {
            path: system.path("proc/self"),
            source,
        })?;
    let network = Network::around(interfaces)?;
    let sessions = session::find(&system, this_process);
    let mut candidates: Vec<(Peer, Option<IpAddr>)> = Vec::new();
    for session in sessions.sessions {
        let role = if session.own {
            Role::Session(session.process)
        } else {
            Role::Login(session.process)
        };
        let peer = Peer {
            role,
            address: session.address,
            service: Some(session.service),
        };
        candidates.push((peer, session.local));
    }
    for address in resolver::name_servers(&system) {
        candidates.push((Peer::new(Role::NameServer, address), None));
    }

    let way = |(peer, local): &(Peer, Option<IpAddr>)| Way {
        to: peer.address,
        from: *local,
    };
    let ways: Vec<_> = candidates.iter().map(way).collect();
    let concern = network.concern(&ways)?;
    let mut peers = Peers {
        unseen: sessions.unseen,
        ..Peers::default()
    };
    for ((peer, _), concerned) in candidates.into_iter().zip(concern) {
        if concerned {
            peers.guarded.push(peer);
        } else if peer.role != Role::NameServer {
            peers.elsewhere.push(peer);
        }
    }
    for (interface, address) in network.gateways.iter().cloned() {
        let peer = Peer::new(Role::Gateway { interface }, address);
        peers.guarded.push(peer);
    }
    for (interface, address) in network.addresses.iter().cloned() {
        let peer = Peer::new(Role::OwnAddress { interface }, address);
        peers.guarded.push(peer);
    }
    peers.network = Some(network);
    Ok(peers)
}

impl Peer {
    const fn new(role: Role, address: IpAddr) -> Self {
        Self {
            role,
            address,
            service: None,
        }
    }
}
