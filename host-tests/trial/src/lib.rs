//! The example on the whole module in wasm-host: scenarios, anything at all, and what must hold of
//! both.
//!
//! ```text
//! Scenario ─────────► Setting ─► Proxy ─► Trace: budgets, faults
//! Target ─► Script ──────┘         └────► promises: kept (Seen), or Broken
//! ```

mod agent;
mod bench;
pub mod mutate;
mod promise;
mod scenario;
pub mod script;
mod seen;
mod setting;
mod target;

pub use agent::{Agent, Conduct};
pub use scenario::{Played, Scenario, scenarios, told};
pub use seen::Seen;
pub use setting::{HOST, Setting, caller, code, peer};
pub use target::{Broken, Target};
