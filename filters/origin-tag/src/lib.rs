//! Origin and version of an eventual write.
//!
//! What is remembered between requests is the clock, one for each VM, so that every stamp of a VM
//! is larger than the one before, and a node number that no other VM has.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use policy_core::{OnDrift, Versioning};
use versions::{Clock, Stamp};

/// The code of the region that a version comes from; none if the value is no version.
pub fn code(value: &[u8]) -> Option<[u8; 3]> {
    Stamp::parse(value).map(|stamp| stamp.code())
}

/// What becomes of a version that comes from elsewhere: it is held to the bound that our own are
/// held to, or one clock that is far ahead would win every comparison from then on. `wall_ms` is
/// none where no clock can tell.
pub fn received(versioning: Versioning, value: &[u8], wall_ms: Option<u64>) -> Received {
    let ahead_ms = Stamp::parse(value)
        .zip(wall_ms)
        .map_or(u64::MAX, |(stamp, now)| stamp.ms().saturating_sub(now));
    match versioning.on_drift {
        _ if ahead_ms <= u64::from(versioning.max_drift_ms) => Received::Sound,
        OnDrift::Tag => Received::Unsynced,
        OnDrift::Deny => Received::Refused,
    }
}

/// What becomes of a version that comes from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It goes on as it is.
    Sound,
    /// It goes on and is marked as unsynchronised.
    Unsynced,
    /// The write has to be refused.
    Refused,
}

/// The clock of one VM.
#[derive(Debug, Clone)]
pub struct Stamper {
    clock: Clock,
    node: u32,
}

/// What a write is marked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// This version.
    Synced(Stamp),
    /// This version, from a clock that is too far off to be trusted with an order.
    Unsynced(Stamp),
    /// None: the write has to be refused.
    Refused,
}

impl Stamper {
    /// The clock of a VM with this node number, random for each VM.
    pub fn new(node: u32) -> Self {
        Self { clock: Clock::default(), node }
    }

    /// The node number.
    pub fn node(&self) -> u32 {
        self.node
    }

    /// Marks one admitted write at this wall time.
    pub fn mark(&mut self, versioning: Versioning, code: [u8; 3], wall_ms: u64) -> Marking {
        let tick = self.clock.tick(wall_ms);
        let stamp = Stamp::new(tick, code, self.node);
        if tick.ahead_ms <= u64::from(versioning.max_drift_ms) {
            return Marking::Synced(stamp);
        }
        match versioning.on_drift {
            OnDrift::Tag => Marking::Unsynced(stamp),
            OnDrift::Deny => Marking::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::Mode;

    #[test]
    fn a_version_from_elsewhere_is_held_to_the_same_bound() {
        let version = b"0000000027100000-tyo-01234567"; // at 10 000 ms
        for (on_drift, wall_ms, expected) in [
            (OnDrift::Tag, Some(10_000), Received::Sound),
            (OnDrift::Tag, Some(60_000), Received::Sound),
            (OnDrift::Tag, Some(9_500), Received::Sound),
            (OnDrift::Tag, Some(9_499), Received::Unsynced),
            (OnDrift::Deny, Some(9_499), Received::Refused),
            (OnDrift::Tag, None, Received::Unsynced),
        ] {
            let versioning = Versioning { mode: Mode::Enforce, max_drift_ms: 500, on_drift };
            assert_eq!(received(versioning, version, wall_ms), expected, "{on_drift} {wall_ms:?}");
        }
        assert_eq!(code(version), Some(*b"tyo"));
        assert_eq!(code(b"later"), None);
    }

    #[test]
    fn a_clock_too_far_off_is_tagged_or_refused() {
        for (on_drift, wall_ms, synced, refused) in [
            (OnDrift::Tag, 10_000, true, false),
            (OnDrift::Tag, 9_500, true, false),
            (OnDrift::Tag, 9_499, false, false),
            (OnDrift::Deny, 9_500, true, false),
            (OnDrift::Deny, 9_499, false, true),
        ] {
            let versioning = Versioning { mode: Mode::Enforce, max_drift_ms: 500, on_drift };
            let mut stamper = Stamper::new(7);
            stamper.mark(versioning, *b"tpe", 10_000);
            let marking = stamper.mark(versioning, *b"tpe", wall_ms);
            assert_eq!(matches!(marking, Marking::Synced(_)), synced, "{on_drift} {wall_ms}");
            assert_eq!(marking == Marking::Refused, refused, "{on_drift} {wall_ms}");
        }
    }
}
