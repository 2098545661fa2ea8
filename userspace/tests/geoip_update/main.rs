//! Fetching GeoIP data from servers that misbehave, and judging what comes.

#![cfg(feature = "update")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot have what it needs has failed"
)]

mod command;
mod fetching;
mod judging;
mod providers;
mod server;
