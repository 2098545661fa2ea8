//! What documents show an admin to type: run on a host, in the order of each document.
//!
//! What ends by itself has to succeed. What does not is begun, awaited as a user awaits it, and ended by a signal, which is no
//! failure.

#[path = "../documents/commands.rs"]
#[allow(dead_code, reason = "links and lists are tested where documents are")]
mod commands;
#[path = "../documents/desk.rs"]
mod desk;

use std::process::{Command, Stdio};

use commands::{Shown, documents, shown};
use desk::Desk;
use rustix::process::Signal;

use super::{
    host::{Host, Run, assert_eventually},
    metrics,
    top::Terminal,
};

/// The reader of a document: a host, files, and the `geodrop run` of another terminal.
struct Reader {
    host: Host,
    desk: Desk,
    run: Option<Run>,
}

impl Reader {
    fn new() -> Self {
        Self {
            host: metrics::host(),
            desk: Desk::new(),
            run: None,
        }
    }

    /// Types a command.
    fn enter(&mut self, shown: &Shown) {
        let words = self.words(shown);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        self.set_up(words[0]);
        let mut command = self.host.command(&words);
        self.desk.prepare(&mut command, shown);
        match words[0] {
            "run" => self.begin(command, &words),
            "watch" => end(
                self.host.spawn_until("watching server", command),
                &shown.place,
            ),
            "top" => Terminal::open(&self.host).interrupt(&words[1..].join(" "), Signal::INT),
            _ => {
                let output = self.host.veth.server.run(|| command.output());
                let output = output.unwrap().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {said}", shown.place);
            }
        }
        // What looks after a filter that is taken away ends, and says so.
        if words[0] == "detach"
            && let Some(mut run) = self.run.take()
        {
            assert_eq!(run.wait().0, Some(3), "{}", shown.place);
        }
    }

    /// The command for this host: its interface, and files that are there.
    fn words(&self, shown: &Shown) -> Vec<String> {
        let mut words = Vec::new();
        let mut shown = shown.words[1..].iter();
        while let Some(word) = shown.next() {
            match word.as_str() {
                "eth0" => words.push("server".to_owned()),
                // A day that lies ahead whenever this runs.
                "--effective-from" => {
                    words.push(format!("{word}=2100-01-01T00:00:00Z"));
                    shown.next();
                }
                // The host gives it to all that attach.
                "--force" => {}
                _ => words.push(self.desk.word(word)),
            }
        }
        if attaches(&words[0]) && !words.iter().any(|word| word == "-i") {
            words.extend(["-i", "server"].map(str::to_owned));
        }
        words
    }

    /// Sees to what a document takes for granted where it shows a verb.
    fn set_up(&mut self, verb: &str) {
        if attaches(verb) || verb == "reload" {
            // Each begins on a free interface: what hook and mode were before is another story.
            self.end_run();
            self.host.succeed(&["detach", "--all"]);
        }
        if verb == "reload" {
            let policy = self.desk.word("/etc/geodrop/policy.toml");
            let words = ["run", "--config", &policy, "-i", "server"];
            self.begin(self.host.command(&words), &words);
        } else if !attaches(verb) && self.host.attached().is_none() && self.host.chain().is_empty()
        {
            self.host.succeed(&["attach", "-i", "server", "--monitor"]);
        }
    }

    /// Starts `geodrop run` in another terminal, and waits until it is at work.
    fn begin(&mut self, mut command: Command, words: &[&str]) {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        self.run = Some(self.host.spawn(command));
        let is_ready = || self.host.output(&["status", "--ready"]).status.success();
        assert_eventually(is_ready);
        if words.contains(&"--metrics") {
            assert_eventually(|| {
                metrics::scrape(&self.host)["geodrop_up{interface=\"server\"}"] == "1"
            });
        }
    }

    /// Ends what runs in the other terminal by Ctrl-C.
    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            end(run, "geodrop run");
            self.host.await_no_program();
        }
    }
}

fn attaches(verb: &str) -> bool {
    matches!(verb, "run" | "attach")
}

/// Ends a command by Ctrl-C.
fn end(mut run: Run, place: &str) {
    run.signal(Signal::INT);
    let (status, said) = run.wait();
    assert_eq!(status, Some(0), "{place}: {said}");
}

#[test]
fn commands_run_in_the_order_of_their_document() {
    let mut count = 0;
    for document in documents() {
        let place = format!("{}:", document.display());
        let commands: Vec<_> = shown()
            .into_iter()
            .filter(|one| one.place.starts_with(&place) && one.is_ours())
            .filter(|one| one.untried().is_none() && !one.needs_no_filter())
            .collect();
        if commands.is_empty() {
            continue;
        }
        let mut reader = Reader::new();
        for command in &commands {
            reader.enter(command);
        }
        reader.end_run();
        count += commands.len();
    }
    assert!(count >= 55, "only {count} commands were found");
}
