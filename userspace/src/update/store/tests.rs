//! Directories, step by step.

use super::*;

fn about(text: &str) -> About {
    About {
        source: Source::of_file("test".to_owned()),
        fetched: Timestamp::UNIX_EPOCH,
        parts: vec![Part {
            file: "data.csv".to_owned(),
            url: "https://example.net/data.csv".to_owned(),
            sha256: text.to_owned(),
            bytes: 0,
            validators: Validators::default(),
        }],
        despite: Vec::new(),
    }
}

fn refusal() -> Refusal {
    Refusal {
        at: Timestamp::UNIX_EPOCH,
        grounds: Grounds::Implausible,
        why: vec!["CN vanished".to_owned()],
    }
}

struct Test {
    state: tempfile::TempDir,
    history: History,
}

impl Test {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let history = History::new(state.path(), "test");
        Self { state, history }
    }

    fn stage(&self, lock: &Lock, text: &str) {
        let staging = self.history.staging(lock).unwrap();
        fs::write(staging.join("data.csv"), text).unwrap();
    }

    fn accept(&self, text: &str, keep: usize) -> u64 {
        let lock = self.history.lock().unwrap();
        self.stage(&lock, text);
        self.history
            .accept(&lock, &about(text), keep)
            .unwrap()
            .number
    }

    fn refuse(&self, text: &str, keep: usize) -> u64 {
        let lock = self.history.lock().unwrap();
        self.stage(&lock, text);
        self.history
            .refuse(&lock, &about(text), &refusal(), keep)
            .unwrap()
            .number
    }

    fn roll_back(&self) -> Result<u64, StoreError> {
        let lock = self.history.lock().unwrap();
        self.history
            .roll_back(&lock, "test", 3)
            .map(|kept| kept.number)
    }

    /// What a policy reads.
    fn in_force(&self) -> String {
        fs::read_to_string(self.history.current_path().join("data.csv")).unwrap()
    }

    fn kept(&self, row: &str) -> Vec<u64> {
        numbers(&self.history.path.join(row)).unwrap()
    }
}

#[test]
fn what_is_accepted_is_in_force_and_the_last_few_are_kept() {
    let test = Test::new();
    assert_eq!(test.history.current().unwrap(), None);
    for (text, number) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(test.accept(text, 2), number);
        assert_eq!(test.in_force(), text);
    }
    assert_eq!(test.kept(GENERATIONS), [2, 3]);
    let current = test.history.current().unwrap().unwrap();
    assert_eq!((current.number, current.about), (3, about("c")));
    assert_eq!(names(test.state.path()).unwrap(), ["test"]);
    let changed = fs::read_to_string(test.state.path().join(CHANGED)).unwrap();
    assert!(changed.trim().ends_with("test"), "{changed}");
}

#[test]
fn what_is_refused_is_kept_aside_until_something_newer_is_in_force() {
    let test = Test::new();
    test.accept("a", 3);
    for (text, number) in [("b", 2), ("c", 3), ("d", 4)] {
        assert_eq!(test.refuse(text, 2), number);
    }
    assert_eq!(test.in_force(), "a");
    assert_eq!(test.kept(REFUSED), [3, 4]);
    let (kept, why) = test.history.refused().unwrap().unwrap();
    assert_eq!((kept.number, kept.about, why), (4, about("d"), refusal()));
    assert_eq!(test.accept("e", 3), 5);
    assert_eq!(test.history.refused().unwrap(), None);
    assert_eq!(test.history.all_refused().unwrap().len(), 2);
}

#[test]
fn what_was_refused_can_be_put_in_force_as_it_is() {
    let test = Test::new();
    test.accept("a", 3);
    test.refuse("b", 3);
    let lock = test.history.lock().unwrap();
    let (kept, _) = test.history.refused().unwrap().unwrap();
    test.history
        .accept_refused(&lock, &kept, &kept.about, 3)
        .unwrap();
    assert_eq!(test.in_force(), "b");
    assert_eq!(test.kept(GENERATIONS), [1, 2]);
    assert_eq!(test.kept(REFUSED), [0; 0]);
    assert!(!test.history.current_path().join(REFUSAL).exists());
}

#[test]
fn rolling_back_goes_one_generation_back_each_time() {
    let test = Test::new();
    for text in ["a", "b", "c"] {
        test.accept(text, 3);
    }
    assert_eq!(test.roll_back().unwrap(), 2);
    assert_eq!(test.in_force(), "b");
    let (kept, refusal) = test.history.refused().unwrap().unwrap();
    assert_eq!((kept.number, refusal.grounds), (3, Grounds::RolledBack));
    assert_eq!(test.roll_back().unwrap(), 1);
    assert_eq!(test.in_force(), "a");
    let error = test.roll_back().unwrap_err();
    assert!(matches!(error, StoreError::NothingBefore { .. }), "{error}");
    assert_eq!(test.in_force(), "a");
    assert_eq!(test.accept("d", 3), 4);
}

#[test]
fn what_was_left_undone_is_done() {
    let test = Test::new();
    test.accept("a", 3);
    test.accept("b", 3);
    test.accept("c", 3);
    // Killed between the two steps of rolling back; and between those of accepting.
    write(&test.history.generation(2).join(REFUSAL), &refusal()).unwrap();
    test.history.switch(1).unwrap();
    let lock = test.history.lock().unwrap();
    test.history.tidy(&lock).unwrap();
    assert_eq!(
        (test.kept(GENERATIONS), test.kept(REFUSED)),
        (vec![1], vec![2])
    );
    assert_eq!(test.in_force(), "a");
}

#[test]
fn two_do_not_change_a_source_at_once() {
    let test = Test::new();
    let lock = test.history.lock().unwrap();
    assert!(matches!(test.history.lock(), Err(StoreError::Busy { .. })));
    drop(lock);
    assert!(test.history.lock().is_ok());
}

#[test]
fn a_policy_s_path_leads_back_to_the_source() {
    let test = Test::new();
    test.accept("a", 3);
    let path = test.history.current_path();
    assert_eq!(History::of_current(&path).unwrap().path, test.history.path);
    for other in ["/", "current", "/etc/geodrop/data.csv", "/nowhere/current"] {
        assert!(History::of_current(Path::new(other)).is_none(), "{other}");
    }
}

#[test]
fn an_unknown_source_is_told_with_those_that_are_known() {
    let test = Test::new();
    test.accept("a", 3);
    let error = History::of_known(test.state.path(), "tset").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no data of a source `tset`; it has test"),
        "{error}"
    );
}
