//! This administrator's sessions: whom the processes lead to that this one comes from.
//!
//! Three ways lead there:
//!
//! 1. **Sockets** of the processes in this one's [lineage](System::lineage). The ssh server's process of a session
//!    stays between the shell and the world, and holds the connection, whatever `sudo` and `su` do below it; so do
//!    the processes of telnetd, of a terminal in the browser, of an agent that runs commands.
//! 2. **Other logins of the same user**: the processes that other terminals' login shells come from, if they hold
//!    connections to ports that are listened at. Under tmux and screen the shell comes from a server that is nobody's
//!    child any more, and it is the terminal in front of it that the administrator sits at. The same user is whom the
//!    kernel noted at the login (`loginuid`); where it noted none, the one who runs the outermost login shell. Where
//!    there is neither, as in a service that `systemctl` started, all logins in this network namespace count: one of
//!    them may be theirs who started it.
//! 3. **`SSH_CONNECTION` and `SSH_CLIENT`** in what processes of the lineage were started with. Shells in tmux keep
//!    them when the connection has long ended: one that has ended counts only where the other ways found nobody for
//!    certain, or below mosh, which begins with an ssh connection and ends it.
//!
//! Not found: a session in another process namespace (`docker exec` from a host's session); whoever sits behind a
//! proxy or a jump host on this host itself; the outer address of a tunnel or VPN that a session comes through; where
//! a mosh client has roamed to; a console in a virtual machine's window.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use super::{
    Service,
    process::{Process, System},
    resolver,
    sockets::{Held, Holders, Socket},
};
use crate::policy::Protocol;

/// Someone at the other end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Who holds the connection, or knows of it.
    pub(super) process: Process,
    /// Whether this process comes from that one.
    pub(super) own: bool,
    /// Where the other end is.
    pub(super) address: IpAddr,
    /// What its packets are sent to.
    pub(super) service: Service,
    /// The address that they are sent to, where it is known.
    pub(super) local: Option<IpAddr>,
}

/// What was found of sessions.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The sessions, each once.
    pub(super) sessions: Vec<Session>,
    /// Processes that may hold one, and may not be looked into by this user.
    pub(super) unseen: Vec<Process>,
}

/// Finds the sessions that lead to a process.
pub(super) fn find(system: &System, process: u32) -> Found {
    let lineage = system.lineage(process);
    let mut holders = Holders::new(system);
    let mut found = Found::default();
    for ancestor in &lineage {
        found.add_sockets(&mut holders, ancestor, true);
    }
    let holds = !found.sessions.is_empty();
    let logged_in = found.add_logins(system, &mut holders, process, &lineage);
    found.add_variables(system, &mut holders, &lineage, holds || logged_in);
    found
}

impl Found {
    fn add(&mut self, session: Session) {
        let same =
            |other: &Session| (other.address, other.service) == (session.address, session.service);
        if !self.sessions.iter().any(same) {
            self.sessions.push(session);
        }
    }

    /// Adds the connections that a process holds. Of one that this process does not come from, only those that came in
    /// count: what it opened itself is its own business.
    fn add_sockets(&mut self, holders: &mut Holders<'_>, process: &Process, own: bool) {
        let Held::Sockets(sockets) = holders.held_by(process.id) else {
            self.unseen.push(process.clone());
            return;
        };
        for socket in sockets.iter().filter(|socket| socket.has_remote_peer()) {
            let is_tcp = socket.protocol == Protocol::Tcp;
            if own || is_tcp && holders.around(process.id).came_in(socket) {
                self.add(Session {
                    process: process.clone(),
                    own,
                    address: socket.remote.ip(),
                    service: socket.service(),
                    local: Some(socket.local.ip()),
                });
            }
        }
    }

    /// Adds the logins of whoever this process belongs to; returns whether there is one that is certainly theirs.
    fn add_logins(
        &mut self,
        system: &System,
        holders: &mut Holders<'_>,
        process: u32,
        lineage: &[Process],
    ) -> bool {
        let mut certain = false;
        let mut seen: BTreeSet<u32> = lineage.iter().map(|ancestor| ancestor.id).collect();
        let owner = Owner::of(system, process, lineage);
        let leaders = system.processes();
        for leader in leaders.iter().filter(|process| process.leads_a_terminal()) {
            let theirs = system.lineage(leader.id);
            let same = owner.is(&Owner::of(system, leader.id, &theirs));
            if same == Some(false) {
                continue;
            }
            for process in &theirs {
                // Of people unknown, a container's users are surely others.
                let near = same == Some(true) || system.is_in_this_network(process.id);
                if near && seen.insert(process.id) {
                    let before = self.sessions.len();
                    self.add_sockets(holders, process, false);
                    certain |= same == Some(true) && self.sessions.len() > before;
                }
            }
        }
        certain
    }

    /// Adds what variables name; where it is `known` from elsewhere who is there, only what has not ended.
    fn add_variables(
        &mut self,
        system: &System,
        holders: &mut Holders<'_>,
        lineage: &[Process],
        known: bool,
    ) {
        let mosh = mosh_services(holders, lineage);
        for process in lineage {
            let variable = system.variable(process.id, &["SSH_CONNECTION", "SSH_CLIENT"]);
            let Some(client) = variable.as_deref().and_then(Client::parse) else {
                continue;
            };
            let is_up = holders
                .around(process.id)
                .connections()
                .any(|connection| connection.remote == client.remote);
            if known && !is_up && mosh.is_empty() {
                continue;
            }
            let ssh = Service {
                protocol: Protocol::Tcp,
                local_port: client.local_port,
            };
            for service in [ssh].iter().chain(&mosh) {
                self.add(Session {
                    process: process.clone(),
                    own: true,
                    address: client.remote.ip(),
                    service: *service,
                    local: client.local,
                });
            }
        }
    }
}

/// Where mosh listens, if this process runs below it: its server does not connect its socket to the client.
fn mosh_services(holders: &mut Holders<'_>, lineage: &[Process]) -> Vec<Service> {
    let mut services = Vec::new();
    for server in lineage {
        if server.name == "mosh-server"
            && let Held::Sockets(sockets) = holders.held_by(server.id)
        {
            let open = sockets.iter().filter(|socket| socket.is_open_to_all());
            services.extend(open.map(Socket::service));
        }
    }
    services
}

/// Whose a process is.
struct Owner {
    /// As whom someone logged in.
    login: Option<u32>,
    /// Who runs the outermost login shell that it comes from.
    user: Option<u32>,
}

impl Owner {
    fn of(system: &System, process: u32, lineage: &[Process]) -> Self {
        let mut outermost_first = lineage.iter().rev();
        let shell = outermost_first.find(|process| process.leads_a_terminal());
        Self {
            login: system.login(process),
            user: shell.and_then(|shell| system.user(shell.id)),
        }
    }

    /// Whether the other is the same person; `None`: it is not known.
    fn is(&self, other: &Self) -> Option<bool> {
        let same = |this: Option<u32>, other: Option<u32>| Some(this? == other?);
        same(self.login, other.login).or_else(|| same(self.user, other.user))
    }
}

/// What `SSH_CONNECTION` (client, its port, server, its port) or `SSH_CLIENT` (client, its port, server's port) says.
#[derive(Debug, PartialEq, Eq)]
struct Client {
    remote: SocketAddr,
    local: Option<IpAddr>,
    local_port: u16,
}

impl Client {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split_ascii_whitespace().collect();
        let (ip, port, local, local_port) = match words[..] {
            [ip, port, local, local_port] => (ip, port, Some(local), local_port),
            [ip, port, local_port] => (ip, port, None, local_port),
            // Not over the network: sshd(8) says "UNKNOWN" or nothing.
            _ => return None,
        };
        let ip = resolver::address(ip).filter(|ip| !ip.is_loopback())?;
        Some(Self {
            remote: SocketAddr::new(ip, port.parse().ok()?),
            local: local.and_then(resolver::address),
            local_port: local_port.parse().ok()?,
        })
    }
}
