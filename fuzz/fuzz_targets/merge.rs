//! Several sources, of which the first that knows an address decides, or each is heard.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("merge", bytes));
