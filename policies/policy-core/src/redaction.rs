//! What of a response is redacted where its data may not be seen whole.

/// A set of redaction profiles of a policy, by their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileSet(u32);

impl ProfileSet {
    /// More profiles than this are refused.
    pub const MAX: usize = 32;
    /// No profile: nothing is redacted.
    pub const EMPTY: Self = Self(0);

    /// The set with the profile of this number; the same set if there can be none.
    #[must_use]
    pub fn with(self, number: usize) -> Self {
        let bit = u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number));
        Self(self.0 | bit.unwrap_or(0))
    }

    /// The profiles of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is redacted.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of the profiles.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::MAX).filter(move |number| self.0 & (1 << number) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let set = ProfileSet::EMPTY.with(0).with(31).or(ProfileSet::EMPTY.with(5));
        assert_eq!(set.iter().collect::<alloc::vec::Vec<_>>(), [0, 5, 31]);
        assert_eq!(ProfileSet::EMPTY.with(32), ProfileSet::EMPTY);
        assert!(!set.is_empty() && ProfileSet::EMPTY.is_empty());
    }
}
