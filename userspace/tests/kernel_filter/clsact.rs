//! Replies on kernels before 6.6, where a filter of traffic control holds the program at the way out.

use std::{net::TcpListener, process::Command, thread, time::Duration};

use geodrop::{
    datapath::{
        DatapathError, EgressChoice, Hook, ModeChoice,
        about::About,
        filter::{self, Filter, Order, Request},
        generation::Plan,
        interface::Interface,
        pins::Root,
    },
    geoip,
    policy::{Policy, Ruleset},
    table::Engine,
};

use super::{
    host::Host,
    replies::{connect, ends, introduced, is_answered_by_tcp, is_answered_by_udp, is_heard},
};

/// Attaches filters that block China, as older kernels have them.
fn attach(
    host: &Host,
    interfaces: &[Interface],
    replies: bool,
    trial: Option<Duration>,
) -> Result<Vec<Filter>, DatapathError> {
    let data = geoip::builtin().unwrap();
    let ruleset = Ruleset::new(&Policy::default(), &data.regions);
    let request = Request {
        plan: Plan {
            replies,
            ..Plan::by_address(&ruleset, Engine::default())
        },
        mode: ModeChoice::Native,
        egress: EgressChoice::Clsact,
        about: About::default(),
        trial,
    };
    let order = Order {
        interfaces,
        request,
    };
    let root = Root::new(&host.pins);
    host.veth
        .server
        .run(|| filter::attach(&root, &[order], &[]))
        .unwrap()
}

fn attach_to_server(host: &Host, replies: bool, trial: Option<Duration>) {
    let server = [host.veth.server.interface.clone()];
    for filter in attach(host, &server, replies, trial).unwrap() {
        assert_eq!(filter.without_replies, None);
    }
}

/// Runs `tc` on the host, which must succeed; returns what it printed. `one` is an argument more.
fn run_tc(host: &Host, arguments: &str, one: Option<&str>) -> String {
    let mut command = Command::new("tc");
    command.args(arguments.split(' ')).args(one);
    let output = host.veth.server.run(|| command.output()).unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tc {arguments}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn tc(host: &Host, arguments: &str) -> String {
    run_tc(host, arguments, None)
}

/// Adds a filter of somebody else's, of one instruction: it returns 0.
fn add_other(host: &Host, way: &str) {
    let add = format!("filter add dev server {way} prio 10 bpf bytecode");
    run_tc(host, &add, Some("1,6 0 0 0,"));
}

/// How many filters of ours there are at the way out.
fn ours(host: &Host) -> usize {
    let filters = tc(host, "filter show dev server egress");
    filters
        .lines()
        .filter(|line| line.contains("geodrop_egress"))
        .count()
}

fn has_qdisc(host: &Host) -> bool {
    tc(host, "qdisc show dev server").contains("clsact")
}

fn assert_free(host: &Host) {
    host.assert_free();
    assert_eq!((ours(host), has_qdisc(host)), (0, false));
}

#[test]
fn what_the_host_begins_is_answered_and_nothing_else() {
    let host = introduced(Hook::Xdp);
    attach_to_server(&host, true, None);
    assert_eq!((ours(&host), has_qdisc(&host)), (1, true));
    for (peer, own) in ends() {
        assert!(is_answered_by_tcp(&host, peer), "TCP to {peer}");
        assert!(is_answered_by_udp(&host, peer, own), "UDP to {peer}");
        assert!(!is_heard(&host, peer, own), "UDP from {peer}");
    }
    host.succeed(&["detach", "-i", "server"]);
    assert_free(&host);
}

#[test]
fn a_new_generation_takes_its_place_and_one_without_replies_removes_it() {
    let host = introduced(Hook::Xdp);
    attach_to_server(&host, true, None);
    let [(peer, own), _] = ends();
    let listener = host.veth.client.run(|| TcpListener::bind((peer, 0)));
    let listener = listener.unwrap().unwrap();
    let before = tc(&host, "filter show dev server egress");
    for turn in 0..3 {
        attach_to_server(&host, true, None);
        assert_eq!(ours(&host), 1);
        assert_ne!(tc(&host, "filter show dev server egress"), before);
        let connected = connect(&host, false, listener.local_addr().unwrap());
        assert!(connected.is_some(), "turn {turn}");
    }
    // Where links could hold it, it stays where it is.
    host.succeed(&["attach", "-i", "server"]);
    assert_eq!(ours(&host), 1);
    assert!(is_answered_by_udp(&host, peer, own));

    attach_to_server(&host, false, None);
    assert_eq!((ours(&host), has_qdisc(&host)), (0, false));
    assert!(!is_answered_by_udp(&host, peer, own));
}

#[test]
fn filters_of_others_stay_and_so_does_their_qdisc() {
    let host = Host::new();
    let (ingress, egress) = ("ingress", "egress");
    // Whoever made the qdisc, and whichever way their packets go.
    for (first, then) in [
        (Some(egress), None),
        (None, Some(egress)),
        (None, Some(ingress)),
    ] {
        if let Some(first) = first {
            tc(&host, "qdisc add dev server clsact");
            add_other(&host, first);
        }
        attach_to_server(&host, true, None);
        if let Some(then) = then {
            add_other(&host, then);
        }
        host.succeed(&["detach", "-i", "server"]);
        host.assert_free();
        assert_eq!((ours(&host), has_qdisc(&host)), (0, true));
        let left =
            ["ingress", "egress"].map(|way| tc(&host, &format!("filter show dev server {way}")));
        assert!(left.concat().contains("bytecode"), "{left:?}");
        tc(&host, "qdisc del dev server clsact");
    }
    // Without a filter in it, too.
    tc(&host, "qdisc add dev server clsact");
    attach_to_server(&host, true, None);
    host.succeed(&["detach", "-i", "server"]);
    assert!(has_qdisc(&host));
}

#[test]
fn what_is_left_of_it_the_next_command_removes() {
    for next in [&["attach", "-i", "server"] as &[&str], &["detach", "--all"]] {
        let host = Host::new();
        attach_to_server(&host, true, None);
        // As a process leaves it that died before there was a link.
        let place = std::fs::read_dir(&host.pins).unwrap().next().unwrap();
        std::fs::remove_file(place.unwrap().path().join("link")).unwrap();
        host.await_no_program();
        assert_eq!(ours(&host), 1);
        host.succeed(next);
        assert_eq!((ours(&host), has_qdisc(&host)), (0, false), "{next:?}");
    }
}

#[test]
fn it_goes_with_a_trial_that_nobody_confirms() {
    let host = Host::new();
    let second = Duration::from_secs(1);
    for before in [true, false] {
        if before {
            attach_to_server(&host, false, None);
        }
        attach_to_server(&host, true, Some(second));
        assert_eq!(ours(&host), 1);
        thread::sleep(second + Duration::from_millis(100));
        let said = host.fail(1, &["confirm", "-i", "server"]);
        assert!(said.contains("too late"), "{said}");
        assert_eq!((ours(&host), has_qdisc(&host)), (0, false));
        if before {
            host.succeed(&["detach", "-i", "server"]);
        }
    }
    assert_free(&host);
}

#[test]
fn where_another_interface_refuses_nothing_is_left() {
    let host = Host::new();
    let interfaces = host.veth.server.run(|| {
        let lo = Interface::by_name("lo").unwrap();
        [host.veth.server.interface.clone(), lo]
    });
    // `lo` has no native mode.
    attach(&host, &interfaces.unwrap(), true, None).unwrap_err();
    assert_free(&host);
    let lo = tc(&host, "qdisc show dev lo");
    assert!(!lo.contains("clsact"), "{lo}");
}
