//! Keys that take one of a few words.
//!
//! Configuration and command line offer the same words: both take them from here.

use super::super::{Count, Refusal, Replies, Unknown};
use crate::geoip::{CountryBy, Merge};

/// A value that is one of a few words.
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// Each value, its word, and what it stands for.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// The value with this word.
    #[must_use]
    fn of(word: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, name, _)| *name == word)
            .map(|(value, ..)| *value)
    }

    /// Its word.
    #[must_use]
    fn word(self) -> &'static str {
        let mut all = Self::ALL.iter();
        // A test holds that none is missing.
        all.find(|(value, ..)| *value == self)
            .map_or("", |(_, name, _)| name)
    }
}

/// How tables are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The fastest that the kernel takes.
    #[default]
    Auto,
    /// Our multibit trie.
    Multibit,
    /// The kernel's own trie.
    Lpm,
}

/// Where in the kernel packets are filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hook {
    /// In the driver's receive path.
    #[default]
    Xdp,
    /// Where traffic control classifies.
    Tcx,
}

/// How XDP runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Native, and generic where the driver does not take it.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the network stack.
    Generic,
}

impl Choice for Engine {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::Auto,
            "auto",
            "The fastest, `multibit`; where the kernel refuses a table so large, `lpm`",
        ),
        (
            Self::Multibit,
            "multibit",
            "A trie that takes the same few steps for every address",
        ),
        (
            Self::Lpm,
            "lpm",
            "The kernel's longest-prefix-match trie: slower, the more so the more there is in it",
        ),
    ];
}

impl Choice for Hook {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Xdp, "xdp", "In the driver's receive path"),
        (
            Self::Tcx,
            "tcx",
            "Behind it, for hosts whose XDP hook is taken",
        ),
    ];
}

impl Choice for Mode {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::Auto,
            "auto",
            "Native, and generic where the driver does not take it",
        ),
        (Self::Native, "native", "In the driver, or not at all"),
        (
            Self::Generic,
            "generic",
            "In the network stack: slower, and works with every driver",
        ),
    ];
}

impl Choice for Unknown {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Pass, "pass", "They pass"),
        (Self::Block, "block", "They drop"),
    ];
}

impl Choice for Replies {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Pass, "pass", "They pass, from blocked countries too"),
        (Self::Drop, "drop", "They are judged as all other packets"),
    ];
}

impl Choice for Refusal {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Drop, "drop", "The sender is told nothing"),
        (
            Self::Reject,
            "reject",
            "The sender is told: an RST for TCP, an ICMP error for all else",
        ),
    ];
}

impl Choice for Count {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Blocked, "blocked", "Those that do not pass"),
        (
            Self::All,
            "all",
            "All, which takes a table of the whole world",
        ),
    ];
}

impl Choice for Merge {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::First,
            "first",
            "The first source that knows an address decides",
        ),
        (
            Self::Any,
            "any",
            "An address is blocked if any source says so, as sanctions want",
        ),
    ];
}

impl Choice for CountryBy {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::Location,
            "location",
            "Where addresses are used; where that is not said, where they are registered",
        ),
        (
            Self::Registered,
            "registered",
            "Where addresses are registered; where that is not said, where they are used",
        ),
    ];
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn every_word_is_its_values<T: Choice + Debug>(all: &[T]) {
        assert_eq!(T::ALL.len(), all.len());
        for value in all {
            assert_eq!(T::of(value.word()), Some(*value));
        }
        assert!(T::of("").is_none());
    }

    #[test]
    fn every_value_has_a_word() {
        every_word_is_its_values(&[Engine::Auto, Engine::Multibit, Engine::Lpm]);
        every_word_is_its_values(&[Hook::Xdp, Hook::Tcx]);
        every_word_is_its_values(&[Mode::Auto, Mode::Native, Mode::Generic]);
        every_word_is_its_values(&[Unknown::Pass, Unknown::Block]);
        every_word_is_its_values(&[Replies::Pass, Replies::Drop]);
        every_word_is_its_values(&[Refusal::Drop, Refusal::Reject]);
        every_word_is_its_values(&[Count::Blocked, Count::All]);
        every_word_is_its_values(&[Merge::First, Merge::Any]);
        every_word_is_its_values(&[CountryBy::Location, CountryBy::Registered]);
    }
}
