//! What documents say: their commands run, their links lead somewhere, and the messages that they explain are said.
//!
//! That every command can be parsed is tested beside the definition of the command line; those that take a filter are run by
//! `kernel_filter`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

mod commands;
mod desk;

use std::{fs, path::Path, process::Command};

use commands::{Shown, UNTRIED, documents, repository, shown};
use desk::Desk;

#[test]
fn commands_that_need_no_filter_run() {
    let desk = Desk::new();
    let mut count = 0;
    for command in shown().iter().filter(|command| command.needs_no_filter()) {
        let mut run = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        run.args(command.words[1..].iter().map(|word| desk.word(word)));
        let output = desk.prepare(&mut run, command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", command.place);
        count += 1;
    }
    assert!(count >= 25, "only {count} commands were found");
}

#[test]
fn commands_that_are_not_run_are_known_with_a_reason() {
    let shown = shown();
    for command in &shown {
        assert!(
            command.is_ours() || command.untried().is_some(),
            "{}: no test runs `{}`, and `UNTRIED` does not say why",
            command.place,
            command.words.join(" ")
        );
    }
    for (entry, reason) in UNTRIED {
        let mut shown = shown.iter();
        let is_it = |command: &Shown| command.untried() == Some(entry);
        assert!(
            shown.any(is_it),
            "no document shows `{entry}` any more, which {reason}"
        );
    }
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
