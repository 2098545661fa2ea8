//! What is not as it should be with filters in force, each thing with its remedy.
//!
//! `geodrop status` and `geodrop top` tell it to people, and its number is a metric.

use std::path::Path;

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    datapath::{
        about::GeoipSource,
        reload::Failure,
        status::{Enforcement, Running, Status},
    },
    update::store::{Grounds, History},
};

/// From how many days on data is too old to go by. A month is what `geodrop geoip info` calls old.
const TOO_OLD: i32 = 180;

/// The data that filters were made from, each source once.
#[must_use]
pub fn sources(running: &[Running]) -> Vec<GeoipSource> {
    let mut sources: Vec<GeoipSource> = Vec::new();
    for source in running.iter().flat_map(|one| &one.about.geoip) {
        if !sources.contains(source) {
            sources.push(source.clone());
        }
    }
    sources
}

/// How many days old a source's data is; `None` if it does not say what day it is of.
#[must_use]
pub fn age(source: &GeoipSource, now: Timestamp) -> Option<i32> {
    let today = now.to_zoned(TimeZone::UTC).date();
    Some(source.date?.until(today).ok()?.get_days())
}

/// All that is to be said of filters and their data at this instant.
#[must_use]
pub fn all(status: &Status, now: Timestamp) -> Vec<String> {
    let mut warnings = status.warnings.clone();
    warnings.extend(status.running.iter().flat_map(|one| of_filter(one, now)));
    for source in sources(&status.running) {
        warnings.extend(refused(&source));
        warnings.extend(too_old(&source, now));
    }
    warnings
}

fn of_filter(running: &Running, now: Timestamp) -> Vec<String> {
    let name = &running.interface.name;
    let about = &running.about;
    let mut warnings = Vec::new();
    if running.enforcement(now) == Enforcement::Lapsed {
        warnings.push(format!(
            "{name}: nobody confirmed the policy in time, so it filters nothing any more; attach it again, with a longer \
             --confirm, or take the rest away with `geodrop detach -i {name}`"
        ));
    }
    if let Some(Failure { at, why }) = &running.failure {
        warnings.push(format!(
            "{name}: the last reload failed at {at:.0}, and what was in force before stays; mend this, and reload again: {why}"
        ));
    }
    if about.attended && running.owner.is_none() {
        let attach = match &about.config {
            Some(config) => format!("`geodrop attach --config {}`", config.display()),
            None => "`geodrop attach` and the options that it had".to_owned(),
        };
        warnings.push(format!(
            "{name}: the `geodrop run` that looked after the filter has ended; the filter stays, but nobody reloads it, or \
             puts it back on an interface that returns: start it again (`systemctl start geodrop`), or let it stand alone \
             with {attach}"
        ));
    }
    warnings
}

/// What is to be said of data that was fetched for a source in force, and refused.
fn refused(source: &GeoipSource) -> Option<String> {
    let history = History::of_current(Path::new(&source.source))?;
    let (kept, refusal) = match history.refused() {
        Ok(refused) => refused?,
        Err(error) => return Some(error.to_string()),
    };
    let remedy = match refusal.grounds {
        Grounds::RolledBack => "a newer one is taken by itself",
        Grounds::Implausible => {
            "look at it with `geodrop geoip diff`; `geodrop geoip update --accept` takes it"
        }
        Grounds::Unreadable => "has its provider changed something?",
    };
    let day = refusal.at.strftime("%F");
    let why = refusal.why.first().map_or("", String::as_str);
    let more = match refusal.why.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more reasons)"),
    };
    Some(format!(
        "newer data for {} was refused on {day}: {why}{more}; it is in {}; {remedy}",
        source.source,
        kept.path.display()
    ))
}

fn too_old(source: &GeoipSource, now: Timestamp) -> Option<String> {
    let days = age(source, now).filter(|days| *days > TOO_OLD)?;
    let name = &source.source;
    let remedy = match History::of_current(Path::new(name)) {
        Some(_) => "`systemctl status geodrop-update` says why it is not kept fresh",
        None => "`geodrop geoip update` fetches newer data, which the policy then has to name",
    };
    Some(format!(
        "the data of {name} is {days} days old, and addresses move; {remedy}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(date: Option<&str>) -> GeoipSource {
        GeoipSource {
            source: "world.csv".to_owned(),
            date: date.map(|date| date.parse().unwrap()),
        }
    }

    #[test]
    fn data_is_too_old_after_half_a_year() {
        let now: Timestamp = "2026-07-01T12:00:00Z".parse().unwrap();
        for (date, days, warns) in [
            (Some("2026-07-01"), Some(0), false),
            (Some("2026-01-02"), Some(180), false),
            (Some("2026-01-01"), Some(181), true),
            (Some("2024-01-01"), Some(912), true),
            // Clocks go wrong.
            (Some("2027-01-01"), Some(-184), false),
            (None, None, false),
        ] {
            let source = source(date);
            assert_eq!(age(&source, now), days, "{date:?}");
            let warning = too_old(&source, now);
            assert_eq!(warning.is_some(), warns, "{date:?}");
            assert!(warning.is_none_or(|text| text.contains("`geodrop geoip update`")));
        }
    }
}
