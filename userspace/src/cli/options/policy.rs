//! What a policy is said in: the same options for a filter, for `lookup` and for `demo`.

use std::path::{Path, PathBuf};

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use geodrop::{
    geoip::{GeoData, Origin},
    policy::{
        CountryRule, Unknown,
        config::{
            self, Choice, ConfigError, Configuration, Countries, FILE, GeoipSettings, Placed,
            Settings,
        },
        groups::{Groups, Members},
    },
};
use ipnet::IpNet;

use super::{
    super::{Usage, warn},
    data::{GeoipOptions, read_data},
};

/// What to block: the same for a filter and for `lookup`.
#[derive(Debug, Args)]
pub(in super::super) struct PolicyOptions {
    /// Read the policy from this file (TOML); what the flags say wins over it, key by key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Block these countries and admit the rest: ISO 3166-1 codes, EU, continents (ASIA, NORTH-AMERICA …), and
    /// groups of the configuration [default: CN,HK,MO]
    #[arg(long, value_name = "CC", value_delimiter = ',', num_args = 1.., conflicts_with = "only")]
    block: Vec<String>,

    /// Admit these countries, written as for --block, and block the rest, unknown addresses included
    #[arg(long, value_name = "CC", value_delimiter = ',', num_args = 1..)]
    only: Vec<String>,

    /// Admit these prefixes or addresses, or those of a file (`file:PATH`), whatever their country; the longer of an allow and a
    /// deny prefix wins
    #[arg(long, value_name = "CIDR", value_delimiter = ',', num_args = 1.., value_parser = prefixes)]
    allow: Vec<Prefixes>,

    /// Block these prefixes or addresses, or those of a file (`file:PATH`), whatever their country
    #[arg(long, value_name = "CIDR", value_delimiter = ',', num_args = 1.., value_parser = prefixes)]
    deny: Vec<Prefixes>,

    /// What becomes of addresses that no data knows [default: they pass with --block, and drop with --only]
    #[arg(long, value_name = "WHAT", value_parser = word::<Unknown>())]
    unknown: Option<Unknown>,

    #[command(flatten)]
    geoip: GeoipOptions,
}

/// What an argument of `--allow` or `--deny` names.
#[derive(Clone, Debug)]
enum Prefixes {
    One(IpNet),
    OfFile(PathBuf),
}

fn prefixes(text: &str) -> Result<Prefixes, config::Misspelt> {
    match text.strip_prefix(FILE) {
        Some(path) => Ok(Prefixes::OfFile(path.into())),
        None => config::prefix(text).map(Prefixes::One),
    }
}

/// Takes one of the words of a choice, and shows them all in the help.
pub(in super::super) fn word<T: Choice>() -> impl TypedValueParser<Value = T> {
    let words = T::ALL
        .iter()
        .map(|(_, word, about)| PossibleValue::new(*word).help(*about));
    PossibleValuesParser::new(words)
        .try_map(|word| T::of(&word).ok_or_else(|| Usage(format!("`{word}` is not known"))))
}

/// What [`PolicyOptions`] resolve to: what the file says, and what the flags say over it.
pub(in super::super) struct Said {
    pub(in super::super) configuration: Configuration,
    pub(super) flags: Settings,
    geoip: GeoipSettings,
    /// All files that were read for it, or will be.
    pub(super) files: Vec<PathBuf>,
}

impl Said {
    /// The policy's settings for interfaces that have none of their own.
    pub(in super::super) fn settings(&self) -> Settings {
        self.flags.clone().over(&self.configuration.settings)
    }

    /// The policy's settings for an interface.
    pub(in super::super) fn settings_of(&self, interface: &str) -> Settings {
        let below = self.configuration.settings_of(interface);
        self.flags.clone().over(&below)
    }

    /// The GeoIP data. Contradictions in it are told on standard error.
    pub(in super::super) fn data(&self) -> anyhow::Result<GeoData> {
        read_data(&self.geoip)
    }
}

impl PolicyOptions {
    /// The policy file, if one is given.
    pub(in super::super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Whether they say nothing at all.
    pub(in super::super) fn are_silent(&self) -> bool {
        let Self {
            config,
            block,
            only,
            allow,
            deny,
            unknown,
            geoip,
        } = self;
        let lists = [
            block.is_empty(),
            only.is_empty(),
            allow.is_empty(),
            deny.is_empty(),
        ];
        config.is_none() && lists == [true; 4] && unknown.is_none() && geoip.are_silent()
    }

    /// Reads what the options name, but for the data. Warnings are told on standard error.
    pub(in super::super) fn resolve(&self) -> anyhow::Result<Said> {
        self.resolve_over(self.config())
    }

    /// The same, over this policy file in the place of the one that is given.
    pub(in super::super) fn resolve_over(&self, config: Option<&Path>) -> anyhow::Result<Said> {
        let configuration = match config {
            Some(path) => config::read(path)?,
            None => Configuration::default(),
        };
        for problem in &configuration.warnings {
            warn(format_args!("warning: {problem}"));
        }
        let flags = self.settings(&configuration.groups)?;
        let geoip = self.geoip.settings()?.over(&configuration.geoip);
        Ok(Said {
            files: self.files(&configuration, &geoip),
            configuration,
            flags,
            geoip,
        })
    }

    /// The files that are named, as far as that can be told: something may be wrong with them.
    pub(super) fn named_files(&self) -> Vec<PathBuf> {
        let read = self.config.as_ref().map(|path| config::read(path));
        let configuration = match read {
            Some(Ok(configuration)) => configuration,
            Some(Err(ConfigError::Invalid(invalid))) => Configuration {
                files: invalid.files,
                ..Configuration::default()
            },
            Some(Err(ConfigError::Read { .. })) | None => Configuration::default(),
        };
        let flags = self.geoip.settings().unwrap_or_default();
        self.files(&configuration, &flags.over(&configuration.geoip))
    }

    fn files(&self, configuration: &Configuration, geoip: &GeoipSettings) -> Vec<PathBuf> {
        let lists = self.allow.iter().chain(&self.deny);
        let lists = lists.filter_map(|prefixes| match prefixes {
            Prefixes::One(_) => None,
            Prefixes::OfFile(path) => Some(path),
        });
        let data = geoip.sources.iter().flatten();
        let data = data.filter_map(Origin::path).map(Path::to_owned);
        let named = self.config.iter().chain(&configuration.files);
        named.chain(lists).cloned().chain(data).collect()
    }

    fn settings(&self, groups: &Groups) -> Result<Settings, Usage> {
        let countries = if !self.only.is_empty() {
            let members = members("--only", &self.only, groups)?;
            Some(Countries::of_members(CountryRule::Only, members))
        } else if !self.block.is_empty() {
            let members = members("--block", &self.block, groups)?;
            Some(Countries::of_members(CountryRule::Block, members))
        } else {
            None
        };
        Ok(Settings {
            countries,
            allow: listed("--allow", &self.allow)?,
            deny: listed("--deny", &self.deny)?,
            unknown: self.unknown,
            ..Settings::default()
        })
    }
}

pub(in super::super) fn members(
    flag: &str,
    names: &[String],
    groups: &Groups,
) -> Result<Members, Usage> {
    let mut all = Members::default();
    for name in names {
        let members = groups
            .members(name)
            .map_err(|error| Usage(format!("{flag}: {error}")))?;
        all.extend(&members);
    }
    Ok(all)
}

/// The prefixes of a flag; `None` if it was not given.
fn listed(flag: &str, given: &[Prefixes]) -> Result<Option<Vec<Placed<IpNet>>>, Usage> {
    let mut all = Vec::new();
    for prefixes in given {
        let path = match prefixes {
            Prefixes::One(prefix) => {
                all.push(Placed::nowhere(*prefix));
                continue;
            }
            Prefixes::OfFile(path) => path,
        };
        let read = config::read_prefixes(path).map_err(|error| {
            Usage(format!(
                "{flag}: {} cannot be read: {error}; name a file of prefixes, one a line",
                path.display()
            ))
        })?;
        all.extend(read.map_err(|error| Usage(error.to_string()))?);
    }
    Ok((!given.is_empty()).then_some(all))
}
