//! Snapshots, and the columns in them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("snapshot", bytes));
