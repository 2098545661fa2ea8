//! A list of prefixes, of one country.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("prefixes", bytes));
