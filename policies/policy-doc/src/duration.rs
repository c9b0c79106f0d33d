//! Durations as Kubernetes' Gateway API writes them (GEP-2257): `500ms`, `30s`, `1h30m`.

/// The milliseconds of a duration: one to four numbers of up to five digits with a unit each.
pub(crate) fn parse_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    for _ in 0..4 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (unit, tail) = if let Some(tail) = tail.strip_prefix("ms") {
            (1, tail)
        } else if let Some(tail) = tail.strip_prefix('h') {
            (3_600_000, tail)
        } else if let Some(tail) = tail.strip_prefix('m') {
            (60_000, tail)
        } else {
            (1_000, tail.strip_prefix('s')?)
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        if tail.is_empty() {
            return Some(total);
        }
        rest = tail;
    }
    None
}

/// Milliseconds as a duration, in the largest unit that fits.
pub(crate) fn show_ms(duration: u64) -> String {
    for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if duration.checked_rem(unit) == Some(0) && duration > 0 {
            return format!("{}{name}", duration / unit);
        }
    }
    format!("{duration}ms")
}

#[cfg(test)]
mod tests {
    use super::{parse_ms, show_ms};

    #[test]
    fn durations_are_shown_in_the_largest_unit() {
        for (milliseconds, text) in
            [(0, "0ms"), (1, "1ms"), (1_500, "1500ms"), (30_000, "30s"), (3_600_000, "1h")]
        {
            assert_eq!(show_ms(milliseconds), text);
        }
    }

    #[test]
    fn durations_are_read_as_gep_2257_says() {
        for (text, milliseconds) in [
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("1h1m1s1ms", Some(3_661_001)),
            ("99999h", Some(359_996_400_000)),
            ("1h2h3h4h", Some(36_000_000)),
            ("1h2h3h4h5h", None),
            ("", None),
            ("s", None),
            ("30", None),
            ("1.5s", None),
            ("-1s", None),
            ("1d", None),
            ("123456s", None),
            ("30 s", None),
            ("30S", None),
            ("3０s", None),
        ] {
            assert_eq!(parse_ms(text), milliseconds, "{text}");
        }
    }
}
