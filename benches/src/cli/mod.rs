//! The command line: one file a verb.
//!
//! Results go to standard output, all else to standard error. Exit status: 0 measured, whatever came out; 1 not
//! measured; 2 wrong usage; 130 interrupted.

mod lookup;
mod program;
mod progress;
mod text;

use std::{
    env,
    fmt::Display,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use self::progress::Interrupted;

const EXAMPLES: &str = "\
Examples:
  sudo geodrop-bench --quick          the eight figures that count, in less than three minutes
  sudo geodrop-bench --quick --json   the same for scripts
  sudo geodrop-bench                  every table and every traffic
  sudo geodrop-bench program          what a packet costs, by what the filter does
  cargo xtask bench --quick           build it, and run it";

const EXIT_STATUS: &str = "\
Exit status:
  0    measured; that a figure misses its target is no failure, and is said
  1    not measured
  2    wrong usage
  130  interrupted";

/// Measures what blocking by region costs in the kernel
///
/// Loads programs into the kernel and runs them there: it needs root, touches no interface but those in network
/// namespaces of its own, and leaves nothing behind.
#[derive(Debug, Parser)]
#[command(
    name = "geodrop-bench",
    version,
    about,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{EXIT_STATUS}\n\n{}\n\n{}", lookup::JSON, program::JSON),
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Option<Verb>,

    #[command(flatten)]
    lookup: lookup::Arguments,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What a lookup costs, next to the kernel's own trie; this is what is done without a verb
    Lookup(lookup::Arguments),
    Program(program::Arguments),
}

/// What a shell reports of a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Parses the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let CommandLine { verb, lookup } = CommandLine::parse();
    let result = match verb {
        Some(Verb::Lookup(arguments)) => lookup::run(arguments),
        Some(Verb::Program(arguments)) => program::run(arguments),
        None => lookup::run(lookup),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            warn(error);
            ExitCode::from(INTERRUPTED)
        }
        // A reader of our output that has had enough is no failure of ours to tell of.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The command line as a person would write it.
fn command() -> Vec<String> {
    let mut words: Vec<_> = env::args().collect();
    if let Some(program) = words.first_mut() {
        let name = Path::new(program.as_str()).file_name();
        *program = name.unwrap_or_default().to_string_lossy().into_owned();
    }
    words
}

/// Prints a line on standard error. That nobody reads it is no failure.
fn warn(line: impl Display) {
    let _ = writeln!(io::stderr(), "geodrop-bench: {line}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_verb_may_be_left_out() {
        CommandLine::command().debug_assert();
        let parsed = |line: &str| {
            let CommandLine { verb, lookup } =
                CommandLine::try_parse_from(line.split(' ')).unwrap();
            match verb {
                Some(Verb::Lookup(arguments)) => arguments,
                Some(Verb::Program(_)) => panic!("{line}: another verb"),
                None => lookup,
            }
        };
        for line in [
            "geodrop-bench --quick --json",
            "geodrop-bench lookup --json --quick",
        ] {
            let arguments = parsed(line);
            assert!(arguments.quick && arguments.json, "{line}");
        }
        assert!(!parsed("geodrop-bench").quick);
        assert!(CommandLine::try_parse_from(["geodrop-bench", "--fast"]).is_err());
    }
}
