//! Who is refused is told, if the policy says so.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use geodrop::datapath::Hook;
use ipnet::IpNet;

use crate::host::{HOOKS, Host};

/// Of the peer and of the host, by the built-in data in China, in a network of each family.
const ADDRESSES: [[&str; 2]; 2] = [
    ["1.0.1.1/24", "1.0.1.200/24"],
    ["2400:3200::1/64", "2400:3200::200/64"],
];

/// How long nothing has to come for it to count as dropped.
const SILENCE: Duration = Duration::from_millis(300);

fn connected(hook: Hook) -> Host {
    let host = Host::at(hook);
    for [peer, own] in ADDRESSES.map(|ends| ends.map(|end| end.parse().unwrap())) {
        host.veth.client.add_address(peer).unwrap();
        host.veth.server.add_address(own).unwrap();
    }
    host
}

/// The host's addresses.
fn own() -> [IpAddr; 2] {
    ADDRESSES.map(|[_, own]| own.parse::<IpNet>().unwrap().addr())
}

/// What a peer gets that connects to a port which is open.
fn tcp_error(host: &Host, own: IpAddr) -> Option<ErrorKind> {
    let listener = host
        .veth
        .server
        .run(|| TcpListener::bind((own, 0)))
        .unwrap()
        .unwrap();
    let address = listener.local_addr().unwrap();
    let connected = host
        .veth
        .client
        .run(|| TcpStream::connect_timeout(&address, SILENCE))
        .unwrap();
    connected.err().map(|error| error.kind())
}

/// What a peer gets that sends a datagram.
fn udp_error(host: &Host, own: IpAddr) -> ErrorKind {
    let any: IpAddr = match own {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = host
        .veth
        .client
        .run(|| UdpSocket::bind((any, 0)))
        .unwrap()
        .unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket.connect((own, 9)).unwrap();
    socket.send(b"anyone?").unwrap();
    socket.recv(&mut [0; 8]).unwrap_err().kind()
}

#[test]
fn who_is_refused_is_told_at_once() {
    for hook in HOOKS {
        let host = connected(hook);
        for own in own() {
            // Until the two have found each other.
            assert!((0..10).any(|_| tcp_error(&host, own).is_none()), "{own}");
        }
        // In generic mode, as what a veth sends back natively arrives only where the other end has a program too.
        let mode = match hook {
            Hook::Xdp => "generic",
            Hook::Tcx => "auto",
        };
        let reject = [
            "attach", "-i", "server", "--mode", mode, "--action", "reject",
        ];
        host.succeed(&reject);
        for own in own() {
            assert_eq!(
                tcp_error(&host, own),
                Some(ErrorKind::ConnectionRefused),
                "{own}, {hook:?}"
            );
        }
        let [own_4, own_6] = own();
        assert_eq!(udp_error(&host, own_4), ErrorKind::HostUnreachable);
        // Linux's word for a prohibition by IPv6.
        assert_eq!(udp_error(&host, own_6), ErrorKind::PermissionDenied);

        host.succeed(&["attach", "-i", "server", "--mode", mode]);
        for own in own() {
            assert_eq!(tcp_error(&host, own), Some(ErrorKind::TimedOut));
            assert_eq!(udp_error(&host, own), ErrorKind::WouldBlock);
        }
    }
}
