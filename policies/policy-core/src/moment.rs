//! Points in time that people write: dates of the calendar, in UTC.

use core::fmt;

/// A second of the calendar, counted from the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

const DAY_S: u64 = 86_400;

impl Moment {
    /// Reads `2026-12-31` (the start of that day) or `2026-12-31T23:59:59Z`: RFC 3339 in UTC, to the
    /// second, from 1970 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_at_checked(10)? {
            (date, "") => (date, None),
            (date, time) => (date, Some(time.strip_prefix('T')?.strip_suffix('Z')?)),
        };
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let is_day = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day);
        let days = days_since_epoch(year, month, day).filter(|_| is_day)?;
        let [hour, minute, second] = match time {
            None => [0; 3],
            Some(time) => numbers(time, ':', [2, 2, 2])?,
        };
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let of_day = hour.checked_mul(3_600)?.checked_add(minute.checked_mul(60)?)?;
        Some(Self(days.checked_mul(DAY_S)?.checked_add(of_day)?.checked_add(second)?))
    }

    /// Whole days from one moment to a later one, begun days counted; 0 if it is not later.
    pub fn days_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0).div_ceil(DAY_S)
    }
}

/// Numbers of so many digits each, with a mark between them.
fn numbers(text: &str, mark: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(mark);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the epoch, with a year that begins in March so that its leap day is its last (the
/// proleptic Gregorian calendar of ISO 8601).
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    const DAYS_TO_EPOCH: u64 = 719_468;
    let (year, month) = if month > 2 {
        (year, month.checked_sub(3)?)
    } else {
        (year.checked_sub(1)?, month.checked_add(9)?)
    };
    let before = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let leap_days = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let days = year.checked_mul(365)?.checked_add(leap_days)?.checked_add(before)?;
    days.checked_add(day)?.checked_sub(1)?.checked_sub(DAYS_TO_EPOCH)
}

/// The date and time as [`Moment::parse`] reads it.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut days, second) = (self.0 / DAY_S, self.0 % DAY_S);
        let mut year = 1970;
        loop {
            let of_year = if is_leap(year) { 366 } else { 365 };
            match days.checked_sub(of_year) {
                Some(rest) if year < 9999 => days = rest,
                _ => break,
            }
            year = year.saturating_add(1);
        }
        let mut month = 1;
        while let Some(rest) = days.checked_sub(days_of(year, month)).filter(|_| month < 12) {
            days = rest;
            month = month.saturating_add(1);
        }
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let day = days.saturating_add(1);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn dates_are_seconds() {
        for (text, seconds) in [
            ("1970-01-01", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1)),
            ("2000-02-29", Some(951_782_400)),
            ("2026-11-28T02:26:27Z", Some(1_795_832_787)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("2026-02-29", None),
            ("2100-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-04-31", None),
            ("1969-12-31", None),
            ("2026-1-1", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:00:60Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00+09:00", None),
            ("2026-01-01 00:00:00Z", None),
            ("2026/01/01", None),
            ("tomorrow", None),
            ("", None),
            ("2026-01-0\u{661}", None),
        ] {
            assert_eq!(Moment::parse(text), seconds.map(Moment), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0_u64..253_402_300_800) {
            let moment = Moment(seconds);
            prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
        }
    }

    #[test]
    fn days_are_counted_when_they_begin() {
        let at = |text| Moment::parse(text).unwrap();
        let start = at("2026-11-01");
        assert_eq!(start.days_until(at("2026-12-01")), 30);
        assert_eq!(start.days_until(at("2026-12-01T00:00:01Z")), 31);
        assert_eq!(at("2026-12-01").days_until(start), 0);
    }
}
