//! One file, from a server that misbehaves.

use std::{fs, time::Duration};

use geodrop::update::{
    credentials::{Account, Credentials, Secret},
    feed::Url,
    fetch::{Bounds, Client, FetchError, FetchProblem, Fetched, Request},
    store::Validators,
};
use tempfile::TempDir;

use crate::server::{self, Answer, Server};

/// Little patience, and much time for a machine that is busy.
const BOUNDS: Bounds = Bounds {
    attempts: 3,
    back_off: Duration::from_millis(1),
    longest_wait: Duration::from_secs(1),
    most: 100_000,
    slowest: 1000,
    window: Duration::from_secs(20),
    total: Duration::from_mins(2),
};

/// A file to fetch: long enough to arrive in parts.
fn content() -> Vec<u8> {
    (0..50_000_u32).map(|number| (number % 251) as u8).collect()
}

struct Test {
    server: Server,
    directory: TempDir,
    bounds: Bounds,
}

impl Test {
    fn new(answer: impl Fn(&server::Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self {
            server: Server::new(answer),
            directory: tempfile::tempdir().unwrap(),
            bounds: BOUNDS,
        }
    }

    fn ask(&self, known: Option<&Validators>) -> Result<Fetched, FetchError> {
        self.ask_with(None, known)
    }

    fn ask_with(
        &self,
        authorization: Option<&Secret>,
        known: Option<&Validators>,
    ) -> Result<Fetched, FetchError> {
        let client = Client::new(self.bounds, Some(self.server.authority())).unwrap();
        let url = Url::new(&self.server.url("/data?token=s3cret")).unwrap();
        let request = Request {
            url: &url,
            authorization,
            known,
        };
        client.file(&request, &self.directory.path().join("data"), &mut ())
    }

    fn fetched(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("data")).unwrap()
    }

    /// From which byte on each request asked.
    fn ranges(&self) -> Vec<String> {
        let requests = self.server.requests();
        let ranges = requests
            .iter()
            .map(|request| request.header("range").to_owned());
        ranges.collect()
    }
}

type Script = Box<dyn Fn(&server::Request, usize) -> Answer + Send + Sync>;

fn script(script: impl Fn(&server::Request, usize) -> Answer + Send + Sync + 'static) -> Script {
    Box::new(script)
}

/// Answers the first request with this, and all others as it should.
fn at_first(first: Answer) -> Script {
    script(move |request, number| match number {
        0 => first.clone(),
        _ => Answer::file(request, &content(), "\"1\""),
    })
}

fn always(answer: Answer) -> Script {
    script(move |_, _| answer.clone())
}

#[test]
fn a_file_arrives_whole_in_the_end() {
    let whole = || Answer::body(content()).with("etag: \"1\"");
    let from = |first: usize| format!("bytes={first}-");
    let none = String::new;
    let cases: Vec<(&str, Script, Vec<String>)> = vec![
        ("a good server", always(whole()), vec![none()]),
        (
            "a server that does not say how long it is",
            always(Answer::chunks(&content(), true)),
            vec![none()],
        ),
        (
            "cut short, and gone on with",
            at_first(whole().cut(30_000)),
            vec![none(), from(30_000)],
        ),
        (
            "cut short twice",
            script(move |request, number| match number {
                0 => whole().cut(20_000),
                1 => Answer::file(request, &content(), "\"1\"").cut(20_000),
                _ => Answer::file(request, &content(), "\"1\""),
            }),
            vec![none(), from(20_000), from(40_000)],
        ),
        (
            "cut short, and then of another version",
            script(|request, number| match number {
                0 => Answer::body(vec![0; 50_000])
                    .with("etag: \"0\"")
                    .cut(30_000),
                _ => Answer::file(request, &content(), "\"1\""),
            }),
            vec![none(), from(30_000)],
        ),
        (
            "cut short by a server that gives no parts",
            script(move |_, number| match number {
                0 => whole().cut(30_000),
                _ => whole(),
            }),
            vec![none(), from(30_000)],
        ),
        (
            "cut short by a server that says nothing of versions",
            at_first(Answer::body(content()).cut(30_000)),
            vec![none(), none()],
        ),
        (
            "cut short, of a version that only means the same",
            at_first(Answer::body(content()).with("etag: W/\"1\"").cut(30_000)),
            vec![none(), none()],
        ),
        (
            "cut short, and gone on with at another place",
            script(move |request, number| match number {
                0 => whole().cut(30_000),
                1 => Answer::body(vec![0; 10]).part_of("bytes 7-16/50000"),
                _ => Answer::file(request, &content(), "\"1\""),
            }),
            vec![none(), from(30_000), none()],
        ),
        (
            "chunks without an end",
            at_first(
                Answer::chunks(&content(), false)
                    .with("etag: \"1\"")
                    .cut(20_000),
            ),
            vec![none(), "?".to_owned()],
        ),
        (
            "HTTP 503",
            at_first(Answer::status(503)),
            vec![none(), none()],
        ),
        (
            "HTTP 500",
            at_first(Answer::status(500)),
            vec![none(), none()],
        ),
        (
            "HTTP 429, and at once again",
            at_first(Answer::status(429).with("retry-after: 0")),
            vec![none(), none()],
        ),
        (
            "HTTP 429, until a day that is past",
            at_first(Answer::status(429).with("retry-after: Tue, 09 Jul 2024 00:00:00 GMT")),
            vec![none(), none()],
        ),
        (
            "HTTP 429 without a word",
            at_first(Answer::status(429)),
            vec![none(), none()],
        ),
        (
            "a connection that ends before it begins",
            at_first(Answer::body(content()).cut(0)),
            vec![none(), none()],
        ),
    ];
    for (what, script, ranges) in cases {
        let test = Test::new(script);
        let fetched = test
            .ask(None)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(matches!(fetched, Fetched::New(_)), "{what}");
        assert!(test.fetched() == content(), "{what}");
        let asked = test.ranges();
        assert_eq!(asked.len(), ranges.len(), "{what}: {asked:?}");
        for (asked, expected) in asked.iter().zip(&ranges) {
            assert!(asked == expected || expected == "?", "{what}: {asked}");
        }
    }
}

#[test]
fn what_does_not_get_better_is_an_error_that_says_what_to_do() {
    let cases: Vec<(&str, Script, &str, usize)> = vec![
        (
            "HTTP 500",
            always(Answer::status(500)),
            "the server answers HTTP 500",
            3,
        ),
        (
            "HTTP 404",
            always(Answer::status(404)),
            "there is no such file (HTTP 404)",
            1,
        ),
        (
            "HTTP 403",
            always(Answer::status(403)),
            "is the key right",
            1,
        ),
        (
            "HTTP 418",
            always(Answer::status(418)),
            "the server answers HTTP 418",
            1,
        ),
        (
            "HTTP 429, and far too late again",
            always(Answer::status(429).with("retry-after: 3600")),
            "asked too often and wants 3600 s of rest; try again later",
            1,
        ),
        (
            "HTTP 429 all the time",
            always(Answer::status(429).with("retry-after: 0")),
            "asked too often",
            3,
        ),
        (
            "HTTP 304, though nothing is known",
            always(Answer::status(304)),
            "the server answers HTTP 304",
            1,
        ),
        (
            "cut short all the time",
            always(Answer::body(content()).cut(100)),
            "the connection ended after 100 bytes of 50000",
            3,
        ),
        (
            "nothing at all",
            always(Answer::body(Vec::new())),
            "the connection ended after 0 bytes",
            3,
        ),
        (
            "too large, and it says so",
            always(Answer::body(vec![0; 200_000])),
            "too much for a file of countries",
            1,
        ),
        (
            "too large, and it does not say so",
            always(Answer::chunks(&[0; 200_000], true)),
            "too much for a file of countries",
            1,
        ),
        (
            "a circle of redirects",
            script(|request, _| Answer::redirect(&format!("{}x", request.target))),
            "redirected more than 5 times",
            6,
        ),
        (
            "a redirect to where everybody reads along",
            always(Answer::redirect("http://127.0.0.1/data?token=s3cret")),
            "redirected to an address without TLS",
            1,
        ),
    ];
    for (what, script, words, requests) in cases {
        let test = Test::new(script);
        let error = test.ask(None).unwrap_err();
        let told = format!("{error} {error:?}");
        let address = test.server.url("/data: ");
        assert!(
            told.starts_with(&address) && told.contains(words),
            "{what}: {told}"
        );
        assert!(!told.contains("s3cret"), "{what}: {told}");
        assert_eq!(test.server.requests().len(), requests, "{what}");
    }
}

#[test]
fn a_server_that_is_slow_or_silent_is_cut_off() {
    let hour = Duration::from_hours(1);
    for (what, script) in [
        (
            "drops",
            always(Answer::body(content()).drip(Duration::from_millis(20))),
        ),
        (
            "silence in the middle",
            always(Answer::body(content()).drip(hour)),
        ),
        (
            "silence",
            script(move |_, _| {
                std::thread::sleep(hour);
                Answer::status(200)
            }),
        ),
    ] {
        let mut test = Test::new(script);
        test.bounds.window = Duration::from_millis(400);
        let error = test.ask(None).unwrap_err();
        assert!(
            matches!(error.problem, FetchProblem::Slow(_)),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn all_attempts_together_have_an_end() {
    let mut test = Test::new(always(
        Answer::body(content()).drip(Duration::from_millis(20)),
    ));
    test.bounds.total = Duration::from_secs(1);
    let error = test.ask(None).unwrap_err();
    assert!(
        matches!(error.problem, FetchProblem::TooLong(_)),
        "{error:?}"
    );
}

#[test]
fn what_is_known_is_not_sent_again() {
    let test = Test::new(|request, _| Answer::file(request, &content(), "\"1\""));
    let Fetched::New(validators) = test.ask(None).unwrap() else {
        panic!()
    };
    assert_eq!(validators.etag.as_deref(), Some("\"1\""));
    assert_eq!(test.ask(Some(&validators)).unwrap(), Fetched::Unchanged);
    let other = Validators {
        etag: Some("\"0\"".to_owned()),
        last_modified: Some("Tue, 09 Jul 2024 00:00:00 GMT".to_owned()),
    };
    assert!(matches!(test.ask(Some(&other)).unwrap(), Fetched::New(_)));
    let last = test.server.requests().pop().unwrap();
    assert_eq!(
        last.header("if-modified-since"),
        "Tue, 09 Jul 2024 00:00:00 GMT"
    );
}

#[test]
fn what_a_command_left_unfinished_the_next_one_finishes() {
    let test = Test::new(|request, number| match number {
        0..3 => Answer::body(content()).with("etag: \"1\"").cut(30_000),
        _ => Answer::file(request, &content(), "\"1\""),
    });
    test.ask(None).unwrap_err();
    test.ask(None).unwrap();
    assert!(test.fetched() == content());
    assert_eq!(test.ranges().last().unwrap(), "bytes=30000-");
}

#[test]
fn a_file_that_was_there_but_for_the_end_of_its_connection_is_not_sent_again() {
    // It has no length, so that nobody knows that all of it came.
    let test = Test::new(|request, number| match number {
        0 => Answer::chunks(&content(), false).with("etag: \"1\""),
        _ => Answer::file(request, &content(), "\"1\""),
    });
    test.ask(None).unwrap();
    assert!(test.fetched() == content());
    assert_eq!(test.ranges(), ["", "bytes=50000-"]);
}

#[test]
fn a_server_of_another_authority_is_asked_nothing() {
    let test = Test::new(always(Answer::body(content())));
    let other = Server::of_file(content());
    let url = Url::new(&test.server.url("/data")).unwrap();
    let request = Request {
        url: &url,
        authorization: None,
        known: None,
    };
    for authority in [Some(other.authority()), None] {
        let client = Client::new(BOUNDS, authority).unwrap();
        let path = test.directory.path().join("data");
        let error = client.file(&request, &path, &mut ()).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    assert_eq!(test.server.requests().len(), 0);
}

#[test]
fn a_key_does_not_follow_a_redirect() {
    let credentials = Credentials::default().with_environment(|_| Some("k3y".to_owned()));
    let secret = credentials.unwrap().authorization(Account::Ipinfo).unwrap();
    let test = Test::new(|request, _| match request.target.as_str() {
        "/stored" => Answer::body(content()),
        _ => Answer::redirect("/stored"),
    });
    test.ask_with(Some(&secret), None).unwrap();
    let requests = test.server.requests();
    let keys: Vec<_> = requests
        .iter()
        .map(|request| request.header("authorization"))
        .collect();
    assert_eq!(keys, ["Bearer k3y", ""]);
}

#[test]
fn a_file_without_a_certificate_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let words = |path| Client::new(BOUNDS, Some(path)).unwrap_err().to_string();
    assert!(words(&path).contains("cannot read"));
    fs::write(&path, "no certificate").unwrap();
    assert!(words(&path).contains("BEGIN CERTIFICATE"));
}
