//! A region under more load than it can serve: users, proxies and a backend as a model of discrete
//! events, which drives the load shedding of the module and what others do instead.
//!
//! ```text
//! Scenario ─► world: users ─► worker of a proxy ─► Backend: servers before one queue
//!                      ▲             │ admit? end
//!                      │             ▼
//!                      └─ retry ─ Limiter: ours (the crate itself), baselines, naive variants
//!                                    │
//!                 Tally, by the second ─► Figures
//! ```
//!
//! Nothing in a run depends on anything but the scenario and its seed, and users ask for the same at
//! the same moments whatever the limiter does.

pub mod announced;
pub mod backend;
pub mod baseline;
pub mod cohort;
pub mod command;
pub mod draw;
pub mod figures;
pub mod limiter;
pub mod number;
pub mod ours;
pub mod queue;
pub mod report;
pub mod roster;
pub mod rows;
pub mod scenario;
pub mod slab;
pub mod tally;
pub mod world;
