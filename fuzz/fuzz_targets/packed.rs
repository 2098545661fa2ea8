//! What files are packed in.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("packed", bytes));
