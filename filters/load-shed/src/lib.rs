//! How much a proxy lets in at once, least important work first out.
//!
//! Requests ask [`Shedder::admit`]; ticks call [`Shedder::on_tick`] with what the other workers of the
//! proxy report, then share [`Shedder::report`]. A pool of a fixed limit counts what is in flight in
//! its worker. One whose limit follows the latency lets go of work by priority and cohort, and what
//! it lets go follows from what all workers of the proxy see.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod brownout;
mod cohort;
mod control;
mod counters;
mod deadline;
mod decision;
mod key;
mod ladder;
mod median;
mod meter;
mod number;
mod peak;
mod pool;
mod random;
mod report;
mod retries;
mod retry_after;
mod shedder;
mod signal;
mod spread;
mod threshold;
mod window;

pub use cohort::{Caller, SALT_LEN, cohort};
pub use counters::{Outcome, Slot};
pub use key::{COHORTS, Key};
pub use ladder::share;
pub use number::whole;
pub use report::Report;
pub use retry_after::retry_after_s;
pub use shedder::{Ask, Refused, Shedder, View};
