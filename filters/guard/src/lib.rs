//! The life of a request: facts from headers, one decision, its effects, against one narrow host.
//!
//! ```text
//! request headers ─► trust ─► facts ─► via ─► decide ─► load-shed ─► origin-tag ─► effects
//!                      │        │       │       │          │            │
//!                      └────────┴───────┴───────┴── refusal ─► answer ──┘
//! response headers ─► unreachable? refused by a peer? ─► answer      end of stream ─► slot back, actual region, record
//! ```
//!
//! Only this crate knows the order of the policies. It does no I/O and reads no clock of its own;
//! the [`Host`] is all it sees of the proxy.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod actual;
mod admission;
mod answer;
mod baggage;
mod candidate;
mod carriers;
pub mod chain;
mod committed;
mod declared;
mod effects;
mod exchange;
mod facts;
#[cfg(any(test, feature = "fake-host"))]
pub mod fake;
mod guard;
pub mod header;
mod host;
pub mod issue;
mod keyring;
mod last_good;
mod metric;
mod question;
pub mod ready;
mod record;
mod redaction;
mod regional;
mod request;
pub mod reroute;
mod response;
mod shedding;
mod signature;
mod sources;
mod stream;
#[cfg(test)]
mod tests;
mod trust;
mod unreachable;
mod upstream;
mod versioning;
mod via;
mod view;

pub use admission::priority;
pub use guard::{Guard, ROOT};
pub use host::{AgentCall, Cas, Headers, Host, HostFault, Reply, Vm};
pub use last_good::{Attached, LastGood};
pub use metric::{Counter, Gauge, Metric, MetricKind, PollOutcome, VersionSource};
pub use policy_core::name::{PROPERTY_DECISION, SECRET_PREFIX};
pub use question::Question;
pub use record::{FIELDS as RECORD_FIELDS, FIELDS_NEW as RECORD_FIELDS_NEW};
pub use regional::{Regional, TICK_MS};
pub use stream::{Flow, Stream, Worker};
