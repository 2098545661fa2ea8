//! Filters on a host: the command's verbs, the kernel, and real packets through a veth. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

mod abandoned;
#[cfg(all(feature = "metrics", feature = "top"))]
mod alike;
mod clock;
mod clsact;
mod container;
mod crashes;
#[cfg(all(feature = "metrics", feature = "top"))]
mod documents;
mod engines;
mod exceptions;
mod failures;
mod guard;
mod hitless;
mod host;
mod interfaces;
mod life;
mod log;
mod lookup_running;
#[cfg(all(feature = "metrics", feature = "top"))]
mod machine;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(all(feature = "metrics", feature = "top"))]
mod package;
mod policy;
mod privileges;
#[cfg(feature = "metrics")]
mod prometheus;
mod reject;
mod reload;
mod replies;
mod report;
mod service;
mod status;
mod tcx;
#[cfg(feature = "top")]
mod top;
mod trial;
mod update;
mod watch;
