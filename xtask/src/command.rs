//! A command as data: run by a set-up, or shown for a person to run.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    process::Command,
    time::Duration,
};

/// How we may do what needs root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// We are root.
    Root,
    /// There is sudo.
    Sudo,
    /// Not at all.
    None,
}

/// One command: variables, program, arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    may_fail: bool,
}

impl Invocation {
    /// A program with arguments.
    pub(crate) fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            may_fail: false,
        }
        .args(arguments)
    }

    /// With more arguments.
    pub(crate) fn args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// What follows is worth trying even if this fails.
    pub(crate) fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// Whether its failure is no reason to stop.
    pub(crate) fn is_optional(&self) -> bool {
        self.may_fail
    }

    /// As root, through sudo where we are not. What sudo starts is not ours to kill: there, `timeout` keeps the
    /// limit.
    pub(crate) fn privileged(self, privilege: Privilege, limit: Duration) -> Self {
        if privilege != Privilege::Sudo {
            return self;
        }
        let seconds = limit.as_secs().to_string();
        let mut sudo = Self::new(
            "sudo",
            ["-n", "timeout", "--kill-after=10", &seconds, "env"],
        );
        for (name, value) in self.environment {
            let mut assignment = OsString::from(name);
            assignment.push("=");
            assignment.push(value);
            sudo.arguments.push(assignment);
        }
        sudo.arguments.push(self.program);
        sudo.may_fail = self.may_fail;
        sudo.args(self.arguments)
    }

    /// The command to start.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// As a person types it.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&quoted(&self.program))?;
        self.arguments
            .iter()
            .try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:+,@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_typed() {
        let command =
            Invocation::new("cargo", ["install", "it's here", ""]).env("PREFIX", "/usr/lib");
        assert_eq!(
            command.to_string(),
            r"PREFIX=/usr/lib cargo install 'it'\''s here' ''"
        );
    }

    #[test]
    fn sudo_hands_on_variables_and_keeps_the_limit() {
        let command = Invocation::new("apt-get", ["update"])
            .env("DEBIAN_FRONTEND", "noninteractive")
            .may_fail();
        let limit = Duration::from_mins(1);
        assert_eq!(command.clone().privileged(Privilege::Root, limit), command);
        let sudo = command.privileged(Privilege::Sudo, limit);
        assert_eq!(
            sudo.to_string(),
            "sudo -n timeout --kill-after=10 60 env DEBIAN_FRONTEND=noninteractive apt-get update"
        );
        assert!(sudo.is_optional());
    }
}
