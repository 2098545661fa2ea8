//! `geodrop help`: the help of a verb, or a text on a topic.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Args, Command, CommandFactory as _};

use super::{CommandLine, Usage};

/// A subject that no one verb is about.
pub(super) struct Topic {
    /// What it is called on the command line.
    pub(super) name: &'static str,
    /// Its text. The first line is a title; indented lines are shown as they are; a line in capitals is a heading.
    pub(super) text: &'static str,
}

/// All of them.
pub(super) const TOPICS: [Topic; 3] = [
    Topic {
        name: "policy",
        text: include_str!("help/policy.txt"),
    },
    Topic {
        name: "data",
        text: include_str!("help/data.txt"),
    },
    Topic {
        name: "engines",
        text: include_str!("help/engines.txt"),
    },
];

/// Print the help of a verb, or what is to be known of a topic
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  geodrop help run
  geodrop help geoip update
  geodrop help policy          what a policy says, and how a packet is judged by it
  geodrop help data            where it is known from which country an address is
  geodrop help engines         how the kernel looks an address up, and its cost")]
pub(super) struct Arguments {
    /// A verb and its own verb, if it has any; or a topic: policy, data, engines
    #[arg(value_name = "VERB | TOPIC")]
    words: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let words = &arguments.words;
    if let [name] = words.as_slice()
        && let Some(topic) = TOPICS.iter().find(|topic| topic.name == name)
    {
        io::stdout().write_all(topic.text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = CommandLine::command();
    // Only then do the verbs know what goes before them.
    command.build();
    let verb = words.iter().try_fold(&mut command, below)?;
    verb.print_long_help()?;
    Ok(ExitCode::SUCCESS)
}

fn below<'a>(command: &'a mut Command, word: &String) -> Result<&'a mut Command, Usage> {
    let unknown = Usage(format!(
        "{} has no verb `{word}`, and there is no such topic; `geodrop help` lists the verbs, the topics are {}",
        command.get_bin_name().unwrap_or("geodrop"),
        TOPICS.map(|topic| topic.name).join(", ")
    ));
    command.find_subcommand_mut(word).ok_or(unknown)
}
