//! `geodrop export`: a policy for other tools.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use geodrop::{
    export::{Export, LeftOut, Sources, cidr, ipset, nft},
    geoip::{GeoData, Source},
    policy::config::Configuration,
};
use serde::Serialize;

use super::{
    Usage,
    check::report::Part,
    options::{
        PolicyOptions,
        data::{missing_families, refuse_countries_without_data},
    },
    warn,
};

/// Write a policy for other tools: the sources that it drops
///
/// Reads the policy and the data, not a running filter, and needs no root. What a format cannot say of the policy is told on
/// standard error, and in the output itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  geodrop export --format nft | sudo nft -f -          the table `inet geodrop`, replaced in one step
  geodrop export --format ipset | sudo ipset restore   the sets geodrop4 and geodrop6, likewise
  geodrop export --format cidr --only US,CA -o list    the fewest prefixes, one a line
  geodrop export --format json --config policy.toml    for scripts")]
pub(super) struct Arguments {
    /// What to write
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Format,

    /// Write into this file, which is replaced only once all is written [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The interface whose policy it is, where the configuration has several; the table of nft is for it alone
    #[arg(short, long, value_name = "IFACE")]
    interface: Option<String>,

    #[command(flatten)]
    policy: PolicyOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A list of prefixes, one a line
    Cidr,
    /// For `nft -f`: a table that does all that the policy says, rules for ports and replies included
    Nft,
    /// For `ipset restore`: a set of prefixes for each family
    Ipset,
    /// For scripts: the prefixes, the policy, the sources of data, and what is left out
    Json,
}

/// What `export --format json` prints. Scripts rely on the names.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// The fewest prefixes that hold the sources which drop, and no others.
    ipv4: Vec<String>,
    ipv6: Vec<String>,
    counts: Counts,
    policy: Part,
    geoip: Vec<&'a Source>,
    /// What else the policy says.
    left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Counts {
    ipv4: usize,
    ipv6: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let said = arguments.policy.resolve()?;
    let settings = match &arguments.interface {
        Some(name) => said.settings_of(name),
        None => said.settings(),
    };
    let policy = settings.policy();
    let data = said.data()?;
    refuse_countries_without_data(&settings, &data)?;
    for warning in missing_families(&policy, &data) {
        warn(format_args!("warning: {warning}"));
    }
    let Scope { interfaces, others } =
        Scope::of(arguments.interface.as_ref(), &said.configuration)?;
    let part = Part::new(None, &settings, &policy, &data);
    let mut export = Export::new(&policy, &data);
    export.about.splice(0..0, in_words(&part)?);
    export.interfaces = interfaces;
    let mut left_out = match arguments.format {
        Format::Nft => nft::left_out(&export),
        Format::Cidr | Format::Ipset | Format::Json => export.left_out_of_lists(),
    };
    if !others.is_empty() {
        left_out.push(LeftOut::OwnPolicies(others));
    }
    for what in &left_out {
        warn(format_args!("note: left out: {what}"));
    }

    let mut text = Vec::new();
    match arguments.format {
        Format::Cidr => cidr::write(&mut text, &export, &left_out)?,
        Format::Ipset => ipset::write(&mut text, &export, &left_out)?,
        Format::Nft => {
            nft::speakable(&export.interfaces).map_err(|error| Usage(error.to_string()))?;
            nft::write(&mut text, &export, &left_out)?;
        }
        Format::Json => {
            let document = Document::new(&export.blocklist.all(), part, &data, &left_out);
            super::json::write(&mut text, &document)?;
        }
    }
    match &arguments.output {
        Some(path) => replace(path, &text).with_context(|| {
            format!(
                "writing {}; name a file that this user may write",
                path.display()
            )
        })?,
        None => io::stdout().lock().write_all(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whom a policy is for.
struct Scope {
    /// Its interfaces, as far as they are known.
    interfaces: Vec<String>,
    /// Those that have policies of their own.
    others: Vec<String>,
}

impl Scope {
    fn of(chosen: Option<&String>, configuration: &Configuration) -> Result<Self, Usage> {
        if let Some(chosen) = chosen {
            return Ok(Self {
                interfaces: vec![chosen.clone()],
                others: Vec::new(),
            });
        }
        let own = configuration.own.iter();
        let others: Vec<_> = own.map(|(name, _)| name.clone()).collect();
        let all = configuration.interfaces.iter();
        let interfaces: Vec<_> = all.filter(|name| !others.contains(name)).cloned().collect();
        if interfaces.is_empty() && !others.is_empty() {
            return Err(Usage(format!(
                "each interface of the configuration has a policy of its own; say which: --interface {}",
                others.join(" or --interface ")
            )));
        }
        Ok(Self { interfaces, others })
    }
}

impl<'a> Document<'a> {
    fn new(sources: &Sources, policy: Part, data: &'a GeoData, left_out: &[LeftOut]) -> Self {
        let ipv4 = sources.ipv4_prefixes().map(|prefix| prefix.to_string());
        let ipv6 = sources.ipv6_prefixes().map(|prefix| prefix.to_string());
        let (ipv4, ipv6) = (ipv4.collect::<Vec<_>>(), ipv6.collect::<Vec<_>>());
        Self {
            counts: Counts {
                ipv4: ipv4.len(),
                ipv6: ipv6.len(),
            },
            ipv4,
            ipv6,
            policy,
            geoip: data.sources().collect(),
            left_out: left_out.iter().map(ToString::to_string).collect(),
        }
    }
}

/// What a policy says, in lines for people.
fn in_words(policy: &Part) -> io::Result<Vec<String>> {
    let mut words = Vec::new();
    policy.write_policy(&mut words)?;
    let words = String::from_utf8_lossy(&words);
    Ok(words.lines().map(|line| line.trim().to_owned()).collect())
}

/// Writes a file in the place of the one that may be there: who reads finds the one or the other, whole. What is there and no
/// file, such as a pipe, is written to.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text);
    }
    // Behind a symbolic link, which stays.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let draft = path.with_added_extension("new");
    let mut file = File::create(&draft)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    let replaced = written.and_then(|()| fs::rename(&draft, &path));
    if replaced.is_err() {
        // What remains of it is of no use; that it cannot be removed is not what went wrong.
        let _ = fs::remove_file(&draft);
    }
    replaced
}
