//! What the kernel programs log.

use std::io::{self, Write as _};

use anyhow::Context as _;
use aya_log::EbpfLogger;
use geodrop::datapath::filter::Filter;

/// Sets up where it goes.
pub(super) fn start() -> anyhow::Result<()> {
    log::set_logger(&PacketLog).context("setting up the log")?;
    log::set_max_level(log::LevelFilter::Debug);
    Ok(())
}

/// The logs of filters.
#[derive(Default)]
pub(super) struct Logs(Vec<EbpfLogger<&'static dyn log::Log>>);

impl Logs {
    /// Opens them.
    pub(super) fn of(filters: &mut [Filter]) -> anyhow::Result<Self> {
        let mut logs = Self::default();
        for filter in filters {
            logs.add(filter)?;
        }
        Ok(logs)
    }

    /// Opens that of one more filter.
    pub(super) fn add(&mut self, filter: &mut Filter) -> anyhow::Result<()> {
        self.0.push(filter.generation.logger()?);
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prints what was logged since the last time.
    pub(super) fn flush(&mut self) {
        for logger in &mut self.0 {
            logger.flush();
        }
    }
}

/// Where the kernel program's log goes: standard error, a line a packet.
struct PacketLog;

impl log::Log for PacketLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("filter") || metadata.target().starts_with("geodrop")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = writeln!(io::stderr(), "{}", record.args());
        }
    }

    fn flush(&self) {}
}
