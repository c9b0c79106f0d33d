//! The header `meshfence-causal`: the newest version that a client has seen, so that what it writes
//! next is newer, on whatever worker or in whatever region that is.
//!
//! `v1.<key id>.<expiry>.<version>.<MAC>`: seconds since the Unix epoch, a version, 32 hexadecimal
//! digits. There is one form, byte for byte. Whether the MAC is right is for whoever has the keys to
//! say. It proves nothing of its bearer, and moves a clock by no more than any version may.

use core::fmt;
use policy_core::SignedText;
use versions::Stamp;

/// A longer one is none.
const LEN_MAX: usize = 128;

/// What a client has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Causal<'c> {
    /// What its key is called.
    pub key: &'c str,
    /// When it is over, in seconds since the Unix epoch.
    pub expiry_s: u64,
    /// The newest version that its bearer has seen.
    pub version: Stamp,
}

impl<'c> Causal<'c> {
    /// Reads one: itself, what is signed of it, and the MAC.
    pub fn parse(value: &'c [u8]) -> Option<(Self, &'c str, [u8; 16])> {
        let text = core::str::from_utf8(value).ok().filter(|text| text.len() <= LEN_MAX)?;
        let mut text = SignedText::parse(text)?;
        let (key, expiry_s) = (text.key, text.expiry_s()?);
        let version = Stamp::parse(text.part()?.as_bytes())?;
        let (signed, mac) = text.end()?;
        Some((Self { key, expiry_s, version }, signed, mac))
    }
}

/// What is signed of it.
impl fmt::Display for Causal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, expiry_s, version } = self;
        write!(f, "v1.{key}.{expiry_s}.{version}")
    }
}

/// Why what a client says it has seen is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CausalRefusal {
    /// It has not the form of one, or there are several.
    Malformed,
    /// Its key is none of ours, or has not signed it.
    Forged,
    /// It is over, or lasts longer than any may.
    Expired,
    /// It is further ahead than any version may be.
    Ahead,
}

impl CausalRefusal {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Forged, Self::Expired, Self::Ahead];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Ahead => "ahead",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn it_has_one_form() {
        let text = "v1.k1.1732483200.0000000000020000-tyo-00000002";
        let value = format!("{text}.{MAC}");
        let (causal, signed, _) = Causal::parse(value.as_bytes()).unwrap();
        assert_eq!((causal.key, causal.expiry_s, signed), ("k1", 1_732_483_200, text));
        assert_eq!(causal.to_string(), text);
        for (from, to) in [
            ("v1", "v2"),
            ("k1", "K1"),
            ("1732483200", "01732483200"),
            ("1732483200", "+1732483200"),
            ("1732483200", "999999999999"),
            ("tyo", "TYO"),
            (".0011", ".0011."),
            ("eeff", "eeFF"),
            ("eeff", "ee"),
        ] {
            let wrong = value.replacen(from, to, 1);
            assert_eq!(Causal::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(value in proptest::collection::vec(any::<u8>(), 0..150)) {
            prop_assert_eq!(Causal::parse(&value), None);
        }
    }
}
