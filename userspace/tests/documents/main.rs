//! What documents say: their commands run, their links lead somewhere, and the messages that they explain are said.
//!
//! That every command can be parsed, those for root too, is tested beside the definition of the command line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

mod commands;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use commands::{Shown, documents, repository, shown};

/// Whether a command can be run as it stands: without root, without a network, and with no file that the reader has to have.
fn is_complete(command: &Shown) -> bool {
    let words: Vec<_> = command.words.iter().map(String::as_str).collect();
    let needs_nothing = matches!(
        words[1..],
        ["lookup" | "check" | "export" | "help", ..] | ["geoip", "info"]
    );
    let stands_for_something = |word: &str| {
        word.contains(['…', '<', '['])
            || word.contains("FILE")
            || is_file(word) && !at_hand(word).exists()
    };
    needs_nothing && !command.as_root && !words.iter().any(|word| stands_for_something(word))
}

fn is_file(word: &str) -> bool {
    let endings = [".toml", ".txt", ".mmdb", ".zip", ".csv", ".zone"];
    endings.iter().any(|ending| word.ends_with(ending)) || word.starts_with("/var/")
}

/// The file that a document means.
fn at_hand(word: &str) -> PathBuf {
    repository().join(word)
}

#[test]
fn commands_that_need_nothing_run() {
    let directory = tempfile::tempdir().unwrap();
    let mut count = 0;
    for mut command in shown() {
        for word in &mut command.words {
            // The policy that the package brings.
            if word == "policy.toml" || word == "/etc/geodrop/policy.toml" {
                *word = "packaging/policy.toml".to_owned();
            }
        }
        if !is_complete(&command) {
            continue;
        }
        count += 1;
        let mut run = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        run.args(&command.words[1..]).current_dir(repository());
        // What it writes is not for the repository.
        if let Some(place) = command.words.iter().position(|word| word == "-o") {
            let path = directory.path().join(&command.words[place + 1]);
            run = Command::new(env!("CARGO_BIN_EXE_geodrop"));
            run.args(&command.words[1..place]).arg("-o").arg(path);
        }
        let output = run.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", command.place);
    }
    assert!(count >= 15, "only {count} commands were found");
}

/// The targets of a document's links to files.
fn links(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(repository().join(path)).unwrap();
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .map(str::to_owned)
        .collect()
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' | '-' => Some('-'),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

#[test]
fn links_lead_somewhere() {
    for path in documents() {
        for link in links(&path) {
            let (file, section) = link.split_once('#').unwrap_or((&link, ""));
            let directory = path.parent().unwrap();
            let target = match file {
                "" => path.clone(),
                file => directory.join(file),
            };
            let target = repository().join(target);
            assert!(target.exists(), "{}: {link}", path.display());
            if !section.is_empty() {
                let text = fs::read_to_string(target).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let is_it = |line: &str| anchor(line.trim_start_matches(['#', ' '])) == section;
                assert!(headings.any(is_it), "{}: {link}", path.display());
            }
        }
    }
}

#[test]
fn the_book_has_every_page() {
    let summary = links(Path::new("docs/SUMMARY.md"));
    for path in documents() {
        let Ok(page) = path.strip_prefix("docs") else {
            continue;
        };
        let page = page.to_str().unwrap();
        assert!(
            page == "SUMMARY.md" || summary.iter().any(|link| link == page),
            "{page}"
        );
    }
}

/// All sources of the program, with what the compiler joins joined.
fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(path).unwrap();
            let mut joined = String::new();
            for line in lines.lines() {
                if let Some(begun) = line.strip_suffix('\\') {
                    joined.push_str(begun.trim_start());
                } else {
                    joined.push_str(line.trim_start());
                    joined.push('\n');
                }
            }
            text.push_str(&joined);
        }
    }
    text
}

#[test]
fn messages_that_are_explained_are_said() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let page = fs::read_to_string(repository().join("docs/troubleshooting.md")).unwrap();
    let messages = page.lines().filter_map(|line| line.strip_prefix("### `"));
    let mut count = 0;
    for message in messages {
        count += 1;
        for part in message.trim_end_matches('`').split('…') {
            assert!(sources.contains(part.trim()), "nothing says `{part}`");
        }
    }
    assert!(count >= 15, "only {count} messages");
}
