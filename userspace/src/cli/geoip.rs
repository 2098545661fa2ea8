//! `geodrop geoip`: look at GeoIP data.

mod diff;
mod info;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Look at GeoIP data
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show where data comes from, how old it is, and how much of it there is
    Info(info::Arguments),
    /// Show which addresses are in another country in one file than in another
    Diff(diff::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.verb {
        Verb::Info(arguments) => info::run(arguments),
        Verb::Diff(arguments) => diff::run(arguments),
    }
}
