//! What goes wrong with fetching, in words that say what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::REDIRECTS;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct FetchError {
    /// What was asked for, without its query.
    pub url: String,
    /// What went wrong.
    pub problem: FetchProblem,
}

/// What goes wrong with fetching.
#[derive(Debug, thiserror::Error)]
pub enum FetchProblem {
    /// The host's name leads nowhere.
    #[error(
        "the host is not found; is its name right, is there a network, does it take a proxy (https_proxy)?"
    )]
    HostNotFound,
    /// The connection failed, or broke.
    #[error("{0}")]
    Connection(String),
    /// The server's certificate is not one to trust.
    #[error(
        "the server's certificate is not trusted: {0}; is the clock right? Behind a proxy that opens TLS, give its \
         certificate with --ca"
    )]
    Certificate(rustls::Error),
    /// The system has no certificates to trust in.
    #[error(
        "no certificate to trust is on this system; install ca-certificates, or give a file of them with --ca"
    )]
    NoCertificates,
    /// It takes too long to begin, or stands still.
    #[error("the server is too slow, or silent: {0}")]
    Slow(String),
    /// All attempts together take too long.
    #[error("it takes more than {} minutes", .0.as_secs().div_ceil(60))]
    TooLong(Duration),
    /// The file ends too early.
    #[error("the connection ended after {here} bytes{}", of(*.length))]
    CutShort {
        /// How much came.
        here: u64,
        /// How much there is, if the server said so.
        length: Option<u64>,
    },
    /// The file is larger than any of countries.
    #[error("more than {} MiB: too much for a file of countries; is this the right file?", .0 >> 20)]
    TooLarge(u64),
    /// The server wants to be left alone.
    #[error("the server is asked too often{}; try again later", of_wait(*.0))]
    TooOften(Option<Duration>),
    /// The server does not know whom it talks to, or does not like it.
    #[error(
        "the server refuses (HTTP {0}); is the key right, and does the account include this file?"
    )]
    Denied(u16),
    /// There is no such file.
    #[error("there is no such file (HTTP {0}); has its provider moved it?")]
    NotFound(u16),
    /// The server answers something else.
    #[error("the server answers HTTP {0}")]
    Status(u16),
    /// One redirect leads to the next.
    #[error("redirected more than {REDIRECTS} times, perhaps in a circle")]
    Redirects,
    /// A redirect leads to where everybody can read and change what is sent.
    #[error("redirected to an address without TLS, which is not followed")]
    Unencrypted,
    /// What arrives cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

fn of(length: Option<u64>) -> String {
    length.map_or_else(String::new, |length| format!(" of {length}"))
}

fn of_wait(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |wait| {
        format!(" and wants {} s of rest", wait.as_secs())
    })
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file has no certificate.
    #[error("{} has no certificate in it; give a file in PEM, with -----BEGIN CERTIFICATE-----", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
}

/// A problem, and whether it may go away.
pub(super) struct Failure {
    pub(super) problem: FetchProblem,
    pub(super) again: Again,
}

/// When it may be tried again.
pub(super) enum Again {
    Never,
    Soon,
    After(Duration),
}

impl FetchProblem {
    /// It does not get better.
    pub(super) fn for_good(self) -> Failure {
        Failure {
            problem: self,
            again: Again::Never,
        }
    }

    /// It may get better.
    pub(super) fn for_now(self) -> Failure {
        Failure {
            problem: self,
            again: Again::Soon,
        }
    }
}

/// What went wrong with TLS.
pub(super) fn of_tls(error: rustls::Error) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(_) => FetchProblem::Certificate(error).for_good(),
        rustls::Error::General(text) if text.contains("No CA certificates") => {
            FetchProblem::NoCertificates.for_good()
        }
        error => FetchProblem::Connection(error.to_string()).for_now(),
    }
}

/// What arrives cannot be written.
pub(super) fn unwritten(path: &Path, source: io::Error) -> Failure {
    FetchProblem::Write {
        path: path.to_owned(),
        source,
    }
    .for_good()
}
