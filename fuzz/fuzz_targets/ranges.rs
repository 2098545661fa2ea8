//! CSV of ranges: `first,last,country`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("ranges", bytes));
