//! `Target::Agent`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::play(trial::Target::Agent, input));
