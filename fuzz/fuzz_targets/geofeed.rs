//! Geofeeds (RFC 8805).

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| geodrop_fuzz::parsers::check("geofeed", bytes));
