//! Reading GeoIP data in all formats that are read, whole and damaged.

// Whatever fails here is a failed test.
#![allow(clippy::unwrap_used)]

mod damage;
mod files;
mod mmdb;
mod packing;
mod sources;
mod text;
