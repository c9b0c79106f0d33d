//! What half of the requests take at most, learned one request at a time.

use std::cell::Cell;

/// How much an estimate moves with each sample once it has settled.
const STEP: f64 = 0.02;
/// How many samples make an estimate that may be believed.
const SAMPLES_MIN: u32 = 20;
/// An estimate that nothing has confirmed for so long is not believed any more. Work that it turned
/// away gives no samples: were it believed for ever, it would turn away everything for ever.
const BELIEVED_MS: u64 = 2_000;

/// An estimate of a median that needs no samples kept: it goes up by a step for each sample above it
/// and down for each below, so that it rests where as many are above as below (Robbins and Monro
/// 1951). Steps are ratios, so that it does not matter how long requests take.
#[derive(Debug, Default)]
pub(crate) struct Median {
    estimate_ms: Cell<f64>,
    samples: Cell<u32>,
    /// How many samples there were at the last tick, and when there was a new one.
    confirmed: Cell<(u32, u64)>,
}

impl Median {
    /// A request has taken this long.
    pub(crate) fn observe(&self, ms: f64) {
        let samples = self.samples.get();
        let estimate = self.estimate_ms.get();
        let moved = match ms.total_cmp(&estimate) {
            _ if samples == 0 => ms,
            core::cmp::Ordering::Equal => estimate,
            order => {
                let step = (1.0 / (f64::from(samples) + 1.0)).max(STEP);
                if order.is_gt() { estimate * (1.0 + step) } else { estimate / (1.0 + step) }
            }
        };
        // What took no measurable time would hold the estimate at nothing.
        self.estimate_ms.set(moved.max(0.001));
        self.samples.set(samples.saturating_add(1));
    }

    /// Looks whether there were new samples.
    pub(crate) fn on_tick(&self, now_ms: u64) {
        let samples = self.samples.get();
        let (before, at_ms) = self.confirmed.get();
        if samples != before {
            self.confirmed.set((samples, now_ms));
        } else if samples > 0 && now_ms.saturating_sub(at_ms) > BELIEVED_MS {
            self.samples.set(0);
            self.confirmed.set((0, now_ms));
        }
    }

    /// The median in milliseconds, where enough samples tell it.
    pub(crate) fn get(&self) -> Option<f64> {
        (self.samples.get() >= SAMPLES_MIN).then(|| self.estimate_ms.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: impl IntoIterator<Item = f64>) -> Median {
        let median = Median::default();
        samples.into_iter().for_each(|ms| median.observe(ms));
        median
    }

    #[test]
    fn it_rests_where_as_many_are_above_as_below() {
        let shuffled = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        for (samples, least, most, why) in [
            ((0..400).map(|_| 50.0).collect::<Vec<_>>(), 50.0, 50.0, "all are the same"),
            ((0..2_000).map(|n| 200.0 * shuffled(n)).collect(), 75.0, 125.0, "evenly up to 200"),
            ((0..2_000).map(|n| 0.2 * shuffled(n)).collect(), 0.075, 0.125, "a thousandth of it"),
            (
                (0..2_000).map(|n| if n % 10 == 0 { 60_000.0 } else { 10.0 }).collect(),
                9.0,
                11.5,
                "a tenth that is very long says no more than that it is above",
            ),
            ((0..400).map(|_| 0.0).collect(), 0.001, 0.001, "what takes no time can be left again"),
        ] {
            let got = of(samples).get().unwrap();
            assert!((least..=most).contains(&got), "{got}: {why}");
        }
    }

    #[test]
    fn it_follows_a_change() {
        let median = of((0..400).map(|_| 10.0));
        (0..400).for_each(|_| median.observe(200.0));
        assert!((190.0..=205.0).contains(&median.get().unwrap()), "{median:?}");
        (0..400).for_each(|_| median.observe(0.0));
        (0..1_000).for_each(|_| median.observe(10.0));
        assert!((9.7..=10.3).contains(&median.get().unwrap()), "{median:?}");
    }

    #[test]
    fn few_samples_tell_nothing() {
        assert_eq!(of((0..19).map(|_| 10.0)).get(), None);
        assert!(of((0..20).map(|_| 10.0)).get().is_some());
    }

    #[test]
    fn what_nothing_confirms_is_not_believed_for_long() {
        let median = of((0..40).map(|_| 10.0));
        for (now_ms, is_new, is_believed, why) in [
            (1_000, false, true, "there were samples before this tick"),
            (3_000, false, true, "two seconds without one"),
            (3_000, true, true, "one more, which this tick sees"),
            (5_000, false, true, "two seconds since then"),
            (5_001, false, false, "more than two seconds"),
            (5_200, false, false, "nor later"),
            (5_300, true, false, "one sample is too few"),
        ] {
            if is_new {
                median.observe(10.0);
            }
            median.on_tick(now_ms);
            assert_eq!(median.get().is_some(), is_believed, "at {now_ms}: {why}");
        }
        // What is learned then owes nothing to what it was.
        let anew = of((0..40).map(|_| 10.0));
        anew.on_tick(0);
        anew.on_tick(2_001);
        (0..20).for_each(|_| anew.observe(500.0));
        assert!((anew.get().unwrap() - 500.0).abs() < 1e-9, "{anew:?}");
    }
}
