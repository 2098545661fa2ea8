//! The only room that talks to the kernel: loads, attaches, replaces, pins, adopts and reads filters.
//!
//! - [`generation`]: a program with its filled tables.
//! - [`engine`]: the engine of its tables, and what to do where the kernel does not take it.
//! - [`filter`]: generations on interfaces, all or nothing.
//! - [`pins`]: where they live under the bpf file system, and who looks after them.
//! - [`reload`]: how whoever looks after a filter is asked to make it anew.
//! - [`status`]: what is running, read back from the kernel.
//! - [`standby`]: filters for interfaces that are not there yet, or have gone.
//! - [`trial`]: generations that give way to the one before unless they are confirmed.
//! - [`counters`], [`about`]: what a filter has counted, and what it was made of.
//! - [`report`]: whom it would affect, while it only counts.
//! - [`watch`]: the packets that it drops, as they come.
//! - [`replica`]: what a running filter makes of a packet.
//! - [`exceptions`]: what is decided for single addresses while it runs.
//! - [`link_events`]: when interfaces appear, go, or change.
//! - `egress`: the program that notes what this host begins; `clsact`: where it is before Linux 6.6.
//! - `link`, [`interface`], `tables`, [`image`], [`fill`], `layout`, `brief`, `cell`, `draft`, `sys`: what these stand on.

pub mod abandoned;
pub mod about;
mod brief;
mod cell;
pub mod clock;
mod clsact;
mod control;
pub mod counters;
mod draft;
mod egress;
pub mod engine;
mod error;
pub mod exceptions;
pub mod fill;
pub mod filter;
pub mod generation;
mod hook;
pub mod image;
pub mod interface;
mod layout;
mod link;
pub mod link_events;
pub(crate) mod netlink;
pub mod object;
pub mod pins;
pub(crate) mod privileges;
pub mod reload;
pub mod replica;
pub mod report;
mod staging;
pub mod standby;
pub mod status;
mod sys;
mod tables;
pub mod trial;
pub mod watch;

pub use egress::EgressChoice;
pub use engine::EngineChoice;
pub use error::DatapathError;
pub use link::{Link, ModeChoice, NewLink};

pub use crate::policy::config::Hook;
