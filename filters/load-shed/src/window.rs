//! What all workers of a proxy together did since the last decision.

use crate::counters::Counts;
use crate::key::BUCKETS;
use crate::number::float;
use crate::spread;

/// How long a window lasts at least and at most, in milliseconds. Shorter ones oscillate; the tenth
/// less than a quarter of a second leaves room for a tick that comes a little early.
const WINDOW_MS: (u64, u64) = (225, 1_000);
/// How many endings make a window that tells something before it has lasted longest.
const SAMPLES_MIN: u64 = 20;

/// Sums over all workers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Window {
    pub(crate) ms: u64,
    pub(crate) arrivals: [u64; BUCKETS],
    pub(crate) passed: u64,
    pub(crate) admitted: u64,
    pub(crate) served: u64,
    pub(crate) failed: u64,
    pub(crate) apart: [u64; spread::CLASSES],
    pub(crate) latency_us: u64,
    pub(crate) area: u64,
    /// The most that were in flight at once.
    pub(crate) in_flight_max: u32,
    /// The largest of the workers' means of what upstreams said of their load, as a share.
    pub(crate) utilisation: f64,
}

impl Window {
    pub(crate) fn is_over(&self) -> bool {
        let (least, most) = WINDOW_MS;
        let samples = self.served.saturating_add(self.failed);
        self.ms >= most || (self.ms >= least && samples >= SAMPLES_MIN)
    }

    /// One worker has come from `before` to `after`.
    pub(crate) fn add(&mut self, before: &Counts, after: &Counts) {
        let more = |sum: &mut u64, before: u32, after: u32| {
            *sum = sum.saturating_add(after.wrapping_sub(before).into());
        };
        for (sum, (before, after)) in
            self.arrivals.iter_mut().zip(before.arrivals.iter().zip(after.arrivals))
        {
            more(sum, *before, after);
        }
        for (sum, (before, after)) in
            self.apart.iter_mut().zip(before.apart.iter().zip(after.apart))
        {
            more(sum, *before, after);
        }
        more(&mut self.passed, before.passed, after.passed);
        more(&mut self.admitted, before.admitted, after.admitted);
        more(&mut self.served, before.served, after.served);
        more(&mut self.failed, before.failed, after.failed);
        let latency_us = after.latency_us.wrapping_sub(before.latency_us);
        self.latency_us = self.latency_us.saturating_add(latency_us);
        self.area = self.area.saturating_add(after.area.wrapping_sub(before.area));
    }

    pub(crate) fn seconds(&self) -> f64 {
        float(self.ms) / 1_000.0
    }

    /// Requests that came to the threshold.
    pub(crate) fn offered(&self) -> f64 {
        self.arrivals.iter().copied().map(float).sum()
    }

    /// How many of those were refused for want of room, and not by the threshold.
    pub(crate) fn overflowed(&self) -> f64 {
        float(self.passed.saturating_sub(self.admitted))
    }

    /// How long a request took on average.
    pub(crate) fn mean_ms(&self) -> Option<f64> {
        (self.served > 0).then(|| float(self.latency_us) / 1_000.0 / float(self.served))
    }

    /// The share of those that ended badly.
    pub(crate) fn failed_share(&self) -> f64 {
        crate::number::share_of(float(self.failed), float(self.failed.saturating_add(self.served)))
    }

    /// How many were in flight on average.
    pub(crate) fn in_flight(&self) -> f64 {
        crate::number::share_of(float(self.area) / 2.0, float(self.ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts that all are this.
    fn counts(each: u32) -> Counts {
        Counts {
            arrivals: [each; BUCKETS],
            passed: each,
            admitted: each,
            served: each,
            failed: each,
            apart: [each; spread::CLASSES],
            latency_us: each.into(),
            area: each.into(),
        }
    }

    #[test]
    fn it_is_over_when_it_tells_enough() {
        for (ms, served, failed, expected, why) in [
            (0, 0, 0, false, "nothing yet"),
            (224, 1_000, 0, false, "too short, whatever happened"),
            (225, 19, 0, false, "long enough, but too little ended"),
            (225, 20, 0, true, "long enough, and enough was served"),
            (225, 10, 10, true, "what failed tells something too"),
            (225, 0, 20, true, "what failed tells something too"),
            (999, 19, 0, false, "too little ended"),
            (1_000, 0, 0, true, "that nothing ended tells enough"),
            (225, u64::MAX, u64::MAX, true, "as much as can be"),
        ] {
            let window = Window { ms, served, failed, ..Window::default() };
            assert_eq!(window.is_over(), expected, "{ms} {served} {failed}: {why}");
        }
    }

    #[test]
    fn what_a_worker_did_is_the_difference_of_its_counts() {
        for (before, after, expected, why) in [
            (counts(5), counts(12), 7, "seven more"),
            (counts(5), counts(5), 0, "nothing more"),
            (counts(0), counts(u32::MAX), u32::MAX, "as many as can be"),
        ] {
            let mut window = Window::default();
            window.add(&before, &after);
            let of_all = u64::from(expected);
            let sums = Window {
                arrivals: [of_all; BUCKETS],
                passed: of_all,
                admitted: of_all,
                served: of_all,
                failed: of_all,
                apart: [of_all; spread::CLASSES],
                latency_us: of_all,
                area: of_all,
                ..Window::default()
            };
            assert_eq!(window, sums, "{why}");
        }
    }

    #[test]
    fn counts_that_began_again_are_no_loss() {
        let before = Counts { latency_us: u64::MAX, area: u64::MAX - 1, ..counts(u32::MAX) };
        let mut window = Window::default();
        window.add(&before, &Counts { latency_us: 1, area: 1, ..counts(1) });
        assert_eq!((window.arrivals, window.apart), ([2; BUCKETS], [2; spread::CLASSES]));
        assert_eq!((window.passed, window.admitted, window.served, window.failed), (2, 2, 2, 2));
        assert_eq!((window.latency_us, window.area), (2, 3));
    }

    #[test]
    fn workers_add_up_and_never_past_the_largest() {
        let mut window = Window::default();
        for _ in 0..3 {
            window.add(&counts(0), &counts(4));
        }
        assert_eq!((window.arrivals[31], window.served, window.area), (12, 12, 12));
        let most = Counts { latency_us: u64::MAX, area: u64::MAX, ..counts(0) };
        for _ in 0..2 {
            window.add(&counts(0), &most);
        }
        assert_eq!((window.latency_us, window.area), (u64::MAX, u64::MAX));
    }

    #[test]
    fn what_follows_from_the_sums() {
        let mut window = Window {
            ms: 500,
            passed: 26,
            admitted: 24,
            served: 16,
            failed: 4,
            ..Window::default()
        };
        (window.arrivals[0], window.arrivals[31]) = (20, 10);
        (window.latency_us, window.area) = (320_000, 8_000);
        for (got, expected, name) in [
            (window.seconds(), 0.5, "seconds"),
            (window.offered(), 30.0, "offered"),
            (window.overflowed(), 2.0, "refused for want of room"),
            (window.mean_ms().unwrap(), 20.0, "milliseconds of a request that was served"),
            (window.failed_share(), 0.2, "of those that ended"),
            (window.in_flight(), 8.0, "in flight: half of the area, by the time"),
        ] {
            assert!((got - expected).abs() < 1e-9, "{name}: {got}");
        }
    }

    #[test]
    fn nothing_follows_from_nothing() {
        let empty = Window::default();
        assert_eq!(empty.mean_ms(), None);
        let numbers =
            [empty.offered(), empty.failed_share(), empty.in_flight(), empty.overflowed()];
        assert!(numbers.iter().all(|number| number.abs() < f64::EPSILON), "{numbers:?}");
        // What came in one window can be let in in the next.
        let late = Window { admitted: 3, ..Window::default() };
        assert!(late.overflowed().abs() < f64::EPSILON, "less than none is refused");
    }
}
