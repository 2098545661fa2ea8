//! Keeping GeoIP data fresh: fetch it, judge it, and put it where filters read it.
//!
//! ```text
//! provider ──fetch──▶ incoming/ ──read, judge──▶ generations/8 ◀── current, which policies name
//!                                     └────────▶ refused/9, and why
//! ```
//!
//! - A [`Feed`](feed::Feed) is what is fetched together: the files of a provider that are one source of data. [`providers`] is the
//!   table of those that are known by name.
//! - [`fetch`] gets a file over HTTPS, however the server misbehaves: the same bytes that it has, or an error.
//! - [`store`] keeps what was fetched. What is in force changes by the switch of one symbolic link, so whoever reads it finds
//!   the data before or the data after.
//! - [`Updater`](updater::Updater) does one after the other. It needs no privileges but to write to its directory, which a
//!   filter's process only reads: nothing that talks to the network runs as root, and nothing that talks to the kernel
//!   fetches.
//!
//! New data has to be read whole, and must be plausible against the data in force
//! ([`plausible`](crate::geoip::plausible)). Only a person overrides the second, nobody the first.
//!
//! Without the cargo feature `update` there is [`store`] alone: what was fetched can be looked at and rolled back, and no
//! HTTP client is in the program.

#[cfg(feature = "update")]
mod checksum;
#[cfg(feature = "update")]
pub mod credentials;
#[cfg(feature = "update")]
pub mod feed;
#[cfg(feature = "update")]
pub mod fetch;
#[cfg(feature = "update")]
pub mod providers;
pub mod store;
#[cfg(feature = "update")]
pub mod updater;
