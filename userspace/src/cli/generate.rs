//! `geodrop generate`: what packages install beside the program, out of the same definitions that parse its arguments.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{
    CommandLine,
    help::{TOPICS, Topic},
};

/// Write the man pages and the completions of shells into a directory
///
/// Makes man8/ and man7/ with the man pages of all verbs and topics, and completions/ with a file for each of bash, zsh
/// and fish. What is there is overwritten.
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// Where to; it is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The shells whose completions are written.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// The section of the manual for commands of administrators.
const COMMANDS: &str = "8";

/// The section of the manual for all that is neither a command nor a file.
const SUBJECTS: &str = "7";

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut command = CommandLine::command();
    command.build();
    let [pages, topics, completions] = [
        &*format!("man{COMMANDS}"),
        &*format!("man{SUBJECTS}"),
        "completions",
    ]
    .map(|name| arguments.directory.join(name));
    for directory in [&pages, &topics, &completions] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    write_pages(&command, &pages)?;
    for topic in &TOPICS {
        let path = topics.join(format!("geodrop-{}.{SUBJECTS}", topic.name));
        write(&path, topic_page(topic).render().as_bytes())?;
    }
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut CommandLine::command(), "geodrop", &completions)
            .with_context(|| format!("cannot write {}", completions.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command, and those of its verbs.
fn write_pages(command: &Command, directory: &Path) -> anyhow::Result<()> {
    let man = Man::new(command.clone()).section(COMMANDS);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let verbs = || command.get_subcommands().filter(|verb| !verb.is_hide_set());
    if verbs().next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    let notes = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    if let Some(notes) = notes {
        verbatim_sections(&notes.to_string()).to_writer(&mut page)?;
    }
    write(&directory.join(man.get_filename()), &page)?;
    verbs().try_for_each(|verb| write_pages(verb, directory))
}

/// What follows the options in the help: lines that end in a colon head lines that stay as they are.
fn verbatim_sections(text: &str) -> Roff {
    let mut page = Roff::new();
    for line in text.lines() {
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => {
                page.control("fi", []);
                page.control("SH", [heading.to_uppercase().as_str()]);
                page.control("nf", []);
            }
            _ => drop(page.text([roman(line)])),
        }
    }
    page.control("fi", []);
    page
}

/// The page of a topic.
fn topic_page(topic: &Topic) -> Roff {
    let mut lines = topic.text.lines();
    let title = lines.next().unwrap_or_default();
    let name = format!("geodrop-{}", topic.name);
    let source = format!("geodrop {}", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control("TH", [name.as_str(), SUBJECTS, "", &source, ""]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {title}"))]);
    page.control("SH", ["DESCRIPTION"]);
    let mut verbatim = false;
    for line in lines {
        let indented = line.starts_with(' ');
        if line.is_empty() {
            if verbatim {
                page.text([roman("")]);
            } else {
                page.control("PP", []);
            }
            continue;
        }
        if indented != verbatim {
            page.control(if indented { "nf" } else { "fi" }, []);
            verbatim = indented;
        }
        if is_heading(line) {
            page.control("SH", [line]);
        } else {
            page.text([roman(line)]);
        }
    }
    page.control("fi", []);
    page
}

fn is_heading(line: &str) -> bool {
    line.chars().all(|c| c.is_ascii_uppercase() || c == ' ')
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
