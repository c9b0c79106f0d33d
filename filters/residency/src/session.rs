//! The header `meshfence-session`: who a caller is, signed by a key of ours.
//!
//! `v1.<key id>.<expiry>.<country>.<kind>.<pseudonym>.<MAC>`: seconds since the Unix epoch, a country
//! or `unknown`, 16 and 32 hexadecimal digits. There is one form, byte for byte. Whether the MAC is
//! right is for whoever has the keys to say.

use crate::gather::{Answer, Told};
use core::fmt;
use policy_core::{Country, PrincipalKind, Pseudonym, SignedText};

/// A longer one is none.
const LEN_MAX: usize = 128;
const UNKNOWN: &str = "unknown";

/// A session as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session<'s> {
    /// What its key is called.
    pub key: &'s str,
    /// When it ends, in seconds since the Unix epoch.
    pub expiry_s: u64,
    /// Where the caller resides, where that is known.
    pub country: Option<Country>,
    /// What the caller is.
    pub kind: PrincipalKind,
    /// Stands for the caller.
    pub pseudonym: Pseudonym,
}

impl<'s> Session<'s> {
    /// Reads a session: itself, what is signed of it, and the MAC.
    pub fn parse(value: &'s [u8]) -> Option<(Self, &'s str, [u8; 16])> {
        let text = core::str::from_utf8(value).ok().filter(|text| text.len() <= LEN_MAX)?;
        let mut text = SignedText::parse(text)?;
        let (key, expiry_s) = (text.key, text.expiry_s()?);
        let country = match text.part()? {
            UNKNOWN => None,
            code => Some(Country::parse(code.as_bytes())?),
        };
        let kind =
            PrincipalKind::parse(text.part()?).filter(|kind| *kind != PrincipalKind::Anonymous)?;
        let pseudonym = Pseudonym::parse(text.part()?.as_bytes())?;
        let (signed, mac) = text.end()?;
        Some((Self { key, expiry_s, country, kind, pseudonym }, signed, mac))
    }

    /// What it says of its caller.
    pub fn answer(&self) -> Answer {
        Answer { kind: self.kind, country: self.country.map_or(Told::Nothing, Told::Country) }
    }
}

/// What is signed of it.
impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, expiry_s, country, kind, pseudonym } = self;
        let country = country.as_ref().map_or(UNKNOWN, Country::as_str);
        write!(f, "v1.{key}.{expiry_s}.{country}.{kind}.{pseudonym}")
    }
}

/// Why a session is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It has not the form of one.
    Malformed,
    /// There are several.
    Repeated,
    /// Its key is none of ours.
    UnknownKey,
    /// Its key has not signed it.
    Forged,
    /// It is over.
    Expired,
    /// It lasts longer than any may.
    TooLong,
    /// There is no clock to tell.
    NoClock,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Malformed,
        Self::Repeated,
        Self::UnknownKey,
        Self::Forged,
        Self::Expired,
        Self::TooLong,
        Self::NoClock,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Repeated => "repeated",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::TooLong => "too_long",
            Self::NoClock => "no_clock",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn a_session_has_one_form() {
        let text = "v1.k1.1732483200.JP.customer.0011223344556677";
        let value = format!("{text}.{MAC}");
        let (session, signed, mac) = Session::parse(value.as_bytes()).unwrap();
        assert_eq!((session.key, session.expiry_s), ("k1", 1_732_483_200));
        assert_eq!(session.country, Country::parse(b"JP"));
        assert_eq!((signed, session.to_string().as_str()), (text, text));
        assert_eq!(mac[..2], [0x00, 0x11]);
        for (from, to) in [
            ("v1", "v2"),
            ("k1", "K1"),
            ("k1", ""),
            ("1732", "01732"),
            ("1732483200", "999999999999"),
            ("1732483200", "+732483200"),
            ("1732483200", ""),
            ("JP", "jp"),
            ("JP", "ZZ"),
            ("JP", "JP+TW"),
            ("JP", ""),
            ("customer", "anonymous"),
            ("customer", "Customer"),
            ("customer", ""),
            ("0011223344556677", "001122334455667"),
            ("0011223344556677", "00112233445566AA"),
            (MAC, "00112233445566778899aabbccddee"),
            (MAC, "00112233445566778899AABBCCDDEEFF"),
            (MAC, ""),
            ("v1.", "v1.."),
            (".00112233445566778899", ".x.00112233445566778899"),
            ("v1", " v1"),
            ("ff", "ff,v1"),
        ] {
            let wrong = value.replacen(from, to, 1);
            assert_eq!(Session::parse(wrong.as_bytes()), None, "{wrong}");
        }
        let unknown = value.replace("JP", "unknown").replace("customer", "staff");
        let (session, ..) = Session::parse(unknown.as_bytes()).unwrap();
        assert_eq!((session.country, session.kind), (None, PrincipalKind::Staff));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_is_written(value in proptest::collection::vec(any::<u8>(), 0..140)) {
            prop_assert_eq!(Session::parse(&value), None);
        }

        #[test]
        fn what_is_nearly_a_session_is_read_as_it_is_written_or_not(
            value in "v[12]\\.k[0-9K]{1,2}\\.[0-9]{0,12}\\.(JP|TW|ZZ|unknown)\\.(customer|staff|x)\\.[0-9a-f]{15,17}\\.[0-9a-f]{31,33}",
        ) {
            if let Some((session, signed, _)) = Session::parse(value.as_bytes()) {
                prop_assert_eq!(session.to_string(), signed);
                prop_assert!(value.starts_with(signed));
            }
        }
    }
}
