//! Interfaces that come and go under a run.

use std::{net::Ipv4Addr, thread, time::Duration};

use aya::{
    EbpfLoader,
    programs::{Xdp, XdpMode},
};
use geodrop::datapath::object;

use super::{
    host::{BLOCKED, Host, OTHER, Run, assert_eventually},
    policy::{AMERICA, CHINA, File},
};
use rustix::process::Signal;

/// The next line that a run prints of a filter that it attached. It says how long that took: for people, since machines
/// differ.
fn announcement(run: &mut Run) -> String {
    let line = run.line();
    println!("{line}");
    assert!(line.contains(" ms after it appeared"), "{line}");
    line
}

fn end(mut run: Run) -> String {
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0), "{said}");
    said
}

/// Waits until nothing is left of a trial that nobody confirms.
fn await_end_of_trial(host: &Host) {
    assert_eventually(|| {
        // There is none at the moment at which it is put back.
        let filter = &host.status()["interfaces"][0];
        filter.is_object() && filter["trial"].is_null()
    });
}

#[test]
fn an_interface_that_is_down_is_filtered_from_its_first_packet() {
    let host = Host::new();
    host.set_down();
    host.succeed(&["attach", "-i", "server"]);
    let blocked: Ipv4Addr = BLOCKED.parse().unwrap();
    let load = host.under_load(&[blocked], 1, || {
        host.ip(&["link", "set", "server", "up"]);
    });
    assert_eq!(load.received, 0);
    let counted = host.filter()["counters"]["CN"]["packets"].as_u64().unwrap();
    assert!(counted > 1000, "{counted} frames came");
}

#[test]
fn an_interface_that_returns_is_filtered_again_and_its_counters_go_on() {
    let mut host = Host::new();
    let mut run = host.run(&[]);
    assert!(!host.admits(BLOCKED));
    host.succeed(&["allow", "1.0.1.7"]);
    let index = host.veth.server.interface.index;
    host.unplug();
    host.plug_in();
    let line = announcement(&mut run);
    assert!(line.starts_with("server: blocking China (CN)"), "{line}");

    assert_ne!(host.veth.server.interface.index, index);
    assert!(!host.admits(BLOCKED));
    assert!(host.admits("1.0.1.7"));
    assert!(host.admits(OTHER));
    let filter = host.filter();
    assert_eq!(filter["counters"]["CN"]["packets"], 2);
    assert_eq!(filter["ifindex"], host.veth.server.interface.index);
    assert_eq!(
        filter["owner"].as_str().unwrap(),
        format!("process {} (geodrop)", run.id())
    );
    let warnings = host.status()["warnings"].to_string();
    assert!(!warnings.contains("interface"), "{warnings}");
    let said = end(run);
    assert!(said.contains("server is gone"), "{said}");
    host.assert_free();
}

#[test]
fn an_interface_that_returns_again_and_again_under_a_policy_that_changes() {
    let mut host = Host::new();
    let file = File::new(CHINA);
    let run = host.run(&["--config", file.path()]);
    for (content, blocked, admitted) in [(AMERICA, OTHER, BLOCKED), (CHINA, BLOCKED, OTHER)] {
        host.unplug();
        host.plug_in();
        host.await_filter();
        file.write(content);
        host.succeed(&["reload"]);
        assert!(!host.admits(blocked));
        assert!(host.admits(admitted));
        host.unplug();
        host.plug_in();
        host.await_filter();
        assert!(!host.admits(blocked));
        assert!(host.admits(admitted));
    }
    end(run);
    host.assert_free();
}

#[test]
fn an_interface_that_appears_later_is_filtered() {
    let mut host = Host::new();
    host.unplug();
    let file = File::new(&format!("interfaces = [\"server\"]\n{CHINA}"));
    let mut run = host.run_without("server", &["--config", file.path()]);
    host.plug_in();
    let line = announcement(&mut run);
    assert!(line.starts_with("server: blocking China (CN)"), "{line}");
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));

    // It is a filter as any other.
    host.succeed(&["deny", OTHER]);
    assert!(!host.admits(OTHER));
    file.write(&format!("interfaces = [\"server\"]\n{AMERICA}"));
    assert_eq!(host.succeed(&["reload"]), "server: reloaded\n");
    assert!(host.admits(BLOCKED));
    assert_eq!(host.filter()["generation"], 2);
    assert_eq!(host.filter()["counters"]["CN"]["packets"], 1);
    end(run);
    host.assert_free();
}

#[test]
fn an_interface_that_gets_a_configured_name_is_filtered_and_keeps_its_filter_under_another() {
    let host = Host::new();
    let file = File::new(&format!("interfaces = [\"outside\"]\n{CHINA}"));
    let mut run = host.run_without("outside", &["--config", file.path()]);
    assert!(host.admits(BLOCKED));
    host.ip(&["link", "set", "server", "name", "outside"]);
    announcement(&mut run);
    assert!(!host.admits(BLOCKED));
    host.ip(&["link", "set", "outside", "name", "inside"]);
    // Time for a look.
    thread::sleep(Duration::from_millis(1500));
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["name"], "inside");

    // The name counts again.
    host.ip(&[
        "link", "add", "outside", "type", "veth", "peer", "name", "other",
    ]);
    let filtered = || host.status()["interfaces"].as_array().unwrap().len();
    assert_eventually(|| filtered() == 2);
    host.succeed(&["reload"]);
    assert_eq!(host.filter()["name"], "outside");
    end(run);
    host.assert_free();
}

#[test]
fn a_filter_that_somebody_takes_away_does_not_come_back() {
    let mut host = Host::new();
    let file = File::new(&format!("interfaces = [\"server\", \"lo\"]\n{CHINA}"));
    let mut run = host.run_with(&["--config", file.path()]);
    host.succeed(&["detach", "-i", "server"]);
    // Each tells of a change.
    for state in ["down", "up", "down", "up"] {
        host.ip(&["link", "set", "server", state]);
    }
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(host.attached(), None);
    // Another interface of that name is another interface.
    host.unplug();
    host.plug_in();
    host.await_filter();
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(3));
    host.assert_free();
}

#[test]
fn an_interface_that_the_command_line_names_must_be_there() {
    let host = Host::new();
    let file = File::new(&format!("interfaces = [\"eth7\"]\n{CHINA}"));
    for arguments in [
        &["run", "-i", "eth7"] as &[&str],
        &["run", "-i", "eth7", "--config", file.path()],
        &["attach", "--config", file.path()],
    ] {
        let said = host.fail(1, arguments);
        assert!(said.contains("there is no interface `eth7` here"), "{said}");
    }
    let said = host.fail(1, &["run", "--config", file.path(), "--confirm", "1m"]);
    assert!(said.contains("so nothing can be tried"), "{said}");
    host.assert_free();
}

#[test]
fn a_trial_goes_on_when_its_interface_returns() {
    let mut host = Host::new();
    let file = File::new(CHINA);
    let run = host.run(&["--config", file.path()]);
    file.write(AMERICA);
    host.succeed(&["reload", "--confirm", "8s"]);
    host.unplug();
    host.plug_in();
    host.await_filter();
    assert!(!host.admits(OTHER));
    assert_eq!(host.filter()["trial"]["before"], 1);
    assert!(host.admits(BLOCKED));
    // Nobody confirms.
    await_end_of_trial(&host);
    assert!(!host.admits(BLOCKED));
    // And returns with the policy that is in force.
    host.unplug();
    host.plug_in();
    host.await_filter();
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    end(run);
    host.assert_free();
}

#[test]
fn a_trial_is_undecided_while_its_interface_is_gone() {
    let mut host = Host::new();
    let file = File::new(CHINA);
    let run = host.run(&["--config", file.path()]);
    file.write(AMERICA);
    host.succeed(&["reload", "--confirm", "15s"]);
    host.unplug();
    // Time for several looks.
    thread::sleep(Duration::from_millis(2500));
    run.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(500));
    host.plug_in();
    host.await_filter();
    assert_eq!(host.filter()["trial"]["before"], 1);
    assert!(!host.admits(OTHER));
    assert!(host.admits(BLOCKED));
    await_end_of_trial(&host);
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    let said = end(run);
    assert!(said.contains("SIGHUP reloads nothing"), "{said}");
    host.assert_free();
}

#[test]
fn nobody_has_confirmed_a_trial_that_ends_while_its_interface_is_gone() {
    let mut host = Host::new();
    let file = File::new(CHINA);
    let run = host.run(&["--config", file.path()]);
    file.write(AMERICA);
    host.succeed(&["reload", "--confirm", "2s"]);
    host.unplug();
    thread::sleep(Duration::from_millis(3500));
    host.plug_in();
    host.await_filter();
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    await_end_of_trial(&host);
    assert!(!host.admits(BLOCKED));
    end(run);
    host.assert_free();
}

#[test]
fn nobody_has_confirmed_what_was_taken_away_during_its_trial() {
    let mut host = Host::new();
    host.unplug();
    let policy = |rest: &str| format!("interfaces = [\"server\", \"lo\"]\n{rest}");
    let file = File::new(&policy(CHINA));
    let mut run = host.run_without("server", &["--config", file.path()]);
    file.write(&policy(AMERICA));
    host.succeed(&["reload", "--confirm", "5m"]);
    host.succeed(&["detach", "-i", "lo"]);
    thread::sleep(Duration::from_millis(2500));
    host.plug_in();
    host.await_filter();
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    run.signal(Signal::INT);
    assert_eq!(run.wait().0, Some(3));
    host.assert_free();
}

#[test]
fn an_interface_that_appears_during_a_trial_goes_by_the_policy_before() {
    let mut host = Host::new();
    host.unplug();
    let policy = |rest: &str| format!("interfaces = [\"server\", \"lo\"]\n{rest}");
    let file = File::new(&policy(CHINA));
    let run = host.run_without("server", &["--config", file.path()]);
    file.write(&policy(AMERICA));
    host.succeed(&["reload", "--confirm", "5m"]);
    host.plug_in();
    host.await_filter();
    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    host.succeed(&["confirm", "-i", "lo"]);
    assert_eventually(|| !host.admits(OTHER));
    assert!(host.admits(BLOCKED));
    end(run);
    host.assert_free();
}

#[test]
fn what_is_left_of_an_interface_that_is_gone_the_next_attach_removes() {
    let mut host = Host::new();
    host.succeed(&["attach", "-i", "server"]);
    let left = || std::fs::read_dir(&host.pins).unwrap().count();
    host.unplug();
    assert_eq!(left(), 1);
    host.succeed(&["attach", "-i", "lo"]);
    assert_eq!(left(), 1);
    host.plug_in();
    assert_eq!(host.attached(), None);
}

#[test]
fn status_tells_of_an_interface_that_is_waited_for() {
    let mut host = Host::new();
    let run = host.run(&[]);
    host.unplug();
    let expected = format!("process {} (geodrop) waits for it to come back", run.id());
    let warnings = || host.status()["warnings"].to_string();
    assert!(warnings().contains(&expected), "{}", warnings());
    end(run);
    assert!(!host.pins.exists());
    host.plug_in();
    assert_eq!(host.attached(), None);
}

#[test]
fn an_interface_that_cannot_be_filtered_when_it_returns_is_tried_again() {
    let mut host = Host::new();
    let mut run = host.run(&[]);
    assert!(!host.admits(BLOCKED));
    host.unplug();
    run.signal(Signal::STOP);
    host.plug_in();
    // The hook is taken, for now.
    let mut other = EbpfLoader::new().load(object::GENERATOR).unwrap();
    let program: &mut Xdp = other.program_mut("generate").unwrap().try_into().unwrap();
    program.load().unwrap();
    let index = host.veth.server.interface.index;
    let attach = || program.attach_to_if_index(index, XdpMode::Driver);
    let link = host.veth.server.run(attach).unwrap().unwrap();
    run.signal(Signal::CONT);
    // Time for several tries.
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(
        host.attached().unwrap().program,
        program.info().unwrap().id()
    );
    program.detach(link).unwrap();
    announcement(&mut run);

    assert!(!host.admits(BLOCKED));
    assert!(host.admits(OTHER));
    assert_eq!(host.filter()["counters"]["CN"]["packets"], 2);
    let said = end(run);
    assert_eq!(said.matches("it is tried again").count(), 1, "{said}");
    host.assert_free();
}

#[test]
fn an_interface_that_a_policy_on_trial_does_not_name_is_filtered_until_that_is_confirmed() {
    let host = Host::new();
    let file = File::new(&format!("interfaces = [\"server\", \"lo\"]\n{CHINA}"));
    let run = host.run_with(&["--config", file.path()]);
    let filtered = || host.status()["interfaces"].as_array().unwrap().len();
    file.write(&format!("interfaces = [\"lo\"]\n{AMERICA}"));
    host.succeed(&["reload", "--confirm", "2s"]);
    assert_eq!(filtered(), 2);
    assert!(!host.admits(BLOCKED));
    thread::sleep(Duration::from_millis(3500));
    assert_eq!(filtered(), 2);
    assert!(!host.admits(BLOCKED));

    host.succeed(&["reload", "--confirm", "5m"]);
    assert!(!host.admits(BLOCKED));
    host.succeed(&["confirm", "-i", "lo"]);
    assert_eventually(|| filtered() == 1);
    assert!(host.admits(BLOCKED));
    end(run);
    host.assert_free();
}
