//! Where data comes from, and how much of it there is.

use std::{fs::File, io::Read as _, path::Path};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Located, Regions};
use crate::range::Address;

/// How much of [`Source::BESIDE`] is read.
const MOST_BESIDE: u64 = 64 << 10;

/// Where data comes from, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What it is: a package, or a file as the user named it.
    pub source: String,
    /// Its version, in its maker's counting.
    pub version: Option<String>,
    /// The day whose state it shows. A file of lines does not say; its own date says when it was copied.
    pub date: Option<Date>,
    /// The licence it may be used under, as an SPDX expression.
    pub licence: Option<String>,
    /// Whom the licence asks to be named, in the words to show.
    pub attribution: Option<String>,
    /// Where it can be had.
    pub url: Option<String>,
    /// A checksum of what it was made from, with its algorithm: "sha512-…".
    pub checksum: Option<String>,
}

impl Source {
    /// A file of which no more than its name is known.
    #[must_use]
    pub fn of_file(name: String) -> Self {
        Self {
            source: name,
            ..Self::default()
        }
    }

    /// The file that says of a directory's data what the data does not: a [`Source`] as JSON, and what else whoever fetched
    /// the data notes.
    pub const BESIDE: &str = "about.json";

    /// Adds what [`Self::BESIDE`] says, if it is there and can be understood, wherever the data itself says nothing.
    pub(super) fn add_what_is_beside(&mut self, directory: &Path) {
        let mut text = Vec::new();
        let read = File::open(directory.join(Self::BESIDE))
            .and_then(|file| file.take(MOST_BESIDE).read_to_end(&mut text));
        if let Some(beside) = read.ok().and_then(|_| serde_json::from_slice(&text).ok()) {
            *self = std::mem::take(self).or(beside);
        }
    }

    /// What this says; and where it says nothing, what the other says. The name is that of this.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            source: self.source,
            version: self.version.or(other.version),
            date: self.date.or(other.date),
            licence: self.licence.or(other.licence),
            attribution: self.attribution.or(other.attribution),
            url: self.url.or(other.url),
            checksum: self.checksum.or(other.checksum),
        }
    }

    /// How many days old it is on a day; `None` when its date is not known. Negative for a day before.
    #[must_use]
    pub fn age(&self, today: Date) -> Option<i32> {
        Some(self.date?.until(today).ok()?.get_days())
    }
}

/// How much data there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Of IPv4.
    pub ipv4: Totals,
    /// Of IPv6.
    pub ipv6: Totals,
    /// How many countries there are, in both families together.
    pub countries: usize,
}

/// How much data there is of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many ranges.
    pub ranges: usize,
    /// How many addresses they hold together.
    pub addresses: u128,
}

impl Regions {
    /// How much there is.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            ipv4: totals(self.ipv4()),
            ipv6: totals(self.ipv6()),
            countries: self.countries().len(),
        }
    }
}

fn totals<A: Address>(ranges: &[Located<A>]) -> Totals {
    Totals {
        ranges: ranges.len(),
        addresses: ranges
            .iter()
            .map(|located| located.range.size())
            .fold(0, u128::saturating_add),
    }
}
