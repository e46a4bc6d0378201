#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cs_tests::fuzz::run_target("wire", input));
