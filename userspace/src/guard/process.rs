//! Processes, and whom each comes from, as `/proc` shows them.
//!
//! Processes come and go while one reads: what has gone is not there, and that is no error. What this user may not
//! read is told apart from it.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt, fs, io,
    path::PathBuf,
};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id, in the process namespace that `/proc` shows.
    pub id: u32,
    /// Its name: the first 15 bytes of its program's, or what it calls itself.
    pub name: String,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    pub(super) terminal: i32,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, process {}", self.name, self.id)
    }
}

impl Process {
    /// Reads `/proc/PID/stat`.
    fn parse(stat: &str) -> Option<Self> {
        // A name may hold spaces and parentheses: the last one ends it.
        let (id, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace().skip(1);
        let mut next = || fields.next();
        Some(Self {
            id: id.parse().ok()?,
            name: name.to_owned(),
            parent: next()?.parse().ok()?,
            group: next()?.parse().ok()?,
            session: next()?.parse().ok()?,
            terminal: next()?.parse().ok()?,
        })
    }

    /// Whether it began a session on a terminal, as login shells do.
    pub(super) const fn leads_a_terminal(&self) -> bool {
        self.id == self.session && self.terminal != 0
    }
}

/// The files of a system, under `/` or, in tests, elsewhere.
#[derive(Clone, Debug)]
pub(super) struct System {
    root: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self::under("/")
    }
}

impl System {
    pub(super) fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of a file, which is given without a leading slash.
    pub(super) fn path(&self, file: impl AsRef<std::path::Path>) -> PathBuf {
        self.root.join(file)
    }

    /// This process, as `/proc` counts: what getpid(2) says may belong to another namespace than `/proc` does.
    pub(super) fn this_process(&self) -> io::Result<u32> {
        let link = fs::read_link(self.path("proc/self"))?;
        link.to_str()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| io::Error::other("it names no process"))
    }

    /// A process; `None` when there is none, or none that this user may see.
    pub(super) fn process(&self, id: u32) -> Option<Process> {
        // A name need not be UTF-8.
        let stat = fs::read(self.path(format!("proc/{id}/stat"))).ok()?;
        Process::parse(&String::from_utf8_lossy(&stat))
    }

    /// All processes.
    pub(super) fn processes(&self) -> Vec<Process> {
        let Ok(entries) = fs::read_dir(self.path("proc")) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names
            .filter_map(|name| self.process(name.parse().ok()?))
            .collect()
    }

    /// A process and all that it comes from, nearest first: parents, and the leaders of its process group and of
    /// its session, which are still there where a parent in between has gone; and theirs.
    pub(super) fn lineage(&self, id: u32) -> Vec<Process> {
        let mut lineage = Vec::new();
        let mut seen = BTreeSet::from([0]);
        let mut queue = VecDeque::from([id]);
        while let Some(id) = queue.pop_front() {
            if !seen.insert(id) {
                continue;
            }
            if let Some(process) = self.process(id) {
                queue.extend([process.parent, process.group, process.session]);
                lineage.push(process);
            }
        }
        lineage
    }

    /// Whether a process is in this thread's network namespace. Where that may not be seen, it is.
    pub(super) fn is_in_this_network(&self, process: u32) -> bool {
        let namespace = |of: &str| fs::read_link(self.path(format!("proc/{of}/ns/net"))).ok();
        match (namespace("thread-self"), namespace(&process.to_string())) {
            (Some(this), Some(other)) => this == other,
            _ => true,
        }
    }

    /// The first of these variables that the process was started with; `None` also where this user may not read.
    pub(super) fn variable(&self, process: u32, names: &[&str]) -> Option<String> {
        let environment = fs::read(self.path(format!("proc/{process}/environ"))).ok()?;
        let environment = String::from_utf8_lossy(&environment);
        let value = |name: &&str| {
            let mut variables = environment.split('\0');
            variables.find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
        };
        names.iter().find_map(value).map(str::to_owned)
    }

    /// The user as whom someone logged in where this process comes from: it stays the same through `su` and
    /// `sudo`. `None` where nobody did, and where the kernel does not note it.
    pub(super) fn login(&self, process: u32) -> Option<u32> {
        let text = fs::read_to_string(self.path(format!("proc/{process}/loginuid"))).ok()?;
        text.trim().parse().ok().filter(|&user| user != u32::MAX)
    }

    /// The user who runs this process: the real one, of its four.
    pub(super) fn user(&self, process: u32) -> Option<u32> {
        let status = fs::read(self.path(format!("proc/{process}/status"))).ok()?;
        let status = String::from_utf8_lossy(&status);
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        users.split_ascii_whitespace().next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_what_it_likes() {
        for (name, stat) in [
            ("bash", "42 (bash) S 41 42 40 34816 42 4194304 1 2"),
            ("tmux: server", "42 (tmux: server) S 41 42 40 34816 42"),
            (") R 1 1 1 1 (", "42 () R 1 1 1 1 () S 41 42 40 34816 42"),
        ] {
            let process = Process::parse(stat).unwrap();
            assert_eq!(
                (process.id, process.name.as_str(), process.parent),
                (42, name, 41)
            );
            assert_eq!(
                (process.group, process.session, process.terminal),
                (42, 40, 34816)
            );
        }
        for broken in ["", "42", "42 (bash", "42 (bash) S 41", "x (bash) S 1 2 3 4"] {
            assert_eq!(Process::parse(broken), None, "{broken}");
        }
    }
}
