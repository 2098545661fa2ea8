//! Measures what blocking by region costs.
//!
//! A figure is made of four things, each in a file of its own:
//!
//! - [`tables`]: what is looked up in. CN, HK and MO, or the whole world.
//! - [`traffic`]: which addresses are looked up, the same ones in every run.
//! - [`kernel`]: how long the kernel takes for a number of lookups, and for all else that a run of the same
//!   program does: the baseline.
//! - [`measure`]: what many such times say: medians and their intervals, of costs, differences and ratios.
//!
//! [`family`] names what differs between IPv4 and IPv6, and [`call`] how a bench was called.
//!
//! The benches of `cargo bench` stand on this library, each described at the head of its file:
//! `benches/kernel_lookup.rs` and `benches/start.rs`. Results of whole runs are kept in `runs/`.

pub mod call;
pub mod family;
pub mod kernel;
pub mod measure;
pub mod tables;
pub mod traffic;
