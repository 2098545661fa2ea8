//! The command line: one file a verb.
//!
//! Each verb parses its arguments, resolves them into the library's types, and calls the library. Results go
//! to standard output, all else to standard error. Exit status: 0 done, 1 failed, 2 wrong usage; of a
//! run also 3, as `run` says.

mod attach;
mod check;
mod colour;
mod confirm;
mod demo;
mod detach;
mod exception;
mod export;
mod generate;
mod geoip;
mod guard;
mod help;
mod json;
mod log;
mod lookup;
mod options;
mod protocol;
mod reload;
mod report;
mod run;
#[cfg(test)]
#[path = "../../tests/running/mod.rs"]
mod running;
mod signals;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod time;
#[cfg(feature = "top")]
mod top;
mod watch;
mod words;

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use geodrop::{
    Action,
    datapath::pins::{DEFAULT_ROOT, Root},
    policy::config::ConfigError,
};

const EXAMPLES: &str = "\
Examples:
  geodrop lookup 1.0.1.1 8.8.8.8              what would happen to these, and why (no root needed)
  sudo geodrop run -i eth0 --monitor          count what would be dropped, and drop nothing
  sudo geodrop report                         whom it would have been
  sudo geodrop run -i eth0                    drop traffic from CN, HK and MO until Ctrl-C
  sudo geodrop attach -i eth0 --block CN,RU   leave a filter in the kernel
  sudo geodrop watch --country CN             what is dropped, as it comes
  sudo geodrop top                            how much is dropped and passes, live
  geodrop check --config policy.toml          what a policy file means, and what is wrong in it
  geodrop export --format nft                 the same policy for another tool: nft, ipset, lists
  geodrop status --json                       what runs, and what it has counted
  sudo geodrop detach --all                   free every interface

Topics:
  geodrop help policy                         what a policy says, and how a packet is judged by it
  geodrop help data                           where it is known from which country an address is
  geodrop help engines                        how the kernel looks an address up, and its cost";

/// Drops network traffic by region, in the NIC's receive path
#[derive(Debug, Parser)]
#[command(
    name = "geodrop",
    version,
    about,
    after_help = EXAMPLES,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

/// Each is told of by its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Arguments),
    Attach(attach::Arguments),
    Reload(reload::Arguments),
    Confirm(confirm::Arguments),
    Detach(detach::Arguments),
    #[command(
        about = "Let addresses pass on running filters, whatever their policy says",
        after_help = exception::ALLOW_EXAMPLES
    )]
    Allow(exception::Arguments),
    #[command(
        about = "Drop what comes from addresses on running filters, whatever their policy says",
        after_help = exception::DENY_EXAMPLES
    )]
    Deny(exception::Arguments),
    Status(status::Arguments),
    Report(report::Arguments),
    Watch(watch::Arguments),
    #[cfg(feature = "top")]
    Top(top::Arguments),
    Check(check::Arguments),
    Lookup(lookup::Arguments),
    Geoip(geoip::Arguments),
    Export(export::Arguments),
    Demo(demo::Arguments),
    Help(help::Arguments),
    Generate(generate::Arguments),
}

/// Where pins are.
#[derive(Debug, Args)]
struct PinOptions {
    /// Directory of the bpf file system to keep filters in
    #[arg(long, value_name = "DIR", default_value = DEFAULT_ROOT, hide_short_help = true)]
    pin_root: PathBuf,
}

impl PinOptions {
    fn root(&self) -> Root {
        Root::new(&self.pin_root)
    }
}

/// Wrong usage or configuration, found after the command line was parsed: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Parses the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let verb = CommandLine::parse().verb;
    let run = match &verb {
        Verb::Run(arguments) => Some(&arguments.log),
        _ => None,
    };
    if let Err(error) = log::start(run) {
        // There is nothing else yet to tell it.
        let _ = writeln!(io::stderr(), "geodrop: {}", harmless(&describe(&error)));
        return status_of(&error);
    }
    let result = match &verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::Attach(arguments) => attach::run(arguments),
        Verb::Reload(arguments) => reload::run(arguments),
        Verb::Confirm(arguments) => confirm::run(arguments),
        Verb::Detach(arguments) => detach::run(arguments),
        Verb::Allow(arguments) => exception::run(arguments, Action::Pass),
        Verb::Deny(arguments) => exception::run(arguments, Action::Drop),
        Verb::Status(arguments) => status::run(arguments),
        Verb::Report(arguments) => report::run(arguments),
        Verb::Watch(arguments) => watch::run(arguments),
        #[cfg(feature = "top")]
        Verb::Top(arguments) => top::run(arguments),
        Verb::Check(arguments) => check::run(arguments),
        Verb::Lookup(arguments) => lookup::run(arguments),
        Verb::Geoip(arguments) => geoip::run(arguments),
        Verb::Export(arguments) => export::run(arguments),
        Verb::Demo(arguments) => demo::run(arguments),
        Verb::Help(arguments) => help::run(arguments),
        Verb::Generate(arguments) => generate::run(arguments),
    };
    log::tell_repeats(true);
    result.unwrap_or_else(|error| {
        // A reader of our output that has had enough (`geodrop … | head`) is no failure of ours to tell of.
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        log::tell_error(&describe(&error));
        status_of(&error)
    })
}

fn status_of(error: &anyhow::Error) -> ExitCode {
    if error.is::<Usage>() || error.is::<ConfigError>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a line of what was done. That nobody reads it must not undo it, nor keep the rest from being done.
fn say(line: impl Display) {
    let line = line.to_string();
    if !log::tell_result(&line) {
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// Prints a line of what should be known of how it was done, on standard error.
fn warn(line: impl Display) {
    log::tell_warning(&line.to_string());
}

/// Text that makes a terminal do nothing: errors quote files, which may hold anything.
fn harmless(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() && !matches!(c, '\n' | '\t'),
        &char::REPLACEMENT_CHARACTER.to_string(),
    )
}

/// The error and what led to it, without saying twice what a cause repeats.
fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
