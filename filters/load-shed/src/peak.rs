//! The most of the last minute.

/// How long a part of the minute is, in milliseconds, and how many there are.
const PART_MS: u64 = 10_000;
const PARTS: usize = 6;

/// A maximum over a window that slides by parts of ten seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peak {
    parts: [(u64, f64); PARTS],
}

impl Peak {
    pub(crate) fn note(&mut self, value: f64, now_ms: u64) {
        let number = now_ms / PART_MS;
        let place = usize::try_from(number % 6).unwrap_or(0);
        if let Some((of, most)) = self.parts.get_mut(place) {
            let before = if *of == number { *most } else { 0.0 };
            (*of, *most) = (number, before.max(value));
        }
    }

    pub(crate) fn get(&self, now_ms: u64) -> f64 {
        let number = now_ms / PART_MS;
        let is_recent = |of: u64| of <= number && number.saturating_sub(of) < 6;
        let recent = self.parts.iter().filter(|(of, _)| is_recent(*of));
        recent.fold(0.0, |most, (_, value)| most.max(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_most_of_the_last_minute() {
        let mut peak = Peak::default();
        for (now_ms, value, most, why) in [
            (5_000, 0.0, 0.0, "nothing yet"),
            (5_000, 7.0, 7.0, "the first"),
            (6_000, 3.0, 7.0, "less of the same part changes nothing"),
            (12_000, 5.0, 7.0, "less of the next part neither"),
            (31_000, 9.0, 9.0, "more counts at once"),
            (59_999, 1.0, 9.0, "the first part is still within the minute"),
            (65_000, 2.0, 9.0, "its place is taken by the seventh"),
            (89_999, 1.0, 9.0, "the end of the minute of the nine"),
            (90_000, 1.0, 2.0, "which is forgotten now"),
            (125_000, 0.5, 1.0, "and the two"),
            (10_000_000, 0.25, 0.25, "all of it after a long time"),
        ] {
            peak.note(value, now_ms);
            let got = peak.get(now_ms);
            assert!((got - most).abs() < f64::EPSILON, "at {now_ms}: {why}, not {got}");
        }
    }

    #[test]
    fn it_is_forgotten_by_itself() {
        let mut peak = Peak::default();
        peak.note(7.0, 5_000);
        for (now_ms, most) in [(5_000, 7.0), (59_999, 7.0), (60_000, 0.0), (u64::MAX, 0.0)] {
            assert!((peak.get(now_ms) - most).abs() < f64::EPSILON, "at {now_ms}");
        }
        peak.note(8.0, 25_000);
        assert!((peak.get(15_000) - 7.0).abs() < f64::EPSILON, "what is to come is not of late");
    }

    #[test]
    fn what_is_no_number_is_no_peak() {
        let mut peak = Peak::default();
        peak.note(2.0, 0);
        peak.note(f64::NAN, 0);
        peak.note(-4.0, 0);
        assert!((peak.get(0) - 2.0).abs() < f64::EPSILON);
    }
}
