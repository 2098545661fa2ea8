//! `geodrop geoip`: look at GeoIP data, and keep it fresh.

mod diff;
mod info;
mod rollback;
#[cfg(feature = "update")]
mod update;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use geodrop::update::store::DEFAULT_DIRECTORY;

/// Look at GeoIP data, and keep it fresh
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
    #[cfg(feature = "update")]
    Update(update::Arguments),
    Rollback(rollback::Arguments),
}

/// Where fetched data is.
#[derive(Debug, Args)]
struct StateOptions {
    /// The directory that fetched data is kept in, one directory a source
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.verb {
        Verb::Info(arguments) => info::run(arguments),
        Verb::Diff(arguments) => diff::run(arguments),
        #[cfg(feature = "update")]
        Verb::Update(arguments) => update::run(arguments),
        Verb::Rollback(arguments) => rollback::run(arguments),
    }
}
