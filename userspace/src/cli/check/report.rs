//! What `check` found, for people and for scripts.

use std::{collections::BTreeSet, io};

use geodrop::{
    geoip::{Country, GeoData, Source},
    policy::{
        Count, CountryRule, Policy, Refusal, Replies, Ruleset, Unknown,
        config::{Choice as _, Configuration, Problem, Settings, ports_text},
    },
};
use ipnet::IpNet;
use jiff::{Timestamp, civil::Date};
use serde::{Serialize, Serializer};

use super::super::{options::data::Missing, words};

/// How many prefixes are shown.
const SHOWN: usize = 6;

/// What `check --json` prints. Scripts rely on the names.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    pub(super) config: String,
    pub(super) interfaces: Vec<Part>,
    engine: Option<&'static str>,
    hook: Option<&'static str>,
    mode: Option<&'static str>,
    pub(super) geoip: Vec<SourceInfo>,
    pub(super) warnings: Vec<Finding>,
    pub(super) errors: Vec<Finding>,
}

/// A policy, and the interfaces that share it; none, if the file names none.
#[derive(Debug, Serialize)]
pub(in super::super) struct Part {
    pub(super) names: Vec<String>,
    #[serde(flatten)]
    countries: Countries,
    /// Whether nobody said which countries.
    by_default: bool,
    rules: Vec<Rule>,
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    unknown: Unknown,
    monitor: bool,
    effective_from: Option<Timestamp>,
    replies: Replies,
    action: Refusal,
    count: Count,
    ranges: Ranges,
}

#[derive(Debug, Serialize)]
struct Rule {
    ports: Vec<String>,
    #[serde(flatten)]
    countries: Countries,
}

/// `{"block": […]}` or `{"only": […]}`.
#[derive(Debug)]
struct Countries(CountryRule);

#[derive(Debug, Serialize)]
struct Ranges {
    ipv4: usize,
    ipv6: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceInfo {
    source: String,
    date: Option<Date>,
}

/// Something that is wrong, or worth a second look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    remedy: Option<String>,
    /// All that, as people read it.
    #[serde(skip)]
    pub(super) text: String,
}

impl Serialize for Countries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "lowercase")]
        enum Named<'a> {
            Block(&'a BTreeSet<Country>),
            Only(&'a BTreeSet<Country>),
        }
        match &self.0 {
            CountryRule::Block(countries) => Named::Block(countries),
            CountryRule::Only(countries) => Named::Only(countries),
        }
        .serialize(serializer)
    }
}

impl From<&Source> for SourceInfo {
    fn from(source: &Source) -> Self {
        Self {
            source: source.source.clone(),
            date: source.date,
        }
    }
}

impl Finding {
    /// One that has no place in a file.
    pub(super) fn bare(text: String) -> Self {
        Self {
            file: None,
            line: None,
            column: None,
            message: text.clone(),
            remedy: None,
            text,
        }
    }
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Self {
        let location = &problem.location;
        Self {
            file: Some(location.file().to_owned()),
            line: Some(location.line()),
            column: Some(location.column()),
            message: problem.message.clone(),
            remedy: Some(problem.remedy.clone()),
            text: problem.to_string(),
        }
    }
}

impl From<Missing> for Finding {
    fn from(missing: Missing) -> Self {
        let Missing {
            location,
            message,
            remedy,
        } = missing;
        match location {
            Some(location) => Self::from(&Problem {
                location,
                message,
                remedy,
            }),
            None => Self {
                message: message.clone(),
                remedy: Some(remedy.clone()),
                ..Self::bare(format!("{message}; {remedy}"))
            },
        }
    }
}

impl Part {
    pub(in super::super) fn new(
        name: Option<String>,
        settings: &Settings,
        policy: &Policy,
        data: &GeoData,
    ) -> Self {
        let ruleset = Ruleset::new(policy, data);
        let rules = policy.rules.iter().map(|rule| Rule {
            ports: rule.ports.iter().map(ports_text).collect(),
            countries: Countries(rule.countries.clone()),
        });
        Self {
            names: name.into_iter().collect(),
            countries: Countries(policy.countries.clone()),
            by_default: settings.leaves_countries_to_the_default(),
            rules: rules.collect(),
            allow: policy.allow.clone(),
            deny: policy.deny.clone(),
            unknown: policy.unknown.unwrap_or(match policy.countries {
                CountryRule::Block(_) => Unknown::Pass,
                CountryRule::Only(_) => Unknown::Block,
            }),
            monitor: policy.monitor,
            effective_from: policy.effective_from,
            replies: policy.replies,
            action: policy.refusal,
            count: policy.count,
            ranges: Ranges {
                ipv4: ruleset.ipv4().len(),
                ipv6: ruleset.ipv6().len(),
            },
        }
    }

    fn write(&self, output: &mut impl io::Write) -> io::Result<()> {
        if self.names.is_empty() {
            writeln!(output, "interfaces to be named with --interface:")?;
        } else {
            writeln!(output, "{}:", self.names.join(", "))?;
        }
        self.write_policy(output)?;
        let Ranges { ipv4, ipv6 } = &self.ranges;
        writeln!(output, "  {ipv4} IPv4 and {ipv6} IPv6 ranges in the table")
    }

    /// Writes what the policy says, a line for each thing.
    pub(in super::super) fn write_policy(&self, output: &mut impl io::Write) -> io::Result<()> {
        for (verb, prefixes) in [("pass", &self.allow), ("drop", &self.deny)] {
            if !prefixes.is_empty() {
                writeln!(output, "  always {verb}: {}", prefixes_text(prefixes))?;
            }
        }
        for rule in &self.rules {
            let ports = rule.ports.join(", ");
            writeln!(output, "  {ports}: {}", rule.countries.verdict())?;
        }
        writeln!(
            output,
            "  {}: {}{}",
            if self.rules.is_empty() {
                "all ports"
            } else {
                "all other ports"
            },
            self.countries.verdict(),
            if self.by_default {
                ", by default, for the file says neither `block` nor `only`"
            } else {
                ""
            }
        )?;
        writeln!(
            output,
            "  addresses that no data knows {}",
            match self.unknown {
                Unknown::Pass => "pass",
                Unknown::Block => "drop",
            }
        )?;
        if let Some(instant) = self.effective_from {
            let begun = instant <= Timestamp::now();
            writeln!(
                output,
                "  countries are dropped from {instant} on{}",
                if begun {
                    ", which has come"
                } else {
                    "; until then they are counted, and pass"
                }
            )?;
        }
        match self.replies {
            Replies::Pass => writeln!(output, "  replies to what this host began pass")?,
            Replies::Drop => writeln!(output, "  replies are judged as all other packets")?,
        }
        if self.action == Refusal::Reject {
            writeln!(output, "  senders are told that they were refused")?;
        }
        if self.count == Count::All {
            writeln!(output, "  packets that pass are counted by country too")?;
        }
        if self.monitor {
            writeln!(
                output,
                "  MONITOR: all this is counted, and nothing is dropped"
            )?;
        }
        Ok(())
    }
}

impl Countries {
    fn verdict(&self) -> String {
        match &self.0 {
            CountryRule::Block(none) if none.is_empty() => "every country passes".to_owned(),
            CountryRule::Block(blocked) => format!("block {}", words::countries(blocked)),
            CountryRule::Only(none) if none.is_empty() => "every country drops".to_owned(),
            CountryRule::Only(admitted) => format!("admit only {}", words::countries(admitted)),
        }
    }
}

fn prefixes_text(prefixes: &[IpNet]) -> String {
    let shown: Vec<_> = prefixes
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let shown = shown.join(", ");
    match prefixes.len() {
        count if count > SHOWN => format!("{count} prefixes ({shown}, …)"),
        _ => shown,
    }
}

impl Report {
    /// Nothing yet, of a file.
    pub(super) fn new(config: String) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Adds what the file says beside policies.
    pub(super) fn of(&mut self, configuration: &Configuration) {
        self.engine = Some(configuration.engine.unwrap_or_default().word());
        self.hook = Some(configuration.hook.unwrap_or_default().word());
        self.mode = Some(configuration.mode.unwrap_or_default().word());
    }

    /// Adds an error, unless another interface has it too.
    pub(super) fn add_error(&mut self, finding: Finding) {
        if !self.errors.contains(&finding) {
            self.errors.push(finding);
        }
    }

    /// Adds a warning, unless another interface has it too.
    pub(super) fn add_warning(&mut self, finding: Finding) {
        if !self.warnings.contains(&finding) {
            self.warnings.push(finding);
        }
    }

    /// Writes it for people.
    pub(super) fn write(&self, output: &mut impl io::Write) -> io::Result<()> {
        for part in &self.interfaces {
            part.write(output)?;
        }
        let sources: Vec<_> = self
            .geoip
            .iter()
            .map(|source| match source.date {
                Some(date) => format!("{} of {date}", source.source),
                None => source.source.clone(),
            })
            .collect();
        writeln!(output, "GeoIP data: {}", sources.join(", "))?;
        writeln!(output, "{} is in order", self.config)
    }
}
