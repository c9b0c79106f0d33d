//! The hybrid logical clock.

use core::fmt;

/// The largest physical part: 48 bits of milliseconds reach the year 10889.
const MS_MAX: u64 = (1 << 48) - 1;

/// A time of a hybrid logical clock: the milliseconds first, then the order within one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// 48 bits of milliseconds and 16 of the counter: a version vector has eight of these.
    packed: u64,
}

impl Time {
    /// The length of [`Time::to_bytes`].
    pub const LEN: usize = 8;

    /// The last time that there is.
    pub const MAX: Self = Self { packed: u64::MAX };

    /// This millisecond since the Unix epoch, and the order within it. Milliseconds that 48 bits do
    /// not hold become the last ones that they do.
    pub const fn new(ms: u64, counter: u16) -> Self {
        let ms = if ms > MS_MAX { MS_MAX } else { ms };
        Self { packed: ms << 16 | counter as u64 }
    }

    /// Milliseconds since the Unix epoch, less than 2^48.
    pub const fn ms(self) -> u64 {
        self.packed >> 16
    }

    /// The order within the millisecond.
    pub const fn counter(self) -> u16 {
        let [.., high, low] = self.to_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Six bytes of milliseconds and two of the counter, both big endian: bytes sort as times do.
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        self.packed.to_be_bytes()
    }

    /// The time with these bytes. Any eight bytes are one.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self { packed: u64::from_be_bytes(bytes) }
    }

    /// The next one; none after the last.
    const fn next(self) -> Option<Self> {
        // A full millisecond runs into the next one, which the wall clock has yet to reach.
        match self.packed.checked_add(1) {
            Some(packed) => Some(Self { packed }),
            None => None,
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Time").field("ms", &self.ms()).field("counter", &self.counter()).finish()
    }
}

/// A hybrid logical clock. One for each node; nodes need no coordination, because a stamp names
/// its node.
///
/// ```
/// use versions::{Clock, Time};
///
/// let mut clock = Clock::default();
/// let first = clock.tick(1_700_000_000_000);
/// // The wall clock steps back by a second; the clock does not.
/// let second = clock.tick(1_699_999_999_000);
/// assert!(second > first);
/// assert_eq!(second.ahead_ms, 1_000);
///
/// // Whoever has seen a version writes a later one, if that version is not from the future.
/// let seen = Time::new(1_700_000_000_400, 3);
/// clock.merge(seen, 1_700_000_000_000, 500)?;
/// assert!(clock.tick(1_700_000_000_000).time() > seen);
/// # Ok::<(), versions::TooFarAhead>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    last: Time,
}

/// One reading of a [`Clock`], larger than every one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// The order within the millisecond.
    pub counter: u16,
    /// How far `ms` is ahead of the wall clock, in milliseconds: a wall clock that stepped back, or
    /// a time that was merged. `u64::MAX` if there is no larger time left, so that this one was
    /// issued before: no bound lets it pass.
    pub ahead_ms: u64,
}

impl Tick {
    /// The time without what the wall clock said.
    pub const fn time(self) -> Time {
        Time::new(self.ms, self.counter)
    }
}

/// A time that is too far ahead of the wall clock to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFarAhead {
    /// How far, in milliseconds.
    pub ahead_ms: u64,
}

impl fmt::Display for TooFarAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms ahead of the wall clock", self.ahead_ms)
    }
}

impl core::error::Error for TooFarAhead {}

impl Clock {
    /// Reads the clock at this wall time, in milliseconds since the Unix epoch. The reading is
    /// larger than every one issued or merged before.
    ///
    /// The one exception is a clock at [`Time::MAX`], which only a wall clock in the year 10889
    /// brings there: it stands, and [`Tick::ahead_ms`] says so.
    pub fn tick(&mut self, wall_ms: u64) -> Tick {
        let wall = Time::new(wall_ms, 0);
        let next = if wall > self.last { Some(wall) } else { self.last.next() };
        let ahead_ms = match next {
            Some(next) => {
                self.last = next;
                next.ms().saturating_sub(wall_ms)
            }
            None => u64::MAX,
        };
        Tick { ms: self.last.ms(), counter: self.last.counter(), ahead_ms }
    }

    /// Takes over a time of somebody else, so that the next tick is larger. `wall_ms` is now, in
    /// milliseconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// The time is more than `bound_ms` ahead of the wall clock, or the last one that there is.
    /// Then nothing is merged: one clock that is far ahead must not take all others along.
    pub fn merge(&mut self, seen: Time, wall_ms: u64, bound_ms: u64) -> Result<(), TooFarAhead> {
        let ahead_ms = seen.ms().saturating_sub(wall_ms);
        if ahead_ms > bound_ms {
            return Err(TooFarAhead { ahead_ms });
        }
        if seen == Time::MAX {
            return Err(TooFarAhead { ahead_ms: u64::MAX });
        }
        self.last = self.last.max(seen);
        Ok(())
    }

    /// The largest time that was issued or merged so far; zero before the first.
    pub fn time(&self) -> Time {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAST: u64 = MS_MAX;

    #[test]
    fn a_clock_that_steps_back_is_waited_for() {
        let mut clock = Clock::default();
        for (wall_ms, ms, counter, ahead_ms) in
            [(1_000, 1_000, 0, 0), (1_000, 1_000, 1, 0), (400, 1_000, 2, 600), (1_001, 1_001, 0, 0)]
        {
            assert_eq!(clock.tick(wall_ms), Tick { ms, counter, ahead_ms });
            assert_eq!(clock.time(), Time::new(ms, counter));
        }
    }

    #[test]
    fn a_full_millisecond_runs_into_the_next() {
        let mut clock = Clock { last: Time::new(5, u16::MAX) };
        assert_eq!(clock.tick(5), Tick { ms: 6, counter: 0, ahead_ms: 1 });
    }

    #[test]
    fn a_merged_time_is_outdone_or_refused() {
        // (what is merged at wall time 1000 with a bound of 500, how far ahead if refused, next tick)
        for (seen, refused, next) in [
            ((900, 7), None, (1_000, 0)),
            ((1_000, 0), None, (1_000, 1)),
            ((1_000, 7), None, (1_000, 8)),
            ((1_500, 7), None, (1_500, 8)),
            ((1_500, u16::MAX), None, (1_501, 0)),
            ((1_501, 0), Some(501), (1_000, 0)),
            ((LAST, u16::MAX), Some(LAST - 1_000), (1_000, 0)),
        ] {
            let mut clock = Clock::default();
            let merged = clock.merge(Time::new(seen.0, seen.1), 1_000, 500);
            assert_eq!(merged.err().map(|error| error.ahead_ms), refused, "{seen:?}");
            assert_eq!(clock.tick(1_000).time(), Time::new(next.0, next.1), "{seen:?}");
        }
    }

    #[test]
    fn what_is_older_than_the_clock_changes_nothing() {
        let mut clock = Clock { last: Time::new(1_000, 3) };
        clock.merge(Time::new(1_000, 2), 1_000, 500).unwrap();
        assert_eq!(clock.time(), Time::new(1_000, 3));
    }

    #[test]
    fn at_the_end_of_the_range_the_clock_stands_and_says_so() {
        let mut clock = Clock { last: Time::new(LAST, u16::MAX - 1) };
        let last = clock.tick(LAST);
        assert_eq!(last, Tick { ms: LAST, counter: u16::MAX, ahead_ms: 0 });
        assert_eq!(clock.tick(u64::MAX), Tick { ahead_ms: u64::MAX, ..last });
        // A wall clock beyond the range counts as its end.
        assert_eq!(Clock::default().tick(u64::MAX).time(), Time::new(LAST, 0));
        // Nothing is larger than the last time, so nobody takes it over.
        let refused = Err(TooFarAhead { ahead_ms: u64::MAX });
        assert_eq!(Clock::default().merge(Time::MAX, u64::MAX, 500), refused);
    }

    proptest! {
        #[test]
        fn bytes_sort_as_times_do(left in any::<[u8; 8]>(), right in any::<[u8; 8]>()) {
            let times = (Time::from_bytes(left), Time::from_bytes(right));
            prop_assert_eq!(times.0.cmp(&times.1), left.cmp(&right));
            prop_assert_eq!(times.0.to_bytes(), left);
            prop_assert_eq!(Time::new(times.0.ms(), times.0.counter()), times.0);
        }
    }
}
