//! A filter by a process that may do no more than it takes: `CAP_BPF` and `CAP_NET_ADMIN`.

use super::host::{BLOCKED, Host, OTHER};
use geodrop::{
    datapath::generation::{Generation, Plan},
    geoip::Regions,
    policy::{Policy, Ruleset},
    table::Engine,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// All that root has, but what lets it read the kernel's memory.
const BOUNDS: &str = "-perfmon,-sys_admin";

#[test]
fn a_filter_needs_neither_perfmon_nor_sys_admin() {
    for engine in ["multibit", "lpm"] {
        let host = Host::new();
        let attach = ["attach", "-i", "server", "--engine", engine];
        host.succeed_with(BOUNDS, &attach);
        assert!(!host.admits(BLOCKED));
        assert!(!host.admits("2400:3200::1"));
        assert!(host.admits(OTHER));
        assert!(host.admits("2001:4860:4860::8888"));

        let status: serde_json::Value =
            serde_json::from_str(&host.succeed_with(BOUNDS, &["status", "--json"])).unwrap();
        assert_eq!(status["interfaces"][0]["engine"], engine);
        assert_eq!(status["interfaces"][0]["counters"]["CN"]["packets"], 2);

        let said = host.succeed_with(BOUNDS, &[&attach[..], &["--block", "US"]].concat());
        assert!(said.contains("replaced the filter"), "{said}");
        assert!(host.admits(BLOCKED));
        assert!(!host.admits(OTHER));

        host.succeed_with(BOUNDS, &["detach", "-i", "server"]);
        host.assert_free();
    }
}

#[test]
fn two_capabilities_are_all_that_it_takes() {
    let host = Host::new();
    let bounds = "-all,+bpf,+net_admin";
    host.succeed_with(bounds, &["attach", "-i", "server"]);
    assert!(!host.admits(BLOCKED));
    host.succeed_with(bounds, &["detach", "--all"]);
    host.assert_free();
}

#[test]
fn each_capability_that_is_missing_is_named() {
    let host = Host::new();
    for (bounds, missing) in [
        ("-bpf,-sys_admin", "needs CAP_BPF, which"),
        ("-net_admin", "needs CAP_NET_ADMIN, which"),
    ] {
        let output = host.output_with(bounds, &["attach", "-i", "server"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(missing), "{said}");
    }
    host.assert_free();
}

/// Only this thread loses the capabilities, and it ends with the test.
#[test]
fn the_program_for_older_kernels_says_that_it_takes_perfmon() {
    let sets = capabilities(None).unwrap();
    let effective = sets
        .effective
        .difference(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN);
    set_capabilities(None, CapabilitySets { effective, ..sets }).unwrap();
    let ruleset = Ruleset::new(&Policy::default(), &Regions::default());
    let plan = Plan {
        ruleset: &ruleset,
        engine: Engine::default(),
        monitor: false,
        effective_from: None,
        replies: false,
        reject: false,
        log: false,
    };
    let error = Generation::load_without_frags(plan)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("needs CAP_PERFMON (as kernels before 5.18 do), which"),
        "{error}"
    );
    assert!(Generation::load(plan).unwrap().frags());
}
