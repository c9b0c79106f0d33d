//! Whole numbers and floats, into each other: the one place where something may be lost.

/// A whole number as a float; exact below 2^53, which no count or time of a run reaches.
#[expect(clippy::cast_precision_loss, reason = "nothing here reaches 2^53")]
pub fn float(whole: u64) -> f64 {
    whole as f64
}

/// A length as a float.
pub fn length(of: usize) -> f64 {
    float(u64::try_from(of).unwrap_or(u64::MAX))
}

/// The nearest whole number; 0 for what is below or no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is what is asked for"
)]
pub fn whole(float: f64) -> u64 {
    float.round() as u64
}

/// The nearest place in something of this length; the last one for what lies beyond.
pub fn place(float: f64, len: usize) -> usize {
    usize::try_from(whole(float)).unwrap_or(usize::MAX).min(len.saturating_sub(1))
}

/// A share; 0 of nothing.
pub fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { float(part) / float(of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wraps() {
        assert_eq!([whole(-3.0), whole(2.5), whole(f64::NAN)], [0, 3, 0]);
        assert_eq!(whole(f64::INFINITY), u64::MAX);
        assert_eq!([place(1.4, 3), place(9.0, 3), place(9.0, 0)], [1, 2, 0]);
        assert_eq!((share(1, 4), share(1, 0)), (0.25, 0.0));
    }
}
