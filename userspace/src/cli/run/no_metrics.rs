//! In the place of `metrics` in a geodrop that was built without them.

use clap::Args;
use geodrop::policy::config::MetricsSettings;

use super::Arguments;
use crate::cli::Usage;

/// Nowhere.
#[derive(Debug, Args)]
pub(super) struct Options {}

/// None.
pub(super) struct Metrics;

/// What a configuration without them wants.
pub(super) struct Nothing;

impl Metrics {
    pub(super) const fn new(_arguments: &Arguments) -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as those that there are")]
    pub(super) fn prepare(&self, configured: &MetricsSettings) -> Result<Nothing, Usage> {
        if *configured == MetricsSettings::default() {
            return Ok(Nothing);
        }
        Err(Usage(
            "this geodrop was built without metrics; leave `metrics` and `metrics_file` out of the configuration, or build it with \
             the cargo feature `metrics`"
                .to_owned(),
        ))
    }

    #[expect(clippy::unused_self, reason = "as those that there are")]
    pub(super) const fn adopt(&mut self, _nothing: Nothing) {}

    #[expect(clippy::unused_self, reason = "as those that there are")]
    pub(super) const fn note_reload(&self, _succeeded: bool) {}

    #[expect(clippy::unused_self, reason = "as those that there are")]
    pub(super) fn note_interfaces<'a>(&self, _names: impl Iterator<Item = &'a String>) {}
}
