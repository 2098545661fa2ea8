//! geodrop drops network traffic by region, at the first place in Linux where software sees a packet.
//!
//! The rooms of this library follow an address on its way from a file to a verdict:
//!
//! ```text
//! GeoIP file ──geoip──▶ Regions ──policy──▶ Ruleset ──table──▶ table entries ──datapath──▶ running filter
//! ```

pub mod datapath;
pub mod demo;
pub mod export;
pub mod geoip;
pub mod guard;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod policy;
pub mod range;
pub mod table;
pub mod testbed;
#[cfg(feature = "top")]
pub mod top;
pub mod update;
pub mod warnings;

pub use geodrop_common::{Action, Class, Counter, Entry, Rule, Slot, reach::Reach, sketch};
