//! The hybrid logical clock.

/// The largest physical part: 48 bits of milliseconds reach the year 10889.
const MS_MAX: u64 = (1 << 48) - 1;

/// A hybrid logical clock. One for each node; nodes need no coordination, because a stamp names
/// its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    ms: u64,
    counter: u16,
}

/// One reading of a [`Clock`], larger than every one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// The order within the millisecond.
    pub counter: u16,
    /// How far `ms` is ahead of the wall clock, in milliseconds: a wall clock that stepped back.
    pub ahead_ms: u64,
}

impl Clock {
    /// Reads the clock at this wall time, in milliseconds since the Unix epoch.
    pub fn tick(&mut self, wall_ms: u64) -> Tick {
        let wall_ms = wall_ms.min(MS_MAX);
        if wall_ms > self.ms {
            *self = Self { ms: wall_ms, counter: 0 };
        } else {
            match self.counter.checked_add(1) {
                Some(counter) => self.counter = counter,
                None => *self = Self { ms: self.ms.saturating_add(1), counter: 0 },
            }
        }
        Tick { ms: self.ms, counter: self.counter, ahead_ms: self.ms.saturating_sub(wall_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_that_steps_back_is_waited_for() {
        let mut clock = Clock::default();
        for (wall_ms, ms, counter, ahead_ms) in
            [(1_000, 1_000, 0, 0), (1_000, 1_000, 1, 0), (400, 1_000, 2, 600), (1_001, 1_001, 0, 0)]
        {
            assert_eq!(clock.tick(wall_ms), Tick { ms, counter, ahead_ms });
        }
    }

    #[test]
    fn a_full_millisecond_runs_into_the_next() {
        let mut clock = Clock { ms: 5, counter: u16::MAX };
        assert_eq!(clock.tick(5), Tick { ms: 6, counter: 0, ahead_ms: 1 });
    }

    proptest! {
        #[test]
        fn every_tick_is_larger_than_the_last(walls in proptest::collection::vec(any::<u64>(), 1..200)) {
            let mut clock = Clock::default();
            let mut last = None;
            for wall in walls {
                let tick = clock.tick(wall);
                let now = Some((tick.ms, tick.counter));
                prop_assert!(now > last || tick.ms >= MS_MAX);
                last = now;
            }
        }
    }
}
