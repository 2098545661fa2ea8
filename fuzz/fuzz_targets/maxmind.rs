//! MaxMind's CSV archive: places and networks.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("maxmind", bytes));
