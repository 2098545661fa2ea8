//! Data that is kept fresh: what becomes of the running filter.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    process::Command,
    thread,
    time::Duration,
};

use geodrop::{
    geoip::Source,
    update::store::{About, Grounds, History, Refusal},
};
use jiff::Timestamp;

use super::{
    hitless::{SOURCES, assert_hitless},
    host::Host,
    policy::File,
};

/// A state directory with data of one source, as an update leaves it.
struct State {
    _directory: tempfile::TempDir,
    history: History,
}

impl State {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let history = History::new(directory.path(), "test");
        Self {
            _directory: directory,
            history,
        }
    }

    fn about() -> About {
        About {
            source: Source::of_file("test".to_owned()),
            fetched: Timestamp::now(),
            parts: Vec::new(),
            despite: Vec::new(),
        }
    }

    /// The sources of the hitless tests are where they always were; what is in Hong Kong varies.
    fn accept(&self, turn: usize) {
        let lock = self.history.lock().unwrap();
        let staging = self.history.staging(&lock).unwrap();
        let data = format!(
            "1.0.0.0,1.0.255.255,CN\n8.8.8.0,8.8.8.255,US\n9.{turn}.0.0,9.{turn}.255.255,HK\n"
        );
        fs::write(staging.join("data.csv"), data).unwrap();
        self.history.accept(&lock, &Self::about(), 3).unwrap();
    }

    fn refuse(&self) {
        let lock = self.history.lock().unwrap();
        self.history.staging(&lock).unwrap();
        let refusal = Refusal {
            at: Timestamp::now(),
            grounds: Grounds::Implausible,
            why: vec!["CN China has no address any more".to_owned()],
        };
        self.history
            .refuse(&lock, &Self::about(), &refusal, 3)
            .unwrap();
    }

    fn policy(&self) -> File {
        let current = self.history.current_path();
        File::new(&format!(
            "block = [\"CN\", \"HK\"]\n[geoip]\nsources = [{:?}]\n",
            current.display()
        ))
    }
}

#[test]
fn accepted_data_comes_into_force_by_itself_and_no_packet_is_judged_wrong() {
    let host = Host::new();
    let state = State::new();
    state.accept(0);
    let file = state.policy();
    let _run = host.run(&["--config", file.path(), "--watch", "--interval", "0"]);
    assert_hitless(&host, &SOURCES, 3, |turn| {
        state.accept(turn);
        let is_in_force = |_| {
            thread::sleep(Duration::from_millis(200));
            host.filter()["generation"] == turn + 1
        };
        assert!((0..100).any(is_in_force), "the data was not read anew");
    });
    assert!(!host.admits("9.3.0.1"));
    assert!(host.admits("9.2.0.1"));
}

#[test]
fn status_warns_of_refused_data_until_newer_data_is_in_force() {
    let host = Host::new();
    let state = State::new();
    state.accept(0);
    let file = state.policy();
    host.succeed(&["attach", "-i", "server", "--config", file.path()]);
    assert_eq!(host.status()["warnings"], serde_json::json!([]));
    state.refuse();
    let warnings = host.status()["warnings"].clone();
    let warning = warnings[0].as_str().unwrap();
    let current = state.history.current_path();
    let begins = format!("newer data for {} was refused on ", current.display());
    assert!(warning.starts_with(&begins), "{warning}");
    for words in ["CN China has no address any more", "refused/2", "--accept"] {
        assert!(warning.contains(words), "{warning}");
    }
    assert!(host.succeed(&["status"]).contains(warning));
    state.accept(1);
    assert_eq!(host.status()["warnings"], serde_json::json!([]));
}

#[test]
fn root_fetches_as_the_owner_of_the_directory() {
    const NOBODY: u32 = 65534;
    let directory = tempfile::tempdir().unwrap();
    chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
    command.args(["geoip", "update", "--back-off", "1ms", "--directory"]);
    command
        .arg(directory.path())
        .arg("test=https://127.0.0.1:1/test.csv");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let written = fs::metadata(directory.path().join("test")).unwrap();
    assert_eq!((written.uid(), written.gid()), (NOBODY, NOBODY));
}
