//! From a rule set to the content of a table: one file an engine.
//!
//! An engine decides how a table is laid out in the kernel. What it gets is the same for all: disjoint,
//! sorted ranges of a class, where addresses in no range are of [`Class::DEFAULT`]. What it gives must say
//! the same of every address.
//!
//! [`Class::DEFAULT`]: geodrop_common::Class::DEFAULT

pub mod lpm;
