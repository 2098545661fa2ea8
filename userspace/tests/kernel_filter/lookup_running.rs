//! `geodrop lookup --running`: the verdict of the filter that runs, beside that of policy and data.

use std::{fs, path::PathBuf, thread, time::Duration};

use aya::{
    Ebpf,
    maps::{HashMap, LpmTrie, Map, MapData, lpm_trie::Key},
    programs::{
        SchedClassifier,
        links::{FdLink, PinnedLink},
    },
};
use geodrop::datapath::Hook;
use geodrop_common::flow::{FlowKey, FlowState};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    host::{BLOCKED, HOOKS, Host, OTHER},
    policy::{AMERICA, CHINA, File},
};

const ENGINES: [&str; 2] = ["multibit", "lpm"];

/// A policy with something of everything.
const POLICY: &str = r#"
block = ["CN"]
allow = ["1.0.1.7"]
deny = ["9.9.9.9"]

[[rules]]
ports = ["tcp/22"]
only = ["DE"]
"#;

static FILTER: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));

/// What `geodrop lookup --running --json` prints, its exit status, and what it said besides.
fn asked(host: &Host, arguments: &[&str]) -> (Vec<Value>, Option<i32>, String) {
    let output = host.output(&[&["lookup", "--running", "--json"], arguments].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    let answers: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"));
    let answers = answers.as_array().unwrap().clone();
    (answers, output.status.code(), said)
}

/// What the only filter makes of one address, which has to agree with the policy or not.
fn found(host: &Host, arguments: &[&str], agrees: bool) -> (Value, String) {
    let (answers, status, said) = asked(host, arguments);
    let [answer] = answers.as_slice() else {
        panic!("not one answer: {answers:?}");
    };
    let [finding] = answer["running"].as_array().unwrap().as_slice() else {
        panic!("not one filter: {answer}");
    };
    assert_eq!(finding["agrees"], agrees, "{answer}");
    assert_eq!(status, Some(i32::from(!agrees)), "{said}");
    (finding.clone(), said)
}

/// The verdict of a finding, its reason and its country.
fn ruling(finding: &Value) -> [&Value; 3] {
    ["verdict", "reason", "country"].map(|field| &finding[field])
}

/// The directory of the only interface's pins.
fn place(host: &Host) -> PathBuf {
    let mut places = fs::read_dir(&host.pins).unwrap();
    places.next().unwrap().unwrap().path()
}

fn map(path: PathBuf) -> MapData {
    MapData::from_pin(path).unwrap()
}

#[test]
fn it_is_the_verdict_of_the_filter_that_runs() {
    let file = File::new(POLICY);
    for (hook, engine) in HOOKS.into_iter().zip(ENGINES) {
        let host = Host::at(hook);
        let config = ["--config", file.path(), "--engine", engine];
        host.succeed(&[&["attach", "-i", "server"], config.as_slice()].concat());
        let addresses = [
            (BLOCKED, json!(["drop", "country", "CN"])),
            (OTHER, json!(["pass", null, null])),
            ("2400:3200::1", json!(["drop", "country", "CN"])),
            ("2001:4860:4860::8888", json!(["pass", null, null])),
            // It carries an address in China.
            ("2002:100:101::1", json!(["drop", "country", "CN"])),
            ("1.0.1.7", json!(["pass", null, null])),
            ("9.9.9.9", json!(["drop", "deny", null])),
            ("10.0.0.1", json!(["pass", null, null])),
        ];
        let (answers, status, said) = asked(&host, &addresses.each_ref().map(|(ip, _)| *ip));
        assert_eq!(answers.len(), addresses.len());
        assert_eq!(status, Some(0), "{said}");
        for (answer, (ip, expected)) in answers.iter().zip(addresses) {
            let [finding] = answer["running"].as_array().unwrap().as_slice() else {
                panic!("not one filter: {answer}");
            };
            assert_eq!(
                (&answer["ip"], json!(ruling(finding))),
                (&ip.into(), expected)
            );
            assert_eq!(finding["interface"], "server");
            assert_eq!(finding["enforced"], true);
            assert_eq!(finding["agrees"], true);
        }

        for (ip, protocol, expected) in [
            (OTHER, "tcp", json!(["drop", "country", "US", 1])),
            (BLOCKED, "tcp", json!(["drop", "country", "CN", 1])),
            (OTHER, "udp", json!(["pass", null, null, null])),
            (BLOCKED, "udp", json!(["drop", "country", "CN", null])),
        ] {
            let (finding, _) = found(&host, &["--port", "22", "--proto", protocol, ip], true);
            let [verdict, reason, country] = ruling(&finding);
            assert_eq!(json!([verdict, reason, country, finding["rule"]]), expected);
        }
    }
}

#[test]
fn nothing_is_counted_shown_or_noted() {
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed(&["attach", "-i", "server", "--monitor"]);
        host.succeed(&["deny", "9.9.9.9"]);
        let mut watch = host.start_until("watching server", &["watch", "--json"]);
        assert!(host.admits(BLOCKED));
        assert!(watch.line().contains(BLOCKED));
        let flows = || {
            let flows = Map::LruHashMap(map(place(&host).join("flows")));
            let flows =
                HashMap::<_, [u8; size_of::<FlowKey>()], [u8; size_of::<FlowState>()]>::try_from(
                    flows,
                );
            let mut flows: Vec<_> = flows.unwrap().iter().map(Result::unwrap).collect();
            flows.sort_unstable();
            flows
        };
        let state = || {
            let [status, report] = ["status", "report"].map(|verb| host.succeed(&[verb, "--json"]));
            let status: Value = serde_json::from_str(&status).unwrap();
            (status["interfaces"].clone(), report, flows())
        };
        let before = state();
        let addresses = [BLOCKED, OTHER, "9.9.9.9", "2400:3200::1"];
        for more in [
            &[] as &[&str],
            &["--port", "22"],
            &["--port", "53", "--proto", "udp"],
        ] {
            let (answers, ..) = asked(&host, &[more, &addresses, &["--block", "CN"]].concat());
            assert_eq!(answers[0]["running"][0]["verdict"], "drop");
        }
        assert_eq!(state(), before);

        // What is shown next is the next packet that came.
        assert!(host.admits("1.0.1.2"));
        assert!(watch.line().contains("1.0.1.2"));
        watch.signal(Signal::INT);
        assert!(
            watch
                .line()
                .contains(r#""shown":2,"filtered":0,"left_out":0,"lost":0"#)
        );
    }
}

#[test]
fn what_is_decided_while_it_runs_is_in_the_verdict() {
    let file = File::new(CHINA);
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--config", file.path()]);
    host.succeed(&["allow", BLOCKED]);
    let (finding, said) = found(&host, &[BLOCKED], false);
    assert_eq!(json!(ruling(&finding)), json!(["pass", "exception", null]));
    assert!(
        said.contains(
            "server: the verdict on 1.0.1.1 is pass, and by policy and data it would be drop"
        ) && said.contains("`geodrop allow --remove 1.0.1.1 -i server`"),
        "{said}"
    );
    host.succeed(&["allow", "--remove", BLOCKED, "-i", "server"]);
    found(&host, &[BLOCKED], true);

    host.succeed(&["deny", OTHER]);
    let (finding, said) = found(&host, &[OTHER], false);
    assert_eq!(json!(ruling(&finding)), json!(["drop", "exception", null]));
    assert!(
        said.contains("`geodrop deny --remove 8.8.8.8 -i server`"),
        "{said}"
    );
    found(&host, &["8.8.4.4"], true);
}

#[test]
fn what_only_counts_would_drop() {
    for (more, verdict) in [
        ("monitor = true", "drop"),
        ("effective_from = \"2100-01-01T00:00:00Z\"", "drop"),
        ("monitor = true\naction = \"reject\"", "reject"),
    ] {
        let file = File::new(&format!("{CHINA}{more}\n"));
        let host = Host::new();
        host.succeed(&["attach", "-i", "server", "--config", file.path()]);
        let (finding, _) = found(&host, &[BLOCKED], true);
        assert_eq!(json!(ruling(&finding)), json!([verdict, "country", "CN"]));
        assert_eq!(finding["enforced"], false);
        let said = host.succeed(&["lookup", "--running", BLOCKED]);
        assert!(
            said.contains(&format!("would {verdict}  on server: country")),
            "{said}"
        );
    }
}

#[test]
fn senders_that_are_told_are_rejected() {
    let file = File::new(&format!("{CHINA}action = \"reject\"\n"));
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed(&["attach", "-i", "server", "--config", file.path()]);
        for to in [&[] as &[&str], &["--port", "80"]] {
            let (finding, _) = found(&host, &[to, &[BLOCKED]].concat(), true);
            assert_eq!(json!(ruling(&finding)), json!(["reject", "country", "CN"]));
            assert_eq!(finding["enforced"], true);
        }
    }
}

#[test]
fn a_policy_that_is_not_in_force_yet_is_found_out() {
    let file = File::new(CHINA);
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--config", file.path()]);
    found(&host, &[BLOCKED], true);
    file.write(AMERICA);
    let (finding, said) = found(&host, &[BLOCKED], false);
    assert_eq!(json!(ruling(&finding)), json!(["drop", "country", "CN"]));
    assert!(
        said.contains("`geodrop reload` or `geodrop attach`"),
        "{said}"
    );
    found(&host, &[OTHER], false);
    found(&host, &["9.9.9.9"], false);
    // What is given is compared with, whatever is noted.
    found(&host, &["--block", "CN", BLOCKED], true);

    host.succeed(&["attach", "-i", "server", "--config", file.path()]);
    found(&host, &[BLOCKED], true);
    found(&host, &[OTHER], true);
}

#[test]
fn a_table_that_somebody_changed_is_found_out() {
    let file = File::new(CHINA);
    let host = Host::new();
    let config = ["--config", file.path(), "--engine", "lpm"];
    host.succeed(&[&["attach", "-i", "server"], config.as_slice()].concat());
    let generation = place(&host).join("generation-1");
    let table = Map::LpmTrie(map(generation.join("ipv4")));
    let mut table = LpmTrie::<_, [u8; 4], u16>::try_from(table).unwrap();
    table.insert(&Key::new(32, [1, 0, 1, 1]), 0, 0).unwrap();
    assert!(host.admits(BLOCKED));
    let (finding, _) = found(&host, &[BLOCKED], false);
    assert_eq!(json!(ruling(&finding)), json!(["pass", null, null]));
    found(&host, &["1.0.1.2"], true);

    // The filter reads on what it was made with.
    fs::remove_file(generation.join("ipv4")).unwrap();
    fs::hard_link(generation.join("ipv6"), generation.join("ipv4")).unwrap();
    let said = host.fail(1, &["lookup", "--running", BLOCKED]);
    assert!(
        said.contains("generation-1/ipv4 is not what the filter on server reads")
            && said.contains("`geodrop attach`"),
        "{said}"
    );
}

#[test]
fn without_a_configuration_there_is_nothing_to_compare_with_but_what_is_given() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    let (answers, status, said) = asked(&host, &[OTHER]);
    assert_eq!(status, Some(0), "{said}");
    let finding = &answers[0]["running"][0];
    assert_eq!(json!(ruling(finding)), json!(["drop", "country", "US"]));
    assert_eq!(finding["agrees"], Value::Null);
    assert!(
        said.contains("were not made from one configuration"),
        "{said}"
    );
    // No verdict of a policy that nobody gave.
    assert_eq!(
        host.succeed(&["lookup", "--running", OTHER]),
        "\u{20}address  prefix      verdict  reason              country
 8.8.8.8  8.8.0.0/15  -        -                   US United States of America
                      drop     on server: country  US United States of America\n"
    );
    found(&host, &["--block", "US", OTHER], true);
    found(&host, &["--block", "CN", OTHER], false);
}

#[test]
fn a_configuration_with_a_mistake_is_an_error_after_what_the_filter_does() {
    let host = Host::new();
    let file = File::new(CHINA);
    host.succeed(&["attach", "-i", "server", "--config", file.path()]);
    file.write("block = [\"XX\"]");
    let (answers, status, said) = asked(&host, &[BLOCKED]);
    assert_eq!(status, Some(2), "{said}");
    let finding = &answers[0]["running"][0];
    assert_eq!(json!(ruling(finding)), json!(["drop", "country", "CN"]));
    assert_eq!(finding["agrees"], Value::Null);
    assert!(said.contains("`XX` is neither"), "{said}");
}

#[test]
fn each_interface_is_asked_and_compared_with_its_own_policy() {
    let file = File::new(
        "interfaces = [\"server\", \"lo\"]\nblock = [\"CN\"]\n\n[[interface]]\nname = \"lo\"\nblock = [\"US\"]\n",
    );
    let host = Host::new();
    host.succeed(&["attach", "--config", file.path()]);
    let (answers, status, said) = asked(&host, &[BLOCKED]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(answers[0]["verdict"], "drop");
    let findings = answers[0]["running"].as_array().unwrap();
    let mut findings: Vec<_> = findings
        .iter()
        .map(|finding| json!([finding["interface"], finding["verdict"], finding["agrees"]]))
        .collect();
    findings.sort_by_key(ToString::to_string);
    assert_eq!(
        findings,
        [json!(["lo", "pass", true]), json!(["server", "drop", true])]
    );
    let (finding, _) = found(&host, &["-i", "lo", BLOCKED], true);
    assert_eq!(finding["interface"], "lo");
    host.succeed(&["detach", "--all"]);
}

#[test]
fn a_trial_is_asked_while_it_goes_on_and_what_was_before_when_it_is_over() {
    let [before, tried] = [CHINA, AMERICA].map(File::new);
    let given = ["--config", tried.path()];
    for (first, time) in [(false, "2s"), (true, "2s"), (false, "5m")] {
        let host = Host::new();
        if !first {
            host.succeed(&["attach", "-i", "server", "--config", before.path()]);
        }
        host.succeed(
            &[
                &["attach", "-i", "server", "--confirm", time],
                given.as_slice(),
            ]
            .concat(),
        );
        if time == "5m" {
            let (finding, _) = found(&host, &[&given[..], &[OTHER]].concat(), true);
            assert_eq!(json!(ruling(&finding)), json!(["drop", "country", "US"]));
            continue;
        }
        thread::sleep(Duration::from_millis(2100));
        let (finding, said) = found(&host, &[&given[..], &[OTHER]].concat(), false);
        if first {
            assert_eq!(json!(ruling(&finding)), json!(["pass", "trial-over", null]));
            assert!(said.contains("nobody confirmed its trial"), "{said}");
        } else {
            assert_eq!(json!(ruling(&finding)), json!(["pass", null, null]));
            found(&host, &[BLOCKED], true);
        }
    }
}

#[test]
fn a_program_of_another_build_is_not_guessed_at() {
    let host = Host::at(Hook::Tcx);
    host.succeed(&["attach", "-i", "server"]);
    let mut other = Ebpf::load(FILTER).unwrap();
    let other: &mut SchedClassifier = other
        .program_mut("geodrop_egress")
        .unwrap()
        .try_into()
        .unwrap();
    other.load().unwrap();
    let link = FdLink::from(PinnedLink::from_pin(place(&host).join("link")).unwrap());
    other.attach_to_link(link.try_into().unwrap()).unwrap();
    let pin = place(&host).join("generation-1/program");
    fs::remove_file(&pin).unwrap();
    other.pin(&pin).unwrap();
    let said = host.fail(1, &["lookup", "--running", BLOCKED]);
    assert!(
        said.contains("the filter on server was attached by another build of geodrop")
            && said.contains("`geodrop attach`"),
        "{said}"
    );
}

#[test]
fn people_get_it_below_each_address() {
    let file = File::new(CHINA);
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--config", file.path()]);
    assert_eq!(
        host.succeed(&["lookup", "--running", BLOCKED, OTHER]),
        "\u{20}address  prefix      verdict  reason              country
 1.0.1.1  1.0.1.0/24  drop     country             CN China
                      drop     on server: country  CN China
 8.8.8.8  8.8.0.0/15  pass     default             US United States of America
                      pass     on server           -\n"
    );
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_can() {
    let host = Host::new();
    let said = host.fail(1, &["lookup", "--running", BLOCKED]);
    assert!(
        said.contains("no filter is attached; `geodrop attach -i IFACE`"),
        "{said}"
    );
    let said = host.fail(1, &["lookup", "--running", "-i", "server", BLOCKED]);
    assert!(
        said.contains("no filter of geodrop's is attached to server"),
        "{said}"
    );

    host.succeed(&["attach", "-i", "server"]);
    let output = host.output_with("-sys_admin", &["lookup", "--running", BLOCKED]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("takes CAP_SYS_ADMIN") && said.contains("`sudo`"),
        "{said}"
    );
}
