//! The package of Debian on a host: installed, upgraded while packets come, removed and purged.
//!
//! It holds the program that the other tests run, or that of `GEODROP_PREBUILT`, which is how `cargo xtask dist --check` tries
//! what is handed out. The unit's own command line is run, with this test as its manager.

use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt as _, process::Stdio};

use rustix::process::Signal;

use super::{
    alike::{assert_seen_alike, counted, scraped},
    hitless::{SOURCES, assert_hitless},
    host::{BLOCKED, Host, Run},
    machine::{Machine, Pins, package},
    service,
};

/// Where the package has the policy.
const POLICY: &str = "/etc/geodrop/policy.toml";

/// Where fetched data is.
const STATE: &str = "/var/lib/geodrop";

/// The policy, edited.
const EDITED: &str =
    "interfaces = [\"server\"]\nblock = [\"CN\", \"HK\", \"MO\"]\nmetrics = \"127.0.0.1:9469\"\n";

/// Starts what the unit starts, and waits until the filter is in force.
fn start(host: &Host, machine: &Machine) -> Run {
    let mut words = service::bounded();
    words.extend(service::unit("ExecStart"));
    // Whose session the tests run in is to make no difference.
    words.push("--force".to_owned());
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut command = machine.command(&words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = host.spawn(command);
    let line = run.line();
    assert!(line.starts_with("server: "), "{line:?}: {:?}", run.wait());
    run
}

#[test]
fn a_package_from_its_installation_to_its_purge() {
    let packages = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|revision| package(revision, packages.path()));
    let mut host = Host::new();
    let pins = Pins::of(&mut host);
    let machine = Machine::new(&pins.0);

    machine.install(&first);
    assert!(machine.has_user());
    let version = machine.succeed(&["geodrop", "--version"]);
    assert_eq!(version, format!("geodrop {}\n", env!("CARGO_PKG_VERSION")));
    for file in [
        "man/man8/geodrop-run.8.gz",
        "man/man7/geodrop-policy.7.gz",
        "bash-completion/completions/geodrop",
        "zsh/vendor-completions/_geodrop",
        "fish/vendor_completions.d/geodrop.fish",
        "doc/geodrop/copyright",
        "doc/geodrop/geodrop-third-party.txt",
        "doc/geodrop/changelog.Debian.gz",
    ] {
        let path = machine.path(&format!("/usr/share/{file}"));
        assert!(path.is_file(), "{file}");
    }
    let mode = fs::metadata(machine.path(POLICY)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // Nothing is done that nobody asked for.
    let new = machine.new_files();
    assert!(new.contains(&"./usr/bin/geodrop".to_owned()), "{new:?}");
    assert!(
        !new.iter().any(|file| file.starts_with("./etc/systemd/")),
        "{new:?}"
    );
    assert_eq!(host.attached(), None);
    machine.succeed(&["geodrop", "check", "--config", POLICY]);

    fs::write(machine.path(POLICY), EDITED).unwrap();
    host.ip(&["link", "set", "lo", "up"]);
    let run = RefCell::new(start(&host, &machine));
    assert_seen_alike(&host, &machine);
    assert_hitless(&host, &SOURCES, 1, |_| {
        machine.install(&second);
        // As `systemctl try-restart` does.
        run.borrow().signal(Signal::TERM);
        assert_eq!(run.borrow_mut().wait().0, Some(0));
        run.replace(start(&host, &machine));
    });
    assert!(!host.admits(BLOCKED));
    // The counts of the version before go on.
    let counts = counted(&host, &machine);
    assert!(counts["CN"] > 1000, "{counts:?}");
    assert_eq!(scraped(&host, &counts), counts);
    let installed =
        machine.succeed(&["dpkg-query", "--show", "--showformat=${Version}", "geodrop"]);
    assert!(installed.ends_with("-2"), "{installed}");
    assert_eq!(fs::read_to_string(machine.path(POLICY)).unwrap(), EDITED);

    machine.succeed(&["dpkg", "--remove", "geodrop"]);
    // What somebody took off stays off, says the unit.
    assert_eq!(run.borrow_mut().wait().0, Some(3));
    host.await_no_program();
    host.assert_free();
    assert_eq!(fs::read_to_string(machine.path(POLICY)).unwrap(), EDITED);

    let data = machine.path(STATE).join("rir");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("current"), "").unwrap();
    machine.succeed(&["dpkg", "--purge", "geodrop"]);
    assert!(!machine.has_user());
    assert_eq!(machine.new_files(), Vec::<String>::new());
}
