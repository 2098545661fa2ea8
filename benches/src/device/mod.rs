//! What packets cost in a device: frames through a veth pair into a filter, beside all else that drops packets by their source.
//!
//! ```text
//!     client namespace                          server namespace
//!  Generator ──▶ `client` ═══ veth ═══▶ `server` ─┬─ XDP ─── netdev ingress ─── IP, raw prerouting ─── UDP socket
//!                                                 └─▶ dropped at one of these, by what is compared
//! ```
//!
//! - [`case`](mod@case): which packets, and how many of them are blocked.
//! - [`blocked`]: a policy as all that are compared are given it: the same prefixes.
//! - [`contestant`]: what is compared, and [`rig`]: a pair with one of them set up in it.
//! - [`nftables`], [`ipset`] and [`xdp_filter`]: what others drop packets with; [`tool`] runs their commands.
//! - [`turns`]: a case, measured with all of them; [`ledger`]: what became of every packet.
//! - [`flood`]: what a peer that is not blocked still gets while blocked addresses flood the host.
//! - [`start`]: how long it takes to be set up and to be replaced, and what memory it takes.
//! - [`report`]: what was found; [`goals`]: what was to be.
//!
//! Each contestant has a pair of its own, and stays set up in it for as long as a table is measured: they take turns by sending
//! to the one and the other, and a table of half a million prefixes is loaded once. Only XDP programs of ours are attached for
//! their turn, as the kernel's way to an XDP program grows with how many are attached anywhere.
//!
//! Frames are made, sent, received and dropped on one core, a batch after the other, so a packet's time is the sum of all that;
//! what making frames takes is measured alone, in the same rounds.

pub mod blocked;
pub mod case;
pub mod contestant;
pub mod flood;
pub mod goals;
pub mod ipset;
pub mod ledger;
pub mod nftables;
pub mod report;
pub mod rig;
pub mod start;
pub mod tool;
pub mod turns;
pub mod xdp_filter;
