//! Two regions under every fault that we can think of, played on what the module decides
//! and believes by: `decide`, `Watch`, `Poller` and tokens. How the module glues them together (seals,
//! HTTP, shared data) is modelled.
//!
//! ```text
//! seed ─► Setting: how large, what goes wrong ─► World ─┬─► Monitor: F1 to F12 ─► Violation
//!                                                       ├─► history ─► linearizable?
//!   LeaseStore ◄─► Agent ─► LiveDocument ─► Proxy ─────►┤
//!                               (Watch, Poller, decide) └─► Story
//! ```
//!
//! [`drill::play`] plays a timeline in such a world instead of a seed's faults.
//!
//! A world is a queue of events in a time of its own; nothing in it depends on anything but the seed.
//! What stands around the crates under test is thin, and the place where a [`mutant::Mutant`] makes
//! its mistake.
#![forbid(unsafe_code)]

pub mod agent;
pub mod check;
pub mod clock;
pub mod data;
pub mod drill;
pub mod fault;
pub mod fixture;
pub mod history;
pub mod kinds;
pub mod mutant;
pub mod network;
pub mod overload;
pub mod place;
pub mod proxy;
pub mod rng;
pub mod run;
pub mod setting;
pub mod store;
pub mod story;
pub mod world;
