//! The example on the whole module in wasm-host: one scenario for each path of the guard.

mod scenario;
mod setting;

pub use scenario::{Played, Scenario, scenarios, told};
pub use setting::{HOST, Setting, caller, code, peer};
