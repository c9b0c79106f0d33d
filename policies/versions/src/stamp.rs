//! The stamp.

use crate::clock::{Tick, Time};
use core::fmt;

/// The version of one write. No two writes have the same, and their bytes sort as they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    time: Time,
    code: [u8; 3],
    node: u32,
}

impl Stamp {
    /// The length of a stamp as text, in bytes.
    pub const LEN: usize = 29;

    /// The stamp of a tick at this node of this region. A region's code is three letters a-z; what
    /// is no such letter becomes `x`.
    pub fn new(tick: Tick, code: [u8; 3], node: u32) -> Self {
        let code = code.map(|letter| if letter.is_ascii_lowercase() { letter } else { b'x' });
        Self { time: tick.time(), code, node }
    }

    /// Reads a stamp; anything that is not exactly one is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; Self::LEN] = text.try_into().ok()?;
        let (time, rest) = text.split_at_checked(16)?;
        let (code, node) = rest.strip_prefix(b"-")?.split_at_checked(3)?;
        let code: [u8; 3] = code.try_into().ok()?;
        if !code.iter().all(u8::is_ascii_lowercase) {
            return None;
        }
        Some(Self {
            time: Time::from_bytes(number(time)?.to_be_bytes()),
            code,
            node: u32::try_from(number(node.strip_prefix(b"-")?)?).ok()?,
        })
    }

    /// When it was issued, by the clock of its node.
    pub const fn time(&self) -> Time {
        self.time
    }

    /// Milliseconds since the Unix epoch, less than 2^48.
    pub const fn ms(&self) -> u64 {
        self.time.ms()
    }

    /// The order within the millisecond.
    pub const fn counter(&self) -> u16 {
        self.time.counter()
    }

    /// The region's code.
    pub const fn code(&self) -> [u8; 3] {
        self.code
    }

    /// The node that issued it: a number that no other VM and no other life of this one has.
    pub const fn node(&self) -> u32 {
        self.node
    }

    /// The stamp as text. Only hexadecimal digits, letters a-z and hyphens.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut text = [b'-'; Self::LEN];
        let time = digits::<16>(u64::from_be_bytes(self.time.to_bytes()));
        let node = digits::<8>(u64::from(self.node));
        let parts = time.iter().chain(b"-").chain(&self.code).chain(b"-").chain(&node);
        for (place, byte) in text.iter_mut().zip(parts) {
            *place = *byte;
        }
        text
    }
}

/// The number in hexadecimal. Lower case only: upper case would sort elsewhere.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
            _ => return None,
        };
        value.checked_mul(16)?.checked_add(u64::from(digit))
    })
}

/// The last `N` hexadecimal digits of a number.
fn digits<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let [.., low] = number.to_be_bytes();
        *digit = match low & 0xf {
            low @ 0..=9 => b'0'.wrapping_add(low),
            low => b'a'.wrapping_sub(10).wrapping_add(low),
        };
        number >>= 4;
    }
    digits
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(core::str::from_utf8(&self.to_bytes()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn stamps() -> impl Strategy<Value = Stamp> {
        (0..1_u64 << 48, any::<u16>(), "[a-z]{3}", any::<u32>()).prop_map(
            |(ms, counter, code, node)| {
                let tick = Tick { ms, counter, ahead_ms: 0 };
                Stamp::new(tick, code.as_bytes().try_into().unwrap(), node)
            },
        )
    }

    #[test]
    fn only_whole_stamps_are_read() {
        let text = "0192f3a4b5c60007-tyo-3fa29c1b";
        assert_eq!(Stamp::parse(text.as_bytes()).unwrap().to_string(), text);
        let stamp = Stamp::parse(text.as_bytes()).unwrap();
        assert_eq!((stamp.ms(), stamp.counter()), (0x0192_f3a4_b5c6, 7));
        assert_eq!((stamp.code(), stamp.node()), (*b"tyo", 0x3fa2_9c1b));
        for wrong in [
            "",
            "0192f3a4b5c60007-tyo-3fa29c1",
            "0192f3a4b5c60007-tyo-3fa29c1b0",
            "0192F3A4B5C60007-tyo-3fa29c1b",
            "0192f3a4b5c60007-TYO-3fa29c1b",
            "0192f3a4b5c60007_tyo-3fa29c1b",
            "0192f3a4b5c6000g-tyo-3fa29c1b",
        ] {
            assert_eq!(Stamp::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn bytes_sort_as_versions_do(left in stamps(), right in stamps()) {
            prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
            prop_assert_eq!(left.to_string().into_bytes(), left.to_bytes());
            prop_assert_eq!(Stamp::parse(left.to_string().as_bytes()), Some(left));
        }

        #[test]
        fn any_bytes_are_judged(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Stamp::parse(&text);
        }
    }
}
