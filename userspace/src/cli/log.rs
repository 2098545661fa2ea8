//! What is told besides results: warnings and errors, and of a `geodrop run` all that happens.
//!
//! It goes to standard error as lines for people, or as JSON, or to the journal with what it knows of a message (its level).
//! Quiet is the rule: only what somebody should know is told, and a run does not tell the same thing again and again
//! ([`repeats`]). What crates tell through `log`, as the kernel programs' log does, goes the same way.

mod format;
mod repeats;

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    str::FromStr,
    sync::{Mutex, OnceLock, PoisonError},
    time::Instant,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use rustix::fs::fstat;
use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Layer, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use self::{format::Lines, repeats::Repeats};
use super::{Usage, harmless};

/// What says which messages are told, and of which parts of the program.
const FILTER: &str = "GEODROP_LOG";

/// What the kernel programs call themselves.
const KERNEL: &str = "filter";

/// What is told, and where.
#[derive(Debug, Default, Args)]
pub(super) struct LogOptions {
    /// Where messages go: as text or JSON to standard error, or to the journal; auto: to the journal if standard error goes
    /// there
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    log: Form,

    /// Tell more of what happens
    #[arg(short, long)]
    verbose: bool,
}

/// Where messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    Auto,
    Text,
    Json,
    Journald,
}

/// Where messages go, once that is known: never `auto`.
static FORM: OnceLock<Form> = OnceLock::new();

/// What a run told lately; of other verbs there is none.
static REPEATS: OnceLock<Mutex<Repeats>> = OnceLock::new();

/// Begins to tell messages: those of a run, as its options say, or those of another verb.
pub(super) fn start(run: Option<&LogOptions>) -> anyhow::Result<()> {
    let targets = targets(run.is_some_and(|options| options.verbose))?;
    if run.is_some() {
        REPEATS.get_or_init(Mutex::default);
    }
    let lines = || {
        tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .log_internal_errors(false)
    };
    let text = || (Form::Text, lines().event_format(Lines).boxed());
    let (form, layer) = match run.map_or(Form::Auto, |options| options.log) {
        Form::Json => {
            let json = lines().json().flatten_event(true).with_target(false);
            (Form::Json, json.boxed())
        }
        Form::Journald => {
            let failed = "the journal cannot be written to (/run/systemd/journal/socket); `--log text` needs none";
            (Form::Journald, journal().context(failed)?)
        }
        Form::Auto if goes_to_journal() => {
            journal().map_or_else(|_| text(), |journal| (Form::Journald, journal))
        }
        Form::Auto | Form::Text => text(),
    };
    FORM.get_or_init(|| form);
    let all = tracing_subscriber::registry().with(layer).with(targets);
    all.try_init().context("setting up the log")
}

/// Which messages are told.
fn targets(verbose: bool) -> Result<Targets, Usage> {
    let text = env::var(FILTER).unwrap_or_default();
    if !text.is_empty() {
        return Targets::from_str(&text).map_err(|error| {
            Usage(format!(
                "{FILTER}={text}: {error}; write a level (warn, info, debug, trace, off), or levels of parts of the program, \
                 as in geodrop=debug,aya=warn"
            ))
        });
    }
    let (ours, others) = if verbose {
        (LevelFilter::DEBUG, LevelFilter::WARN)
    } else {
        (LevelFilter::INFO, LevelFilter::OFF)
    };
    // What the kernel programs log they were asked for.
    Ok(Targets::new()
        .with_default(others)
        .with_target("geodrop", ours)
        .with_target(KERNEL, LevelFilter::DEBUG))
}

type AnyLayer = Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>;

fn journal() -> io::Result<AnyLayer> {
    // As syslog(3) has them.
    let levels = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    };
    let journal = tracing_journald::layer()?
        .with_syslog_identifier("geodrop".to_owned())
        .with_field_prefix(Some("GEODROP".to_owned()))
        .with_priority_mappings(levels);
    Ok(journal.boxed())
}

/// Whether standard error goes to the journal: then the service manager has said which file it is, by device and inode
/// (systemd.exec(5), `JOURNAL_STREAM`).
fn goes_to_journal() -> bool {
    let stream = env::var("JOURNAL_STREAM").ok();
    let file = fstat(io::stderr()).ok();
    stream
        .zip(file)
        .is_some_and(|(stream, file)| stream == format!("{}:{}", file.st_dev, file.st_ino))
}

/// Tells what was done, if that is a message too, and no line on standard output; whether it is.
pub(super) fn tell_result(line: &str) -> bool {
    let is_message = matches!(FORM.get(), Some(Form::Json | Form::Journald));
    if is_message {
        tracing::info!("{line}");
    }
    is_message
}

/// Tells what should be known, unless it was told just now.
pub(super) fn tell_warning(line: &str) {
    let is_new = REPEATS.get().is_none_or(|repeats| {
        let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
        repeats.is_new(Instant::now(), line)
    });
    if is_new {
        tracing::warn!("{line}");
    }
}

/// Tells how often was told again what was told some time ago; at the end of all, also what was told just now.
pub(super) fn tell_repeats(at_the_end: bool) {
    if let Some(repeats) = REPEATS.get() {
        let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
        for line in repeats.over(Instant::now(), at_the_end) {
            tracing::warn!("{line}");
        }
    }
}

/// Tells why it failed; a person at a terminal, too, who does not read the journal there.
pub(super) fn tell_error(line: &str) {
    tracing::error!("{line}");
    if FORM.get() == Some(&Form::Journald) && io::stderr().is_terminal() {
        let _ = writeln!(io::stderr(), "geodrop: {}", harmless(line));
    }
}
