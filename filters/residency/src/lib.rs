//! Who a request is about, as verified sources say, and what of a response about them is redacted.
//!
//! ```text
//! claims ──► claim ──┐
//! session ─► session ┼─► gather ─► Caller ─► subject: for the next guard
//! tenant map ────────┘
//! ```
//!
//! A claim counts only as the proxy verified it, a session only as a key of ours has signed it; what
//! else a header says counts for nothing. A claim that is not exactly one country code says nothing.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod claim;
mod gather;
mod redact;
mod session;
mod subject;

pub use claim::claimed;
pub use gather::{Answer, Gathered, Told};
pub use redact::{Impossible, Redacted, Redactor, Rules};
pub use session::{Refusal, Session};
pub use subject::{parse as parse_subject, write as write_subject};
