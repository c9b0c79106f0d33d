//! What fencing remembers between requests and writes onto a stream: the region state that a VM
//! believes ([`Watch`]), when it is asked for again ([`Poller`]), the token of a leased write, that of
//! its lock, and who has acknowledged it.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

mod acks;
mod lock;
mod poller;
mod token;
mod watch;

use policy_core::{Consistency, Reason};

pub use acks::{acknowledged, are_too_few};
pub use lock::is_lock;
pub use poller::{Lead, Poll, Poller};
pub use token::{parse, token};
pub use watch::{Adopted, Refused, Shared, Watch};

/// Whether a proxy may send a request a second time: a synchronous write that was sent once may
/// have been committed.
pub fn forbids_retries(consistency: Consistency) -> bool {
    consistency == Consistency::Synchronous
}

/// What it means that the chosen region cannot be reached.
pub fn unreachable(leased: bool) -> Reason {
    if leased { Reason::HolderUnreachable } else { Reason::HomeUnavailable }
}
