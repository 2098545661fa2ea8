//! The policy file: one TOML file that says all that the flags say, and more.
//!
//! [`read`] makes a [`Configuration`] of it, or tells all that is wrong with it, each [`Problem`] with its line and a
//! remedy. What several say of one policy, the command line, a table for an interface, the top level of the file, is
//! [`Settings`] each, and the one above wins [over](Settings::over) the one below, key by key.
//!
//! ```toml
//! interfaces = ["eth0", "eth1"]
//! block = ["CN", "HK", "MO"]              # or only = ["EU", "US"]: codes and groups; [] names none
//! allow = ["203.0.113.0/24", "file:office.txt"]
//! deny = []
//! unknown = "pass"                        # "pass" | "block"
//! monitor = false
//! effective_from = "2024-07-09T00:00:00+08:00"
//! replies = "pass"                        # "pass" | "drop"
//! action = "drop"                         # "drop" | "reject"
//! count = "blocked"                       # "blocked" | "all"
//! engine = "auto"                         # "auto" | "multibit" | "lpm"
//! hook = "xdp"                            # "xdp" | "tcx"
//! mode = "auto"                           # "auto" | "native" | "generic"
//! metrics = "127.0.0.1:9469"              # where `geodrop run` serves metrics; without it, nowhere
//! metrics_file = "/run/geodrop/geodrop.prom"    # and where it writes them to
//!
//! [geoip]
//! sources = ["builtin"]                   # and files, also "CN=prefixes.txt"; the first that knows an address decides
//! merge = "first"                         # "first" | "any": blocked if any source says so
//! country = "location"                    # "location" | "registered", where a source tells these apart
//!
//! [groups]
//! NEIGHBOURS = ["DK", "NL", "BENELUX"]    # countries and groups, in any order
//! BENELUX = ["BE", "NL", "LU"]
//!
//! [[rules]]                               # for some ports, in the place of `block` or `only` above
//! ports = ["tcp/22", "tcp/8000-8100"]
//! only = ["DE", "NEIGHBOURS"]
//!
//! [[interface]]                           # what is different for an interface
//! name = "eth1"
//! only = ["DE"]
//! ```
//!
//! - Whole keys win: an `allow` of `[[interface]]` is in the place of the one above it, not added to it. `block` and
//!   `only` are one key. `rules` too is one: `[[interface.rules]]`.
//! - Interfaces are those of `interfaces`, and those that have a table of their own.
//! - Where nobody says `block`, `only` or `rules`, CN, HK and MO are blocked, as without a file. Where there are rules
//!   and neither `block` nor `only`, packets to other ports pass.
//! - Paths are relative to the configuration's directory.

mod choice;
mod countries;
mod prefixes;
mod reader;
mod rules;
mod settings;
mod source;
mod tables;
mod words;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml::de::DeTable;

use super::groups::Groups;
use reader::Reader;

pub use choice::{Choice, Engine, Hook, Mode};
pub use prefixes::{FILE, read_prefixes};
pub use rules::MOST_RULES;
pub use settings::{Countries, GeoipSettings, MetricsSettings, Placed, RuleSetting, Settings};
pub use source::{Location, Problem, Problems};
pub use words::{
    METRICS_ADDRESS, Misspelt, instant, port_numbers, ports, ports_text, prefix, protocol_text,
    socket_address,
};

/// What a policy file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What its top level says of the policy.
    pub settings: Settings,
    /// What it says of the policy of single interfaces, by their names: to be taken [over](Settings::over) the top
    /// level's, as [`Self::settings_of`] does.
    pub own: Vec<(String, Settings)>,
    /// All the interfaces that it names.
    pub interfaces: Vec<String>,
    /// How tables are laid out.
    pub engine: Option<Engine>,
    /// Where in the kernel packets are filtered.
    pub hook: Option<Hook>,
    /// How XDP runs.
    pub mode: Option<Mode>,
    /// Where a `geodrop run` exposes metrics.
    pub metrics: MetricsSettings,
    /// Where GeoIP data comes from, and how it is read.
    pub geoip: GeoipSettings,
    /// The groups that may be named.
    pub groups: Groups,
    /// The files of prefixes that it names.
    pub files: Vec<PathBuf>,
    /// What is worth a second look.
    pub warnings: Vec<Problem>,
}

impl Configuration {
    /// What it says of the policy of an interface.
    #[must_use]
    pub fn settings_of(&self, interface: &str) -> Settings {
        let own = self.own.iter().find(|(name, _)| name == interface);
        own.map_or_else(
            || self.settings.clone(),
            |(_, own)| own.clone().over(&self.settings),
        )
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("reading the configuration {}: {source}; name a TOML file that this user may read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something is wrong in it.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A configuration in which something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problems}")]
pub struct Invalid {
    /// What is wrong.
    pub problems: Problems,
    /// The files of prefixes that it names, as far as it can be read: the mistake may be in one of them.
    pub files: Vec<PathBuf>,
}

/// Reads a policy file.
///
/// # Errors
///
/// When it cannot be read, or all that is wrong in it.
pub fn read(path: &Path) -> Result<Configuration, ConfigError> {
    let text = prefixes::read_text(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    Ok(parse(&path.display().to_string(), &text, directory)?)
}

/// Reads a configuration; `name` is the file's in problems, and relative paths begin at `directory`.
///
/// # Errors
///
/// All that is wrong in it.
pub fn parse(name: &str, text: &str, directory: &Path) -> Result<Configuration, Invalid> {
    let source = source::Source::new(name, text);
    let text = Arc::clone(&source);
    let mut reader = Reader::new(source, directory);
    let (table, errors) = DeTable::parse_recoverable(text.text());
    // What TOML cannot read it guesses at; what would be wrong with a guess is of no use to anybody.
    let configuration = if errors.is_empty() {
        reader.configuration(table.get_ref())
    } else {
        reader.refuse_syntax(&errors);
        Configuration::default()
    };
    if !reader.problems.is_empty() {
        return Err(Invalid {
            problems: Problems::new(reader.problems),
            files: reader.files,
        });
    }
    Ok(Configuration {
        groups: reader.groups,
        files: reader.files,
        warnings: Problems::new(reader.warnings).into(),
        ..configuration
    })
}
