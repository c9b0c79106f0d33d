//! What can be said of a lease, and for how long.

use crate::region::RegionId;

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// By whom.
    pub holder: RegionId,
    /// The number that grows with every grant.
    pub epoch: u64,
    /// Until when that is certain; for ever in a state that no agent serves.
    pub until: Option<Until>,
}

impl Lease {
    /// The largest epoch: the largest integer of a structured header (RFC 9651 §3.3.1), which a
    /// `bigint` holds too.
    pub const EPOCH_MAX: u64 = 999_999_999_999_999;

    /// Whether it is still held for certain at this monotonic time.
    pub fn is_certain(&self, now_ms: Option<u64>) -> bool {
        self.until.is_none_or(|until| until.is_ahead(now_ms))
    }
}

/// A moment of the clock of this proxy that never steps, in milliseconds since nobody knows when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Until(pub u64);

impl Until {
    /// How much faster or slower than another one a clock may run, in parts of a thousand: twice
    /// what NTP corrects by.
    pub const DRIFT_PER_MILLE: u64 = 1;
    /// What a proxy stops short of, for what it may still be about to send.
    pub const MARGIN_MS: u64 = 500;

    /// The end of what had so much time left when somebody answered a question that was asked at
    /// this time. The answer was given later than that, so that every delay makes it shorter.
    pub fn after(asked_ms: u64, ttl_ms: u32) -> Self {
        let ttl_ms = u64::from(ttl_ms);
        let drift_ms = ttl_ms.saturating_mul(Self::DRIFT_PER_MILLE).div_ceil(1_000);
        let end = asked_ms.saturating_add(ttl_ms.saturating_sub(drift_ms));
        Self(end.saturating_sub(Self::MARGIN_MS).max(asked_ms))
    }

    /// Whether it is still to come; a time that nobody can tell is too late.
    pub fn is_ahead(self, now_ms: Option<u64>) -> bool {
        now_ms.is_some_and(|now_ms| now_ms < self.0)
    }
}

/// What can be said of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseView {
    /// Held, for certain.
    Held(Lease),
    /// Nobody can tell.
    Unknown,
    /// Held by nobody.
    Vacant,
    /// Being handed over.
    Draining,
    /// Stopped by an operator.
    Frozen,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_ends_before_its_time() {
        for (asked_ms, ttl_ms, end_ms, why) in [
            (1_000, 15_000, 15_485, "drift and margin are taken off"),
            (1_000, 400, 1_000, "less than the margin is nothing"),
            (1_000, 0, 1_000, "nothing was left"),
            (u64::MAX, u32::MAX, u64::MAX - 500, "no overflow"),
        ] {
            assert_eq!(Until::after(asked_ms, ttl_ms), Until(end_ms.max(asked_ms)), "{why}");
        }
        let until = Until(10);
        assert!(until.is_ahead(Some(9)));
        assert!(!until.is_ahead(Some(10)) && !until.is_ahead(None));
    }
}
