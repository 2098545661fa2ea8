//! `geodrop check`: what a policy file means, and what is wrong in it.

pub(super) mod report;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use geodrop::{
    geoip::GeoData,
    policy::config::{self, ConfigError, Configuration, Invalid},
};

use super::{
    options::{self, data},
    warn,
};
use report::{Finding, Part, Report};

/// Say what a policy file means, and what is wrong in it
///
/// Reads the file, the files that it names and the GeoIP data, and changes nothing. It needs no root, and no interface
/// of those that the file names. Exit status 0: it is in order; 2: something is wrong in it. What this version cannot
/// enforce yet is a warning here; `run` and `attach` refuse it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  geodrop check --config policy.toml
  geodrop check --config policy.toml --json
  geodrop check --config policy.toml && sudo geodrop attach --config policy.toml")]
pub(super) struct Arguments {
    /// The policy file (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// Print JSON: {ok, config, interfaces, engine, hook, mode, geoip, warnings, errors}
    #[arg(long)]
    json: bool,
}

/// How many errors people are shown.
const SHOWN: usize = 20;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = report(&arguments.config);
    for warning in &report.warnings {
        warn(format_args!("warning: {}", warning.text));
    }
    if !report.errors.is_empty() {
        let texts = report.errors.iter().take(SHOWN);
        let texts: Vec<_> = texts.map(|error| error.text.as_str()).collect();
        warn(texts.join("\n\n"));
        warn(match report.errors.len() {
            1 => "1 error".to_owned(),
            count if count > SHOWN => {
                format!("{count} errors, of which the first {SHOWN} are shown; --json shows all")
            }
            count => format!("{count} errors"),
        });
    }
    let mut output = io::stdout().lock();
    if arguments.json {
        super::json::write(&mut output, &report)?;
    } else if report.ok {
        report.write(&mut output)?;
    }
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// Looks at everything, and goes on after what is wrong as far as that makes sense.
fn report(path: &Path) -> Report {
    let mut report = Report::new(path.display().to_string());
    let configuration = match config::read(path) {
        Ok(configuration) => configuration,
        Err(ConfigError::Invalid(Invalid { problems, .. })) => {
            report.errors = problems.iter().map(Finding::from).collect();
            return report;
        }
        Err(error) => {
            report.errors.push(Finding::bare(error.to_string()));
            return report;
        }
    };
    report.warnings = configuration.warnings.iter().map(Finding::from).collect();
    let hook = configuration.hook.unwrap_or_default();
    let refused = options::mode_without_xdp(hook, configuration.mode).map(Finding::bare);
    report.errors.extend(refused);
    match data::read_data(&configuration.geoip) {
        Ok(data) => {
            report.geoip = data.sources().map(Into::into).collect();
            parts(&configuration, &data, &mut report);
        }
        Err(error) => report.errors.push(Finding::bare(super::describe(&error))),
    }
    report.of(&configuration);
    report.ok = report.errors.is_empty();
    report
}

/// Each policy, with the interfaces that share it.
fn parts(configuration: &Configuration, data: &GeoData, report: &mut Report) {
    let mut all = Vec::new();
    if configuration.interfaces.is_empty() {
        all.push((None, configuration.settings.clone()));
    }
    for name in &configuration.interfaces {
        all.push((Some(name), configuration.settings_of(name)));
    }
    let mut policies = Vec::new();
    for (name, settings) in all {
        let policy = settings.policy();
        let same = policies.iter().position(|other| *other == policy);
        if let Some(index) = same {
            report.interfaces[index].names.extend(name.cloned());
            continue;
        }
        for missing in data::missing(&settings, data) {
            report.add_error(missing.into());
        }
        for warning in data::missing_families(&policy, data) {
            report.add_warning(Finding::bare(warning));
        }
        report
            .interfaces
            .push(Part::new(name.cloned(), &settings, &policy, data));
        policies.push(policy);
    }
}
