//! The clock of a VM, and what versions from elsewhere do to it.

use policy_core::{OnDrift, Versioning};
use versions::{Clock, Stamp, Time};

/// A wall clock that goes so much faster or slower than the monotonic one between two looks, in
/// milliseconds, has stepped.
const STEP_MS: u64 = 250;

/// The clock of one VM.
#[derive(Debug, Clone)]
pub struct Stamper {
    clock: Clock,
    node: u32,
    /// The largest time that the region is known to have issued, if the wall clock is too far behind
    /// it to follow.
    beyond: Option<Time>,
    /// The wall clock and the monotonic one when they were looked at last.
    looked: Option<(u64, u64)>,
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

impl Marking {
    /// The version, if there is one.
    pub fn stamp(self) -> Option<Stamp> {
        match self {
            Self::Synced(stamp) | Self::Unsynced(stamp) => Some(stamp),
            Self::Refused => None,
        }
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

impl Stamper {
    /// The clock of a VM with this node number, random for each VM.
    pub fn new(node: u32) -> Self {
        Self { clock: Clock::default(), node, beyond: None, looked: None }
    }

    /// The node number.
    pub fn node(&self) -> u32 {
        self.node
    }

    /// The largest time that was issued here or taken over.
    pub fn time(&self) -> Time {
        self.clock.time()
    }

    /// Marks one admitted write at this wall time. `is_behind`: its writer has seen a version that was
    /// too far ahead to be taken over, so that this one may be smaller.
    pub fn mark(
        &mut self,
        versioning: Versioning,
        code: [u8; 3],
        wall_ms: u64,
        is_behind: bool,
    ) -> Marking {
        let tick = self.clock.tick(wall_ms);
        let stamp = Stamp::new(tick, code, self.node);
        let bound_ms = u64::from(versioning.max_drift_ms);
        let is_below = self
            .beyond
            .is_some_and(|floor| floor >= stamp.time() && is_ahead(floor, wall_ms, bound_ms));
        let is_behind = is_behind || is_below;
        if tick.ahead_ms <= bound_ms && !is_behind {
            return Marking::Synced(stamp);
        }
        match versioning.on_drift {
            OnDrift::Tag => Marking::Unsynced(stamp),
            OnDrift::Deny => Marking::Refused,
        }
    }

    /// Takes over a time that somebody trusted has seen: whatever is stamped from now on is larger.
    /// Nothing is taken over that is further ahead of the wall clock than our own may be, or one
    /// clock that is far ahead would win every comparison from then on; false then.
    pub fn observe(&mut self, versioning: Versioning, seen: Time, wall_ms: u64) -> bool {
        self.clock.merge(seen, wall_ms, u64::from(versioning.max_drift_ms)).is_ok()
    }

    /// Takes over what this region has stamped already, as its agent or another VM says. If the wall
    /// clock is further behind that than it may be, what is stamped is marked for as long: it may be
    /// smaller than what came before. False then.
    pub fn follow(&mut self, versioning: Versioning, stamped: Time, wall_ms: u64) -> bool {
        let is_near = self.observe(versioning, stamped, wall_ms);
        if !is_near {
            self.beyond = self.beyond.max(Some(stamped));
        }
        is_near
    }

    /// What becomes of the version of a write that somebody trusted has stamped: it is held to the
    /// bound that our own are held to, and taken over if it is within. `wall_ms` is none where no
    /// clock can tell.
    pub fn receive(
        &mut self,
        versioning: Versioning,
        stamp: Stamp,
        wall_ms: Option<u64>,
    ) -> Received {
        if wall_ms.is_some_and(|wall_ms| self.observe(versioning, stamp.time(), wall_ms)) {
            return Received::Sound;
        }
        match versioning.on_drift {
            OnDrift::Tag => Received::Unsynced,
            OnDrift::Deny => Received::Refused,
        }
    }

    /// Looks at both clocks; true if the wall clock has stepped since they were looked at last, in
    /// either direction. Stamps never go back, whatever it does.
    pub fn has_stepped(&mut self, wall_ms: u64, monotonic_ms: u64) -> bool {
        let last = self.looked.replace((wall_ms, monotonic_ms));
        last.is_some_and(|(last_wall_ms, last_ms)| {
            let passed_ms = monotonic_ms.saturating_sub(last_ms);
            last_wall_ms.saturating_add(passed_ms).abs_diff(wall_ms) > STEP_MS
        })
    }
}

fn is_ahead(time: Time, wall_ms: u64, bound_ms: u64) -> bool {
    time.ms().saturating_sub(wall_ms) > bound_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::{Mode, OnLostUpdate};

    fn versioning(on_drift: OnDrift) -> Versioning {
        Versioning {
            mode: Mode::Enforce,
            max_drift_ms: 500,
            on_drift,
            on_lost_update: OnLostUpdate::Pass,
            causal_lifetime_ms: None,
            conflict_window_ms: 1_000,
            has_hints: false,
        }
    }

    #[test]
    fn a_version_from_elsewhere_is_held_to_the_same_bound() {
        let version = Stamp::parse(b"0000000027100000-tyo-01234567").unwrap(); // at 10 000 ms
        for (on_drift, wall_ms, expected) in [
            (OnDrift::Tag, Some(10_000), Received::Sound),
            (OnDrift::Tag, Some(60_000), Received::Sound),
            (OnDrift::Tag, Some(9_500), Received::Sound),
            (OnDrift::Tag, Some(9_499), Received::Unsynced),
            (OnDrift::Deny, Some(9_499), Received::Refused),
            (OnDrift::Tag, None, Received::Unsynced),
        ] {
            let mut stamper = Stamper::new(7);
            let received = stamper.receive(versioning(on_drift), version, wall_ms);
            assert_eq!(received, expected, "{on_drift} {wall_ms:?}");
            let is_taken_over = stamper.time() >= version.time();
            assert_eq!(is_taken_over, expected == Received::Sound, "{on_drift} {wall_ms:?}");
        }
    }

    #[test]
    fn a_clock_too_far_off_is_tagged_or_refused() {
        for (on_drift, wall_ms, is_behind, synced, refused) in [
            (OnDrift::Tag, 10_000, false, true, false),
            (OnDrift::Tag, 9_500, false, true, false),
            (OnDrift::Tag, 9_499, false, false, false),
            (OnDrift::Deny, 9_500, false, true, false),
            (OnDrift::Deny, 9_499, false, false, true),
            (OnDrift::Tag, 10_000, true, false, false),
            (OnDrift::Deny, 10_000, true, false, true),
        ] {
            let mut stamper = Stamper::new(7);
            let versioning = versioning(on_drift);
            stamper.mark(versioning, *b"tpe", 10_000, false);
            let marking = stamper.mark(versioning, *b"tpe", wall_ms, is_behind);
            let case = format!("{on_drift} {wall_ms} {is_behind}");
            assert_eq!(matches!(marking, Marking::Synced(_)), synced, "{case}");
            assert_eq!(marking == Marking::Refused, refused, "{case}");
        }
    }
}
