//! Metrics for Prometheus: what `geodrop status` says, as numbers.
//!
//! - [`families`]: what there is, a table.
//! - [`Snapshot`]: what the kernel says at an instant, and the process that looks after filters.
//! - [`text`]: it as text, in the format of `OpenMetrics` or in that of Prometheus before it.
//! - [`Service`]: a thread that answers those who scrape, and writes a file for those who read one.
//!
//! Nothing is remembered between two scrapes: the counters are the kernel's own, so that they outlive every process of
//! ours. What has no bound, such as addresses and ports, is no label.

mod endpoint;
pub mod families;
mod file;
mod samples;
mod service;
mod snapshot;
pub mod text;

pub use samples::{Sample, Value};
pub use service::{Prepared, Report, Service};
pub use snapshot::{Snapshot, Work};

use std::{io, net::SocketAddr, path::PathBuf};

/// Why metrics cannot be exposed.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Nobody could connect.
    #[error(
        "metrics cannot be served at {address}: {source}; name another address and port with --metrics, or end what uses this \
         one (`ss -ltnp` lists it)"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },

    /// The file cannot be written.
    #[error(
        "metrics cannot be written to {}: {source}; name a file in a directory that this process may write to with \
         --metrics-file (under the systemd unit, one that `RuntimeDirectory` or `ReadWritePaths` names)", path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// No thread.
    #[error(
        "starting the thread that serves metrics: {0}; the machine may have no room for another one"
    )]
    Thread(#[source] io::Error),
}
