//! Origin and version of an eventual write.
//!
//! What is remembered between requests is the clock, one for each VM, so that every stamp of a VM
//! is larger than the one before, and a node number that no other VM has.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use policy_core::{OnDrift, Versioning};
use versions::{Clock, Stamp};

/// Whether a value is a version.
pub fn is_version(value: &[u8]) -> bool {
    Stamp::parse(value).is_some()
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
