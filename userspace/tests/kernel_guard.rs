//! The lock-out guard on the running kernel: sessions over a veth pair, as ssh has them. Needs root.
//!
//! The server's end, and who calls the guard below it, are this program again, started as [`serve`] and [`call`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::net::{self, AddressFamily, SocketType};

use geodrop::{
    datapath::interface::Interface,
    geoip, guard,
    policy::Policy,
    testbed::{Veth, veth::Settings},
};

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls the guard, three processes down and with nothing in its environment, as below `sudo`. Each shell has something
/// left to do, and so does not make way for what it starts.
const AS_BELOW_SUDO: &str = r#"env -i CALL_FOR=server sh -c '"$0" call --exact --ignored --nocapture; true' "$PROGRAM"; true"#;

/// The same, for a filter on another interface.
fn as_below_sudo_for(interface: &str) -> String {
    AS_BELOW_SUDO.replace("CALL_FOR=server", &format!("CALL_FOR={interface}"))
}

/// Both ends of a network: the client's address, and the server's.
const CHINESE: [&str; 2] = ["1.0.1.1/24", "1.0.1.254/24"];
const CHINESE_IPV6: [&str; 2] = ["2400:3200::1/64", "2400:3200::fe/64"];
/// For a session that tests in other namespaces may see, where one person runs them all.
const CHINESE_TOO: [&str; 2] = ["1.0.2.1/24", "1.0.2.254/24"];
const AMERICAN: [&str; 2] = ["8.8.8.8/24", "8.8.8.254/24"];

fn joined(ends: &[[&str; 2]]) -> Veth {
    let veth =
        Veth::new(Settings::default()).expect("kernel tests make network namespaces: run as root");
    for [client, server] in ends {
        veth.client.add_address(client.parse().unwrap()).unwrap();
        veth.server.add_address(server.parse().unwrap()).unwrap();
    }
    veth
}

fn address(end: &str) -> IpAddr {
    end.split('/').next().unwrap().parse().unwrap()
}

/// This program again, as one of the two below.
fn again(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// A process that holds a connection, as sshd's for a session does, and the client's end of it.
struct Session {
    server: Child,
    said: BufReader<ChildStdout>,
    client: TcpStream,
}

impl Session {
    /// Connects the ends; the server then runs a script below it.
    fn begin(veth: &Veth, [client, server]: [&str; 2], script: &str) -> Self {
        let mut command = again("serve");
        command
            .env("SERVE_AT", address(server).to_string())
            .env("SCRIPT", script);
        let mut server_process = veth.server.run(|| command.spawn()).unwrap().unwrap();
        let mut said = BufReader::new(server_process.stdout.take().unwrap());
        let port = line_after(&mut said, "listening at ").parse().unwrap();
        let from = SocketAddr::new(address(client), 0);
        let to = SocketAddr::new(address(server), port);
        let client = veth.client.run(|| connect(from, to)).unwrap();
        Self {
            server: server_process,
            said,
            client,
        }
    }

    /// Ends it; returns what was said.
    fn end(mut self) -> Vec<String> {
        drop(self.server.stdin.take());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        assert!(self.server.wait().unwrap().success(), "{said}");
        said.lines().map(str::to_owned).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // After a test that failed; its end has ended it otherwise.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Connects from an address of one's choice.
fn connect(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = net::socket(family, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &from).unwrap();
    net::connect(&socket, &to).unwrap();
    socket.into()
}

fn line_after(said: &mut impl std::io::BufRead, start: &str) -> String {
    let mut lines = said.lines().map(Result::unwrap);
    lines
        .find_map(|line| Some(line.strip_prefix(start)?.to_owned()))
        .expect("it says so before it ends")
}

/// What the guard says to a process in the server's namespace that comes from no session.
fn called_apart(veth: &Veth, environment: &[(&str, &str)]) -> Vec<String> {
    let mut command = again("call");
    command
        .envs([("CALL_FOR", "server")])
        .envs(environment.iter().copied());
    let output = veth.server.run(|| command.output()).unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

fn says(said: &[String], start: &str, parts: &[&str]) -> bool {
    said.iter()
        .any(|line| line.starts_with(start) && parts.iter().all(|part| line.contains(part)))
}

#[test]
#[ignore = "not a test: the other tests start it"]
fn serve() {
    let Ok(at) = env::var("SERVE_AT") else { return };
    let listener = TcpListener::bind((at.parse::<IpAddr>().unwrap(), 0)).unwrap();
    println!("\nlistening at {}", listener.local_addr().unwrap().port());
    let (_connection, _) = listener.accept().unwrap();
    let mut below = Command::new("sh")
        .args(["-c", &env::var("SCRIPT").unwrap()])
        .env("PROGRAM", env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(below.stdin.take());
    assert!(below.wait().unwrap().success());
}

#[test]
#[ignore = "not a test: the other tests start it"]
fn call() {
    let Ok(interface) = env::var("CALL_FOR") else {
        return;
    };
    let interfaces = [Interface::by_name(&interface).unwrap()];
    let world = geoip::builtin().unwrap().regions;
    let policy = Policy::default();
    let peers = guard::peers(&interfaces).unwrap();
    let mut said = b"\n".to_vec();
    for (what, peers) in [("guarded", &peers.guarded), ("elsewhere", &peers.elsewhere)] {
        for peer in peers {
            let service = peer.service.map(|service| service.to_string());
            let service = service.unwrap_or_default();
            writeln!(said, "{what}: {} {} {service}", peer.role, peer.address).unwrap();
        }
    }
    for peer in guard::endangered(&policy, &world, &peers) {
        writeln!(said, "endangered: {peer}").unwrap();
    }
    for peers in guard::bystanders(&policy, &world, &peers).unwrap() {
        writeln!(said, "bystanders: {peers:?}").unwrap();
    }
    std::io::stdout().write_all(&said).unwrap();
}

#[test]
fn a_session_from_a_blocked_address_is_found_below_sudo() {
    for ends in [CHINESE, CHINESE_IPV6] {
        let veth = joined(&[ends]);
        let said = Session::begin(&veth, ends, AS_BELOW_SUDO).end();
        let [client, server] = ends.map(|end| address(end).to_string());
        let session = [&format!(": {client} in China (CN)"), " at tcp/"];
        assert!(
            says(
                &said,
                "endangered: your session (",
                &session.map(|part| part as &str)
            ),
            "{said:#?}"
        );
        let own = format!("on server: {server} in China (CN)");
        assert!(
            says(&said, "endangered: this host's own", &[&own]),
            "{said:#?}"
        );
        assert!(!says(&said, "bystanders", &["China"]), "{said:#?}");
        assert!(!says(&said, "bystanders", &["CN"]), "{said:#?}");
    }
}

#[test]
fn a_session_from_elsewhere_is_found_and_not_endangered() {
    let veth = joined(&[AMERICAN]);
    let said = Session::begin(&veth, AMERICAN, AS_BELOW_SUDO).end();
    assert!(
        says(&said, "guarded: your session (", &[" 8.8.8.8 tcp/"]),
        "{said:#?}"
    );
    assert!(!says(&said, "endangered", &["8.8.8."]), "{said:#?}");
}

#[test]
fn a_session_through_another_interface_is_none_of_the_filter_s() {
    for ends in [CHINESE, CHINESE_IPV6] {
        let veth = joined(&[ends]);
        let said = Session::begin(&veth, ends, &as_below_sudo_for("lo")).end();
        let session = format!(" {} tcp/", address(ends[0]));
        assert!(
            says(&said, "elsewhere: your session (", &[&session]),
            "{said:#?}"
        );
        assert!(!says(&said, "endangered", &["China"]), "{said:#?}");
    }
}

#[test]
fn a_variable_leads_to_a_session_whose_holder_is_out_of_sight() {
    let veth = joined(&[CHINESE]);
    let session = Session::begin(&veth, CHINESE, "cat");
    let [client, server] = [
        session.client.local_addr().unwrap(),
        session.client.peer_addr().unwrap(),
    ];
    let connection = [
        client.ip().to_string(),
        client.port().to_string(),
        server.ip().to_string(),
        server.port().to_string(),
    ];
    let said = called_apart(&veth, &[("SSH_CONNECTION", &connection.join(" "))]);
    let found = format!(" at tcp/{}: 1.0.1.1 in China (CN)", server.port());
    assert!(
        says(&said, "endangered: your session (", &[&found]),
        "{said:#?}"
    );
    session.end();
}

/// Below tmux, nothing leads up to the terminal that one sits at.
#[test]
fn another_terminal_s_session_is_found_from_apart() {
    let veth = joined(&[CHINESE_TOO]);
    // A login shell's stand-in: it leads a session on a terminal of its own.
    let session = Session::begin(&veth, CHINESE_TOO, "script -qec 'sleep 30' /dev/null; true");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = called_apart(&veth, &[]);
        if says(
            &said,
            "endangered: another login",
            &[": 1.0.2.1 in China (CN)"],
        ) {
            break;
        }
        assert!(Instant::now() < deadline, "{said:#?}");
        thread::sleep(Duration::from_millis(50));
    }
    drop(session);
}

#[test]
fn whoever_is_nobody_s_session_is_counted_and_not_guarded() {
    let veth = joined(&[CHINESE, AMERICAN]);
    let sessions = [CHINESE, AMERICAN].map(|ends| Session::begin(&veth, ends, "cat"));
    let said = called_apart(&veth, &[]);
    let china = "country: Some(Country(CN)), addresses: 1, connections: 1, opened_here: 0";
    assert!(says(&said, "bystanders", &[china]), "{said:#?}");
    assert!(!says(&said, "bystanders", &["US"]), "{said:#?}");
    assert!(!says(&said, "endangered", &["1.0.1.1 "]), "{said:#?}");
    for session in sessions {
        session.end();
    }
}

#[test]
fn gateways_are_guarded_those_of_several_hops_too() {
    use rtnetlink::{RouteMessageBuilder, RouteNextHopBuilder};

    let beyond = "1.2.4.8/32";
    let veth = joined(&[CHINESE, AMERICAN]);
    veth.client.add_address(beyond.parse().unwrap()).unwrap();
    let gateways: [Ipv4Addr; 2] = ["1.0.1.1".parse().unwrap(), "8.8.8.8".parse().unwrap()];
    let index = veth.server.interface.index;
    let add = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            let connection = tokio::spawn(connection);
            let hop = |gateway: Ipv4Addr| {
                let hop = RouteNextHopBuilder::new_ipv4().interface(index);
                hop.via(gateway.into()).unwrap().build()
            };
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .multipath(gateways.map(hop).to_vec())
                .build();
            handle.route().add(route).execute().await.unwrap();
            connection.abort();
        });
    };
    veth.server.run(add).unwrap();
    // A session from beyond: several ways lead there, all of them through the filter.
    let said = Session::begin(&veth, [beyond, CHINESE[1]], AS_BELOW_SUDO).end();
    for gateway in gateways {
        let start = format!("guarded: the default gateway of server {gateway} ");
        assert!(says(&said, &start, &[]), "{said:#?}");
    }
    let endangered = "endangered: the default gateway of server: 1.0.1.1 in China (CN)";
    assert!(says(&said, endangered, &[]), "{said:#?}");
    let session = [": 1.2.4.8 in China (CN)"];
    assert!(
        says(&said, "endangered: your session (", &session),
        "{said:#?}"
    );
    let elsewhere = Session::begin(&veth, [beyond, CHINESE[1]], &as_below_sudo_for("lo"));
    let session = [" 1.2.4.8 tcp/"];
    assert!(
        says(&elsewhere.end(), "elsewhere: your session (", &session),
        "the kernel names no way there"
    );
}
