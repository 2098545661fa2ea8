//! What `geodrop-bench program` found, as it prints it.
//!
//! [`Report`] is the part `program` of a [document](crate::document): each field is a name in it. Scripts rely on the names.

use serde::{Deserialize, Serialize};

use crate::{
    filters::Setting,
    measure::{Estimate, Rounds},
};

/// All that was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// What one packet costs, again and again the same: a row for each family, packet and setting.
    pub paths: Vec<Row>,
    /// What noting the flow of a packet costs that this host sends, again and again the same: a row for each family and packet.
    /// A filter that judges by address alone has nothing there.
    pub egress: Vec<Row>,
    /// What each packet of a flood from tens of thousands of blocked addresses costs on one core, with what it costs to make and
    /// to receive it: a row for each family and setting.
    pub floods: Vec<Row>,
}

/// What a packet costs under a setting. Times are nanoseconds; an interval holds the true median with a probability of
/// at least 95 %.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// What packet it is.
    pub packet: String,
    /// What the filter does.
    pub setting: String,
    /// Whether the program was loaded with `CAP_PERFMON`.
    pub perfmon: bool,
    /// Whether the packet passes.
    pub passes: bool,
    /// The whole.
    pub ns: f64,
    /// The interval of `ns`.
    pub interval: [f64; 2],
    /// How much more that is than of a program that drops the packet unseen.
    pub over_reference_ns: f64,
    /// The interval of `over_reference_ns`.
    pub over_reference_interval: [f64; 2],
    /// How much more that is than of a filter that judges by address alone.
    pub over_addresses_ns: f64,
    /// The interval of `over_addresses_ns`.
    pub over_addresses_interval: [f64; 2],
    /// Of how many rounds the figures are medians.
    pub rounds: usize,
}

/// What rows have in common.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The family's name.
    pub family: &'static str,
    /// The packet's name.
    pub packet: &'static str,
    /// Whether programs were loaded with `CAP_PERFMON`.
    pub perfmon: bool,
}

impl Row {
    /// The rows of settings, of which the first is the reference, and `addresses` the place of the one that judges by address
    /// alone.
    #[must_use]
    pub fn of(
        case: Case,
        settings: &[Setting],
        addresses: usize,
        passes: impl Fn(Setting) -> bool,
        rounds: &Rounds,
    ) -> Vec<Self> {
        let row = |(place, setting): (usize, Setting)| {
            let estimate = |less: Option<usize>| {
                let of = |times: &[f64]| times[place] - less.map_or(0.0, |less| times[less]);
                let Estimate { median, low, high } = rounds.estimate(of);
                (median, [low, high])
            };
            let (ns, interval) = estimate(None);
            let (over_reference_ns, over_reference_interval) = estimate(Some(0));
            let (over_addresses_ns, over_addresses_interval) = estimate(Some(addresses));
            Self {
                family: case.family.to_owned(),
                packet: case.packet.to_owned(),
                setting: setting.name().to_owned(),
                perfmon: case.perfmon,
                passes: passes(setting),
                ns,
                interval,
                over_reference_ns,
                over_reference_interval,
                over_addresses_ns,
                over_addresses_interval,
                rounds: rounds.count(),
            }
        };
        settings.iter().copied().enumerate().map(row).collect()
    }
}
