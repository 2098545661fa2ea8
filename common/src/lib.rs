//! What both sides of the kernel boundary share.
//!
//! A packet's way through this crate, in the kernel as in a test:
//!
//! ```text
//! bytes ──frame::Frame──▶ source::of ──▶ Source ──table::Table──▶ Class ──class::Entry──▶ Judgement
//! ```
//!
//! Everything that decides a packet's fate stands here once, over two small traits: [`Frame`] (bytes that
//! can be read at an offset) and [`Table`] (a class for an address). The kernel program implements them over
//! the packet and the BPF maps; tests, fuzzers and benches implement them over slices. What is tested is
//! what runs.
//!
//! The other half of the crate is the layouts that the kernel program and the loader agree on: [`class`]
//! and [`counter`].
#![no_std]

pub mod address;
mod checksum;
pub mod class;
pub mod control;
pub mod counter;
pub mod flow;
pub mod frame;
pub mod judgement;
pub mod multibit;
pub mod ports;
pub mod rate_limit;
pub mod reach;
pub mod refusal;
pub mod report;
pub mod sketch;
pub mod source;
pub mod table;
pub mod transport;
pub mod watch;

pub use class::{Action, Class, Entry, Rule};
pub use counter::{Counter, Slot};
pub use frame::Frame;
pub use judgement::{Judgement, Rules, judge, judge_source};
pub use source::Source;
pub use table::Table;
