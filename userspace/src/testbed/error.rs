//! What can go wrong in the testbed.

use std::io;

use super::generator;
use crate::datapath::DatapathError;

/// An error of the testbed.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The kernel did not let us make or enter a network namespace.
    #[error(
        "{what} a network namespace: {source}; this needs CAP_SYS_ADMIN: run it as root, for example with \
         `sudo`, and in a container with `--privileged`"
    )]
    Namespace {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },

    /// The datapath failed us.
    #[error(transparent)]
    Datapath(#[from] DatapathError),

    /// A frame cannot be built.
    #[error("building a frame of {padding} bytes of padding: {source}; give it less")]
    Frame {
        /// How much it was to be padded with.
        padding: usize,
        /// What is wrong.
        source: etherparse::err::packet::BuildVecWriteError,
    },

    /// Frames went into the wire and came out nowhere.
    #[error(
        "of {sent} frames sent, {arrived} arrived and {dropped} were dropped by the filter; {} are lost: the \
         machine may be too busy, try again",
        .sent.saturating_sub(.arrived + .dropped)
    )]
    Lost {
        /// How many were sent.
        sent: u64,
        /// How many arrived behind the filter.
        arrived: u64,
        /// How many the filter counted as dropped.
        dropped: u64,
    },

    /// The kernel cannot send live frames.
    #[error(
        "this kernel does not send live frames (BPF_F_TEST_XDP_LIVE_FRAMES); that takes Linux 5.18 or newer"
    )]
    NoLiveFrames,

    /// The generator has no or too many source addresses.
    #[error(
        "a generator takes 1 to {} source addresses, and was given {given}",
        generator::MOST_SOURCES
    )]
    Sources {
        /// How many it was given.
        given: usize,
    },

    /// The generator cannot make frames of these lengths.
    #[error(
        "a generator makes frames of 60 bytes and more; of several lengths only for IPv4; and writes anew only those of one \
         length, of 128 bytes at most"
    )]
    Lengths,

    /// The generator of live frames failed.
    #[error("{what} the generator of live frames: {source}")]
    Generator {
        /// What was being done.
        what: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl TestbedError {
    /// An error of a system call while doing `what`.
    pub(super) fn system<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::System {
            what,
            source: source.into(),
        }
    }

    /// An error while doing `what` to a namespace.
    pub(super) fn namespace<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Namespace {
            what,
            source: source.into(),
        }
    }

    /// An error while doing `what` with the generator.
    pub(super) fn generator<E: std::error::Error + Send + Sync + 'static>(
        what: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Generator {
            what,
            source: Box::new(source),
        }
    }
}
