//! GeoIP data: reading it, and what a policy needs of it.

use std::path::PathBuf;

use clap::Args;
use geodrop::{
    geoip::{self, Country, CountryBy, GeoData, Merge, Opinions, Origin, SetAside},
    policy::{
        CountryRule, Policy, Unknown,
        config::{GeoipSettings, Location, Problem, Settings},
    },
};

use super::{
    super::{Usage, warn},
    policy::word,
};

/// Where GeoIP data comes from, and how it is read: the same wherever there is any.
#[derive(Debug, Args)]
pub(in super::super) struct GeoipOptions {
    /// Read GeoIP data from these files, in any format of docs/data.md, packed or not; the first that knows an address
    /// decides. CC=FILE is a list of a country's prefixes, `builtin` the built-in snapshot [default: builtin]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    geoip: Vec<PathBuf>,

    #[command(flatten)]
    reconciliation: ReconciliationOptions,
}

/// How data is read that can be read in more than one way.
#[derive(Debug, Args)]
pub(in super::super) struct ReconciliationOptions {
    /// What becomes of addresses that sources disagree on [default: first]
    #[arg(long, value_name = "HOW", value_parser = word::<Merge>(), hide_short_help = true)]
    geoip_merge: Option<Merge>,

    /// Which country counts, where a source says where addresses are used and where they are registered
    /// [default: location]
    #[arg(long, value_name = "WHICH", value_parser = word::<CountryBy>(), hide_short_help = true)]
    geoip_country: Option<CountryBy>,
}

impl GeoipOptions {
    /// Whether they say nothing at all.
    pub(in super::super) fn are_silent(&self) -> bool {
        let ReconciliationOptions {
            geoip_merge,
            geoip_country,
        } = self.reconciliation;
        self.geoip.is_empty() && geoip_merge.is_none() && geoip_country.is_none()
    }

    /// What they say of data.
    pub(in super::super) fn settings(&self) -> Result<GeoipSettings, Usage> {
        self.reconciliation.settings(&self.geoip)
    }
}

impl ReconciliationOptions {
    /// What they say of data that these words name.
    pub(in super::super) fn settings(&self, words: &[PathBuf]) -> Result<GeoipSettings, Usage> {
        let origins = words.iter().map(|word| {
            Origin::of(word).map_err(|unknown| {
                let word = word.display();
                Usage(format!(
                    "{word}: {unknown}; a file of such a name is written ./{word}"
                ))
            })
        });
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        Ok(GeoipSettings {
            sources: (!origins.is_empty()).then_some(origins),
            merge: self.geoip_merge,
            country: self.geoip_country,
        })
    }
}

/// Reads GeoIP data. What sources contradict themselves in is told on standard error.
pub(in super::super) fn read_data(settings: &GeoipSettings) -> anyhow::Result<GeoData> {
    let data = geoip::read_origins(&settings.origins(), settings.reconciliation())?;
    if let Some(first) = data.contradictions().next() {
        let others = data.contradictions().count() - 1;
        warn(format_args!("warning: {first}"));
        if others > 0 {
            warn(format_args!(
                "warning: {others} more ranges contradict each other like that"
            ));
        }
    }
    for reading in &data.readings {
        if let Some(rows) = reading.set_aside.get(&SetAside::Unlisted) {
            warn(format_args!(
                "warning: {}: {rows} rows have two letters for a country that are no country's code; they count for nothing",
                reading.source.source
            ));
        }
    }
    Ok(data)
}

/// A country that the policy names and no data knows, or several: that would be a block that blocks nothing, or an
/// admission of nobody.
pub(in super::super) struct Missing {
    /// Where they are named; nowhere on the command line.
    pub(in super::super) location: Option<Location>,
    pub(in super::super) message: String,
    pub(in super::super) remedy: String,
}

impl Missing {
    fn new(
        location: Option<Location>,
        countries: &[Country],
        data: &GeoData,
        advice: &str,
    ) -> Self {
        let sources: Vec<_> = data
            .sources()
            .map(|source| source.source.as_str())
            .collect();
        Self {
            message: format!(
                "the GeoIP data ({}) has no address in {}",
                sources.join(", "),
                super::super::words::countries(countries)
            ),
            remedy: format!("{advice}, or give data that has it with --geoip or [geoip] sources"),
            location,
        }
    }

    fn into_text(self) -> String {
        match self.location {
            Some(location) => Problem {
                location,
                message: self.message,
                remedy: self.remedy,
            }
            .to_string(),
            None => format!("{}; {}", self.message, self.remedy),
        }
    }
}

/// What of the policy the data knows nothing of. Each country that somebody wrote by its code must be there; of a group
/// that is built in, one country must.
pub(in super::super) fn missing(settings: &Settings, data: &GeoData) -> Vec<Missing> {
    const CODE: &str = "check the code";
    let known = Opinions::from(data).countries();
    let mut all = Vec::new();
    for rule in settings.country_rules() {
        let (placed, bare): (Vec<_>, Vec<_>) = rule
            .named
            .iter()
            .filter(|named| !known.contains(&named.value))
            .partition(|named| named.location.is_some());
        for named in &placed {
            let location = named.location.clone();
            all.push(Missing::new(location, &[named.value], data, CODE));
        }
        let bare: Vec<_> = bare.iter().map(|named| named.value).collect();
        if !bare.is_empty() {
            all.push(Missing::new(None, &bare, data, CODE));
        }
        let countries: Vec<_> = rule.rule.countries().iter().copied().collect();
        let none = !countries.is_empty() && !countries.iter().any(|one| known.contains(one));
        if none && placed.is_empty() && bare.is_empty() {
            let location = rule.location.clone();
            all.push(Missing::new(
                location,
                &countries,
                data,
                "name another group",
            ));
        }
    }
    if settings.leaves_countries_to_the_default() {
        let countries = Policy::default().countries;
        let absent: Vec<_> = countries
            .countries()
            .iter()
            .filter(|country| !known.contains(country))
            .copied()
            .collect();
        if !absent.is_empty() {
            all.push(Missing::new(
                None,
                &absent,
                data,
                "say which countries to block",
            ));
        }
    }
    all
}

/// Refuses a policy that names countries which no data knows.
pub(in super::super) fn refuse_countries_without_data(
    settings: &Settings,
    data: &GeoData,
) -> Result<(), Usage> {
    let missing = missing(settings, data);
    if missing.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = missing.into_iter().map(Missing::into_text).collect();
    Err(Usage(texts.join("\n\n")))
}

/// Data of one address family only filters that one: worth a word, because the other is easily forgotten.
pub(in super::super) fn missing_families(policy: &Policy, data: &GeoData) -> Vec<String> {
    let fate = match (policy.unknown, &policy.countries) {
        (Some(Unknown::Pass), _) | (None, CountryRule::Block(_)) => "passes",
        (Some(Unknown::Block), _) | (None, CountryRule::Only(_)) => "is dropped",
    };
    let families = [
        ("IPv4", data.regions.ipv4().is_empty()),
        ("IPv6", data.regions.ipv6().is_empty()),
    ];
    families
        .iter()
        .filter(|(_, missing)| *missing)
        .map(|(family, _)| {
            format!(
                "the GeoIP data has no {family} address: all {family} traffic {fate}; give the file for {family} too \
                 with --geoip or [geoip] sources"
            )
        })
        .collect()
}
