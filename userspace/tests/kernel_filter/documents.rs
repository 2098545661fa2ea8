//! What documents show root to type: run on a host, in the order of each document.

#[path = "../documents/commands.rs"]
mod commands;

use commands::{Shown, repository, shown};

use super::host::{Host, assert_eventually};

/// The documents, and how many of their commands are run at least.
const DOCUMENTS: [(&str, usize); 5] = [
    ("README.md", 6),
    ("docs/cookbook.md", 6),
    ("docs/operating.md", 8),
    ("docs/start.md", 6),
    ("docs/troubleshooting.md", 4),
];

/// What ends by itself, and needs no more than a filter.
const VERBS: [&str; 7] = [
    "attach", "status", "report", "confirm", "allow", "deny", "detach",
];

/// The command for the host of a test: its interface, and files that are there.
fn for_host(command: &Shown) -> Vec<String> {
    let mut words = Vec::new();
    let mut shown = command.words[1..].iter().map(String::as_str);
    while let Some(word) = shown.next() {
        match word {
            "eth0" => words.push("server".to_owned()),
            "policy.toml" => words.push(at_hand("packaging/policy.toml")),
            // A day that lies ahead whenever this runs.
            "--effective-from" => {
                words.push(format!("{word}=2100-01-01T00:00:00Z"));
                shown.next();
            }
            // The host gives it to all that attach.
            "--force" => {}
            _ if word.starts_with("examples/") => words.push(at_hand(word)),
            _ => words.push(word.to_owned()),
        }
    }
    let attaches = matches!(words[0].as_str(), "run" | "attach");
    if attaches && !words.iter().any(|word| word == "-i") {
        words.extend(["-i", "server"].map(str::to_owned));
    }
    words
}

fn at_hand(file: &str) -> String {
    repository().join(file).to_str().unwrap().to_owned()
}

#[test]
fn commands_of_root_run_in_the_order_of_their_document() {
    for (document, expected) in DOCUMENTS {
        let host = Host::new();
        let mut run = None;
        let mut count = 0;
        let place = format!("{document}:");
        let commands = shown().into_iter();
        for command in commands.filter(|one| one.as_root && one.place.starts_with(&place)) {
            let words = for_host(&command);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            if matches!(words[0], "run" | "attach") {
                // Each begins on a free interface: what hook and mode were before is another story.
                drop(run.take());
                host.succeed(&["detach", "--all"]);
            }
            if words[0] == "run" {
                run = Some(host.start(&words));
                // However it tells of it.
                assert_eventually(|| host.output(&["status", "--ready"]).status.success());
            } else if VERBS.contains(&words[0]) {
                let output = host.output(&words);
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {said}", command.place);
            } else {
                continue;
            }
            count += 1;
        }
        assert!(count >= expected, "{document}: only {count}");
    }
}
