//! What answers what: the replies that flows of this host let in, and what a refused packet is told. Rows of packets
//! as etherparse writes them, and any bytes at all.

// Whatever fails here is a failed test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot build its packets has failed"
)]

mod any;
mod flow;
mod refusal;
mod wire;
