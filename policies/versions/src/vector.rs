//! The version vector.

use crate::Stamp;
use core::cmp::Ordering;
use core::fmt;

/// For each region the newest version of it that somebody has seen, and so all before it.
///
/// A vector speaks of regions, not of nodes: it takes the versions of one region for one sequence.
/// Whoever keeps data under vectors has the writes of a region in one order, as one table in one
/// database has them.
///
/// It holds [`VersionVector::REGIONS`] regions, without allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VersionVector {
    /// One for each region, by code; what is free comes last.
    entries: [Option<Stamp>; Self::REGIONS],
}

/// What one version vector has seen of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Causality {
    /// Both have seen the same.
    Equal,
    /// The other has seen all of this one, and more.
    Before,
    /// This one has seen all of the other, and more.
    After,
    /// Each has seen something that the other has not.
    Concurrent,
}

impl VersionVector {
    /// How many regions one vector holds.
    pub const REGIONS: usize = 8;

    /// A vector that has seen nothing.
    pub const fn new() -> Self {
        Self { entries: [None; Self::REGIONS] }
    }

    /// A vector that has seen this version alone.
    pub const fn of(stamp: Stamp) -> Self {
        let mut entries = [None; Self::REGIONS];
        let [first, ..] = &mut entries;
        *first = Some(stamp);
        Self { entries }
    }

    /// Has seen this version too. False, and nothing is changed, if it is of a region more than a
    /// vector holds.
    #[must_use = "a vector may be full"]
    pub fn observe(&mut self, stamp: Stamp) -> bool {
        let known = self.entries.iter_mut().flatten().find(|entry| entry.code() == stamp.code());
        if let Some(entry) = known {
            *entry = stamp.max(*entry);
            return true;
        }
        if self.entries.iter().all(Option::is_some) {
            return false;
        }
        // Each that comes later in the order gives way to the one before it.
        let mut moved = stamp;
        for entry in &mut self.entries {
            match entry {
                Some(entry) if entry.code() < moved.code() => {}
                Some(entry) => core::mem::swap(entry, &mut moved),
                None => {
                    *entry = Some(moved);
                    break;
                }
            }
        }
        true
    }

    /// The newest version seen of the region with this code.
    pub fn get(&self, code: [u8; 3]) -> Option<Stamp> {
        self.iter().find(|stamp| stamp.code() == code)
    }

    /// Has seen all that the other one has. False, and nothing is changed, if both together are of
    /// more regions than a vector holds.
    #[must_use = "a vector may be full"]
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut merged = *self;
        let fits = other.iter().all(|stamp| merged.observe(stamp));
        if fits {
            *self = merged;
        }
        fits
    }

    /// Whether this version, or a newer one of its region, was seen.
    pub fn includes(&self, stamp: &Stamp) -> bool {
        self.get(stamp.code()).is_some_and(|seen| seen >= *stamp)
    }

    /// What this vector has seen of the other, and the other of this one.
    pub fn compare(&self, other: &Self) -> Causality {
        let has_all = other.iter().all(|stamp| self.includes(&stamp));
        let is_all_had = self.iter().all(|stamp| other.includes(&stamp));
        match (has_all, is_all_had) {
            (true, true) => Causality::Equal,
            (true, false) => Causality::After,
            (false, true) => Causality::Before,
            (false, false) => Causality::Concurrent,
        }
    }

    /// The newest version of each region, by the regions' codes.
    pub fn iter(&self) -> impl Iterator<Item = Stamp> + '_ {
        self.entries.iter().copied().flatten()
    }

    /// The newest version of all; none if nothing was seen.
    pub fn max(&self) -> Option<Stamp> {
        self.iter().max()
    }

    /// One for each region, by code; what is free comes last.
    pub(crate) const fn entries(&self) -> [Option<Stamp>; Self::REGIONS] {
        self.entries
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.max().is_none()
    }

    /// Reads the form of the header, `taiwan=<stamp>,tokyo=<stamp>`: at least one region and each
    /// once, in any order, with its own version. After a comma there may be one space. `code_of`
    /// says what code the region of this name has. Anything else is none.
    pub fn parse(text: &[u8], code_of: impl Fn(&[u8]) -> Option<[u8; 3]>) -> Option<Self> {
        let mut vector = Self::new();
        for entry in text.split(|byte| *byte == b',') {
            let entry = match entry.strip_prefix(b" ") {
                Some(entry) if !vector.is_empty() => entry,
                _ => entry,
            };
            let equals = entry.iter().position(|byte| *byte == b'=')?;
            let (name, stamp) = entry.split_at_checked(equals)?;
            let stamp = Stamp::parse(stamp.strip_prefix(b"=")?)?;
            let is_new = vector.get(stamp.code()).is_none();
            if code_of(name)? != stamp.code() || !is_new || !vector.observe(stamp) {
                return None;
            }
        }
        Some(vector)
    }

    /// Appends the form that [`VersionVector::parse`] reads, without spaces and by the regions'
    /// codes. `name_of` says what name the region with this code has. A vector that has seen
    /// nothing has no text.
    ///
    /// # Errors
    ///
    /// A code has no name, and nothing was written; or what `out` says.
    pub fn write_to<'a>(
        &self,
        out: &mut impl fmt::Write,
        name_of: impl Fn([u8; 3]) -> Option<&'a str>,
    ) -> fmt::Result {
        if self.iter().any(|stamp| name_of(stamp.code()).is_none()) {
            return Err(fmt::Error);
        }
        let mut comma = "";
        for stamp in self.iter() {
            let name = name_of(stamp.code()).ok_or(fmt::Error)?;
            write!(out, "{comma}{name}={stamp}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |stamp: Stamp| fmt::from_fn(move |f| write!(f, "{stamp}"));
        f.debug_list().entries(self.iter().map(text)).finish()
    }
}

impl Causality {
    /// The same, seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Before => Self::After,
            Self::After => Self::Before,
            Self::Equal | Self::Concurrent => self,
        }
    }

    /// In lower case, as metrics and headers have it: `equal`, `before`, `after`, `concurrent`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Before => "before",
            Self::After => "after",
            Self::Concurrent => "concurrent",
        }
    }

    /// As an order; none if concurrent.
    pub const fn ordering(self) -> Option<Ordering> {
        match self {
            Self::Equal => Some(Ordering::Equal),
            Self::Before => Some(Ordering::Less),
            Self::After => Some(Ordering::Greater),
            Self::Concurrent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tick;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const TPE: &str = "0192f3a4b5c60007-tpe-3fa29c1b";
    const TYO: &str = "0192f3a4b5c60008-tyo-00000001";

    fn stamp(ms: u64, code: [u8; 3]) -> Stamp {
        Stamp::new(Tick { ms, counter: 0, ahead_ms: 0 }, code, 1)
    }

    fn code_of(name: &[u8]) -> Option<[u8; 3]> {
        match name {
            b"taiwan" => Some(*b"tpe"),
            b"tokyo" => Some(*b"tyo"),
            _ => None,
        }
    }

    fn name_of(code: [u8; 3]) -> Option<&'static str> {
        match &code {
            b"tpe" => Some("taiwan"),
            b"tyo" => Some("tokyo"),
            _ => None,
        }
    }

    fn written(vector: &VersionVector) -> String {
        let mut text = String::new();
        vector.write_to(&mut text, name_of).unwrap();
        text
    }

    #[test]
    fn a_header_is_read_and_written() {
        let both = alloc::format!("taiwan={TPE},tokyo={TYO}");
        for (text, again) in [
            (alloc::format!("taiwan={TPE}"), alloc::format!("taiwan={TPE}")),
            (both.clone(), both.clone()),
            (alloc::format!("tokyo={TYO}, taiwan={TPE}"), both),
        ] {
            let vector = VersionVector::parse(text.as_bytes(), code_of).unwrap();
            assert_eq!(written(&vector), again);
        }
    }

    #[test]
    fn anything_else_is_none() {
        for (text, why) in [
            (String::new(), "nothing"),
            (alloc::format!("taiwan={TPE},"), "an empty entry"),
            (alloc::format!(",taiwan={TPE}"), "an empty entry"),
            (alloc::format!(" taiwan={TPE}"), "a space before the first"),
            (alloc::format!("taiwan={TPE},  tokyo={TYO}"), "two spaces"),
            (alloc::format!("taiwan={TPE} ,tokyo={TYO}"), "a space before a comma"),
            (alloc::format!("taiwan={TPE};tokyo={TYO}"), "no comma"),
            (alloc::format!("taiwan={TPE},taiwan={TPE}"), "a region twice"),
            (alloc::format!("taiwan={TYO}"), "the version of another region"),
            (alloc::format!("seoul={TPE}"), "an unknown region"),
            (alloc::format!("Taiwan={TPE}"), "an unknown region"),
            (alloc::format!("={TPE}"), "no region"),
            (alloc::format!("taiwan{TPE}"), "no equals sign"),
            (alloc::format!("taiwan=={TPE}"), "two equals signs"),
            (String::from("taiwan=0192f3a4b5c60007-tpe"), "no version"),
        ] {
            assert_eq!(VersionVector::parse(text.as_bytes(), code_of), None, "{why}: {text}");
        }
    }

    #[test]
    fn a_code_without_a_name_is_not_written() {
        let mut vector = VersionVector::of(stamp(1, *b"tpe"));
        assert!(vector.observe(stamp(1, *b"zzz")));
        let mut text = String::new();
        assert_eq!(vector.write_to(&mut text, name_of), Err(fmt::Error));
        assert_eq!(text, "");
    }

    #[test]
    fn a_ninth_region_finds_no_place() {
        let mut vector = VersionVector::new();
        for letter in b'a'..=b'h' {
            assert!(vector.observe(stamp(1, [letter; 3])));
        }
        let full = vector;
        assert!(!vector.observe(stamp(2, *b"zzz")));
        // All or nothing: what it knows already is not taken over either.
        let mut other = VersionVector::of(stamp(2, *b"aaa"));
        assert!(other.observe(stamp(2, *b"zzz")));
        assert!(!vector.merge(&other));
        assert_eq!(vector, full);
        assert!(vector.observe(stamp(2, *b"aaa")));
        assert_eq!(vector.get(*b"aaa"), Some(stamp(2, *b"aaa")));
    }

    #[test]
    fn what_was_seen_is_compared() {
        use Causality::{After, Before, Concurrent, Equal};
        // Milliseconds seen of Taiwan and of Tokyo, on both sides; zero is nothing.
        for (left, right, expected) in [
            ((0, 0), (0, 0), Equal),
            ((1, 1), (1, 1), Equal),
            ((0, 0), (1, 0), Before),
            ((1, 0), (1, 1), Before),
            ((1, 1), (2, 2), Before),
            ((2, 1), (1, 1), After),
            ((1, 0), (0, 1), Concurrent),
            ((2, 1), (1, 2), Concurrent),
        ] {
            let vector = |(taiwan, tokyo)| {
                let mut vector = VersionVector::new();
                for (ms, code) in [(tokyo, *b"tyo"), (taiwan, *b"tpe")] {
                    assert!(ms == 0 || vector.observe(stamp(ms, code)));
                }
                vector
            };
            let (left, right) = (vector(left), vector(right));
            assert_eq!(left.compare(&right), expected, "{left:?} {right:?}");
            assert_eq!(right.compare(&left), expected.reversed(), "{left:?} {right:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_what_was_seen_does_not_matter(
            seen in proptest::collection::vec((1..9_u64, b'a'..=b'h'), 0..20)
                .prop_flat_map(|seen| (Just(seen.clone()), Just(seen).prop_shuffle())),
        ) {
            let stamps = |seen: Vec<(u64, u8)>| {
                seen.into_iter().map(|(ms, letter)| stamp(ms, [letter; 3])).collect::<Vec<_>>()
            };
            let (stamps, shuffled) = (stamps(seen.0), stamps(seen.1));
            let mut vector = VersionVector::new();
            let mut other = VersionVector::new();
            prop_assert!(stamps.iter().all(|stamp| vector.observe(*stamp)));
            prop_assert!(shuffled.iter().all(|stamp| other.observe(*stamp)));
            prop_assert_eq!(vector, other);
            prop_assert!(vector.iter().is_sorted_by_key(|stamp| stamp.code()));
            prop_assert!(stamps.iter().all(|stamp| vector.includes(stamp)));
            prop_assert_eq!(vector.max(), stamps.into_iter().max());
        }

        #[test]
        fn any_bytes_are_judged(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = VersionVector::parse(&text, code_of);
        }
    }
}
