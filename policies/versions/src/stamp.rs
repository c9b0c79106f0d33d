//! The stamp.

use crate::clock::Tick;
use core::fmt;

/// The version of one write. No two writes have the same, and their bytes sort as they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    ms: u64,
    counter: u16,
    code: [u8; 3],
    node: u32,
}

impl Stamp {
    /// The length of a stamp as text, in bytes.
    pub const LEN: usize = 29;

    /// The stamp of a tick at this node of this region. A region's code is three letters a-z.
    pub fn new(tick: Tick, code: [u8; 3], node: u32) -> Self {
        let code = code.map(|letter| if letter.is_ascii_lowercase() { letter } else { b'x' });
        Self { ms: tick.ms & 0xffff_ffff_ffff, counter: tick.counter, code, node }
    }

    /// Reads a stamp; anything that is not exactly one is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; Self::LEN] = text.try_into().ok()?;
        let (ms, rest) = text.split_at_checked(12)?;
        let (counter, rest) = rest.split_at_checked(4)?;
        let (code, node) = rest.strip_prefix(b"-")?.split_at_checked(3)?;
        let code: [u8; 3] = code.try_into().ok()?;
        if !code.iter().all(u8::is_ascii_lowercase) {
            return None;
        }
        Some(Self {
            ms: hex(ms)?,
            counter: u16::try_from(hex(counter)?).ok()?,
            code,
            node: u32::try_from(hex(node.strip_prefix(b"-")?)?).ok()?,
        })
    }

    /// Milliseconds since the Unix epoch.
    pub fn ms(&self) -> u64 {
        self.ms
    }

    /// The region's code.
    pub fn code(&self) -> [u8; 3] {
        self.code
    }
}

/// Lower case only: upper case would sort elsewhere.
fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
            _ => return None,
        };
        value.checked_mul(16)?.checked_add(u64::from(digit))
    })
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.code.map(char::from);
        write!(f, "{:012x}{:04x}-{a}{b}{c}-{:08x}", self.ms, self.counter, self.node)
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
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
            prop_assert_eq!(left.to_string().len(), Stamp::LEN);
            prop_assert_eq!(Stamp::parse(left.to_string().as_bytes()), Some(left));
        }

        #[test]
        fn any_bytes_are_judged(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Stamp::parse(&text);
        }
    }
}
