//! Real Envoys, real policy sets: what the wire must show.
//!
//! ```text
//! tests/*.rs ─► Regions (one mesh at a time) ─► meshfence::LocalRun ─► Envoys, echo upstreams
//!     └── ../scenarios, by `Corpus` ───────────────┘
//! ```
//!
//! What stands here is what several tests need: the command's executable, regions to send requests
//! to, and reading back what Envoy says of them.

mod binary;
mod corpus;
mod exchange;
mod gate;
#[cfg(target_os = "linux")]
pub mod machine;
mod modules;
mod observe;
mod regions;
mod secrets;
mod traffic;
mod trouble;
mod wait;

pub use binary::meshfence_binary;
pub use corpus::{Corpus, failures};
pub use exchange::{At, Mark, Row};
pub use gate::{Gate, Way};
pub use modules::{trapping, trapping_at, writer};
pub use observe::{Access, access_log, metrics, send, stats, traps};
pub use regions::{
    Regions, Turn, caller, envoy, example, keyed, leases, scenario, settings, stopped, token, turn,
};
pub use secrets::{Search, Secret};
pub use traffic::{Exchange, Loop, traffic};
pub use trouble::{Check, Trouble};
pub use wait::{LIMIT, until};
