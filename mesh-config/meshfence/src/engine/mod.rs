//! What plays a `PolicyTest`, and what came of it.
//!
//! ```text
//! Case ─► Sent ─┬─► native: the guard as a library ┐ in a model of ─┬─► Observation
//!               ├─► wasm: the built module ────────┘ the local mesh │        │
//!               └─► envoy: the local mesh itself, by a raw client ──┘        │
//!                            Outcome ◄── Mismatch, Difference ◄──────────────┘
//! ```
//!
//! All engines see one case in the same shape, so that they can be held against each other and not
//! only against what is expected.

mod difference;
pub mod envoy;

mod mesh;
pub mod native;
mod outcome;
mod sent;
#[cfg(feature = "wasm")]
pub mod wasm;

pub use difference::{Difference, differences};
pub use outcome::{Disagreement, Hop, Observation, Outcome, Play};
pub use sent::Sent;

use clap::ValueEnum;
use policy_doc::Observed;
use std::fmt;
use std::io::Read as _;

/// How much of a body is read that was compressed.
const PLAIN_LIMIT: u64 = 4 << 20;

/// What plays the cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The guard in this process, in a model of the local mesh: nothing to install, milliseconds
    Native,
    /// The module in this process, in the same model: what was built, by the rules of Envoy. It takes
    /// a command that was built with the feature `wasm`
    Wasm,
    /// Real Envoys on this machine, with the module
    Envoy,
}

impl Engine {
    /// Whether this command has it.
    pub const fn is_built_in(self) -> bool {
        cfg!(feature = "wasm") || !matches!(self, Self::Wasm)
    }

    /// The name in arguments and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::Envoy => "envoy",
        }
    }
}

/// What the decision records say of a request: the first guard's of what was decided, all of what
/// was redacted.
fn decided(observed: &mut Observed, hops: &[Hop]) {
    let Some(entry) = hops.first() else { return };
    observed.record = Some(entry.record.clone());
    observed.redactions = Some(hops.iter().map(Hop::redactions).sum());
    observed.verdict = entry.outcome("verdict").map(str::to_owned);
    observed.reason = entry.outcome("reason").map(str::to_owned);
    observed.rule = entry.record.get("rule").and_then(|rule| rule.as_str()).map(str::to_owned);
}

/// A body as a test reads it: without its coding, as far as that can be undone. A response that is
/// compressed says what it says all the same.
fn readable_body(coding: Option<&str>, body: &[u8]) -> String {
    let mut plain = Vec::new();
    if coding == Some("gzip") {
        let decoder = flate2::read::GzDecoder::new(body);
        // Of one that is cut, what came.
        let _ = decoder.take(PLAIN_LIMIT).read_to_end(&mut plain);
    }
    String::from_utf8_lossy(if plain.is_empty() { body } else { &plain }).into_owned()
}

/// Why a case is not played whose other requests are not under way.
fn not_in_flight(status: &str) -> String {
    format!("a request that should be in flight was answered: {status}")
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
