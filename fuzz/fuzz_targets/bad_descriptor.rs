#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| egraft_testkit::hostile::descriptor(bytes));
