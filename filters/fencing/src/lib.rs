//! The fencing token of a leased write, and what an unreachable region means to it.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use policy_core::{Consistency, Fence, Reason};
use std::fmt::Write as _;

/// The token as a structured header item with parameters (RFC 9651):
/// `orders;e=42;h=tokyo;s=taiwan~tokyo`, the shard only if the lease is split.
pub fn token(fence: &Fence<'_>, holder: &str) -> String {
    let mut token = String::with_capacity(64);
    // Writing into a String cannot fail.
    let _ = write!(token, "{};e={};h={holder}", fence.lease, fence.epoch);
    if let Some(shard) = fence.shard {
        let _ = write!(token, ";s={shard}");
    }
    token
}

/// Whether a proxy may send a request a second time: a synchronous write that was sent once may
/// have been committed.
pub fn forbids_retries(consistency: Consistency) -> bool {
    consistency == Consistency::Synchronous
}

/// What it means that the chosen region cannot be reached.
pub fn unreachable(leased: bool) -> Reason {
    if leased { Reason::HolderUnreachable } else { Reason::HomeUnavailable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::RegionId;

    #[test]
    fn a_token_names_lease_epoch_holder_and_shard() {
        let holder = RegionId::new(1).unwrap();
        for (shard, expected) in [
            (Some("taiwan~tokyo"), "orders;e=42;h=tokyo;s=taiwan~tokyo"),
            (None, "orders;e=42;h=tokyo"),
        ] {
            let fence = Fence { lease: "orders", shard, holder, epoch: 42 };
            assert_eq!(token(&fence, "tokyo"), expected);
        }
    }
}
