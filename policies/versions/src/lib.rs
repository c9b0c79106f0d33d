//! The version stamp of an eventual write and the hybrid logical clock that issues it.
//!
//! A stamp is 29 bytes of fixed width, `<ms:12 hex><counter:4 hex>-<code:3>-<node:8 hex>`, so that
//! the order of the bytes is the order of the versions. The clock is the hybrid logical clock of
//! Kulkarni et al. (2014): the physical part never runs behind what was issued before, and a
//! counter orders what one millisecond holds.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod clock;
mod stamp;

pub use clock::{Clock, Tick};
pub use stamp::Stamp;
