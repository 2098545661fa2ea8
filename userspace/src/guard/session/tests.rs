//! Sessions in made-up trees of processes.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use super::*;

/// A `/proc` of our own.
struct Tree {
    root: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, id: u32, file: &str) -> PathBuf {
        let path = self.root.path().join(format!("proc/{id}/{file}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// A process that leads its own group.
    fn process(&self, id: u32, name: &str, parent: u32, session: u32, terminal: u32) -> &Self {
        let stat = format!("{id} ({name}) S {parent} {id} {session} {terminal} -1 0 0 0\n");
        fs::write(self.path(id, "stat"), stat).unwrap();
        self
    }

    fn user(&self, id: u32, user: u32, login: u32) -> &Self {
        let status = format!("Name:\tx\nUid:\t{user}\t0\t0\t0\n");
        fs::write(self.path(id, "status"), status).unwrap();
        fs::write(self.path(id, "loginuid"), login.to_string()).unwrap();
        self
    }

    fn environment(&self, id: u32, variables: &str) -> &Self {
        let variables = format!("PATH=/bin\0{variables}\0");
        fs::write(self.path(id, "environ"), variables).unwrap();
        self
    }

    fn network(&self, id: &str, namespace: u32) -> &Self {
        let link = self.root.path().join("proc").join(id).join("ns/net");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(format!("net:[{namespace}]"), link).unwrap();
        self
    }

    fn holds(&self, id: u32, inode: u64) -> &Self {
        symlink(
            format!("socket:[{inode}]"),
            self.path(id, &format!("fd/{inode}")),
        )
        .unwrap();
        self
    }

    /// All processes see these sockets.
    fn net(&self, tcp: &str, udp: &str) -> &Self {
        for process in fs::read_dir(self.root.path().join("proc")).unwrap() {
            let net = process.unwrap().path().join("net");
            fs::create_dir_all(&net).unwrap();
            fs::write(net.join("tcp"), tcp).unwrap();
            fs::write(net.join("udp"), udp).unwrap();
        }
        self
    }

    /// What leads to a process: names of holders, whether they are its own, addresses and services.
    fn found(&self, id: u32) -> Vec<String> {
        let found = find(&System::under(self.root.path()), id);
        assert_eq!(found.unseen, []);
        let sessions = found.sessions.iter().map(|session| {
            let own = if session.own { "own" } else { "login" };
            let (name, address) = (&session.process.name, session.address);
            format!("{own} {name} {address} {}", session.service)
        });
        sessions.collect()
    }
}

const NOBODY: u32 = u32::MAX;

/// A line of a table: local and remote address as the kernel prints them, the state, the inode.
fn socket(local: &str, remote: &str, state: &str, inode: u64) -> String {
    format!(" 0: {local} {remote} {state} 0:0 00:0 0 0 0 {inode} 1 0\n")
}

/// sshd listens at 22, and holds connections from 1.0.1.1 (inode 12) and 1.0.1.2 (inode 13); a process here opened one to
/// 1.0.1.3 (inode 14).
fn tcp() -> String {
    [
        socket("00000000:0016", "00000000:0000", "0A", 11),
        socket("010200C0:0016", "01010001:C350", "01", 12),
        socket("010200C0:0016", "02010001:C350", "01", 13),
        socket("010200C0:9C40", "03010001:01BB", "01", 14),
    ]
    .concat()
}

/// sshd 10, its processes for a session 20 and 21 and the shell 30, `sudo` 40 with its own terminal's leader 41, and
/// geodrop 50.
fn ssh_and_sudo(tree: &Tree) -> &Tree {
    tree.process(1, "init", 0, 1, 0)
        .process(10, "sshd", 1, 10, 0)
        .process(20, "sshd-session", 10, 20, 0)
        .process(21, "sshd-session", 20, 20, 0)
        .process(30, "bash", 21, 30, 34816)
        .process(40, "sudo", 30, 30, 34816)
        .process(41, "sudo", 40, 41, 34817)
        .process(50, "geodrop", 41, 41, 34817)
        .holds(10, 11)
}

#[test]
fn a_session_is_found_through_sudo() {
    let tree = Tree::new();
    ssh_and_sudo(&tree).holds(20, 12).holds(21, 12);
    tree.net(&tcp(), "");
    assert_eq!(tree.found(50), ["own sshd-session 1.0.1.1 tcp/22"]);
}

#[test]
fn what_an_ancestor_opened_counts_too() {
    let tree = Tree::new();
    tree.process(5, "agent", 1, 5, 0)
        .process(6, "geodrop", 5, 5, 0)
        .holds(5, 14)
        .net(&tcp(), "");
    assert_eq!(tree.found(6), ["own agent 1.0.1.3 tcp/40000"]);
}

#[test]
fn the_session_s_leader_leads_on_where_a_parent_has_gone() {
    let tree = Tree::new();
    ssh_and_sudo(&tree)
        .process(50, "geodrop", 1, 30, 0)
        .holds(21, 12)
        .net(&tcp(), "");
    assert_eq!(tree.found(50), ["own sshd-session 1.0.1.1 tcp/22"]);
}

#[test]
fn other_logins_of_the_same_user_count_and_nobody_else_s() {
    let in_tmux = |logins: [u32; 3], users: [u32; 3]| {
        let tree = Tree::new();
        ssh_and_sudo(&tree)
            .holds(21, 12)
            .process(22, "sshd-session", 10, 22, 0)
            .process(32, "bash", 22, 32, 34818)
            .holds(22, 13)
            // What a login opened from here is no way to it.
            .holds(22, 14)
            .process(60, "tmux: server", 1, 60, 0)
            .process(61, "bash", 60, 61, 34820)
            .process(62, "geodrop", 61, 61, 34820)
            .net(&tcp(), "");
        for (index, shell) in [61, 30, 32].into_iter().enumerate() {
            tree.user(shell, users[index], logins[index]);
        }
        tree.user(62, 0, logins[0]);
        tree.found(62)
    };
    let (first, second) = (
        "login sshd-session 1.0.1.1 tcp/22",
        "login sshd-session 1.0.1.2 tcp/22",
    );
    assert_eq!(in_tmux([1000, 1000, 1001], [0, 0, 0]), [first]);
    assert_eq!(in_tmux([NOBODY; 3], [1000, 1001, 1000]), [second]);
    let mut both = in_tmux([1000, 1000, 1000], [1, 2, 3]);
    both.sort();
    assert_eq!(both, [first, second]);
}

#[test]
fn a_service_is_everybody_s() {
    let tree = Tree::new();
    ssh_and_sudo(&tree)
        .user(30, 1000, 1000)
        .holds(21, 12)
        .process(70, "geodrop", 1, 70, 0)
        .user(70, 0, NOBODY)
        .net(&tcp(), "");
    let login = ["login sshd-session 1.0.1.1 tcp/22"];
    assert_eq!(tree.found(70), login);
    tree.network("thread-self", 1)
        .network("20", 1)
        .network("21", 1);
    assert_eq!(tree.found(70), login);
    // Not those in containers.
    let tree = Tree::new();
    ssh_and_sudo(&tree)
        .holds(21, 12)
        .process(70, "geodrop", 1, 70, 0)
        .network("thread-self", 1)
        .network("21", 2)
        .net(&tcp(), "");
    assert!(tree.found(70).is_empty());
}

#[test]
fn variables_lead_where_no_socket_does() {
    let tree = Tree::new();
    ssh_and_sudo(&tree).environment(40, "SSH_CONNECTION=1.0.1.9 50000 192.0.2.1 2222");
    tree.net(&tcp(), "");
    assert_eq!(tree.found(50), ["own sudo 1.0.1.9 tcp/2222"]);
    // Known better by now, and the variable's connection has ended.
    tree.holds(21, 12);
    assert_eq!(tree.found(50), ["own sshd-session 1.0.1.1 tcp/22"]);
    // It has not ended.
    tree.environment(30, "SSH_CLIENT=1.0.1.2 50000 22");
    assert_eq!(
        tree.found(50),
        ["own sshd-session 1.0.1.1 tcp/22", "own bash 1.0.1.2 tcp/22"]
    );
}

#[test]
fn logins_of_people_unknown_do_not_outweigh_a_variable() {
    let tree = Tree::new();
    ssh_and_sudo(&tree)
        .holds(21, 12)
        .process(70, "geodrop", 1, 70, 0)
        .environment(70, "SSH_CLIENT=1.0.1.9 50000 22")
        .net(&tcp(), "");
    assert_eq!(
        tree.found(70),
        [
            "login sshd-session 1.0.1.1 tcp/22",
            "own geodrop 1.0.1.9 tcp/22"
        ]
    );
}

#[test]
fn below_mosh_the_ended_connection_s_client_is_at_mosh_s_port() {
    let tree = Tree::new();
    let udp = socket("00000000:EA61", "00000000:0000", "07", 15);
    tree.process(80, "mosh-server", 1, 80, 0)
        .process(81, "bash", 80, 81, 34816)
        .process(82, "geodrop", 81, 81, 34816)
        .environment(81, "SSH_CONNECTION=1.0.1.9 50000 192.0.2.1 22")
        .holds(80, 15)
        .net(&tcp(), &udp);
    assert_eq!(
        tree.found(82),
        ["own bash 1.0.1.9 tcp/22", "own bash 1.0.1.9 udp/60001"]
    );
}

#[test]
fn what_has_gone_in_the_middle_is_no_error() {
    let tree = Tree::new();
    tree.process(50, "geodrop", 41, 41, 34817).holds(50, 99);
    assert!(tree.found(50).is_empty());
    assert!(tree.found(51).is_empty());
}

#[test]
fn variables_of_ssh_are_read() {
    let client = |remote: &str, local: Option<&str>| {
        Some(Client {
            remote: remote.parse().unwrap(),
            local: local.map(|local| local.parse().unwrap()),
            local_port: 22,
        })
    };
    for (text, wanted) in [
        (
            "1.0.1.1 50000 192.0.2.1 22",
            client("1.0.1.1:50000", Some("192.0.2.1")),
        ),
        ("1.0.1.1 50000 22", client("1.0.1.1:50000", None)),
        (
            "::ffff:1.0.1.1 50000 ::ffff:192.0.2.1 22",
            client("1.0.1.1:50000", Some("192.0.2.1")),
        ),
        (
            "fe80::1%eth0 50000 fe80::2%eth0 22",
            client("[fe80::1]:50000", Some("fe80::2")),
        ),
        ("::1 50000 ::1 22", None),
        ("UNKNOWN 65535 UNKNOWN 65535", None),
        ("", None),
    ] {
        assert_eq!(Client::parse(text), wanted, "{text}");
    }
}
