//! Any file is read in the format that its content shows, or refused.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("detection", bytes));
