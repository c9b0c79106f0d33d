//! Who sent a request and whom it is about, as far as verified evidence tells.

use crate::country::Country;
use crate::hex::unhex;
use crate::policy::Policy;
use crate::vocabulary::{PrincipalKind, ResidencySource};
use core::fmt;
use core::hash::Hasher;
use siphasher::sip::SipHasher24;

/// What a decision asks for, each at most once and only where the answer depends on it.
pub trait Evidence {
    /// Who sent the request. `resource` is the part of the path that names whom it is about, where
    /// the policy says that there is one.
    fn caller(&mut self, policy: &Policy, resource: Option<&[u8]>) -> Caller;

    /// The wall clock in seconds since the Unix epoch, if it can be read: dates of a policy are
    /// dates of the calendar.
    fn unix_s(&mut self) -> Option<u64>;

    /// A clock that never steps, in milliseconds, if it can be read: leases end by it. Only leased
    /// requests ask for it.
    fn monotonic_ms(&mut self) -> Option<u64>;
}

/// Who sent a request, as far as verified credentials tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// There are no verified credentials.
    Anonymous,
    /// There are.
    Known(Identity),
    /// There are credentials, but the proxy failed to hand them over.
    Unreadable,
    /// There are credentials that prove nothing: they are over, or nobody of us has made them.
    Refused,
}

/// What verified credentials tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// What the caller is.
    pub kind: PrincipalKind,
    /// Where the person resides whom the request is about: the caller, if that is a customer, else
    /// whomever the resource belongs to.
    pub countries: Countries,
    /// What answered first. With no country it has said something that names none, which is not the
    /// same as having said nothing.
    pub source: Option<ResidencySource>,
    /// The bases of a transfer that a claim of the caller's grants, by their numbers.
    pub bases: BasisSet,
    /// Stands for the caller in records, and in the bucket of a staged rule.
    pub pseudonym: Option<Pseudonym>,
}

impl Identity {
    /// Somebody of a kind, of whom no more is known.
    pub const fn of(kind: PrincipalKind) -> Self {
        Self {
            kind,
            countries: Countries::NONE,
            source: None,
            bases: BasisSet::EMPTY,
            pseudonym: None,
        }
    }

    /// A customer who resides there, if that is known.
    pub fn customer(country: Option<Country>) -> Self {
        let countries = country.map_or(Countries::NONE, Countries::of);
        Self { countries, ..Self::of(PrincipalKind::Customer) }
    }
}

/// The countries that sources name for one subject, each once. More than one is a conflict: what
/// holds then is what holds for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Countries([Option<Country>; Countries::MAX]);

impl Countries {
    /// As many as there can be sources that answer.
    pub const MAX: usize = 4;
    /// No source has answered.
    pub const NONE: Self = Self([None; Self::MAX]);

    /// What one source says.
    pub fn of(country: Country) -> Self {
        Self::NONE.with(country)
    }

    /// What one more source says. Beyond [`Countries::MAX`] different ones nothing is added: there
    /// are no more sources than that.
    #[must_use]
    pub fn with(mut self, country: Country) -> Self {
        let free = self.0.iter_mut().find(|slot| slot.is_none_or(|known| known == country));
        if let Some(slot) = free {
            *slot = Some(country);
        }
        self
    }

    /// The countries, in the order of the sources.
    pub fn iter(&self) -> impl Iterator<Item = Country> {
        self.0.iter().flatten().copied()
    }

    /// The first source's.
    pub fn first(&self) -> Option<Country> {
        self.iter().next()
    }

    /// Whether sources contradict each other.
    pub fn is_conflict(&self) -> bool {
        self.iter().count() > 1
    }
}

/// A set of transfer bases that are granted by a claim, by their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BasisSet(u8);

impl BasisSet {
    /// More such bases than this are refused.
    pub const MAX: usize = 3;
    /// None.
    pub const EMPTY: Self = Self(0);

    /// The set with the basis of this number; the same set if there can be none.
    #[must_use]
    pub fn with(self, number: usize) -> Self {
        if number < Self::MAX { Self(self.0 | 1 << number) } else { self }
    }

    /// Whether the basis is in it.
    pub fn contains(self, number: usize) -> bool {
        number < Self::MAX && self.0 & 1 << number != 0
    }

    /// Every set of the first `count` bases.
    pub(crate) fn all(count: usize) -> impl Iterator<Item = Self> {
        let end = 1_u8 << count.min(Self::MAX);
        (0..end).map(Self)
    }

    /// A dense number below `1 << count`.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Stands for a person: a keyed hash, so that nobody without the key can tell whom it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pseudonym(pub [u8; 8]);

impl Pseudonym {
    /// The bucket of a staged rule: 0 to 99, the same in every region that is told the pseudonym.
    pub fn bucket(self) -> u8 {
        let [a, b, c, d, ..] = self.0;
        u8::try_from(u32::from_be_bytes([a, b, c, d]) % 100).unwrap_or(0)
    }

    /// One of 10 000 draws, the same wherever the salt is the same.
    pub fn draw(self, salt: &str) -> u16 {
        draw(&self.0, salt.as_bytes())
    }

    /// Reads 16 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        unhex(text).map(Self)
    }
}

/// One of 10 000 draws for whatever this stands for.
pub(crate) fn draw(of: &[u8], salt: &[u8]) -> u16 {
    let mut hasher = SipHasher24::new();
    hasher.write(of);
    hasher.write(salt);
    u16::try_from(hasher.finish() % 10_000).unwrap_or(0)
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A caller who is known beforehand, and no clock.
impl Evidence for Caller {
    fn caller(&mut self, _: &Policy, _: Option<&[u8]>) -> Caller {
        *self
    }

    fn unix_s(&mut self) -> Option<u64> {
        None
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        None
    }
}

/// A caller and a time that are known beforehand.
impl Evidence for (Caller, u64) {
    fn caller(&mut self, _: &Policy, _: Option<&[u8]>) -> Caller {
        self.0
    }

    fn unix_s(&mut self) -> Option<u64> {
        Some(self.1)
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn sources_that_agree_are_no_conflict() {
        let [japan, taiwan] = [b"JP", b"TW"].map(|code| Country::parse(code).unwrap());
        assert!(!Countries::of(japan).with(japan).is_conflict());
        let both = Countries::of(japan).with(taiwan).with(japan);
        assert!(both.is_conflict());
        assert_eq!(both.iter().collect::<Vec<_>>(), [japan, taiwan]);
        assert_eq!(Countries::NONE.first(), None);
    }

    #[test]
    fn a_pseudonym_is_written_as_it_is_read() {
        let text = "00ff10a2b3c4d5e6";
        let pseudonym = Pseudonym::parse(text.as_bytes()).unwrap();
        assert_eq!(pseudonym.to_string(), text);
        assert!(pseudonym.bucket() < 100);
        for wrong in
            ["", "00FF10a2b3c4d5e6", "00ff10a2b3c4d5e", "00ff10a2b3c4d5e6a", "g0ff10a2b3c4d5e6"]
        {
            assert_eq!(Pseudonym::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn bases_are_numbered() {
        let set = BasisSet::EMPTY.with(2).with(7);
        assert!(set.contains(2) && !set.contains(0) && !set.contains(7));
        assert_eq!(BasisSet::all(2).count(), 4);
        assert_eq!(BasisSet::all(9).map(BasisSet::index).max(), Some(7));
    }
}
