//! A real Envoy with more to do than its backend can: what ours makes of it, and what Envoy's own
//! filters do.
//!
//! ```text
//! Case ─► Scenario ─┬─► arrivals ─► load: users ══► Envoy with one of the variants ══► upstream
//!                   │                 │                                                  │
//!                   │               Tally                               servers, a queue ┘
//!                   └────────────► Figures ─► report: tables, charts, with CPU of the proxy
//! ```
//!
//! Scenarios, the backend behind the upstream and the figures are those of the model
//! ([`simulation::overload`]), so that its tables and these speak of the same thing. What is real
//! here is the proxy, its module, its workers and their clocks.

pub mod arrivals;
pub mod bootstrap;
pub mod bounds;
pub mod case;
pub mod chart;
pub mod cli;
pub mod load;
pub mod machine;
pub mod policy;
pub mod proxy;
pub mod report;
pub mod run;
pub mod trouble;
pub mod upstream;
pub mod variant;
