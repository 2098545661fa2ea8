//! Real sockets on a host that blocks the country of its peer: what the host begins is answered, and what the peer begins is not.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use geodrop::datapath::Hook;

use crate::host::{HOOKS, Host};

/// By the built-in data, in China; the host's own addresses are in the same networks, so that no routes are needed.
const PEERS: [&str; 2] = ["1.0.1.1", "2400:3200::1"];
const HOSTS: [(&str, &str); 2] = [("1.0.1.200", "/24"), ("2400:3200::200", "/64")];

/// How long nothing has to come for it to count as dropped.
const SILENCE: Duration = Duration::from_millis(300);

/// A host and its peer, with an address of each family.
fn connected(hook: Hook) -> Host {
    let host = Host::at(hook);
    for (peer, (own, length)) in PEERS.iter().zip(HOSTS) {
        let net = |address: &str| format!("{address}{length}").parse().unwrap();
        host.veth.client.add_address(net(peer)).unwrap();
        host.veth.server.add_address(net(own)).unwrap();
    }
    host
}

pub(super) fn ends() -> [(IpAddr, IpAddr); 2] {
    let [first, second] = PEERS.map(|peer| peer.parse().unwrap());
    let [(own, _), (own_6, _)] = HOSTS;
    [
        (first, own.parse().unwrap()),
        (second, own_6.parse().unwrap()),
    ]
}

/// Whether a peer that listens is heard on the host: a connection, a word there, a word back.
pub(super) fn is_answered_by_tcp(host: &Host, peer: IpAddr) -> bool {
    let listener = host
        .veth
        .client
        .run(|| TcpListener::bind((peer, 0)))
        .unwrap()
        .unwrap();
    let Some(mut near) = connect(host, false, listener.local_addr().unwrap()) else {
        return false;
    };
    let (mut far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(SILENCE)).unwrap();
    }
    let mut word = [0; 4];
    near.write_all(b"ping").unwrap();
    far.read_exact(&mut word).unwrap();
    far.write_all(&word).unwrap();
    near.read_exact(&mut word).is_ok() && word == *b"ping"
}

/// A connection from one end to an address, if it comes about.
pub(super) fn connect(host: &Host, from_peer: bool, to: SocketAddr) -> Option<TcpStream> {
    let end = if from_peer {
        &host.veth.client
    } else {
        &host.veth.server
    };
    let connected = end
        .run(|| TcpStream::connect_timeout(&to, SILENCE))
        .unwrap();
    match connected {
        Ok(stream) => Some(stream),
        Err(error) if error.kind() == ErrorKind::TimedOut => None,
        Err(error) => panic!("{to}: {error}"),
    }
}

/// A socket of the peer's, and one of the host's.
fn sockets(host: &Host, peer: IpAddr, own: IpAddr) -> [UdpSocket; 2] {
    let ends = [(&host.veth.client, peer), (&host.veth.server, own)];
    ends.map(|(end, address)| {
        let socket = end.run(|| UdpSocket::bind((address, 0))).unwrap().unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket
    })
}

/// Whether a datagram of the host's is answered, and heard.
pub(super) fn is_answered_by_udp(host: &Host, peer: IpAddr, own: IpAddr) -> bool {
    let [far, near] = sockets(host, peer, own);
    near.send_to(b"ping", far.local_addr().unwrap()).unwrap();
    let mut word = [0; 4];
    let (_, from) = far.recv_from(&mut word).unwrap();
    far.send_to(&word, from).unwrap();
    near.recv_from(&mut word).is_ok()
}

/// Whether a datagram of the peer's, which answers nothing, is heard on the host.
pub(super) fn is_heard(host: &Host, peer: IpAddr, own: IpAddr) -> bool {
    let [far, near] = sockets(host, peer, own);
    far.send_to(b"ping", near.local_addr().unwrap()).unwrap();
    near.recv_from(&mut [0; 4]).is_ok()
}

/// Lets the host and its peer find each other while there is no filter: IPv6 asks its neighbours from addresses that are
/// in China too. A first question may come before the kernel listens for it, and the next one comes a second later.
pub(super) fn introduced(hook: Hook) -> Host {
    let host = connected(hook);
    for (peer, own) in ends() {
        assert!(
            (0..10).any(|_| is_heard(&host, peer, own)),
            "{peer} is heard without a filter"
        );
    }
    host
}

#[test]
fn what_the_host_begins_is_answered_and_nothing_else() {
    for hook in HOOKS {
        let host = introduced(hook);
        host.succeed(&["attach", "-i", "server"]);
        for (peer, own) in ends() {
            assert!(is_answered_by_tcp(&host, peer), "TCP to {peer}");
            assert!(is_answered_by_udp(&host, peer, own), "UDP to {peer}");
            assert!(!is_heard(&host, peer, own), "UDP from {peer}");
            let listener = host
                .veth
                .server
                .run(|| TcpListener::bind((own, 0)))
                .unwrap()
                .unwrap();
            let open = connect(&host, true, listener.local_addr().unwrap());
            assert!(open.is_none(), "TCP from {peer}");
        }
        let replies = host.filter()["replies"]["packets"].as_u64().unwrap();
        assert!(replies >= 8, "{replies} replies counted");
    }
}

#[test]
fn a_connection_outlives_reloads() {
    for hook in HOOKS {
        let host = introduced(hook);
        let [(peer, _), _] = ends();
        host.succeed(&["attach", "-i", "server"]);
        let listener = host
            .veth
            .client
            .run(|| TcpListener::bind((peer, 0)))
            .unwrap()
            .unwrap();
        let mut near = connect(&host, false, listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_read_timeout(Some(SILENCE)).unwrap();
        for _ in 0..3 {
            host.succeed(&["attach", "-i", "server"]);
            far.write_all(b"ping").unwrap();
            near.read_exact(&mut [0; 4]).unwrap();
        }
        // And ends where replies drop, from the same moment on.
        host.succeed(&["attach", "-i", "server", "--replies", "drop"]);
        far.write_all(b"ping").unwrap();
        near.read_exact(&mut [0; 4]).unwrap_err();
    }
}

#[test]
fn where_replies_drop_nothing_is_answered() {
    for hook in HOOKS {
        let host = introduced(hook);
        host.succeed(&["attach", "-i", "server", "--replies", "drop"]);
        for (peer, own) in ends() {
            assert!(!is_answered_by_tcp(&host, peer), "TCP to {peer}");
            assert!(!is_answered_by_udp(&host, peer, own), "UDP to {peer}");
        }
        host.succeed(&["detach", "-i", "server"]);
        host.assert_free();
    }
}
