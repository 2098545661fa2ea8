//! What a run exposes of its filters and its work.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use clap::Args;
use geodrop::{
    metrics::{MetricsError, Prepared, Service},
    policy::config::{METRICS_ADDRESS, MetricsSettings, socket_address},
};
use jiff::Timestamp;

use super::Arguments;
use crate::cli::warn;

/// Where metrics go.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Serve metrics for Prometheus under /metrics at this address and port; 127.0.0.1:9469, if none is named
    #[arg(
        long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = METRICS_ADDRESS,
        value_parser = socket_address
    )]
    metrics: Option<SocketAddr>,

    /// Write metrics to this file every 15 seconds, for the textfile collector of Prometheus: it is to end with .prom
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
}

/// The metrics of a run.
pub(super) struct Metrics {
    flags: MetricsSettings,
    service: Service,
}

impl Metrics {
    pub(super) fn new(arguments: &Arguments) -> Self {
        let Options {
            metrics,
            metrics_file,
        } = &arguments.metrics;
        Self {
            flags: MetricsSettings {
                address: *metrics,
                file: metrics_file.clone(),
            },
            service: Service::new(arguments.filter.pins.root(), |problem| warn(problem)),
        }
    }

    /// Gets ready what the configuration and the flags want; `None` if it is what is exposed already.
    pub(super) fn prepare(
        &self,
        configured: &MetricsSettings,
    ) -> Result<Option<Prepared>, MetricsError> {
        let settings = self.flags.clone().over(configured);
        let public = settings
            .address
            .filter(|address| !address.ip().is_loopback());
        let prepared = self.service.prepare(settings)?;
        if let (Some(address), Some(_)) = (public, &prepared) {
            warn(format_args!(
                "warning: whoever can connect to {address} can read the metrics there, for there is no password; let nobody \
                 but your Prometheus connect, or serve them at {METRICS_ADDRESS}"
            ));
        }
        Ok(prepared)
    }

    /// What is in force came into force with these.
    pub(super) fn adopt(&mut self, prepared: Option<Prepared>) {
        if let Some(prepared) = prepared {
            self.service.adopt(prepared);
        }
        self.service
            .note(|work| work.succeeded_at = Some(Timestamp::now()));
    }

    pub(super) fn note_reload(&self, succeeded: bool) {
        self.service.note(|work| {
            let count = if succeeded {
                &mut work.reloaded
            } else {
                &mut work.failed
            };
            *count += 1;
        });
    }

    pub(super) fn note_interfaces<'a>(&self, names: impl Iterator<Item = &'a String>) {
        let names: BTreeSet<_> = names.cloned().collect();
        self.service
            .note(|work| work.interfaces = names.into_iter().collect());
    }
}
