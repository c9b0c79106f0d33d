//! When who was refused should come again.

use crate::number::{bounded, whole};
use crate::random::unit;
use policy_core::Priority;

/// The longest that anybody is told to wait, in seconds.
const MAX_S: u32 = 120;

/// Seconds to wait: `ceil(T * 2^floor(4 * ratio) * U[0.5, 1.5])`, at most 120, where `T` is 1, 2, 5
/// and 30 seconds for critical, high, normal and low work and `ratio` the share of work that has to
/// go. `random` are uniform bits; without that spread all would come again together.
pub fn retry_after_s(priority: Priority, ratio: f64, random: u64) -> u32 {
    let base_s = match priority {
        Priority::Critical => 1.0,
        Priority::High => 2.0,
        Priority::Normal => 5.0,
        Priority::Low => 30.0,
    };
    let doublings = (4.0 * bounded(ratio, 0.0, 1.0)).floor();
    let seconds = base_s * doublings.exp2() * (0.5 + unit(random));
    whole(seconds.ceil()).clamp(1, MAX_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_longer_the_less_important_and_the_more_has_to_go() {
        // The least, the middle and the most that the spread makes of it.
        for (priority, ratio, least, middle, most, why) in [
            (Priority::Critical, 0.0, 1, 1, 2, "0.5 to 1.5 s, and never none"),
            (Priority::High, 0.0, 1, 2, 3, "1 to 3 s"),
            (Priority::Normal, 0.0, 3, 5, 8, "2.5 to 7.5 s"),
            (Priority::Low, 0.0, 15, 30, 45, "15 to 45 s"),
            (Priority::High, 0.249, 1, 2, 3, "less than a quarter"),
            (Priority::High, 0.25, 2, 4, 6, "doubled from a quarter on"),
            (Priority::High, 0.5, 4, 8, 12, "again from a half on"),
            (Priority::High, 0.75, 8, 16, 24, "and from three quarters on"),
            (Priority::High, 0.98, 8, 16, 24, "nearly all"),
            (Priority::Low, 0.5, 60, 120, 120, "nobody waits longer than two minutes"),
            (Priority::Low, 1.0, 120, 120, 120, "nobody waits longer than two minutes"),
            (Priority::High, -1.0, 1, 2, 3, "less than nothing"),
            (Priority::High, f64::NAN, 1, 2, 3, "no number"),
            (Priority::Low, f64::INFINITY, 120, 120, 120, "more than all"),
        ] {
            let got = [0, 1 << 63, u64::MAX].map(|bits| retry_after_s(priority, ratio, bits));
            assert_eq!(got, [least, middle, most], "{priority} {ratio}: {why}");
        }
    }

    #[test]
    fn it_is_spread_so_that_not_all_come_again_together() {
        let mut counts = [0_u32; 46];
        for number in 1..=3_000_u64 {
            let bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let second = usize::try_from(retry_after_s(Priority::Low, 0.0, bits)).unwrap();
            counts[second] = counts[second].saturating_add(1);
        }
        assert!(counts[..16].iter().all(|count| *count == 0), "{counts:?}");
        assert!(counts[16..].iter().all(|count| (80..120).contains(count)), "{counts:?}");
    }
}
