//! Fetching GeoIP data from servers that misbehave, and judging what comes.

#![cfg(feature = "update")]
// Whatever fails here is a failed test.
#![allow(clippy::unwrap_used)]

mod command;
mod fetching;
mod judging;
mod providers;
mod server;
