//! One file for each verb of `cargo xtask`.

pub(crate) mod alerts;
pub(crate) mod bench;
pub(crate) mod book;
pub(crate) mod build;
pub(crate) mod build_ebpf;
pub(crate) mod demo;
pub(crate) mod dist;
pub(crate) mod fuzz;
pub(crate) mod lint;
pub(crate) mod manifests;
pub(crate) mod miri;
pub(crate) mod setup;
pub(crate) mod snapshot;
pub(crate) mod test;
pub(crate) mod whole_files;
