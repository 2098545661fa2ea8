//! How a process that looks after filters is asked to make them anew, and how it answers.
//!
//! Both stand as notes beside the filter. Whoever wants a reload pins a request and sends SIGHUP; the process takes the
//! request up, and when the new generation is in force, or the old one stays because of a failure, it removes the request.
//! What the last failure was is kept until something succeeds.

use std::{fs, net::IpAddr, time::Duration};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::{
    about::About,
    cell,
    error::DatapathError,
    filter::Filter,
    interface::Interface,
    link::Link,
    pins::{Place, Root, remove_pin},
    privileges,
};

/// Why the last reload failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

impl Failure {
    pub(super) fn read(place: &Place) -> Result<Option<Self>, DatapathError> {
        cell::read(&place.failure())
    }
}

/// Why nobody can be asked to reload a filter.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Nobody looks after the filter, so nobody can reload it.
    #[error(
        "no geodrop process looks after the filter on {interface}, so there is none to reload it; `geodrop attach -i \
         {interface} --config {config}` puts a new one in its place in one step, and the counters go on"
    )]
    NoRunner {
        /// The interface.
        interface: String,
        /// The configuration that the filter was read from.
        config: String,
    },

    /// Whoever looks after the filter reads no file.
    #[error(
        "{owner} looks after the filter on {interface} and was started without --config, so there is nothing for it to \
         read anew; stop it, and start `geodrop run --config FILE`, which takes the filter over"
    )]
    NothingToReload {
        /// The interface.
        interface: String,
        /// The process.
        owner: String,
    },
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// For how long the new generation is on trial.
    pub trial: Option<Duration>,
    /// Whether the lock-out guard is overridden.
    pub force: bool,
    /// The sessions of whoever asks: the process that looks after a filter need not be allowed to see them.
    pub sessions: Vec<Session>,
}

/// A session that whoever asks for a reload holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What it is, in words.
    pub name: String,
    /// Its other end.
    pub address: IpAddr,
    /// The number of its protocol in IP headers, and its port at this host.
    pub service: Option<(u8, u16)>,
}

/// A process that looks after the filter of an interface, and makes it anew when asked to.
#[derive(Debug)]
pub struct Runner {
    /// The interface.
    pub interface: Interface,
    /// The process.
    pub process: u32,
    place: Place,
}

impl Runner {
    /// The one of an interface.
    ///
    /// # Errors
    ///
    /// When there is no filter, when nobody looks after it, and when whoever does has nothing to read anew.
    pub fn of(root: &Root, interface: &Interface) -> Result<Self, DatapathError> {
        privileges::check()?;
        let place = root.place(interface)?;
        let name = || interface.name.clone();
        let Some(link) = Link::open(&place.link())? else {
            return Err(DatapathError::NotAttached { interface: name() });
        };
        let about = match place.generation_of(link.info()?.program)? {
            Some(pins) => About::read(&pins.about())?,
            None => About::default(),
        };
        let Some(process) = place.holder() else {
            return Err(ReloadError::NoRunner {
                interface: name(),
                config: about
                    .config
                    .map_or_else(|| "FILE".to_owned(), |path| path.display().to_string()),
            }
            .into());
        };
        if about.config.is_none() || !catches_hangup(process) {
            return Err(ReloadError::NothingToReload {
                interface: name(),
                owner: place.locked_by().unwrap_or_default(),
            }
            .into());
        }
        Ok(Self {
            interface: interface.clone(),
            process,
            place,
        })
    }

    /// Leaves the request. What is to be reloaded together is asked for before [`Self::signal`].
    ///
    /// # Errors
    ///
    /// When it cannot be pinned.
    pub fn ask(&self, request: &Request) -> Result<(), DatapathError> {
        cell::replace(&self.place.request(), request)
    }

    /// Lets the process know that something is asked of it.
    ///
    /// # Errors
    ///
    /// When this process may not, or that one is gone.
    pub fn signal(&self) -> Result<(), DatapathError> {
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        let sent = process.map_or(Err(rustix::io::Errno::SRCH), |process| {
            kill_process(process, Signal::HUP)
        });
        sent.map_err(std::io::Error::from)
            .map_err(DatapathError::system(format!(
                "sending SIGHUP to process {}",
                self.process
            )))
    }

    /// Whether the process is done with what was asked of it.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        !self.place.request().exists()
    }

    /// Whether the process still looks after the filter.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.place.holder() == Some(self.process)
    }

    /// Takes the request back, for one that nobody answers.
    pub fn withdraw(&self) {
        // Answered at the last moment, or gone with the filter: both are fine.
        let _ = remove_pin(&self.place.request());
    }

    /// Why the reload failed; `None` if it did not.
    ///
    /// # Errors
    ///
    /// When that cannot be read.
    pub fn failure(&self) -> Result<Option<Failure>, DatapathError> {
        Failure::read(&self.place)
    }
}

/// A request that this process has taken up.
#[derive(Debug)]
pub struct Asked {
    place: Place,
    /// What it asks for.
    pub request: Request,
}

impl Asked {
    /// Lets whoever asked know that it is done.
    pub fn answer(self) {
        // Gone with the filter, perhaps.
        let _ = remove_pin(&self.place.request());
    }
}

impl Filter {
    /// What was asked for since the last answer.
    #[must_use]
    pub fn asked(&self) -> Option<Asked> {
        // What cannot be read comes from another version; that something is asked for is clear.
        let request: Option<Request> = cell::read(&self.place.request()).unwrap_or_default();
        request.map(|request| Asked {
            place: self.place.clone(),
            request,
        })
    }

    /// Keeps why the last reload failed, for `status` and for whoever asked for it.
    ///
    /// # Errors
    ///
    /// When it cannot be pinned.
    pub fn note_failure(&self, why: &str) -> Result<(), DatapathError> {
        let failure = Failure {
            at: Timestamp::now(),
            why: why.to_owned(),
        };
        cell::replace(&self.place.failure(), &failure)
    }
}

/// Whether a process has a way of its own to take SIGHUP, so that it does not die of it.
fn catches_hangup(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    caught(&status).is_some_and(|signals| signals & 1 != 0)
}

/// The signals that a process catches, a bit each from SIGHUP on, as `/proc/PID/status` tells them.
fn caught(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_catches_sighup_is_told_by_a_bit() {
        assert_eq!(
            caught("Name:\tx\nSigCgt:\t0000000000004003\n"),
            Some(0x4003)
        );
        assert_eq!(caught("Name:\tx\n"), None);
    }
}
