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
    pub(super) passed: Count,
    pub(super) denied: u64,
    pub(super) malformed: u64,
    pub(super) non_ip: u64,
    pub(super) unknown: u64,
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Serialize)]
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
            countries,
        } = counters;
        Self {
            counters: countries
                .iter()
                .map(|(country, counter)| (*country, (*counter).into()))
                .collect(),
            passed: (*passed).into(),
            denied: denied.packets,
            malformed: malformed.packets,
            non_ip: non_ip.packets,
            unknown: unknown.packets,
        }
    }
}
