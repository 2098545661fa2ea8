//! What becomes of what was fetched: in force, or aside.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use geodrop::{
    geoip::plausible::Limits,
    update::{
        credentials::Credentials,
        feed::{Algorithm, Checksum, Feed, File, Url},
        fetch::{Bounds, Client},
        store::{Grounds, History},
        updater::{Outcome, UpdateError, Updater},
    },
};
use tempfile::TempDir;

use crate::server::{Answer, Server, etag};

/// Two countries, half of the addresses each; and nothing else.
const GOOD: &str = "1.0.0.0,1.255.255.255,CN\n2.0.0.0,2.255.255.255,FR\n";
/// The same, but for a few addresses.
const NEWER: &str = "1.0.0.0,1.255.255.255,CN\n2.0.0.0,2.255.255.254,FR\n";
/// One of them is gone.
const CUT: &str = "1.0.0.0,1.255.255.255,CN\n";
const PAGE: &str = "<!DOCTYPE html>\n<html><body>Please log in to this network</body></html>\n";

/// A provider whose files change, and a state directory.
struct Test {
    server: Server,
    files: Arc<Mutex<Vec<(String, String)>>>,
    state: TempDir,
    accept: bool,
    keep: usize,
}

impl Test {
    fn new() -> Self {
        let files: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let present = Arc::clone(&files);
        let server = Server::new(move |request, _| {
            let files = present.lock().unwrap();
            let mut files = files.iter();
            match files.find(|(name, _)| request.target == format!("/{name}")) {
                Some((_, text)) => Answer::file(request, text.as_bytes(), &etag(text))
                    .with("last-modified: Tue, 07 Jul 2026 12:00:00 GMT"),
                None => Answer::status(404),
            }
        });
        Self {
            server,
            files,
            state: tempfile::tempdir().unwrap(),
            accept: false,
            keep: 3,
        }
    }

    fn serve(&self, file: &str, text: &str) {
        let mut files = self.files.lock().unwrap();
        files.retain(|(name, _)| name != file);
        files.push((file.to_owned(), text.to_owned()));
    }

    fn file(&self, name: &str) -> File {
        File {
            name: name.to_owned(),
            urls: vec![Url::new(&self.server.url(&format!("/{name}"))).unwrap()],
            checksum: None,
        }
    }

    fn feed(&self, files: &[&str]) -> Feed {
        Feed {
            name: "test".to_owned(),
            files: files.iter().map(|name| self.file(name)).collect(),
            account: None,
            terms: None,
            is_world: false,
        }
    }

    fn update(&self, feed: &Feed) -> Result<Outcome, UpdateError> {
        let bounds = Bounds {
            attempts: 2,
            back_off: Duration::from_millis(1),
            ..Bounds::default()
        };
        let updater = Updater {
            client: &Client::new(bounds, Some(self.server.authority())).unwrap(),
            credentials: &Credentials::default(),
            state: self.state.path(),
            keep: self.keep,
            limits: Limits::default(),
            accept: self.accept,
        };
        updater.update(feed, &mut ())
    }

    /// What comes of an update of one file, in a word, with the number of the data.
    fn outcome(&self, text: &str) -> (String, u64) {
        self.serve("data.csv", text);
        told(self.update(&self.feed(&["data.csv"])))
    }

    fn history(&self) -> History {
        History::new(self.state.path(), "test")
    }

    fn in_force(&self) -> String {
        fs::read_to_string(self.history().current_path().join("data.csv")).unwrap()
    }

    fn requests(&self) -> usize {
        self.server.requests().len()
    }
}

fn told(outcome: Result<Outcome, UpdateError>) -> (String, u64) {
    let (word, kept) = match outcome.unwrap() {
        Outcome::Updated { kept, .. } if kept.about.despite.is_empty() => ("updated", kept),
        Outcome::Updated { kept, .. } => ("accepted", kept),
        Outcome::Unchanged { kept } => ("unchanged", kept),
        Outcome::Refused { kept, .. } => ("refused", kept),
    };
    (word.to_owned(), kept.number)
}

fn is(word: &str, number: u64) -> (String, u64) {
    (word.to_owned(), number)
}

#[test]
fn plausible_data_comes_into_force_and_is_not_fetched_twice() {
    let test = Test::new();
    assert_eq!(test.outcome(GOOD), is("updated", 1));
    assert_eq!(test.outcome(GOOD), is("unchanged", 1));
    assert_eq!(
        test.server.requests()[1].header("if-none-match"),
        etag(GOOD)
    );
    assert_eq!(test.outcome(NEWER), is("updated", 2));
    assert_eq!(test.in_force(), NEWER);
    let kept = test.history().current().unwrap().unwrap();
    assert_eq!(kept.about.source.date.unwrap().to_string(), "2026-07-07");
    let part = &kept.about.parts[0];
    assert_eq!(
        (part.bytes, part.url.as_str()),
        (NEWER.len() as u64, test.server.url("/data.csv").as_str())
    );
    assert!(!test.state.path().join("test/incoming").exists());
}

#[test]
fn implausible_data_is_kept_aside_and_not_fetched_again_until_somebody_accepts_it() {
    let mut test = Test::new();
    test.outcome(GOOD);
    assert_eq!(test.outcome(CUT), is("refused", 2));
    assert_eq!(test.in_force(), GOOD);
    let (kept, refusal) = test.history().refused().unwrap().unwrap();
    assert_eq!(fs::read_to_string(kept.path.join("data.csv")).unwrap(), CUT);
    assert_eq!(refusal.grounds, Grounds::Implausible);
    assert!(
        refusal.why[0].starts_with("FR France has no address any more"),
        "{:?}",
        refusal.why
    );

    assert_eq!(test.outcome(CUT), is("refused", 2));
    let requests = test.server.requests();
    assert_eq!(requests.last().unwrap().header("if-none-match"), etag(CUT));

    test.accept = true;
    assert_eq!(test.outcome(CUT), is("accepted", 2));
    assert_eq!(test.in_force(), CUT);
    assert_eq!(test.history().refused().unwrap(), None);
    test.accept = false;
    assert_eq!(test.outcome(CUT), is("unchanged", 2));
}

#[test]
fn what_is_newer_than_what_was_refused_is_judged_for_itself() {
    let test = Test::new();
    test.outcome(GOOD);
    test.outcome(CUT);
    assert_eq!(test.outcome(NEWER), is("updated", 3));
    assert_eq!(test.history().refused().unwrap(), None);
    // The same bytes as before are refused as before, whatever the server calls them.
    assert_eq!(test.outcome(CUT), is("refused", 2));
    assert_eq!(test.in_force(), NEWER);
}

#[test]
fn a_page_in_the_place_of_data_is_refused_even_if_somebody_accepts_all() {
    let mut test = Test::new();
    test.outcome(GOOD);
    for accept in [false, true] {
        test.accept = accept;
        assert_eq!(test.outcome(PAGE), is("refused", 2));
        let (_, refusal) = test.history().refused().unwrap().unwrap();
        assert_eq!(refusal.grounds, Grounds::Unreadable);
        let words = &refusal.why[0];
        let place = format!("{}:1: a web page", test.server.url("/data.csv"));
        assert!(
            words.starts_with(&place) && words.contains("<!DOCTYPE html>"),
            "{words}"
        );
        assert_eq!(test.in_force(), GOOD);
    }
}

#[test]
fn what_was_rolled_back_does_not_come_back_by_itself() {
    let mut test = Test::new();
    test.outcome(GOOD);
    test.outcome(NEWER);
    let lock = test.history().lock().unwrap();
    test.history().roll_back(&lock, "test", 3).unwrap();
    drop(lock);
    assert_eq!(test.in_force(), GOOD);
    assert_eq!(test.outcome(NEWER), is("refused", 2));
    assert_eq!(test.in_force(), GOOD);
    test.accept = true;
    assert_eq!(test.outcome(NEWER), is("accepted", 2));
    assert_eq!(test.in_force(), NEWER);
}

#[test]
fn the_first_data_of_a_world_is_held_against_what_is_built_in() {
    let test = Test::new();
    test.serve("data.csv", GOOD);
    let world = Feed {
        is_world: true,
        ..test.feed(&["data.csv"])
    };
    let Outcome::Refused { refusal, .. } = test.update(&world).unwrap() else {
        panic!()
    };
    assert!(
        refusal.why.iter().any(|why| why.contains("IPv6 addresses")),
        "{:?}",
        refusal.why
    );
    assert!(!test.history().current_path().exists());
}

#[test]
fn files_that_belong_together_come_into_force_together() {
    let test = Test::new();
    let both = test.feed(&["ipv4.csv", "ipv6.csv"]);
    let ipv6 = "2400::,2400:ffff:ffff:ffff:ffff:ffff:ffff:ffff,CN\n";
    test.serve("ipv4.csv", GOOD);
    assert!(matches!(test.update(&both), Err(UpdateError::Fetch(_))));
    assert!(!test.history().current_path().exists());

    test.serve("ipv6.csv", ipv6);
    assert_eq!(told(test.update(&both)), is("updated", 1));
    test.serve("ipv4.csv", NEWER);
    assert_eq!(told(test.update(&both)), is("updated", 2));
    let read = |file| fs::read_to_string(test.history().current_path().join(file)).unwrap();
    assert_eq!(
        (read("ipv4.csv"), read("ipv6.csv")),
        (NEWER.to_owned(), ipv6.to_owned())
    );
    // One that shrinks to nothing is noticed, though the other is whole.
    test.serve("ipv6.csv", "2400::,2400::ffff,CN\n");
    assert_eq!(told(test.update(&both)), is("refused", 3));
}

fn summed(test: &Test) -> Feed {
    let mut feed = test.feed(&["data.csv"]);
    feed.files[0].checksum = Some(Checksum {
        algorithm: Algorithm::Md5,
        url: Url::new(&test.server.url("/data.csv.md5")).unwrap(),
    });
    feed
}

#[test]
fn a_wrong_checksum_is_an_error_after_another_look() {
    let test = Test::new();
    let feed = summed(&test);
    test.serve("data.csv", "abc");
    test.serve(
        "data.csv.md5",
        "MD5 (data.csv) = 00000000000000000000000000000000\n",
    );
    let error = test.update(&feed).unwrap_err().to_string();
    let place = test
        .server
        .url("/data.csv: its checksum is 900150983cd24fb0d6963f7d28e17f72");
    assert!(error.starts_with(&place), "{error}");
    assert_eq!(test.requests(), 4);
    assert!(!test.history().current_path().exists());

    test.serve("data.csv.md5", "<html>moved</html>");
    let error = test.update(&feed).unwrap_err().to_string();
    assert!(error.contains("data.csv.md5: no checksum in it"), "{error}");

    test.serve("data.csv", GOOD);
    test.serve(
        "data.csv.md5",
        "b80dfa6a6a9adf35f4a98cfe1b709b3f  data.csv\n",
    );
    assert_eq!(told(test.update(&feed)), is("updated", 1));
}

#[test]
fn a_file_that_is_not_there_yet_is_had_from_where_it_was_before() {
    let test = Test::new();
    test.serve("june.csv", GOOD);
    let mut feed = test.feed(&["data.csv"]);
    feed.files[0].urls = ["/july.csv", "/june.csv"]
        .map(|target| Url::new(&test.server.url(target)).unwrap())
        .into();
    assert_eq!(told(test.update(&feed)), is("updated", 1));
    assert_eq!(told(test.update(&feed)), is("unchanged", 1));
    test.serve("july.csv", NEWER);
    assert_eq!(told(test.update(&feed)), is("updated", 2));
}

#[test]
fn the_last_few_are_kept() {
    let mut test = Test::new();
    test.keep = 2;
    for number in 1..5_u64 {
        let content = format!("{GOOD}# {number}\n");
        assert_eq!(test.outcome(&content), is("updated", number));
    }
    let directory = |row: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(test.state.path().join("test").join(row)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let kept = directory("generations");
    assert_eq!(kept.len(), 2);
    assert!(kept[0].ends_with("3") && kept[1].ends_with("4"), "{kept:?}");
}

#[test]
fn two_updates_at_once_do_not_meet() {
    let test = Test::new();
    let _lock = test.history().lock().unwrap();
    test.serve("data.csv", GOOD);
    let error = test.update(&test.feed(&["data.csv"])).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(test.requests(), 0);
}
