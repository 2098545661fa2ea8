//! What `geodrop top` shows: how much traffic filters drop and let pass, lately, and who sends most of what drops.
//!
//! - [`Traffic`]: what the counters of a filter say over time.
//! - [`Estimates`]: sources and ports of what drops, from the sample of packets that [`watch`](crate::datapath::watch) hands over,
//!   in bounded memory ([`HeavyHitters`]).
//! - [`Sampling`]: what takes that sample.
//!
//! Nothing in here knows a terminal.

mod estimates;
mod heavy_hitters;
mod sampling;
mod traffic;

use std::time::Instant;

pub use estimates::{Estimate, Estimates, Sender, Target};
pub use heavy_hitters::{HeavyHitters, Hitter};
pub use sampling::Sampling;
pub use traffic::{Category, HISTORY, Rate, Series, Traffic};

use crate::datapath::status::{Running, Status};

/// All filters, and what has become of their traffic.
#[derive(Clone, Debug, Default)]
pub struct Top {
    /// One for each filter.
    pub filters: Vec<Filter>,
    /// What is not as it should be, each with its remedy.
    pub warnings: Vec<String>,
}

/// A filter, and what has become of its traffic.
#[derive(Clone, Debug)]
pub struct Filter {
    /// What was read of it last.
    pub running: Running,
    /// What it drops and lets pass.
    pub traffic: Traffic,
    /// Who sends most of what it drops.
    pub estimates: Estimates,
    /// Why nobody knows who that is; `None` if it is known.
    pub unsampled: Option<String>,
}

impl Top {
    /// Takes up what was read at an instant: filters that are new, those that went on, and that some are there no more.
    pub fn sample(&mut self, at: Instant, status: Status) {
        let mut before = std::mem::take(&mut self.filters);
        self.warnings = status.warnings;
        for running in status.running {
            let is_it = |filter: &Filter| filter.running.interface.index == running.interface.index;
            let filter = match before.iter().position(is_it) {
                Some(place) => {
                    let mut filter = before.swap_remove(place);
                    filter.traffic.sample(at, &running.counters);
                    Filter { running, ..filter }
                }
                None => Filter {
                    traffic: Traffic::begin(at, &running.counters),
                    estimates: Estimates::default(),
                    unsampled: None,
                    running,
                },
            };
            self.filters.push(filter);
        }
        self.filters.sort_by(|one, other| {
            one.running
                .interface
                .name
                .cmp(&other.running.interface.name)
        });
    }
}
