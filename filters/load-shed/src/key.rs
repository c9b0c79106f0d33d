//! Where a request stands in the order in which work is let go: priority first, cohort within it.

use policy_core::Priority;

/// How many cohorts there are.
pub const COHORTS: u8 = 64;

/// Keys that are counted together: an eighth of the cohorts of one priority.
pub(crate) const BUCKETS: usize = 32;
/// How many keys a bucket has.
pub(crate) const BUCKET_KEYS: u8 = 8;

/// `priority * 64 + cohort`: 0 is let go last, 255 first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u8);

impl Key {
    /// The key of a request. Of a cohort only the lowest six bits count.
    pub const fn new(priority: Priority, cohort: u8) -> Self {
        let first = match priority {
            Priority::Critical => 0,
            Priority::High => COHORTS,
            Priority::Normal => 2 * COHORTS,
            Priority::Low => 3 * COHORTS,
        };
        Self(first | (cohort & 0x3f))
    }

    /// As a number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// With which keys it is counted.
    pub(crate) fn bucket(self) -> usize {
        usize::from(self.0 / BUCKET_KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_comes_first_and_cohort_within_it() {
        for (priority, cohort, key, bucket, why) in [
            (Priority::Critical, 0, 0, 0, "let go last"),
            (Priority::Critical, 7, 7, 0, "eight cohorts are counted together"),
            (Priority::Critical, 8, 8, 1, "and the next eight"),
            (Priority::Critical, 63, 63, 7, "any critical work comes before"),
            (Priority::High, 0, 64, 8, "all work of high priority"),
            (Priority::Normal, 63, 191, 23, "the last of normal"),
            (Priority::Low, 0, 192, 24, "comes before the first of low"),
            (Priority::Low, 63, 255, 31, "let go first"),
            (Priority::High, 64, 64, 8, "only six bits of a cohort count"),
            (Priority::Critical, 255, 63, 7, "nobody leaves his priority by his cohort"),
        ] {
            let got = Key::new(priority, cohort);
            assert_eq!((got.get(), got.bucket()), (key, bucket), "{priority} {cohort}: {why}");
        }
    }

    #[test]
    fn every_key_has_a_bucket() {
        let all =
            Priority::ALL.iter().flat_map(|of| (0..COHORTS).map(|cohort| Key::new(*of, cohort)));
        let keys: Vec<_> = all.collect();
        assert!(keys.is_sorted_by(|one, next| one < next), "in the order of priorities");
        let full = keys.iter().fold([0_u8; BUCKETS], |mut counts, key| {
            counts[key.bucket()] = counts[key.bucket()].saturating_add(1);
            counts
        });
        assert_eq!(full, [BUCKET_KEYS; BUCKETS]);
    }
}
