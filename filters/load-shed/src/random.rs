//! Numbers that need not be secret, only spread: one request of those on the edge of a threshold
//! gets in, and not always the same worker's.

use crate::number::float;
use std::cell::Cell;

/// A splitmix64 (Steele et al. 2014): every seed is as good as any other, and eight bytes are its
/// whole state.
#[derive(Debug, Clone)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) const fn new(seed: u32) -> Self {
        Self(Cell::new(seed as u64))
    }

    fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to but not including 1.
    pub(crate) fn unit(&self) -> f64 {
        unit(self.next())
    }
}

/// 64 random bits as a number from 0 up to but not including 1.
pub(crate) fn unit(bits: u64) -> f64 {
    float(bits >> 11) / float(1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_from_zero_up_to_but_not_including_one() {
        for (bits, expected, why) in [
            (0, 0.0, "no bits"),
            (1 << 63, 0.5, "the highest bit"),
            (2_047, 0.0, "bits that there is no room for"),
        ] {
            assert!((unit(bits) - expected).abs() < f64::EPSILON, "{why}");
        }
        assert!(unit(u64::MAX) < 1.0, "all bits");
    }

    #[test]
    fn of_the_key_on_the_edge_its_fraction_is_let_in() {
        use crate::key::Key;
        use crate::threshold::Threshold;
        use policy_core::Priority;
        let edge = Key::new(Priority::Normal, 10);
        for seed in [0, 1, u32::MAX] {
            let random = Random::new(seed);
            for fraction in [0.0, 0.05, 0.25, 0.5, 0.9] {
                let threshold = Threshold::new(f64::from(edge.get()) + fraction);
                let admitted = (0..20_000).filter(|_| threshold.admits(edge, &random)).count();
                let share = float(u64::try_from(admitted).unwrap()) / 20_000.0;
                assert!((share - fraction).abs() < 0.015, "{share} of {fraction}, seed {seed}");
            }
        }
    }

    #[test]
    fn workers_do_not_draw_alike() {
        let draw = |seed| -> Vec<u64> {
            let random = Random::new(seed);
            (0..20).map(|_| random.next()).collect()
        };
        assert_eq!(draw(5), draw(5), "a seed is all there is");
        let (one, other) = (draw(5), draw(6));
        assert!(one.iter().all(|bits| !other.contains(bits)));
        let ones: u32 = one.iter().map(|bits| bits.count_ones()).sum();
        assert!((540..740).contains(&ones), "half of 1280 bits: {ones}");
    }
}
