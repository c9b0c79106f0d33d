//! How far apart requests are in how long they take: what their mean does not tell.
//!
//! A queue makes all requests longer by about the same; a backend that has become slower makes the
//! long ones longer than the short ones. So the difference of two requests that end one after
//! another tells one from the other. Neither the mean does, nor what is served: where several
//! proxies share a backend, each is served more when it asks for more, at the cost of the others.
//! One after another, for a queue is longer at one time than at another as well.

use crate::number::float;

/// How many classes of differences there are: half octaves from an eighth of a millisecond to
/// eight seconds.
pub(crate) const CLASSES: usize = 32;
const FIRST_US: u64 = 128;
/// What of the differences is forgotten in a window: a fifth at most, and not so much that fewer
/// than these are left.
const FORGOTTEN_MAX: f64 = 0.2;
const REMEMBERED: f64 = 400.0;

/// The class of a difference in microseconds.
pub(crate) fn class(us: u64) -> usize {
    let us = us.max(FIRST_US);
    let octave = us.ilog2().saturating_sub(FIRST_US.ilog2());
    let is_upper = us >> us.ilog2().saturating_sub(1) & 1;
    let class = u64::from(octave).saturating_mul(2).saturating_add(is_upper);
    usize::try_from(class).unwrap_or(CLASSES).min(CLASSES.saturating_sub(1))
}

/// The differences of late, by their classes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Differences([f64; CLASSES]);

impl Differences {
    /// One window is over.
    pub(crate) fn add(&mut self, window: &[u64; CLASSES]) {
        let new: f64 = window.iter().copied().map(float).sum();
        let kept = 1.0 - (new / REMEMBERED).min(FORGOTTEN_MAX);
        for (weight, count) in self.0.iter_mut().zip(window) {
            *weight = kept * *weight + float(*count);
        }
    }

    /// Their median in milliseconds; zero where there are none. Durations have long tails, of which
    /// a mean would be made.
    pub(crate) fn median_ms(&self) -> f64 {
        let mut left = 0.5 * self.0.iter().sum::<f64>();
        let (mut from, mut is_upper) = (float(FIRST_US) / 1_000.0, false);
        for weight in self.0 {
            // Half an octave further by half, then by a third: an octave.
            let until = if is_upper { from * 4.0 / 3.0 } else { from * 1.5 };
            if left < weight {
                return from + (until - from) * left / weight;
            }
            left -= weight;
            (from, is_upper) = (until, !is_upper);
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_half_octaves() {
        for (us, expected) in [
            (0, 0),
            (191, 0),
            (192, 1),
            (256, 2),
            (512, 4),
            (767, 4),
            (768, 5),
            (4_194_304, 30),
            (u64::MAX, 31),
        ] {
            assert_eq!(class(us), expected, "{us}");
        }
    }

    #[test]
    fn the_median_is_that_of_what_was_counted() {
        for (us, count) in [(300_u32, 3_u32), (5_000, 1_000), (70_000, 400), (2_000_000, 20)] {
            let mut window = [0_u64; CLASSES];
            let all = (1..=2 * count).map(|n| us.saturating_mul(n) / count);
            for us in all {
                let count = &mut window[class(us.into())];
                *count = count.saturating_add(1);
            }
            let mut differences = Differences::default();
            differences.add(&window);
            let median = differences.median_ms() * 1_000.0 / f64::from(us);
            assert!((0.7..1.3).contains(&median), "{median} of {us}");
        }
        assert!(Differences::default().median_ms() <= 0.0);
    }

    #[test]
    fn what_is_old_is_forgotten_faster_the_more_is_new() {
        let old_after = |count: u64, windows: usize| {
            let mut differences = Differences::default();
            let (mut before, mut after) = ([0; CLASSES], [0; CLASSES]);
            (before[4], after[20]) = (1_000, count);
            differences.add(&before);
            (0..windows).for_each(|_| differences.add(&after));
            differences.0[4]
        };
        assert!(old_after(200, 1) > 799.0, "four fifths are left at least");
        assert!(old_after(20, 1) > 949.0);
        assert!(old_after(200, 20) < 20.0);
    }
}
