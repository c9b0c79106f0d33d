//! What others do, with the constants that they document, and what one would try first.
//!
//! Each is a model of the algorithm, not of the program around it: it sees every request when it
//! arrives and when it ends, which flatters those that in their programs see less.

pub mod adaptive_concurrency;
pub mod admission_control;
pub mod dagor;
pub mod gradient2;
pub mod ladder;
mod limit;
pub mod none;
pub mod ratio;
pub mod textbook;
pub mod throttle;
