//! Commands that are killed at any moment: what is in force is whole, and the next command leaves nothing of them.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::host::{BLOCKED, Host, OTHER};
use rustix::process::Signal;

/// How many commands are killed, unless the environment says otherwise.
const KILLS: u32 = 60;

/// The environment variable that says how many.
const KILLS_VARIABLE: &str = "GEODROP_KILLS";

const AMERICA: &[&str] = &["attach", "-i", "server", "--block", "US"];
const CHINA: &[&str] = &["attach", "-i", "server", "--block", "CN"];

fn kills() -> u32 {
    let said = std::env::var(KILLS_VARIABLE).ok();
    said.map_or(KILLS, |said| said.parse().unwrap())
}

/// Everything that is pinned below a directory, by path.
fn pins(directory: &Path) -> Vec<String> {
    let mut pins = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                directories.push(entry.path());
            } else {
                pins.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    pins.sort();
    pins
}

/// That a whole filter is in force, or none.
fn assert_whole(host: &Host, after: &str) {
    let admitted = (host.admits(BLOCKED), host.admits(OTHER));
    // None of the policies blocks both.
    assert_ne!(admitted, (false, false), "after {after}");
}

/// That the next commands put a policy in force and leave nothing else, nor anything at all.
fn assert_clean(host: &Host, clean: &[String], after: &str) {
    host.succeed(AMERICA);
    assert_eq!(pins(&host.pins), clean, "after {after}");
    assert!(host.admits(BLOCKED), "after {after}");
    assert!(!host.admits(OTHER), "after {after}");
    assert_eq!(host.filter()["trial"], serde_json::Value::Null);
}

/// A filter that nothing has happened to.
struct Clean {
    /// What is pinned of it.
    pins: Vec<String>,
    /// How long it takes to replace it, and to detach it.
    replaced: Duration,
    detached: Duration,
}

impl Clean {
    fn new() -> Self {
        let host = Host::new();
        host.succeed(AMERICA);
        let timed = |arguments: &[&str]| {
            let began = Instant::now();
            host.succeed(arguments);
            began.elapsed()
        };
        let replaced = timed(AMERICA);
        let pins = pins(&host.pins);
        Self {
            pins,
            replaced,
            detached: timed(&["detach", "-i", "server"]),
        }
    }

    /// Any moment while the command is at work, or a little later.
    fn moment(&self, arguments: &[&str], random: &mut fastrand::Rng) -> Duration {
        let whole = match arguments.first() {
            Some(&"attach") => self.replaced,
            _ => self.detached,
        };
        whole.mul_f64(1.2 * random.f64())
    }
}

#[test]
fn what_is_killed_leaves_a_whole_filter_and_nothing_that_stays() {
    let clean = Clean::new();
    let host = Host::new();
    let mut random = fastrand::Rng::new();
    let seed = random.u64(..);
    random.seed(seed);
    // Shown by whatever fails from here on.
    println!("seed {seed}");
    let on_trial = [CHINA, &["--confirm", "5m"]].concat();
    let briefly = [CHINA, &["--confirm", "20ms"]].concat();
    let all: [&[&str]; 8] = [
        AMERICA,
        CHINA,
        &on_trial,
        &briefly,
        &["confirm"],
        &["allow", "10.0.0.1"],
        &["deny", "10.0.0.2", "--for", "50ms"],
        &["detach", "-i", "server"],
    ];
    for kill in 0..kills() {
        let arguments = all[random.usize(..all.len())];
        let after = format!("kill {kill} of {arguments:?}, seed {seed}");
        let mut command = host.start(arguments);
        thread::sleep(clean.moment(arguments, &mut random));
        command.kill();
        assert_whole(&host, &after);
        if random.u8(..3) == 0 {
            assert_clean(&host, &clean.pins, &after);
        }
    }
    assert_clean(&host, &clean.pins, "all");
    host.succeed(&["detach", "--all"]);
    host.assert_free();
}

#[test]
fn a_run_that_is_killed_while_it_reloads_leaves_a_whole_filter() {
    let clean = Clean::new();
    let host = Host::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut random = fastrand::Rng::new();
    for kill in 0..kills() / 6 {
        fs::write(file.path(), "block = [\"CN\"]\nreplies = \"drop\"\n").unwrap();
        let mut run = host.run(&["--config", file.path().to_str().unwrap()]);
        fs::write(file.path(), "block = [\"US\"]\nreplies = \"drop\"\n").unwrap();
        let mut reload = host.start(&["reload", "--confirm", "5m"]);
        thread::sleep(clean.replaced.mul_f64(1.2 * random.f64()));
        run.signal(Signal::KILL);
        run.wait();
        let began = Instant::now();
        reload.wait();
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it waits for the dead"
        );
        let after = format!("kill {kill}");
        assert_whole(&host, &after);
        assert_clean(&host, &clean.pins, &after);
    }
}

#[test]
fn a_report_outlives_all_that_is_killed() {
    let clean = Clean::new();
    let host = Host::new();
    let mut random = fastrand::Rng::new();
    let seed = random.u64(..);
    random.seed(seed);
    let monitor = [CHINA, &["--monitor"]].concat();
    let on_trial = [CHINA, &["--confirm", "20ms"]].concat();
    let all: [&[&str]; 4] = [&monitor, CHINA, &on_trial, &["confirm"]];
    host.succeed(&monitor);
    for kill in 0..kills() / 3 {
        let arguments = all[random.usize(..all.len())];
        let mut command = host.start(arguments);
        thread::sleep(clean.moment(arguments, &mut random));
        command.kill();
        // Whichever generation is in force has one.
        let said = host.output(&["report", "--json"]);
        assert!(
            said.status.success(),
            "kill {kill} of {arguments:?}, seed {seed}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
    host.succeed(&["detach", "--all"]);
    host.assert_free();
}
