//! The stock of a product.

use crate::{Causality, Stamp, Time, VersionVector};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;

/// How many of a product are left, as several regions write it.
///
/// A write replaces what its writer has seen. Writes that did not know of each other all stay, and
/// the smallest quantity counts: two regions that are wrong about a stock must not sell what the
/// other one has sold. The next write, by somebody who has seen them all, settles it. The log says
/// what was concurrent and what came of it, for those who have to count the shelf.
///
/// The writes of one region are one sequence: read, decide and write in one transaction of that
/// region's database, or the later of two writes there replaces an earlier one unseen.
///
/// ```
/// use versions::{Stamp, merge::Stock};
///
/// let version = |header: &[u8]| Stamp::parse(header).ok_or("no version");
/// let mut taiwan = Stock::new();
/// taiwan.write(10, version(b"0192f3a4b5c60000-tpe-3fa29c1b")?)?;
/// let mut tokyo = taiwan.clone();
///
/// // Each sells without the other.
/// taiwan.write(8, version(b"0192f3a4b5d00000-tpe-3fa29c1b")?)?;
/// tokyo.write(7, version(b"0192f3a4b5d10000-tyo-5d0c11e2")?)?;
/// taiwan.merge(tokyo);
/// assert_eq!(taiwan.quantity(), Some(7));
/// assert!(taiwan.is_conflicting());
///
/// // The shelf was counted.
/// taiwan.write(5, version(b"0192f3a4b5e00000-tpe-3fa29c1b")?)?;
/// assert_eq!(taiwan.quantity(), Some(5));
/// assert_eq!(taiwan.conflicts().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Stock {
    /// Sorted, each once, and none that another one has seen.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "last"))]
    siblings: Vec<Sibling>,
    /// Those that a write has settled. What is open follows from the siblings.
    settled: BTreeSet<Conflict>,
}

/// A write that no other one has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Sibling {
    version: Stamp,
    quantity: u64,
    /// What its writer had seen, and itself.
    seen: VersionVector,
}

/// Writes that did not know of each other, and what came of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Conflict {
    /// The versions of the writes, two or more, and the quantity that each wrote. In this order.
    pub writes: Vec<(Stamp, u64)>,
    /// The quantity that counted: the smallest.
    pub quantity: u64,
    /// The write that had seen all of them; none as long as there is no such write.
    pub settled_by: Option<Stamp>,
}

/// Why a write to a [`Stock`] was not made. The stock is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotWritten {
    /// The stock has seen this version, or a later one of its region: the write is there already,
    /// or it comes out of order.
    NotNewer,
    /// The writes are of more regions than a [`VersionVector`] holds.
    TooManyRegions,
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNewer => "the version is not newer than what was seen of its region",
            Self::TooManyRegions => "the writes are of too many regions",
        })
    }
}

impl core::error::Error for NotWritten {}

impl Stock {
    /// A stock of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a quantity, by somebody who has seen this state.
    ///
    /// # Errors
    ///
    /// See [`NotWritten`].
    pub fn write(&mut self, quantity: u64, version: Stamp) -> Result<(), NotWritten> {
        let mut seen = self.seen().ok_or(NotWritten::TooManyRegions)?;
        if seen.includes(&version) {
            return Err(NotWritten::NotNewer);
        }
        if !seen.observe(version) {
            return Err(NotWritten::TooManyRegions);
        }
        if let Some(open) = self.open() {
            self.settled.insert(Conflict { settled_by: Some(version), ..open });
        }
        self.siblings.clear();
        self.siblings.push(Sibling { version, quantity, seen });
        Ok(())
    }

    /// Takes over what the other copy has and this one has not seen.
    pub fn merge(&mut self, other: Self) {
        self.siblings.extend(other.siblings);
        self.siblings = unseen(core::mem::take(&mut self.siblings));
        self.settled.extend(other.settled);
    }

    /// How many are left: the smallest quantity of the writes that nobody has seen all of. None if
    /// nothing was written.
    pub fn quantity(&self) -> Option<u64> {
        self.siblings.iter().map(|sibling| sibling.quantity).min()
    }

    /// The writes that count, with their quantities: one, or several that did not know of each
    /// other.
    pub fn siblings(&self) -> impl Iterator<Item = (Stamp, u64)> {
        self.siblings.iter().map(|sibling| (sibling.version, sibling.quantity))
    }

    /// Whether there are writes that did not know of each other.
    pub fn is_conflicting(&self) -> bool {
        self.siblings.len() > 1
    }

    /// What was seen of each region: the value of `x-meshfence-vv`. None if that is more regions
    /// than a vector holds.
    pub fn seen(&self) -> Option<VersionVector> {
        let mut seen = VersionVector::new();
        self.siblings.iter().all(|sibling| seen.merge(&sibling.seen)).then_some(seen)
    }

    /// What was concurrent and how it was resolved: all that was settled, and what is open. Nothing
    /// that was concurrent is settled without being in here.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.settled.iter().cloned().chain(self.open())
    }

    /// Drops the conflicts that were settled by a write before this time.
    ///
    /// The log only grows otherwise. Have it somewhere else first, and choose one time for all
    /// regions: what another copy still has comes back with the next merge, until it forgets too.
    /// Quantities do not depend on it.
    pub fn forget(&mut self, before: Time) {
        self.settled
            .retain(|conflict| conflict.settled_by.is_none_or(|version| version.time() >= before));
    }

    fn open(&self) -> Option<Conflict> {
        self.is_conflicting().then(|| Conflict {
            writes: self.siblings().collect(),
            quantity: self.quantity().unwrap_or_default(),
            settled_by: None,
        })
    }
}

impl Sibling {
    /// An order for a state that is the same in every region. It means nothing.
    fn key(&self) -> (Stamp, u64, [Option<Stamp>; VersionVector::REGIONS]) {
        (self.version, self.quantity, self.seen.entries())
    }
}

/// Those of the writes that no other one has seen, sorted, each once.
fn unseen(mut writes: Vec<Sibling>) -> Vec<Sibling> {
    writes.sort_unstable_by_key(Sibling::key);
    writes.dedup();
    // "Has seen" is transitive: what gives way to one that gives way itself, gives way to a third
    // as well. So it does not matter in which order the writes of several copies come.
    let stays = |write: &&Sibling| {
        !writes.iter().any(|other| other.seen.compare(&write.seen) == Causality::After)
    };
    writes.iter().filter(stays).copied().collect()
}

/// What somebody else wrote may be in any order.
#[cfg(feature = "serde")]
fn last<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Sibling>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(unseen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tick;

    fn version(ms: u64, code: [u8; 3]) -> Stamp {
        Stamp::new(Tick { ms, counter: 0, ahead_ms: 0 }, code, 1)
    }

    #[test]
    fn a_write_that_comes_again_or_late_is_not_made() {
        let mut stock = Stock::new();
        stock.write(10, version(5, *b"tpe")).unwrap();
        stock.write(9, version(1, *b"tyo")).unwrap();
        let before = stock.clone();
        for late in [version(5, *b"tpe"), version(4, *b"tpe"), version(1, *b"tyo")] {
            assert_eq!(stock.write(1, late), Err(NotWritten::NotNewer), "{late}");
        }
        assert_eq!(stock, before);
        // What counts is its own region.
        assert_eq!(stock.write(8, version(2, *b"tyo")), Ok(()));
    }

    #[test]
    fn a_ninth_region_does_not_write() {
        let mut stock = Stock::new();
        for letter in b'a'..=b'h' {
            stock.write(1, version(1, [letter; 3])).unwrap();
        }
        assert_eq!(stock.write(1, version(1, *b"zzz")), Err(NotWritten::TooManyRegions));
        // What comes from there is merged all the same, and counts.
        let mut other = Stock::new();
        other.write(0, version(1, *b"zzz")).unwrap();
        stock.merge(other);
        assert_eq!((stock.quantity(), stock.seen()), (Some(0), None));
    }

    #[test]
    fn a_conflict_is_in_the_log_until_it_is_forgotten() {
        let mut stock = Stock::new();
        stock.write(8, version(1, *b"tpe")).unwrap();
        let mut other = Stock::new();
        other.write(7, version(2, *b"tyo")).unwrap();
        stock.merge(other);
        let writes = alloc::vec![(version(1, *b"tpe"), 8), (version(2, *b"tyo"), 7)];
        let open = Conflict { writes, quantity: 7, settled_by: None };
        assert!(stock.conflicts().eq([open.clone()]));
        stock.forget(Time::MAX);
        assert!(stock.conflicts().eq([open.clone()]), "what is open is no memory");
        stock.write(5, version(3, *b"tpe")).unwrap();
        let settled = Conflict { settled_by: Some(version(3, *b"tpe")), ..open };
        stock.forget(Time::new(3, 0));
        assert!(stock.conflicts().eq([settled]));
        stock.forget(Time::new(3, 1));
        assert_eq!(stock.conflicts().count(), 0);
        assert_eq!(stock.quantity(), Some(5));
    }
}
