//! Reference merges: how the copies of two regions become one again.
//!
//! Each is a state with `merge`, which is commutative, associative and idempotent. So whatever two
//! regions exchange, in any order and any number of times, they end with the same state once each
//! has had everything. None of them reads a clock; versions are those that writes came with.
//!
//! | data | merge | what becomes of two writes that did not know of each other |
//! |---|---|---|
//! | a profile, a setting | [`Register`] | the one with the larger version stays |
//! | a cart | [`Cart`] | both stay; quantities add up |
//! | a stock | [`Stock`] | both stay, the smaller quantity counts, and it is in a log |
//! | reviews, events | [`Reviews`] | both stay |

mod cart;
mod register;
mod reviews;
mod stock;

pub use cart::Cart;
pub use register::Register;
pub use reviews::Reviews;
pub use stock::{Conflict, NotWritten, Stock};
