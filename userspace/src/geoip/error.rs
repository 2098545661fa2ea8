//! What can be wrong with GeoIP data, in words that say what to do about it.

use std::{io, path::PathBuf};

use super::{Place, UnknownCountry, snapshot};

/// Why GeoIP data could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GeoipError {
    /// A file could not be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A line does not say what a line must say.
    #[error("{place}: {problem}\n  in the line `{text}`")]
    Line {
        /// The file and the line.
        place: Place,
        /// What is wrong, and the remedy.
        problem: LineProblem,
        /// The line; its beginning, where it is long.
        text: String,
    },
    /// A file holds no ranges: it is empty, or was cut off while it was fetched.
    #[error("{}: no address range in it; fetch the file again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A snapshot is not whole, or not one that this version reads.
    #[error("{name}: {source}")]
    Snapshot {
        /// The file, or "the built-in snapshot".
        name: String,
        /// What is wrong, and the remedy.
        source: snapshot::SnapshotError,
    },
}

/// What is wrong with a line of a file, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// There are more or fewer fields than three.
    #[error("{0} fields where three are needed: write `first address,last address,country code`")]
    Fields(usize),
    /// A field that must be an address is none.
    #[error("`{0}` is no address: write an IPv4 or IPv6 address, or one as a decimal number")]
    Address(String),
    /// The two addresses are not of one family.
    #[error(
        "`{0}` and `{1}` are not written alike: write two IPv4 addresses, two IPv6 addresses or two decimal numbers"
    )]
    Unlike(String, String),
    /// The first address comes after the last.
    #[error("the range ends before it begins: write the lower address first")]
    Reversed,
    /// The country has no such code.
    #[error(transparent)]
    Country(#[from] UnknownCountry),
    /// The line is not text.
    #[error("the line is not UTF-8: is this a text file, and whole?")]
    NotText,
}
