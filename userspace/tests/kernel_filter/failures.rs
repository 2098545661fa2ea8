//! What goes wrong with a filter: each error in its words, and what was in force stays in force.

use std::{fs, process::Command};

use super::host::{BLOCKED, Host, OTHER};
use aya::{
    EbpfLoader,
    programs::{Xdp, XdpMode},
};
use geodrop::datapath::object;

/// A file of this content in a directory that ends with the test.
fn file(content: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data.csv");
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn an_interface_that_is_not_there() {
    let host = Host::new();
    let said = host.fail(1, &["attach", "-i", "eth7"]);
    assert!(
        said.contains("there is no interface `eth7` here; the interfaces are: lo, server"),
        "{said}"
    );
    host.assert_free();
}

#[test]
fn a_country_that_is_none() {
    let host = Host::new();
    let said = host.fail(2, &["attach", "-i", "server", "--block", "UK"]);
    assert!(said.contains("GB"), "{said}");
    host.assert_free();
}

#[test]
fn another_program_is_on_the_interface() {
    let host = Host::new();
    let mut other = EbpfLoader::new().load(object::GENERATOR).unwrap();
    let program: &mut Xdp = other.program_mut("generate").unwrap().try_into().unwrap();
    program.load().unwrap();
    let index = host.veth.server.interface.index;
    let link = host
        .veth
        .server
        .run(|| program.attach_to_if_index(index, XdpMode::Driver))
        .unwrap()
        .unwrap();
    let id = program.info().unwrap().id();

    for mode in ["auto", "native", "generic"] {
        let said = host.fail(1, &["attach", "-i", "server", "--mode", mode]);
        let named = format!(
            "another XDP program, `generate` (id {id}), is attached to server already (native mode)"
        );
        assert!(said.contains(&named), "{said}");
        assert!(
            said.contains("filter beside it with `--hook tcx`"),
            "{said}"
        );
    }
    assert_eq!(host.attached().unwrap().program, id);
    program.detach(link).unwrap();
    host.assert_free();
}

#[test]
fn all_interfaces_or_none() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let mut other = EbpfLoader::new().load(object::GENERATOR).unwrap();
    let program: &mut Xdp = other.program_mut("generate").unwrap().try_into().unwrap();
    program.load().unwrap();
    let _link = host
        .veth
        .server
        .run(|| program.attach("lo", XdpMode::Skb))
        .unwrap()
        .unwrap();
    let before = host.attached();

    host.fail(1, &["attach", "-i", "server", "lo", "--block", "US"]);
    assert_eq!(host.attached(), before);
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    assert_eq!(host.filter()["generation"], 1);
}

#[test]
fn what_was_done_is_undone_when_a_later_interface_refuses() {
    let host = Host::new();
    // `lo` refuses only when the filter on `server` is in force already.
    let both = [
        "attach", "-i", "server", "lo", "--mode", "native", "--block", "US",
    ];
    host.fail(1, &both);
    host.assert_free();

    host.succeed(&["attach", "-i", "server"]);
    let before = host.attached();
    host.fail(1, &both);
    assert_eq!(host.attached(), before);
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    assert_eq!(host.filter()["generation"], 1);
}

#[test]
fn an_interface_without_ethernet_headers() {
    let host = Host::new();
    let added = host
        .veth
        .server
        .run(|| {
            Command::new("ip")
                .args(["tuntap", "add", "dev", "tun0", "mode", "tun"])
                .status()
        })
        .unwrap()
        .unwrap();
    assert!(added.success());
    let said = host.fail(1, &["attach", "-i", "tun0"]);
    assert!(
        said.contains("tun0 carries packets without Ethernet headers"),
        "{said}"
    );
    host.assert_free();
}

#[test]
fn detach_does_all_that_it_can() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let said = host.fail(1, &["detach", "-i", "lo", "server", "server"]);
    assert!(
        said.contains("no filter of geodrop's is attached to lo"),
        "{said}"
    );
    host.assert_free();
}

#[test]
fn what_is_no_filter_hides_none() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    fs::create_dir_all(host.pins.join("5-5/link")).unwrap();
    assert_eq!(host.filter()["name"], "server");
    host.succeed(&["detach", "--all"]);
    host.assert_free();
}

#[test]
fn output_that_nobody_reads_keeps_nothing_from_being_done() {
    let host = Host::new();
    let pins = host.pins.to_str().unwrap();
    for verb in ["attach", "detach"] {
        let line = format!(
            "{} {verb} -i server lo --pin-root {pins} 2>&1 | true; exit ${{PIPESTATUS[0]}}",
            env!("CARGO_BIN_EXE_geodrop")
        );
        let status = host
            .veth
            .server
            .run(|| Command::new("bash").args(["-c", &line]).status())
            .unwrap()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{verb}");
    }
    host.assert_free();
}

#[test]
fn a_second_process_is_told_of_the_first() {
    let host = Host::new();
    let run = host.run(&[]);
    let before = host.attached();
    for verb in ["run", "attach"] {
        let said = host.fail(1, &[verb, "-i", "server"]);
        let named = format!(
            "process {} (geodrop) looks after the filter on server",
            run.id()
        );
        assert!(said.contains(&named), "{said}");
    }
    assert_eq!(host.attached(), before);
    assert!(!host.admits(BLOCKED));
}

#[test]
fn data_that_cannot_be_used_leaves_the_filter_alone() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let before = host.attached();
    for (content, words) in [
        ("", "data.csv"),
        ("1.0.1.0,1.0.1.255,CN\n1.0.2.0,1.0.1.0,CN\n", "data.csv:2"),
        ("1.0.1.0,1.0.1.255,CN\n1.0.2.0,1.0.2.255,C1\n", "data.csv:2"),
        ("\0\0\0\0", "data.csv: neither text nor a database"),
    ] {
        let (_directory, path) = file(content);
        let said = host.fail(1, &["attach", "-i", "server", "--geoip", &path]);
        assert!(said.contains(words), "{content:?}: {said}");
        assert_eq!(host.attached(), before);
    }
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["generation"], 1);
}

#[test]
fn data_without_a_country_of_the_policy() {
    let host = Host::new();
    let (_directory, path) = file("1.0.1.0,1.0.1.255,CN\n");
    let said = host.fail(2, &["attach", "-i", "server", "--geoip", &path]);
    assert!(said.contains("Hong Kong (HK), Macao (MO)"), "{said}");
    host.assert_free();
}

#[test]
fn the_mode_of_a_running_filter_stays() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--mode", "generic"]);
    let before = host.attached();
    let said = host.fail(1, &["attach", "-i", "server", "--mode", "native"]);
    assert!(
        said.contains("the filter on server runs in generic mode"),
        "{said}"
    );
    assert_eq!(host.attached(), before);
    // `auto` takes the mode that there is.
    host.succeed(&["attach", "-i", "server"]);
    assert_eq!(host.filter()["mode"], "generic");
}

#[test]
fn native_mode_where_the_driver_has_none() {
    let host = Host::new();
    let said = host.fail(1, &["attach", "-i", "lo", "--mode", "native"]);
    assert!(
        said.contains("`--mode generic` works with every driver"),
        "{said}"
    );
    assert_eq!(host.status()["interfaces"], serde_json::json!([]));
    host.assert_free();
}

#[test]
fn nothing_to_detach() {
    let host = Host::new();
    let said = host.fail(1, &["detach", "-i", "server"]);
    assert!(
        said.contains("no filter of geodrop's is attached to server"),
        "{said}"
    );
    assert_eq!(
        host.succeed(&["detach", "--all"]),
        "no filter is attached anywhere\n"
    );
}

#[test]
fn an_interface_that_goes_away_leaves_pins_that_detach_removes() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    // The pair goes when either end goes.
    let deleted = host
        .veth
        .client
        .run(|| {
            Command::new("ip")
                .args(["link", "delete", "client"])
                .status()
        })
        .unwrap()
        .unwrap();
    assert!(deleted.success());
    let status = host.status();
    assert_eq!(status["interfaces"], serde_json::json!([]));
    assert!(
        status["warnings"][0]
            .as_str()
            .unwrap()
            .contains("left of an interface that is gone"),
        "{status}"
    );
    host.succeed(&["detach", "--all"]);
    assert!(!host.pins.exists());
}

/// Runs the command on the host as a user without any rights.
pub(crate) fn as_nobody(host: &Host, arguments: &[&str]) -> (Option<i32>, String) {
    // util-linux's tool, because a user's id alone does not take root's capabilities away.
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--bounding-set", "-all", "--inh-caps", "-all"])
        .arg(env!("CARGO_BIN_EXE_geodrop"))
        .args(arguments);
    let output = host.veth.server.run(|| command.output()).unwrap().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn without_root() {
    let host = Host::new();
    for arguments in [
        &["attach", "-i", "lo"] as &[&str],
        &["run", "-i", "lo"],
        &["detach", "--all"],
    ] {
        let (status, said) = as_nobody(&host, arguments);
        assert_eq!(status, Some(1), "{said}");
        assert!(
            said.contains(
                "needs CAP_BPF, CAP_NET_ADMIN, which this process does not have; run it as root"
            ),
            "{said}"
        );
    }
    host.succeed(&["attach", "-i", "server"]);
    let (status, said) = as_nobody(
        &host,
        &["status", "--pin-root", host.pins.to_str().unwrap()],
    );
    assert_eq!(status, Some(1));
    assert!(
        said.contains("may not be read by this user; run it as root"),
        "{said}"
    );
}
