//! CSV with names of columns.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("columns", bytes));
