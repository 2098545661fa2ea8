//! What documents show of the command line is part of it.

#[path = "../../tests/documents/commands.rs"]
#[allow(dead_code, reason = "what is not parsed here is run by other tests")]
mod commands;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use super::CommandLine;
use commands::Shown;

#[test]
fn the_definition_is_consistent() {
    CommandLine::command().debug_assert();
}

#[test]
fn commands_in_documents_can_be_parsed() {
    let mut shown = commands::shown();
    shown.retain(Shown::is_ours);
    assert!(shown.len() > 50, "only {} were found", shown.len());
    let mut wrong = Vec::new();
    for command in shown {
        let result = CommandLine::try_parse_from(&command.words);
        match result.map_err(|error| (error.kind(), error)) {
            Ok(_) | Err((ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _)) => {}
            Err((_, error)) => {
                let Shown { place, as_root, .. } = command;
                let prompt = if as_root { '#' } else { '$' };
                wrong.push(format!("{place}: {prompt} {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
