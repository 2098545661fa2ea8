//! Running other people's commands in a namespace of ours.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, Read, Write as _},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use geodrop::testbed::Namespace;

use crate::machine::kibibytes;

/// A command that ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What it printed.
    pub said: String,
    /// The most memory that it had at a time (its resident set), in bytes, as far as was seen: it is looked at every few
    /// milliseconds. (What `wait4` says is at least what this process has.)
    pub memory: u64,
}

/// Runs a command in a namespace, with this on its standard input.
///
/// # Errors
///
/// When it cannot be started, and when it fails: then with the first line of what it said.
pub fn run(
    namespace: &Namespace,
    command: &str,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<Ran> {
    namespace.run(|| run_here(command, arguments, input))?
}

/// The same in the namespace of this thread.
///
/// # Errors
///
/// The same.
pub fn run_here(
    command: impl AsRef<OsStr>,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<Ran> {
    let command = command.as_ref();
    let what = || format!("running `{} {}`", command.display(), arguments.join(" "));
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(what)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let process = child.id();
    let ended = AtomicBool::new(false);
    let (written, said, complaint, memory) = thread::scope(|scope| {
        let complaint = scope.spawn(|| read(stderr));
        let memory = scope.spawn(|| most_memory(process, &ended));
        // These commands read all of it before they say anything.
        let written = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
        let said = read(stdout);
        ended.store(true, Ordering::Relaxed);
        memory.thread().unpark();
        (written, said, complaint.join(), memory.join())
    });
    let status = child.wait().with_context(what)?;
    if !status.success() {
        let complaint = complaint.unwrap_or_else(|_| Ok(String::new()))?;
        let line = complaint.lines().next().unwrap_or("it did not say why");
        bail!("{}: {}", what(), line.trim());
    }
    // One that had heard enough and was content is none of our business.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).with_context(what),
        _ => Ok(Ran {
            said: said.with_context(what)?,
            memory: memory.unwrap_or(0),
        }),
    }
}

/// The most memory that a process has at a time, in bytes, looked at until it has ended.
fn most_memory(process: u32, ended: &AtomicBool) -> u64 {
    let path = format!("/proc/{process}/status");
    let mut most = 0;
    while !ended.load(Ordering::Relaxed) {
        // A process that has ended, and was not waited for, has none.
        let status = fs::read_to_string(&path).unwrap_or_default();
        most = most.max(kibibytes(&status, "VmHWM"));
        thread::park_timeout(LOOK);
    }
    most
}

const LOOK: Duration = Duration::from_millis(2);

/// All that comes out of a pipe.
fn read(pipe: Option<impl Read>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        assert_eq!(run_here("cat", &[], "a\nb").unwrap().said, "a\nb");
        let error = run_here("sh", &["-c", "echo no such set >&2; exit 3"], "").unwrap_err();
        assert!(error.to_string().ends_with("no such set"), "{error}");
        let error = run_here("geodrop-no-such-command", &[], "").unwrap_err();
        assert!(error.to_string().contains("geodrop-no-such-command"));
        assert!(is_installed("sh") && !is_installed("geodrop-no-such-command"));
    }

    #[test]
    fn the_memory_of_a_command_is_its_own() {
        let mine = vec![1_u8; 64 << 20];
        let ran = run_here("sh", &["-c", "sleep 0.1"], "").unwrap();
        assert!((1 << 16..16 << 20).contains(&ran.memory), "{ran:?}");
        drop(mine);
    }

    #[test]
    fn more_input_than_a_pipe_holds_is_no_trouble_for_who_reads_none() {
        let input = "x".repeat(1 << 20);
        assert_eq!(run_here("true", &[], &input).unwrap().said, "");
    }
}
