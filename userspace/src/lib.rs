//! geodrop drops network traffic by region, at the first place in Linux where software sees a packet.
//!
//! The rooms of this library follow an address on its way from a file to a verdict:
//!
//! ```text
//! GeoIP file ──geoip──▶ Regions ──policy──▶ Ruleset ──table──▶ table entries ──datapath──▶ running filter
//! ```

// What tests here and of the binary share says `geodrop`.
#[cfg(test)]
extern crate self as geodrop;

pub mod datapath;
pub mod demo;
pub mod export;
pub mod geoip;
pub mod guard;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod policy;
pub mod range;
#[cfg(all(test, feature = "metrics"))]
#[path = "../tests/running/mod.rs"]
mod running;
pub mod table;
pub mod testbed;
#[cfg(feature = "top")]
pub mod top;
pub mod update;
pub mod warnings;

pub use geodrop_common::{Action, Class, Counter, Entry, Rule, Slot, reach::Reach, sketch};
