//! `geodrop geoip update`: fetch newer data.

mod privileges;
mod progress;

use std::{
    collections::BTreeSet, env, fmt::Display, io, path::PathBuf, process::ExitCode, time::Duration,
};

use clap::Args;
use geodrop::{
    geoip::{
        Country,
        plausible::{Doubt, Limits, Percent},
    },
    policy::{Policy, config},
    update::{
        credentials::Credentials,
        feed::Feed,
        fetch::{Bounds, Client},
        store::{DEFAULT_KEEP, Grounds, History, Kept, Refusal},
        updater::{Outcome, UpdateError, Updater},
    },
};
use jiff::{Zoned, civil::Date};
use serde::Serialize;

use super::{
    super::{Usage, say, time, warn},
    StateOptions,
};

/// Fetch newer data, and put it in force if it is whole and plausible
///
/// Needs no privileges but to write to its directory; run as root, it goes on as the directory's owner. A policy reads what is
/// in force as DIR/NAME/current. Data that is refused is kept aside, in DIR/NAME/refused, and what was in force stays so.
#[derive(Debug, Args)]
#[command(after_help = "\
Providers:
  maxmind[:EDITION]           GeoLite2-Country or another edition of MaxMind's; wants an account
  dbip                        DB-IP Lite, country
  ipinfo                      IPinfo Lite; wants an account
  rir                         delegations of the five internet registries
  ip-location-db[:DATASET]    geo-whois-asn-country or another dataset of ip-location-db's

Environment:
  GEODROP_MAXMIND_ACCOUNT, GEODROP_MAXMIND_KEY, GEODROP_IPINFO_TOKEN    keys, if they are in no file
  https_proxy, all_proxy, no_proxy                                      a proxy

Examples:
  geodrop geoip update rir dbip
  geodrop geoip update --credentials /etc/geodrop/credentials.toml maxmind
  geodrop geoip update --directory ~/geoip cn=https://example.net/cn.zone
  geodrop geoip update --config policy.toml rir     # its countries must not vanish, however small
  geodrop geoip update --accept rir                 # what was refused, after a look at it

  [geoip]                                           # in policy.toml
  sources = [\"/var/lib/geodrop/rir/current\", \"builtin\"]")]
pub(super) struct Arguments {
    /// What to fetch: a provider, or NAME=https://… for any other
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<String>,

    #[command(flatten)]
    state: StateOptions,

    /// The policy that the data is for: its countries must not vanish, however small they are [default: CN, HK, MO]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Take data however doubtful it is; it must be readable all the same
    #[arg(long)]
    accept: bool,

    /// By how much a country may shrink or grow
    #[arg(long, value_name = "SHARE", default_value = "40%")]
    max_change: Percent,

    /// How many of all addresses may be in no country any more
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    max_lost: Percent,

    /// How many generations of accepted data to keep, the one in force among them
    #[arg(long, value_name = "N", default_value_t = DEFAULT_KEEP, value_parser = keep)]
    keep: usize,

    /// A TOML file with keys: [maxmind] account and key, [ipinfo] token; not readable by everybody
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Trust the certificates in this file (PEM), and not those that the system trusts
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    ca: Option<PathBuf>,

    /// How long to wait before asking a second time; before each further time, twice as long
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time::parse, hide_short_help = true)]
    back_off: Duration,

    /// Print JSON: an array of {name, outcome, directory, generation, date, despite, refused, error}
    #[arg(long)]
    json: bool,
}

fn keep(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(keep @ 1..) => Ok(keep),
        _ => Err("write a number of 1 or more".to_owned()),
    }
}

/// What `geoip update --json` prints of a source. Scripts rely on the names.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    /// "updated", "unchanged", "refused" or "failed".
    outcome: &'static str,
    /// Where a policy reads what is in force.
    directory: PathBuf,
    /// The number of the data in force; null if none is, or that is not known.
    generation: Option<u64>,
    /// The day of the data in force, if it is known.
    date: Option<Date>,
    /// Doubts that were overridden.
    despite: Vec<String>,
    /// What was refused, and why; null if nothing was.
    refused: Option<RefusedReport>,
    /// Why nothing came of it; null otherwise.
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct RefusedReport {
    directory: PathBuf,
    #[serde(flatten)]
    refusal: Refusal,
    /// The same as `why`, for scripts; empty if it was refused before.
    doubts: Vec<Doubt>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let today = Zoned::now().date();
    let feeds = arguments.sources.iter().map(|word| Feed::of(word, today));
    let feeds: Vec<_> = feeds.collect::<Result<_, _>>().map_err(usage)?;
    let credentials = match &arguments.credentials {
        Some(path) => Credentials::of_file(path)?,
        None => Credentials::default(),
    };
    let credentials = credentials.with_environment(|name| env::var(name).ok())?;
    let limits = Limits {
        named: named(arguments)?,
        change: arguments.max_change,
        lost: arguments.max_lost,
    };
    let bounds = Bounds {
        back_off: arguments.back_off,
        ..Bounds::default()
    };
    let client = Client::new(bounds, arguments.ca.as_deref())?;
    let state = &arguments.state.directory;
    // From here on nothing is read but what comes from outside and what is in that directory.
    privileges::become_owner_of(state)?;
    let updater = Updater {
        client: &client,
        credentials: &credentials,
        state,
        keep: arguments.keep,
        limits,
        accept: arguments.accept,
    };
    let mut reports = Vec::new();
    let mut progress = progress::Bar::new();
    for feed in &feeds {
        let result = updater.update(feed, &mut progress);
        let report = Report::of(feed, &History::new(state, &feed.name), result);
        if !arguments.json {
            report.tell();
        }
        reports.push(report);
    }
    if arguments.json {
        super::super::json::write(&mut io::stdout().lock(), &reports)?;
    }
    let is_well = |report: &Report| ["updated", "unchanged"].contains(&report.outcome);
    Ok(if reports.iter().all(is_well) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn usage(error: impl Display) -> Usage {
    Usage(error.to_string())
}

/// The countries that somebody depends on.
fn named(arguments: &Arguments) -> anyhow::Result<BTreeSet<Country>> {
    let Some(path) = &arguments.config else {
        return Ok(Policy::default().countries.countries().clone());
    };
    let configuration = config::read(path)?;
    let own = configuration.own.iter().map(|(_, settings)| settings);
    let all = own.chain([&configuration.settings]);
    let rules = all.flat_map(config::Settings::country_rules);
    let named: BTreeSet<_> = rules
        .flat_map(|rule| rule.rule.countries())
        .copied()
        .collect();
    if named.is_empty() {
        return Ok(Policy::default().countries.countries().clone());
    }
    Ok(named)
}

impl Report {
    fn of(feed: &Feed, history: &History, result: Result<Outcome, UpdateError>) -> Self {
        let mut report = Self {
            name: feed.name.clone(),
            outcome: "failed",
            directory: history.current_path(),
            generation: None,
            date: None,
            despite: Vec::new(),
            refused: None,
            error: None,
        };
        match result {
            Ok(Outcome::Updated { kept, .. }) => {
                report.outcome = "updated";
                report.despite.clone_from(&kept.about.despite);
                report.is_in_force(&kept);
            }
            Ok(Outcome::Unchanged { kept }) => {
                report.outcome = "unchanged";
                report.is_in_force(&kept);
            }
            Ok(Outcome::Refused {
                kept,
                refusal,
                doubts,
            }) => {
                report.outcome = "refused";
                report.refused = Some(RefusedReport {
                    directory: kept.path,
                    refusal,
                    doubts,
                });
                report.is_still_in_force(history);
            }
            Err(error) => {
                report.error = Some(error.to_string());
                report.is_still_in_force(history);
            }
        }
        report
    }

    fn is_in_force(&mut self, kept: &Kept) {
        self.generation = Some(kept.number);
        self.date = kept.about.source.date;
    }

    fn is_still_in_force(&mut self, history: &History) {
        if let Ok(Some(kept)) = history.current() {
            self.is_in_force(&kept);
        }
    }

    fn tell(&self) {
        let Self {
            name, directory, ..
        } = self;
        let directory = directory.display();
        let of = self
            .date
            .map_or_else(String::new, |date| format!(" of {date}"));
        match (&self.refused, &self.error, self.outcome) {
            (Some(refused), ..) => refused.tell(self),
            (_, Some(error), _) => warn(format_args!("{name}: {error}")),
            (_, _, "updated") => {
                say(format_args!("{name}: data{of} is in force in {directory}"));
                for doubt in &self.despite {
                    warn(format_args!("{name}: accepted, although {doubt}"));
                }
            }
            _ => say(format_args!("{name}: data{of} is the latest there is")),
        }
    }
}

impl RefusedReport {
    fn tell(&self, report: &Report) {
        let name = &report.name;
        let aside = self.directory.display();
        for why in &self.refusal.why {
            warn(format_args!("{name}: refused: {why}"));
        }
        let stays = match report.generation {
            Some(_) => "what was in force stays",
            None => "nothing is in force",
        };
        let advice = match self.refusal.grounds {
            Grounds::Unreadable => String::new(),
            Grounds::Implausible | Grounds::RolledBack => {
                let before = match report.generation {
                    Some(_) => report.directory.display().to_string(),
                    None => "builtin".to_owned(),
                };
                format!(
                    "; look at it with `geodrop geoip diff {before} {aside}`, and take it with --accept if it is right"
                )
            }
        };
        warn(format_args!(
            "{name}: {stays}; the data is in {aside}{advice}"
        ));
    }
}
