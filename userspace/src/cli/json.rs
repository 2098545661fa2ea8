//! What several verbs print as JSON.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use geodrop::{Counter, datapath::counters::Counters, geoip::Country};
use serde::Serialize;

/// Writes a value for scripts, and for people who look over their shoulder.
pub(super) fn write(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}

/// What a filter has counted. Scripts rely on the names.
#[derive(Debug, Serialize)]
pub(super) struct CountersReport {
    /// Packets dropped, by the country of their source.
    pub(super) counters: BTreeMap<Country, Count>,
    /// Packets that passed, those told apart by country not among them.
    pub(super) passed: Count,
    /// Packets that passed, by the country of their source, where the policy counts all.
    pub(super) passed_by_country: BTreeMap<Country, Count>,
    /// Packets that passed because they answer what this host began.
    pub(super) replies: Count,
    pub(super) denied: u64,
    pub(super) malformed: u64,
    pub(super) non_ip: u64,
    pub(super) unknown: u64,
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Count {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl From<Counter> for Count {
    fn from(Counter { packets, bytes }: Counter) -> Self {
        Self { packets, bytes }
    }
}

impl From<&Counters> for CountersReport {
    fn from(counters: &Counters) -> Self {
        let Counters {
            passed,
            denied,
            malformed,
            non_ip,
            unknown,
            replies,
            countries,
            admitted,
        } = counters;
        let by_country = |counters: &BTreeMap<Country, Counter>| {
            let counters = counters.iter();
            counters
                .map(|(country, counter)| (*country, (*counter).into()))
                .collect()
        };
        Self {
            counters: by_country(countries),
            passed: (*passed).into(),
            passed_by_country: by_country(admitted),
            replies: (*replies).into(),
            denied: denied.packets,
            malformed: malformed.packets,
            non_ip: non_ip.packets,
            unknown: unknown.packets,
        }
    }
}
