//! Measures what blocking by region costs.
//!
//! A figure is made of these, each in a file of its own:
//!
//! - [`tables`]: what is looked up in. CN, HK and MO, the whole world, or so many [`synthetic`] prefixes.
//! - [`traffic`]: which addresses are looked up, the same ones in every run.
//! - [`kernel`]: how long the kernel takes for a number of lookups, and for all else that a run of the same
//!   program does: the baseline. [`privilege`] is what its programs are loaded with.
//! - [`measure`]: what many such times say: medians and their intervals, of costs, differences and ratios.
//! - [`costs`]: what a lookup costs, and how that compares with the kernel's trie; [`goals`]: how it should.
//! - [`built`]: a table laid out for an engine, how long it takes to get into the kernel, and what memory it takes there.
//! - [`lookup`]: all of it, as `geodrop-bench lookup` tells it.
//!
//! What a whole packet costs, rather than a lookup:
//!
//! - [`filters`]: the filter as policies set it; [`path`]: packets, each of which takes another way through it.
//! - [`program`]: what they cost, as `geodrop-bench program` tells it.
//! - [`device`]: what packets cost in a device, beside others' filters.
//!
//! What was found is a [`document`], which [`render`] shows to people, and [`compare`] holds against another.
//!
//! [`family`] names what differs between IPv4 and IPv6, [`machine`] what machine this is, and [`call`] how a bench
//! was called.
//!
//! Two stand on this library: the program `geodrop-bench`, and the benches of `cargo bench`, each described at the
//! head of its file in `benches/`. Results of whole runs are kept in `runs/`.

pub mod basis;
pub mod built;
pub mod call;
pub mod compare;
pub mod costs;
pub mod device;
pub mod document;
pub mod family;
pub mod filters;
pub mod goals;
pub mod kernel;
pub mod lookup;
pub mod machine;
pub mod measure;
pub mod path;
pub mod privilege;
pub mod program;
pub mod render;
pub mod synthetic;
pub mod tables;
mod test_run;
pub mod traffic;
