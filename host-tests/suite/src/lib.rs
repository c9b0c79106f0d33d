//! Real Envoys, real policy sets: what the wire must show.
//!
//! ```text
//! tests/*.rs ─► Regions (one mesh at a time) ─► meshfence::LocalRun ─► Envoys, echo upstreams
//!     ├── ../scenarios, by `Corpus` ───────────────┘
//!     └─► Asking ─► a region of its own, and the Agent that its proxy asks
//! ```
//!
//! What stands here is what several tests need: the command's executable, regions to send requests
//! to, and reading back what Envoy says of them.

mod agent;
mod asking;
mod binary;
mod carts;
mod corpus;
mod exchange;
mod gate;
#[cfg(target_os = "linux")]
pub mod machine;
mod modules;
mod observe;
#[cfg(unix)]
pub mod postgres;
mod regions;
mod secrets;
mod traffic;
mod trouble;
mod wait;

pub use agent::{Agent, Conduct};
pub use asking::{Asking, Ended, HERE, Sending, Write};
pub use binary::meshfence_binary;
pub use carts::{Arrival, CartCopy, Carts, HttpRequest, HttpResponse, Items};
pub use corpus::{Corpus, failures};
pub use exchange::{At, Mark, Row};
pub use gate::{Gate, Way};
pub use modules::{stalling_at, trapping, trapping_at, writer};
pub use observe::{Access, access_log, metrics, send, stats, traps, until_healthy};
pub use regions::{
    Regions, Turn, caller, envoy, example, keyed, leases, scenario, secrets_of, settings, site,
    stopped, token, turn,
};
pub use secrets::{Search, Secret};
pub use traffic::{Exchange, Loop, traffic};
pub use trouble::{Check, Trouble};
pub use wait::{LIMIT, until};
