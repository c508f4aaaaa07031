#![no_main]

egraft_testkit::tap_writes!();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    egraft_testkit::fuzz::check_or_panic(egraft_testkit::generate::Kind::Loops, bytes);
});
