//! `geodrop geoip rollback`: put the data before the present one in force again.

use std::process::ExitCode;

use clap::Args;
use geodrop::update::store::{self, DEFAULT_KEEP, History};

use super::{
    super::{Usage, say},
    StateOptions,
};

/// Put the fetched data before the present one in force again
///
/// What was in force is kept aside, and no update brings the same data back; newer data comes as always. What runs reads it
/// at the next reload: by itself under `geodrop run --watch` or the units of packaging/.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo geodrop geoip rollback
  sudo geodrop geoip rollback rir
  sudo geodrop geoip update --accept rir      # take it again all the same")]
pub(super) struct Arguments {
    /// Of which source; needed if there are several
    #[arg(value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    state: StateOptions,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let state = &arguments.state.directory;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => only_name(store::names(state)?)?,
    };
    let history = History::of_known(state, &name)?;
    let lock = history.lock()?;
    let kept = history.roll_back(&lock, "it was in force, and was rolled back", DEFAULT_KEEP)?;
    let date = kept.about.source.date;
    let of = date.map_or_else(String::new, |date| format!(" of {date}"));
    say(format_args!(
        "{name}: data{of}, fetched {:.0}, is in force again",
        kept.about.fetched
    ));
    Ok(ExitCode::SUCCESS)
}

fn only_name(names: Vec<String>) -> Result<String, Usage> {
    match <[String; 1]>::try_from(names) {
        Ok([name]) => Ok(name),
        Err(names) if names.is_empty() => Err(Usage(
            "no data was fetched there; --directory names another directory".to_owned(),
        )),
        Err(names) => Err(Usage(format!("say of which source: {}", names.join(", ")))),
    }
}
