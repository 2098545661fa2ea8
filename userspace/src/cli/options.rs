//! Options that several verbs share, and what they resolve to.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use geodrop::{
    datapath::{
        DatapathError, EngineChoice, ModeChoice,
        about::{About, GeoipSource, Ranges},
        interface::Interface,
    },
    geoip::{self, Country, GeoData},
    policy::{CountryRule, Policy, Ruleset},
    table,
};
use ipnet::IpNet;

use super::{PinOptions, Usage, warn};

/// What to block: the same for a filter and for `lookup`.
#[derive(Debug, Args)]
pub(super) struct PolicyOptions {
    /// Block these countries, by ISO 3166-1 code, and admit the rest [default: CN,HK,MO]
    #[arg(long, value_name = "CC", value_delimiter = ',', num_args = 1.., conflicts_with = "only")]
    block: Vec<Country>,

    /// Admit these countries, by ISO 3166-1 code, and block the rest, unknown addresses included
    #[arg(long, value_name = "CC", value_delimiter = ',', num_args = 1..)]
    only: Vec<Country>,

    /// Admit these prefixes or addresses whatever their country; the longer of an allow and a deny
    /// prefix wins
    #[arg(long, value_name = "CIDR", value_delimiter = ',', num_args = 1.., value_parser = prefix)]
    allow: Vec<IpNet>,

    /// Block these prefixes or addresses whatever their country
    #[arg(long, value_name = "CIDR", value_delimiter = ',', num_args = 1.., value_parser = prefix)]
    deny: Vec<IpNet>,

    /// Read GeoIP data from these files (`first,last,CC` lines, or a snapshot of geodrop's) and not from
    /// the built-in snapshot
    #[arg(long, value_name = "FILE", num_args = 1..)]
    geoip: Vec<PathBuf>,
}

impl PolicyOptions {
    /// The policy that the options say.
    pub(super) fn policy(&self) -> Policy {
        let default = Policy::default();
        let countries = if !self.only.is_empty() {
            CountryRule::Only(self.only.iter().copied().collect())
        } else if !self.block.is_empty() {
            CountryRule::Block(self.block.iter().copied().collect())
        } else {
            default.countries
        };
        Policy {
            countries,
            allow: self.allow.clone(),
            deny: self.deny.clone(),
            ..default
        }
    }

    /// The GeoIP data that the options name. Contradictions in it are told on standard error.
    pub(super) fn data(&self) -> anyhow::Result<GeoData> {
        read_data(&self.geoip)
    }
}

/// Reads GeoIP files, or the built-in data if there are none. Contradictions are told on standard error.
pub(super) fn read_data(files: &[PathBuf]) -> anyhow::Result<GeoData> {
    if files.is_empty() {
        return Ok(geoip::builtin()?);
    }
    let data = geoip::read(files)?;
    if let Some(first) = data.contradictions.first() {
        let others = data.contradictions.len() - 1;
        warn(format_args!("warning: {first}"));
        if others > 0 {
            warn(format_args!(
                "warning: {others} more ranges contradict each other like that"
            ));
        }
    }
    Ok(data)
}

/// Finds interfaces by name, each once however often and by whichever of its names it is given.
pub(super) fn interfaces(names: &[String]) -> Result<Vec<Interface>, DatapathError> {
    let mut interfaces: Vec<Interface> = Vec::new();
    for name in names {
        let interface = Interface::by_name(name)?;
        if interfaces
            .iter()
            .all(|other| other.index != interface.index)
        {
            interfaces.push(interface);
        }
    }
    Ok(interfaces)
}

/// Data of one address family only filters that one: worth a word, because the other is easily forgotten.
fn warn_of_missing_family(policy: &Policy, data: &GeoData) {
    let fate = match policy.countries {
        CountryRule::Block(_) => "passes",
        CountryRule::Only(_) => "is dropped",
    };
    let families = [
        ("IPv4", data.regions.ipv4().is_empty()),
        ("IPv6", data.regions.ipv6().is_empty()),
    ];
    for (family, missing) in families {
        if missing {
            warn(format_args!(
                "warning: the GeoIP data has no {family} address: all {family} traffic {fate}; give the file for \
                 {family} too with --geoip"
            ));
        }
    }
}

/// Reads a prefix, or an address as the prefix that holds just that.
fn prefix(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Ok(address.into());
    }
    let prefix: IpNet = text.parse().map_err(|_| {
        "not a prefix (like 192.0.2.0/24 or 2001:db8::/32) and not an address".to_owned()
    })?;
    if prefix.trunc() != prefix {
        return Err(format!(
            "its address has bits set beyond the prefix length; write {} if you mean the whole prefix, or {} \
             if you mean that address",
            prefix.trunc(),
            prefix.addr()
        ));
    }
    Ok(prefix)
}

/// How tables are laid out.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Engine {
    /// The fastest, `multibit`; where the kernel refuses a table so large, `lpm`
    #[default]
    Auto,
    /// A trie that takes the same few steps for every address
    Multibit,
    /// The kernel's longest-prefix-match trie: slower, the more so the more there is in it
    Lpm,
}

impl From<Engine> for EngineChoice {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => Self::Auto,
            Engine::Multibit => Self::Only(table::Engine::Multibit),
            Engine::Lpm => Self::Only(table::Engine::Lpm),
        }
    }
}

/// Where in the kernel packets are filtered.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Hook {
    /// In the driver's receive path
    #[default]
    Xdp,
}

/// How XDP runs.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Mode {
    /// Native, and generic where the driver does not take it
    #[default]
    Auto,
    /// In the driver, or not at all
    Native,
    /// In the network stack: slower, and works with every driver
    Generic,
}

impl From<Mode> for ModeChoice {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Auto => Self::Auto,
            Mode::Native => Self::Native,
            Mode::Generic => Self::Generic,
        }
    }
}

/// A filter and where it goes: what `run` and `attach` have in common.
#[derive(Debug, Args)]
pub(super) struct FilterOptions {
    /// Filter what these interfaces receive
    #[arg(short, long, value_name = "IFACE", value_delimiter = ',', num_args = 1.., required = true)]
    interface: Vec<String>,

    #[command(flatten)]
    policy: PolicyOptions,

    /// How tables are laid out
    #[arg(long, value_enum, default_value_t, hide_short_help = true)]
    engine: Engine,

    /// Where in the kernel packets are filtered
    #[arg(long, value_enum, default_value_t, hide_short_help = true)]
    hook: Hook,

    /// How XDP runs
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,

    /// Count what would be dropped, and drop nothing
    #[arg(long)]
    monitor: bool,

    #[command(flatten)]
    pub(super) pins: PinOptions,
}

/// What [`FilterOptions`] resolve to.
pub(super) struct Resolved {
    pub(super) interfaces: Vec<Interface>,
    pub(super) policy: Policy,
    pub(super) ruleset: Ruleset,
    pub(super) engine: EngineChoice,
    pub(super) mode: ModeChoice,
    pub(super) about: About,
}

impl FilterOptions {
    /// Looks everything up that the options name.
    pub(super) fn resolve(&self) -> anyhow::Result<Resolved> {
        let interfaces = interfaces(&self.interface)?;
        let policy = Policy {
            monitor: self.monitor,
            ..self.policy.policy()
        };
        let data = self.policy.data()?;
        refuse_countries_without_data(&policy, &data)?;
        warn_of_missing_family(&policy, &data);
        let ruleset = Ruleset::new(&policy, &data.regions);
        let countries = policy.countries.countries().iter().copied().collect();
        let (block, only) = match &policy.countries {
            CountryRule::Block(_) => (countries, Vec::new()),
            CountryRule::Only(_) => (Vec::new(), countries),
        };
        let about = About {
            hook: match self.hook {
                Hook::Xdp => "xdp".to_owned(),
            },
            monitor: policy.monitor,
            block,
            only,
            ranges: Ranges {
                ipv4: ruleset.ipv4().len(),
                ipv6: ruleset.ipv6().len(),
            },
            geoip: data
                .sources
                .iter()
                .map(|source| GeoipSource {
                    source: source.source.clone(),
                    date: source.date,
                })
                .collect(),
            ..About::default()
        };
        Ok(Resolved {
            interfaces,
            policy,
            ruleset,
            engine: self.engine.into(),
            mode: self.mode.into(),
            about,
        })
    }
}

/// A country that the policy names and no data knows would be a block that blocks nothing, or an admission
/// of nobody.
pub(super) fn refuse_countries_without_data(policy: &Policy, data: &GeoData) -> Result<(), Usage> {
    let known = data.regions.countries();
    let missing: Vec<_> = policy
        .countries
        .countries()
        .iter()
        .filter(|country| !known.contains(country))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let sources: Vec<_> = data
        .sources
        .iter()
        .map(|source| source.source.as_str())
        .collect();
    Err(Usage(format!(
        "the GeoIP data ({}) has no address in {}; check the code, or give data that has it with --geoip",
        sources.join(", "),
        geoip::names(missing)
    )))
}
