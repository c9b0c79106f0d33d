//! What libFuzzer is told of a run.
//!
//! The module runs in wasmtime, which compiles it while it runs: no coverage of it can be had. What
//! it did is known all the same, and goes into counters that libFuzzer reads beside its own.
//!
//! Coverage of the host would only distract, so the targets are built without it.

use std::sync::atomic::{AtomicU8, Ordering};
use trial::Target;

const COUNTERS: usize = 1 << 15;

/// libFuzzer finds them by the name of their section. Nothing here ever reads them, so they have to
/// be marked, or they are not there.
#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = "__libfuzzer_extra_counters"))]
static SEEN: [AtomicU8; COUNTERS] = [const { AtomicU8::new(0) }; COUNTERS];

/// Plays an input.
///
/// # Panics
/// If it breaks a promise.
pub fn play(target: Target, input: &[u8]) {
    match target.play(input) {
        Ok(seen) => {
            for mark in seen.marks() {
                let place = usize::try_from(mark % (COUNTERS as u64)).unwrap_or_default();
                if let Some(counter) = SEEN.get(place) {
                    counter.store(1, Ordering::Relaxed);
                }
            }
        }
        Err(broken) => panic!("{broken}"),
    }
}
