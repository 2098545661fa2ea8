//! Running other people's commands in a namespace of ours.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use geodrop::testbed::Namespace;

/// Runs a command in a namespace, with this on its standard input, and returns what it prints.
///
/// # Errors
///
/// When it cannot be started, and when it fails: then with the first line of what it said.
pub fn run(
    namespace: &Namespace,
    command: &str,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<String> {
    namespace.run(|| run_here(command, arguments, input))?
}

/// The same in the namespace of this thread.
///
/// # Errors
///
/// The same.
pub fn run_here(command: &str, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let what = || format!("running `{command} {}`", arguments.join(" "));
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(what)?;
    // These commands read all of it before they say anything.
    let written = match child.stdin.take() {
        Some(mut stdin) => stdin.write_all(input.as_bytes()),
        None => Ok(()),
    };
    let output = child.wait_with_output().with_context(what)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("it did not say why").trim();
        bail!("{}: {said}", what());
    }
    // One that had heard enough and was content is none of our business.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).with_context(what),
        _ => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

/// Whether a command is installed.
#[must_use]
pub fn is_installed(command: &str) -> bool {
    said(command, &["--version"]).is_some()
}

/// The versions of others' commands, by their names; those that are not installed are left out.
#[must_use]
pub fn versions() -> BTreeMap<String, String> {
    let asked: [(&str, &[&str]); 4] = [
        ("nft", &["--version"]),
        ("ipset", &["--version"]),
        ("iptables", &["--version"]),
        ("xdp-filter", &["load", "--version"]),
    ];
    asked
        .into_iter()
        .filter_map(|(command, arguments)| {
            let said = said(command, arguments)?;
            let line = said.lines().find(|line| !line.trim().is_empty());
            Some((
                command.to_owned(),
                line.unwrap_or("unknown").trim().to_owned(),
            ))
        })
        .collect()
}

/// What a command prints; `None` where there is none.
fn said(command: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(command)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_prints_is_returned_and_what_it_complains_of_is_an_error() {
        assert_eq!(run_here("cat", &[], "a\nb").unwrap(), "a\nb");
        let error = run_here("sh", &["-c", "echo no such set >&2; exit 3"], "").unwrap_err();
        assert!(error.to_string().ends_with("no such set"), "{error}");
        let error = run_here("geodrop-no-such-command", &[], "").unwrap_err();
        assert!(error.to_string().contains("geodrop-no-such-command"));
        assert!(is_installed("sh") && !is_installed("geodrop-no-such-command"));
    }

    #[test]
    fn more_input_than_a_pipe_holds_is_no_trouble_for_who_reads_none() {
        let input = "x".repeat(1 << 20);
        assert_eq!(run_here("true", &[], &input).unwrap(), "");
    }
}
