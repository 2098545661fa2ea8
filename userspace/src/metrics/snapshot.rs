//! What metrics are read from.

use jiff::Timestamp;

use crate::{
    datapath::{DatapathError, pins::Root, status::Status},
    warnings,
};

/// What a process that looks after filters knows of its own work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The interfaces that are to be filtered.
    pub interfaces: Vec<String>,
    /// How many reloads succeeded since it began.
    pub reloaded: u64,
    /// How many failed.
    pub failed: u64,
    /// When what was asked for last came into force.
    pub succeeded_at: Option<Timestamp>,
}

/// All that there is to tell at an instant.
#[derive(Debug)]
pub struct Snapshot {
    /// What the kernel says.
    pub status: Status,
    /// How many things are not as they should be.
    pub warnings: usize,
    /// When that was.
    pub now: Timestamp,
    /// What the process says that exposes it, if it looks after filters.
    pub work: Option<Work>,
}

impl Snapshot {
    /// Reads all filters under a root back, as the calling thread's network namespace sees them.
    ///
    /// # Errors
    ///
    /// When the pins may not be read.
    pub fn read(root: &Root, work: Option<Work>) -> Result<Self, DatapathError> {
        let status = Status::read(root)?;
        let now = Timestamp::now();
        Ok(Self {
            warnings: warnings::all(&status, now).len(),
            status,
            now,
            work,
        })
    }
}
