//! Who is refused is told, if the policy says so.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use crate::host::Host;

const PEER: &str = "1.0.1.1";
const OWN: &str = "1.0.1.200";

/// How long nothing has to come for it to count as dropped.
const SILENCE: Duration = Duration::from_millis(300);

fn connected() -> Host {
    let host = Host::new();
    let net = |address: &str| format!("{address}/24").parse().unwrap();
    host.veth.client.add_address(net(PEER)).unwrap();
    host.veth.server.add_address(net(OWN)).unwrap();
    host
}

/// What a peer gets that connects to a port which is open.
fn tcp_error(host: &Host) -> Option<ErrorKind> {
    let listener = host
        .veth
        .server
        .run(|| TcpListener::bind((OWN, 0)))
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
fn udp_error(host: &Host) -> ErrorKind {
    let to: SocketAddr = format!("{OWN}:9").parse().unwrap();
    let socket = host
        .veth
        .client
        .run(|| UdpSocket::bind((PEER, 0)))
        .unwrap()
        .unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket.connect(to).unwrap();
    socket.send(b"anyone?").unwrap();
    socket.recv(&mut [0; 8]).unwrap_err().kind()
}

#[test]
fn who_is_refused_is_told_at_once() {
    let host = connected();
    assert_eq!(tcp_error(&host), None);
    // In generic mode, as what a veth sends back natively arrives only where the other end has a program too.
    let reject = [
        "attach", "-i", "server", "--mode", "generic", "--action", "reject",
    ];
    host.succeed(&reject);
    assert_eq!(tcp_error(&host), Some(ErrorKind::ConnectionRefused));
    assert_eq!(udp_error(&host), ErrorKind::HostUnreachable);

    host.succeed(&["attach", "-i", "server", "--mode", "generic"]);
    assert_eq!(tcp_error(&host), Some(ErrorKind::TimedOut));
    assert_eq!(udp_error(&host), ErrorKind::WouldBlock);
}
