//! What the command says of itself: help, topics, man pages, completions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{collections::BTreeSet, fs, path::Path, process};

use assert_cmd::Command;
use predicates::str::contains;

fn geodrop(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
    command.args(arguments);
    command
}

fn printed(arguments: &[&str]) -> String {
    let output = geodrop(arguments).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

/// The verbs that the help lists.
fn verbs() -> Vec<String> {
    let help = printed(&["-h"]);
    let commands = help.split("Commands:\n").nth(1).unwrap();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    lines
        .filter(|line| !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn help_of_a_verb_is_what_the_verb_says() {
    for verb in ["run", "lookup", "allow"] {
        assert_eq!(printed(&["help", verb]), printed(&[verb, "--help"]));
    }
    let nested = printed(&["help", "geoip", "rollback"]);
    assert_eq!(nested, printed(&["geoip", "rollback", "--help"]));
    assert!(printed(&["help"]).contains("Commands:\n"));
}

#[test]
fn help_tells_of_topics_and_names_them() {
    let help = printed(&["--help"]);
    for (topic, told) in [
        ("policy", "effective_from"),
        ("data", "geodrop geoip info"),
        ("engines", "multibit"),
    ] {
        assert!(help.contains(&format!("geodrop help {topic}")), "{topic}");
        assert!(printed(&["help", topic]).contains(told), "{topic}");
    }
    geodrop(&["help", "routing"])
        .assert()
        .code(2)
        .stderr(contains("the topics are policy, data, engines"));
}

#[test]
fn each_verb_and_each_topic_has_a_man_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    printed(&["generate", path.to_str().unwrap()]);
    let pages = names(&path.join("man8"));
    assert!(pages.contains("geodrop.8") && pages.contains("geodrop-geoip-info.8"));
    let verbs = verbs();
    assert!(verbs.len() > 10, "{verbs:?}");
    let overview = fs::read_to_string(path.join("man8/geodrop.8")).unwrap();
    for verb in verbs {
        assert!(pages.contains(&format!("geodrop-{verb}.8")), "{verb}");
        assert!(overview.contains(&format!(r"geodrop\-{verb}(8)")), "{verb}");
    }
    assert!(!pages.contains("geodrop-generate.8"), "it is for packagers");
    let topics = ["data", "engines", "policy"].map(|name| format!("geodrop-{name}.7"));
    assert_eq!(names(&path.join("man7")), topics.into());
}

#[test]
fn a_man_page_has_the_options_and_the_examples_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    printed(&["generate", directory.path().to_str().unwrap()]);
    let page = fs::read_to_string(directory.path().join("man8/geodrop-run.8")).unwrap();
    assert!(page.contains(r"\fB\-\-interval\fR"), "{page}");
    let examples = page.split(".SH EXAMPLES\n.nf\n").nth(1).unwrap();
    assert!(
        examples.starts_with(r"  sudo geodrop run \-i eth0 \-\-monitor"),
        "{examples}"
    );
}

#[test]
fn bash_completes_verbs_and_values() {
    let directory = tempfile::tempdir().unwrap();
    printed(&["generate", directory.path().to_str().unwrap()]);
    let completions = directory.path().join("completions");
    let shells = ["_geodrop", "geodrop.bash", "geodrop.fish"].map(str::to_owned);
    assert_eq!(names(&completions), shells.into());
    let complete = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=(geodrop {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _geodrop geodrop \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\"",
            completions.join("geodrop.bash").display()
        );
        let output = process::Command::new("bash").args(["-c", &script]).output();
        String::from_utf8(output.expect("bash is there").stdout).unwrap()
    };
    assert_eq!(complete("loo"), "lookup\n");
    assert_eq!(complete("run --engine mu"), "multibit\n");
    assert_eq!(complete("geoip in"), "info\n");
}
