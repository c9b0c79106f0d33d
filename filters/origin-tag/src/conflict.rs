//! Whether a write and what it meets know of each other.
//!
//! Two writes are in conflict if neither has seen the other: of two regions they are concurrent, in
//! one region the later one loses what the earlier one wrote. With what the writer has seen that is
//! certain; without it only suspected, by how close the two are.

use core::fmt;
use versions::{Causality, Stamp, VersionVector};

/// What is known of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// Its version.
    pub stamp: Stamp,
    /// What its writer had seen, if that is known.
    pub seen: Option<VersionVector>,
}

impl Write {
    /// Its version vector, if what its writer had seen is known.
    pub fn vector(&self) -> Option<VersionVector> {
        let mut vector = self.seen?;
        vector.observe(self.stamp).then_some(vector)
    }
}

/// How two writes are in conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Writes of two regions, neither of which has seen the other.
    Concurrent,
    /// A write that overwrites one of its own region that its writer had not seen.
    LostUpdate,
    /// Writes of two regions that are so close that neither may have seen the other.
    Suspected,
}

impl ConflictKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Concurrent, Self::LostUpdate, Self::Suspected];

    /// The word in headers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrent => "concurrent",
            Self::LostUpdate => "lost_update",
            Self::Suspected => "suspected",
        }
    }

    /// Whether it is known rather than guessed.
    pub const fn is_certain(self) -> bool {
        !matches!(self, Self::Suspected)
    }

    /// The kind of this word.
    pub fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().as_bytes() == word)
    }
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is between a write and the version that it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// How they are in conflict.
    pub kind: ConflictKind,
    /// They have the same time: only the region and the node order them, which says nothing of which
    /// came last.
    pub is_tie: bool,
    /// They are closer than the clocks of two regions can be told apart: the order of their versions
    /// need not be the order in which they were made.
    pub is_ambiguous: bool,
}

/// How close two writes have to be to be suspected, and for their order to say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Distances {
    /// Two writes that are as close as this, in milliseconds, may be concurrent.
    pub(crate) window_ms: u64,
    /// How far apart two clocks may be, in milliseconds.
    pub(crate) drift_ms: u64,
}

/// What is between a write and the version that it meets, of which this vector is known; nothing if
/// they are in order.
pub fn judge(
    versioning: policy_core::Versioning,
    write: &Write,
    held: Stamp,
    vector: Option<&VersionVector>,
) -> Option<Conflict> {
    let distances = Distances {
        window_ms: u64::from(versioning.conflict_window_ms),
        drift_ms: u64::from(versioning.max_drift_ms),
    };
    between(distances, write, held, vector)
}

pub(crate) fn between(
    distances: Distances,
    write: &Write,
    held: Stamp,
    vector: Option<&VersionVector>,
) -> Option<Conflict> {
    // The same write again, or a copy of it.
    if held == write.stamp {
        return None;
    }
    let apart_ms = held.ms().abs_diff(write.stamp.ms());
    let is_abroad = held.code() != write.stamp.code();
    let kind = match &write.seen {
        Some(seen) => known(write, seen, held, vector)?,
        None if is_abroad && apart_ms <= distances.window_ms => ConflictKind::Suspected,
        None => return None,
    };
    Some(Conflict {
        kind,
        is_tie: held.time() == write.stamp.time(),
        is_ambiguous: is_abroad && apart_ms <= distances.drift_ms,
    })
}

/// What is between a write whose writer had seen this and the version that it meets.
fn known(
    write: &Write,
    seen: &VersionVector,
    held: Stamp,
    vector: Option<&VersionVector>,
) -> Option<ConflictKind> {
    if seen.includes(&held) {
        return None;
    }
    // A vector that has no room for one more region tells nothing: then it is as if none were known.
    let after = write.vector();
    let order = vector.zip(after).map(|(vector, after)| after.compare(vector));
    // What is held has seen this write: it is late, not lost.
    if matches!(order, Some(Causality::Before | Causality::Equal)) {
        None
    } else if held.code() == write.stamp.code() {
        Some(ConflictKind::LostUpdate)
    } else {
        Some(ConflictKind::Concurrent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISTANCES: Distances = Distances { window_ms: 1_000, drift_ms: 500 };

    fn stamp(text: &str) -> Stamp {
        let (ms, rest) = text.split_once('-').unwrap();
        let ms: u64 = ms.parse().unwrap();
        Stamp::parse(format!("{ms:012x}0000-{rest}-00000001").as_bytes()).unwrap()
    }

    fn vector(stamps: &[&str]) -> VersionVector {
        stamps.iter().fold(VersionVector::new(), |mut vector, text| {
            assert!(vector.observe(stamp(text)));
            vector
        })
    }

    #[test]
    fn writes_conflict_that_have_not_seen_each_other() {
        use ConflictKind::{Concurrent, LostUpdate, Suspected};
        // The write, what its writer has seen, what it meets, the vector of that, the conflict.
        for (write, seen, held, known, kind, why) in [
            ("9000-tpe", None, "8000-tyo", None, Some(Suspected), "as close as the window"),
            ("9000-tpe", None, "7999-tyo", None, None, "further apart"),
            ("9000-tpe", None, "10000-tyo", None, Some(Suspected), "the other way round"),
            ("9000-tpe", None, "8999-tpe", None, None, "one region, and nothing is known"),
            ("9000-tpe", None, "9000-tpe", None, None, "the same write"),
            ("9000-tpe", Some(&["8000-tyo"][..]), "8000-tyo", None, None, "it was seen"),
            ("9000-tpe", Some(&["8000-tyo"]), "7000-tyo", None, None, "something newer was"),
            ("9000-tpe", Some(&["8000-tyo"]), "8500-tyo", None, Some(Concurrent), "not this one"),
            ("9000-tpe", Some(&["8000-tyo"]), "8500-tpe", None, Some(LostUpdate), "of one region"),
            (
                "9000-tpe",
                Some(&["1000-tyo"]),
                "8500-tyo",
                None,
                Some(Concurrent),
                "whatever lies between",
            ),
            (
                "9000-tpe",
                Some(&["8000-tpe"]),
                "8500-tyo",
                Some(&["8000-tpe", "8500-tyo"][..]),
                Some(Concurrent),
                "both after one",
            ),
            (
                "9000-tpe",
                Some(&["8000-tpe"]),
                "9500-tyo",
                Some(&["9000-tpe", "9500-tyo"]),
                None,
                "what is held has seen it",
            ),
            (
                "9000-tpe",
                Some(&["8500-tyo"]),
                "8500-tyo",
                Some(&["8000-tpe", "8500-tyo"]),
                None,
                "it has seen what is held",
            ),
            (
                "9000-tpe",
                Some(&["8000-tpe"]),
                "8500-tpe",
                Some(&["8500-tpe"]),
                Some(LostUpdate),
                "a vector of one region",
            ),
            (
                "9000-tyo",
                Some(&["8000-tyo"]),
                "8000-tyo",
                Some(&["7000-tpe", "8000-tyo"]),
                None,
                "it has seen what is held, whatever else is in that",
            ),
        ] {
            let write = Write { stamp: stamp(write), seen: seen.map(vector) };
            let known = known.map(|known: &[&str]| vector(known));
            let found = between(DISTANCES, &write, stamp(held), known.as_ref());
            assert_eq!(found.map(|conflict| conflict.kind), kind, "{why}");
        }
    }

    #[test]
    fn an_order_is_ambiguous_within_the_drift_of_clocks() {
        for (held, is_tie, is_ambiguous) in [
            ("9000-tyo", true, true),
            ("8999-tyo", false, true),
            ("8500-tyo", false, true),
            ("8499-tyo", false, false),
            ("9500-tyo", false, true),
        ] {
            let write = Write { stamp: stamp("9000-tpe"), seen: None };
            let kind = ConflictKind::Suspected;
            let expected = Conflict { kind, is_tie, is_ambiguous };
            assert_eq!(between(DISTANCES, &write, stamp(held), None), Some(expected), "{held}");
        }
    }

    #[test]
    fn a_kind_is_one_word() {
        for kind in ConflictKind::ALL {
            assert_eq!(ConflictKind::parse(kind.as_str().as_bytes()), Some(kind));
        }
        assert_eq!(ConflictKind::parse(b"tie"), None);
    }
}
