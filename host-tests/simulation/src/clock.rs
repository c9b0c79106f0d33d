//! What the clocks of one machine show at a moment that only the simulator knows.

/// A moment, in milliseconds since the world began.
pub type Ms = u64;

const MILLION: i64 = 1_000_000;

/// The clocks of one machine: one that never steps and runs a little too fast or too slow, and the
/// one on the wall.
#[derive(Debug, Clone)]
pub struct Clock {
    base_ms: u64,
    since: Ms,
    ppm: i64,
    wall_offset_ms: i64,
}

/// What the wall clock of a machine shows when the world begins.
const EPOCH_MS: i64 = 1_795_000_000_000;

impl Clock {
    /// A clock that shows this much and gains so many millionths.
    pub fn new(base_ms: u64, ppm: i64) -> Self {
        Self { base_ms, since: 0, ppm, wall_offset_ms: 0 }
    }

    /// What the clock shows that never steps.
    pub fn monotonic_ms(&self, now: Ms) -> u64 {
        let elapsed = i64::try_from(now.saturating_sub(self.since)).unwrap_or(i64::MAX);
        let shown = elapsed.saturating_mul(MILLION + self.ppm) / MILLION;
        self.base_ms.saturating_add_signed(shown)
    }

    /// What the clock on the wall shows.
    pub fn wall_ms(&self, now: Ms) -> u64 {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        u64::try_from(EPOCH_MS + now + self.wall_offset_ms).unwrap_or(0)
    }

    /// Somebody sets the clock on the wall.
    pub fn step_wall(&mut self, by_ms: i64) {
        self.wall_offset_ms += by_ms;
    }

    /// The machine starts again: the clock that never steps begins anew.
    pub fn reboot(&mut self, now: Ms) {
        (self.base_ms, self.since) = (1_000, now);
    }

    /// The machine stands still for a while, and its clock does not notice.
    pub fn lose(&mut self, now: Ms, lost_ms: u64) {
        self.base_ms = self.monotonic_ms(now);
        self.since = now + lost_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_gains_loses_and_begins_anew() {
        let mut fast = Clock::new(500, 1_000);
        assert_eq!(fast.monotonic_ms(100_000), 500 + 100_100);
        fast.lose(100_000, 30_000);
        assert_eq!(fast.monotonic_ms(110_000), 500 + 100_100, "it stands");
        assert_eq!(fast.monotonic_ms(131_000), 500 + 100_100 + 1_001);
        fast.reboot(140_000);
        assert_eq!(fast.monotonic_ms(140_000), 1_000);
        let before = fast.wall_ms(140_000);
        fast.step_wall(-600_000);
        assert_eq!(fast.wall_ms(140_000), before - 600_000);
    }
}
