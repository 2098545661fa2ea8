//! A file of prefixes that a policy names.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("prefix_list", bytes));
