//! A filter at the hook tcx, beside programs of others at the same hook and at XDP.

use geodrop::{
    datapath::{
        Hook, ModeChoice, NewLink,
        generation::{Generation, Plan},
    },
    geoip::Regions,
    policy::{Policy, Ruleset},
    table::Engine,
};

use super::host::{BLOCKED, Host, OTHER};

/// A program of somebody else's, which counts packets and lets all pass.
struct Other {
    program: Generation,
    _link: NewLink,
}

impl Other {
    /// Before all that are at the hook, where it takes several.
    fn at(host: &Host, hook: Hook) -> Self {
        let program = Generation::load(Plan {
            hook,
            monitor: true,
            ..Plan::by_address(
                &Ruleset::new(&Policy::default(), &Regions::default()),
                Engine::default(),
            )
        });
        let (program, server) = (program.unwrap(), &host.veth.server);
        let attached =
            server.run(|| program.attach_unpinned(&server.interface, ModeChoice::Native));
        Self {
            program,
            _link: attached.unwrap().unwrap(),
        }
    }

    fn packets(&self) -> u64 {
        self.program.counters().unwrap().passed.packets
    }
}

#[test]
fn a_filter_beside_programs_of_others() {
    let host = Host::at(Hook::Tcx);
    let xdp = Other::at(&host, Hook::Xdp);
    let behind = Other::at(&host, Hook::Tcx);
    let said = host.succeed(&["attach", "-i", "server"]);
    assert!(
        said.starts_with("server: blocking China (CN), Hong Kong (HK), Macao (MO) (tcx, "),
        "{said}"
    );
    let before = Other::at(&host, Hook::Tcx);
    let chain = host.chain();
    let filter = host.filter();
    assert_eq!(
        (&filter["hook"], &filter["mode"]),
        (&"tcx".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        (chain.len(), filter["program_id"].as_u64().unwrap()),
        (3, chain[1].into())
    );
    let said = host.succeed(&["status"]);
    assert!(
        said.contains("\n  tcx, engine multibit; ") && said.contains("; generation 1\n"),
        "{said}"
    );

    let others = || [&xdp, &before, &behind].map(Other::packets);
    assert!(!host.admits(BLOCKED));
    assert_eq!(others(), [1, 1, 0]);
    assert!(host.admits(OTHER));
    assert_eq!(others(), [2, 2, 1]);

    // A new policy stands where the one before stood.
    host.succeed(&["attach", "-i", "server", "--block", "US"]);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
    assert_eq!(others(), [4, 4, 2]);
    let place = |place: usize| (host.chain()[place], chain[place]);
    assert_eq!(place(0).0, place(0).1);
    assert_ne!(place(1).0, place(1).1);
    assert_eq!(place(2).0, place(2).1);
    let filter = host.filter();
    assert_eq!(filter["counters"]["CN"]["packets"], 1);
    assert_eq!(filter["generation"], 2);

    host.succeed(&["detach", "-i", "server"]);
    assert!(!host.pins.exists());
    assert_eq!(host.chain(), [chain[0], chain[2]]);
    assert!(host.admits(OTHER));
    assert_eq!(others(), [5, 5, 3]);
}

#[test]
fn removing_its_pins_by_hand_frees_the_interface() {
    let host = Host::at(Hook::Tcx);
    host.succeed(&["attach", "-i", "server"]);
    assert!(!host.admits(BLOCKED));
    std::fs::remove_dir_all(&host.pins).unwrap();
    host.await_no_program();
    assert!(host.admits(BLOCKED));
}

#[test]
fn a_process_takes_over_what_another_left() {
    let host = Host::at(Hook::Tcx);
    host.run(&[]).kill();
    assert!(!host.admits(BLOCKED));
    let mut run = host.run(&["--block", "US"]);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
    run.signal(rustix::process::Signal::INT);
    assert_eq!(run.wait().0, Some(0));
    host.assert_free();
}

#[test]
fn the_hook_of_a_running_filter_stays() {
    for (running, asked) in [("xdp", "tcx"), ("tcx", "xdp")] {
        let host = Host::new();
        host.succeed(&["attach", "-i", "server", "--hook", running]);
        let before = (host.attached(), host.chain());
        let said = host.fail(1, &["attach", "-i", "server", "--hook", asked]);
        let words = format!(
            "the filter on server is at the hook {running}, and the hook cannot be changed under way; run `geodrop detach \
             -i server` first, or ask for `--hook {running}`"
        );
        assert!(said.contains(&words), "{said}");
        assert_eq!((host.attached(), host.chain()), before);
        assert_eq!(host.filter()["generation"], 1);
        assert!(!host.admits(BLOCKED));
    }
}

#[test]
fn a_hook_without_modes_takes_none() {
    let host = Host::at(Hook::Tcx);
    for mode in ["native", "generic"] {
        let said = host.fail(2, &["attach", "-i", "server", "--mode", mode]);
        let words = format!("the mode {mode} is one of XDP, and the hook tcx has no modes");
        assert!(said.contains(&words), "{said}");
    }
    host.assert_free();
    host.succeed(&["attach", "-i", "server", "--mode", "auto"]);
}

#[test]
fn what_was_done_is_undone_when_another_interface_refuses() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--hook", "xdp"]);
    // `lo` takes the filter before the one on `server` is found to be elsewhere.
    host.fail(1, &["attach", "-i", "lo", "server", "--hook", "tcx"]);
    assert_eq!(host.filter()["hook"], "xdp");
    host.succeed(&["detach", "--all"]);
    host.assert_free();
}
