//! From a rule set to the content of a table: one file an engine.
//!
//! An engine decides how a table is laid out in the kernel. What it gets is the same for all: disjoint,
//! sorted ranges of a class, where addresses in no range are of [`Class::DEFAULT`]. What it gives must say
//! the same of every address.
//!
//! [`Class::DEFAULT`]: geodrop_common::Class::DEFAULT

use std::fmt;

pub mod lpm;
pub mod multibit;

/// How a table is laid out, and looked up in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The multibit trie: the same few steps for every address.
    #[default]
    Multibit,
    /// The kernel's own longest-prefix-match trie.
    Lpm,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Multibit => "multibit",
            Self::Lpm => "lpm",
        })
    }
}
