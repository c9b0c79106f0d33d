//! Time that a caller has left, and whether work begun now can end within it.

/// Whether half of such requests take longer than there is left: serving one is work that most
/// likely nobody waits for.
pub(crate) fn is_hopeless(time_left_ms: u32, median_ms: Option<f64>) -> bool {
    median_ms.is_some_and(|median_ms| f64::from(time_left_ms) < median_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hopeless_is_what_half_of_such_requests_do_not_make() {
        for (left_ms, median_ms, expected, why) in [
            (0, None, false, "nobody knows how long it takes"),
            (99, Some(100.0), true, "most take longer"),
            (100, Some(100.0), false, "half make it"),
            (100, Some(100.5), true, "fractions count"),
            (0, Some(0.001), true, "nothing is left"),
            (0, Some(0.0), false, "nothing is needed"),
            (u32::MAX, Some(1e12), true, "longer than anybody waits"),
            (5, Some(f64::NAN), false, "what is no number tells nothing"),
        ] {
            assert_eq!(is_hopeless(left_ms, median_ms), expected, "{left_ms}: {why}");
        }
    }
}
