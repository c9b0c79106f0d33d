//! From the share of work that has to go to the keys that are let in.

use crate::key::{BUCKET_KEYS, BUCKETS, Key};
use crate::number::{bounded, float};
use crate::random::Random;

/// What every key passes.
const ALL: f64 = 256.0;
/// A share of work below which nothing is let go: it is noise.
pub(crate) const RATIO_MIN: f64 = 0.005;
/// How much of what was seen counts after one window more.
const DECAY: f64 = 0.8;

/// How many keys are let in, with a fraction of the next one.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Threshold(f64);

impl Default for Threshold {
    fn default() -> Self {
        Self(ALL)
    }
}

impl Threshold {
    pub(crate) const fn new(keys: f64) -> Self {
        Self(bounded(keys, 0.0, ALL))
    }

    pub(crate) const fn get(self) -> f64 {
        self.0
    }

    /// Whether a key is let in; of the key on the edge a fraction of the requests is.
    pub(crate) fn admits(self, key: Key, random: &Random) -> bool {
        let above = self.0 - f64::from(key.get());
        above >= 1.0 || (above > 0.0 && random.unit() < above)
    }
}

/// What keys requests had of late.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys([f64; BUCKETS]);

impl Keys {
    /// One window is over.
    pub(crate) fn add(&mut self, arrivals: &[u64; BUCKETS]) {
        for (weight, count) in self.0.iter_mut().zip(arrivals) {
            *weight = DECAY * *weight + float(*count);
        }
    }

    /// The keys that a share of `1 - ratio` of the requests has, the most important ones.
    pub(crate) fn threshold(&self, ratio: f64) -> Threshold {
        let total: f64 = self.0.iter().sum();
        if ratio < RATIO_MIN || total <= 0.0 {
            return Threshold::default();
        }
        let mut left = (1.0 - ratio) * total;
        let mut keys = 0.0;
        for weight in self.0 {
            if left < weight {
                return Threshold::new(keys + f64::from(BUCKET_KEYS) * left / weight);
            }
            left -= weight;
            keys += f64::from(BUCKET_KEYS);
        }
        Threshold::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_core::Priority;

    fn keys(of: impl Fn(usize) -> u64) -> Keys {
        let mut keys = Keys::default();
        keys.add(&std::array::from_fn(of));
        keys
    }

    #[test]
    fn a_key_is_let_in_below_the_threshold() {
        let random = Random::new(1);
        for (threshold, priority, cohort, expected, why) in [
            (256.0, Priority::Low, 63, true, "everything passes"),
            (255.0, Priority::Low, 63, false, "all but the last key"),
            (255.0, Priority::Low, 62, true, "the last but one"),
            (64.0, Priority::High, 0, false, "critical work only"),
            (64.0, Priority::Critical, 63, true, "critical work only"),
            (1.0, Priority::Critical, 0, true, "the first key"),
            (0.0, Priority::Critical, 0, false, "nothing passes"),
            (-5.0, Priority::Critical, 0, false, "less than nothing"),
            (f64::NAN, Priority::Critical, 0, false, "no number"),
            (1e9, Priority::Low, 63, true, "more than everything"),
        ] {
            let got = Threshold::new(threshold).admits(Key::new(priority, cohort), &random);
            assert_eq!(got, expected, "{threshold}: {why}");
        }
    }

    #[test]
    fn it_is_within_the_keys_that_there_are() {
        for (keys, expected) in
            [(-5.0, 0.0), (0.5, 0.5), (256.0, 256.0), (1e9, 256.0), (f64::NAN, 0.0)]
        {
            let got = Threshold::new(keys).get();
            assert!((got - expected).abs() < f64::EPSILON, "{keys}: {got}");
        }
        assert!((Threshold::default().get() - 256.0).abs() < f64::EPSILON, "everything passes");
    }

    #[test]
    fn it_is_where_the_share_of_what_came_ends() {
        let even = keys(|_| 10);
        let low = keys(|bucket| if bucket >= 24 { 40 } else { 0 });
        let two = keys(|bucket| u64::from(bucket == 0 || bucket == 31));
        for (keys, ratio, expected, why) in [
            (&even, 0.5, 128.0, "half of what is even"),
            (&even, 0.25, 192.0, "a quarter"),
            (&even, 0.3, 179.2, "a fraction of a key"),
            (&even, 0.98, 5.12, "nearly all"),
            (&low, 0.5, 224.0, "where only low work comes, half of that"),
            (&low, 0.75, 208.0, "three quarters of it"),
            (&two, 0.25, 252.0, "half of the bucket in which it ends"),
            (&two, 0.75, 4.0, "past buckets of which none came"),
            (&even, 1.0, 0.0, "all of it"),
            (&even, 0.005, 254.72, "a share that is let go"),
            (&even, 0.004_99, 256.0, "noise"),
            (&even, 0.0, 256.0, "nothing has to go"),
            (&even, -1.0, 256.0, "less than nothing"),
            (&even, f64::NAN, 256.0, "no number"),
            (&Keys::default(), 0.5, 256.0, "nothing came that could go"),
        ] {
            let got = keys.threshold(ratio).get();
            assert!((got - expected).abs() < 1e-9, "{ratio}: {why}, not {got}");
        }
    }

    #[test]
    fn it_never_rises_with_the_share() {
        let keys = keys(|bucket| u64::try_from(bucket % 5).unwrap());
        let of = |n: u32| keys.threshold(f64::from(n) / 1_000.0).get();
        assert!((1..=1_000).all(|n| of(n) <= of(n.saturating_sub(1))));
    }

    #[test]
    fn a_window_counts_four_fifths_of_the_next() {
        let mut keys = keys(|bucket| if bucket == 0 { 100 } else { 0 });
        let mut next = [0; BUCKETS];
        next[31] = 80;
        keys.add(&next);
        // Eighty of the first are left, and eighty of the last: the half ends between them.
        let halves = (keys.threshold(0.51).get(), keys.threshold(0.49).get());
        assert!(halves.0 < 8.0 && halves.1 > 248.0, "{halves:?}");
        assert!((keys.threshold(0.25).get() - 252.0).abs() < 1e-9);
    }
}
