//! Countries as ISO 3166-1 alpha-2 codes.

use core::fmt;

/// An officially assigned ISO 3166-1 alpha-2 code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The officially assigned codes, one after the other.
const ASSIGNED: &[u8] = b"\
ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ\
CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFR\
GAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISIT\
JEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLY\
MAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOM\
PAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZ\
TCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";

impl Country {
    /// One past the largest [`Country::index`].
    pub const COUNT: usize = 26 * 26;

    /// The country with this code. Anything but two upper-case letters of an assigned code is
    /// no country: a claim that says `jp` or `Japan` says nothing.
    pub fn parse(code: &[u8]) -> Option<Self> {
        let code: [u8; 2] = code.try_into().ok()?;
        ASSIGNED.chunks_exact(2).any(|assigned| assigned == code).then_some(Self(code))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        // Assigned codes are ASCII, so this never falls back.
        core::str::from_utf8(&self.0).unwrap_or("??")
    }

    /// A dense number below [`Country::COUNT`], for tables.
    pub fn index(self) -> usize {
        let [first, second] = self.0.map(|letter| usize::from(letter.saturating_sub(b'A')));
        first.saturating_mul(26).saturating_add(second)
    }

    /// Every country.
    pub fn all() -> impl Iterator<Item = Self> {
        ASSIGNED.chunks_exact(2).filter_map(|code| code.try_into().ok().map(Self))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assigned_upper_case_codes_are_countries() {
        for (code, known) in [
            (&b"JP"[..], true),
            (b"TW", true),
            (b"NO", true),
            (b"jp", false),
            (b"XX", false),
            (b"EU", false),
            (b"DB", false), // stands across two codes in the list
            (b"JPN", false),
            (b"", false),
            (b"\xff\xfe", false),
        ] {
            assert_eq!(Country::parse(code).is_some(), known, "{code:?}");
        }
        assert_eq!(Country::all().count(), 249);
        assert!(Country::all().all(|country| country.index() < Country::COUNT));
    }
}
