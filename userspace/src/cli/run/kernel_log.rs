//! What the kernel programs log.

use aya_log::EbpfLogger;
use geodrop::datapath::filter::Filter;

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
