//! The version stamp of an eventual write, the hybrid logical clock that issues it, and merges for
//! services that keep what was written in two regions.
//!
//! A stamp is 29 bytes of fixed width, `<ms:12 hex><counter:4 hex>-<code:3>-<node:8 hex>`, so that
//! the order of the bytes is the order of the versions. The clock is the hybrid logical clock of
//! Kulkarni et al. (2014): the physical part never runs behind what was issued before, and a
//! counter orders what one millisecond holds.
//!
//! # For the author of a service
//!
//! A write to an eventual context arrives with `x-meshfence-version`. Parse it, and keep it with
//! what was written:
//!
//! ```
//! use versions::Stamp;
//!
//! let header = b"0192f3a4b5c60007-tyo-3fa29c1b";
//! let version = Stamp::parse(header).ok_or("not a version")?;
//! assert_eq!(version.ms(), 0x0192_f3a4_b5c6);
//! assert_eq!(version.code(), *b"tyo");
//! assert_eq!(version.to_string().as_bytes(), header);
//! # Ok::<(), &str>(())
//! ```
//!
//! Then choose how two regions' copies become one ([`merge`] has a table). Most data is a
//! [`merge::Register`], in which the last write wins, a cart is a [`merge::Cart`] that is merged at
//! checkout, a stock is a [`merge::Stock`], and what is only appended is [`merge::Reviews`].
//!
//! Which of two versions is larger says who wins; it does not say whether the writer of the larger
//! one knew of the other. A [`VersionVector`] does:
//!
//! ```
//! use versions::{Causality, VersionVector};
//!
//! let code_of = |name: &[u8]| match name {
//!     b"taiwan" => Some(*b"tpe"),
//!     b"tokyo" => Some(*b"tyo"),
//!     _ => None,
//! };
//! let read = |header: &str| VersionVector::parse(header.as_bytes(), code_of).ok_or("no vector");
//! let ours = read("taiwan=0192f3a4b5c60007-tpe-3fa29c1b")?;
//! let theirs = read("taiwan=0192f3a4b5c60000-tpe-3fa29c1b,tokyo=0192f3a4b5c70000-tyo-5d0c11e2")?;
//! assert_eq!(ours.compare(&theirs), Causality::Concurrent);
//! # Ok::<(), &str>(())
//! ```
//!
//! Services in other languages find the rules in this crate's `README.md`, test vectors in
//! `vectors/` and PostgreSQL's part in `sql/`.
//!
//! # Features
//!
//! `serde`: states of services as JSON, stamps as their text. Off by default.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

extern crate alloc;

mod clock;
#[cfg(feature = "serde")]
mod form;
pub mod merge;
mod stamp;
mod vector;

pub use clock::{Clock, Tick, Time, TooFarAhead};
pub use stamp::Stamp;
pub use vector::{Causality, VersionVector};
