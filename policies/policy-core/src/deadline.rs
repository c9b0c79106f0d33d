//! How long a caller will wait.

/// The time that is left for a request, in milliseconds. Always relative: no clock is compared
/// between machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// Time a hop keeps for itself, in milliseconds (algorithms: `max(0, d - elapsed - 5 ms)`).
    pub const HOP_MS: u32 = 5;

    /// A deadline this far away.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Reads a `grpc-timeout`: one to eight digits and a unit (gRPC over HTTP/2, "Requests").
    pub fn from_grpc_timeout(value: &[u8]) -> Option<Self> {
        let (unit, digits) = value.split_last()?;
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let count: u64 = core::str::from_utf8(digits).ok()?.parse().ok()?;
        let ms = match unit {
            b'H' => count.saturating_mul(3_600_000),
            b'M' => count.saturating_mul(60_000),
            b'S' => count.saturating_mul(1_000),
            b'm' => count,
            b'u' => count / 1_000,
            b'n' => count / 1_000_000,
            _ => return None,
        };
        Some(Self(ms))
    }

    /// What is left for the next hop in milliseconds; nothing when it cannot be met.
    pub fn remaining_ms(self) -> Option<u64> {
        self.0.checked_sub(Self::HOP_MS.into()).filter(|left| *left > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_by_unit() {
        for (value, ms) in [
            (&b"1S"[..], Some(1_000)),
            (b"250m", Some(250)),
            (b"2H", Some(7_200_000)),
            (b"3M", Some(180_000)),
            (b"1500u", Some(1)),
            (b"1n", Some(0)),
            (b"99999999H", Some(99_999_999 * 3_600_000)),
            (b"999999999S", None),
            (b"S", None),
            (b"-1S", None),
            (b"1s", None),
            (b"", None),
        ] {
            assert_eq!(Deadline::from_grpc_timeout(value), ms.map(Deadline), "{value:?}");
        }
    }

    #[test]
    fn a_deadline_within_a_hop_cannot_be_met() {
        assert_eq!(Deadline::from_ms(0).remaining_ms(), None);
        assert_eq!(Deadline::from_ms(5).remaining_ms(), None);
        assert_eq!(Deadline::from_ms(6).remaining_ms(), Some(1));
    }
}
