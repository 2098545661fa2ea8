//! Reading GeoIP data in all formats that are read, whole and damaged.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

mod damage;
mod files;
mod mmdb;
mod packing;
mod sources;
mod text;
