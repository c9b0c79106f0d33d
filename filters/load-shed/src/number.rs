//! Counts as numbers to reckon with.

/// Exact up to 2^53, which no count of a window comes near.
#[expect(clippy::cast_precision_loss, reason = "a count of a window is far below 2^53")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// The whole part of what is not negative and small; anything else becomes the nearest that is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and what is no number becomes zero"
)]
pub const fn whole(value: f64) -> u32 {
    value as u32
}

/// Within these bounds; what is no number becomes the lower one. Unlike `clamp` it cannot trap.
pub(crate) const fn bounded(value: f64, least: f64, most: f64) -> f64 {
    value.max(least).min(most)
}

/// `part / whole`, nothing of nothing.
pub(crate) fn share_of(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_part_never_traps() {
        for (value, expected, why) in [
            (0.0, 0, "nothing"),
            (0.999, 0, "a fraction is cut off"),
            (1.0, 1, "whole already"),
            (4_294_967_295.5, u32::MAX, "the largest"),
            (1e300, u32::MAX, "larger than any"),
            (f64::INFINITY, u32::MAX, "larger than any"),
            (-0.5, 0, "negative"),
            (-1e300, 0, "negative"),
            (f64::NEG_INFINITY, 0, "negative"),
            (f64::NAN, 0, "no number"),
        ] {
            assert_eq!(whole(value), expected, "{value}: {why}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_becomes_the_nearest() {
        for (value, expected, why) in [
            (1.5, 1.5, "within them"),
            (1.0, 1.0, "the least"),
            (2.0, 2.0, "the most"),
            (0.5, 1.0, "less"),
            (2.5, 2.0, "more"),
            (-1.0, 1.0, "negative"),
            (f64::INFINITY, 2.0, "more than any"),
            (f64::NEG_INFINITY, 1.0, "less than any"),
            (f64::NAN, 1.0, "no number becomes the lower one"),
        ] {
            let got = bounded(value, 1.0, 2.0);
            assert!((got - expected).abs() < f64::EPSILON, "{value}: {why}, not {got}");
        }
        let crossed = bounded(1.5, 2.0, 1.0);
        assert!(crossed.is_finite(), "bounds that exclude each other do not trap");
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        for (part, whole, expected, why) in [
            (1.0, 4.0, 0.25, "a quarter"),
            (8.0, 4.0, 2.0, "more than all of it"),
            (0.0, 4.0, 0.0, "none of it"),
            (1.0, 0.0, 0.0, "of nothing"),
            (0.0, 0.0, 0.0, "nothing of nothing"),
            (1.0, -4.0, 0.0, "of less than nothing"),
            (1.0, f64::NAN, 0.0, "of what is no number"),
            (1.0, f64::INFINITY, 0.0, "of more than any"),
        ] {
            let got = share_of(part, whole);
            assert!((got - expected).abs() < f64::EPSILON, "{part}/{whole}: {why}, not {got}");
        }
    }

    #[test]
    fn counts_are_exact() {
        for (count, expected) in [(0, 0.0), (1, 1.0), (1 << 53, 9_007_199_254_740_992.0)] {
            assert!((float(count) - expected).abs() < f64::EPSILON, "{count}");
        }
    }
}
