//! What is held of what, as a VM has heard last.
//!
//! A set-associative memory of fixed size: a look costs four comparisons whatever is in it, nothing
//! is allocated after the first entry, and what is new displaces what was heard of longest ago of the
//! same set.

use versions::{Stamp, VersionVector};

/// How many are remembered.
const ENTRIES: usize = 4_096;
/// How many of them one key may be among.
const WAYS: usize = 4;

/// The version that is held of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The version.
    pub stamp: Stamp,
    /// The newest one of another region that is known to be in it.
    pub other: Option<Stamp>,
}

impl Held {
    /// A version together with the vector that it came with.
    pub fn with(stamp: Stamp, vector: &VersionVector) -> Self {
        let others = vector.iter().filter(|known| known.code() != stamp.code());
        Self { stamp, other: others.max() }
    }

    /// Both as a vector.
    pub fn vector(&self) -> VersionVector {
        let mut vector = VersionVector::of(self.stamp);
        if let Some(other) = self.other {
            // There is room for two.
            let _ = vector.observe(other);
        }
        vector
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    key: u64,
    /// In which turn it was heard of last.
    heard: u32,
    held: Option<Held>,
}

/// What a VM has heard last of what is held. Empty until there is something to remember.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    sets: Box<[[Entry; WAYS]]>,
    turn: u32,
}

impl Recent {
    /// What is known of the thing with this key, which has to be a keyed hash: whoever could choose
    /// it could displace what others need.
    pub fn get(&self, key: u64) -> Option<Held> {
        self.set(key)?.iter().find(|entry| entry.key == key)?.held
    }

    /// Remembers what is held of the thing with this key, as whoever holds it has said last. It may be
    /// older than what was known: what was not kept is not there.
    pub fn note(&mut self, key: u64, held: Held) {
        if self.sets.is_empty() {
            self.sets = vec![[Entry::default(); WAYS]; ENTRIES / WAYS].into_boxed_slice();
        }
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let place = place(key, self.sets.len());
        let Some(set) = place.and_then(|place| self.sets.get_mut(place)) else { return };
        if let Some(entry) = set.iter_mut().find(|entry| entry.key == key && entry.held.is_some()) {
            entry.heard = turn;
            entry.held = Some(held);
            return;
        }
        let age = |entry: &&mut Entry| match entry.held {
            Some(_) => turn.wrapping_sub(entry.heard),
            None => u32::MAX,
        };
        if let Some(oldest) = set.iter_mut().max_by_key(age) {
            *oldest = Entry { key, heard: turn, held: Some(held) };
        }
    }

    fn set(&self, key: u64) -> Option<&[Entry; WAYS]> {
        self.sets.get(place(key, self.sets.len())?)
    }
}

fn place(key: u64, sets: usize) -> Option<usize> {
    let sets = u64::try_from(sets).ok()?;
    usize::try_from(key.checked_rem(sets)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(stamp: Stamp) -> Held {
        Held { stamp, other: None }
    }

    fn stamp(text: &str) -> Stamp {
        Stamp::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_said_last_is_remembered() {
        let (old, new) =
            (stamp("0000000000010000-tpe-00000001"), stamp("0000000000020000-tyo-00000002"));
        let mut recent = Recent::default();
        assert_eq!(recent.get(7), None);
        recent.note(7, alone(new));
        assert_eq!(recent.get(7), Some(alone(new)));
        recent.note(7, alone(old));
        assert_eq!(recent.get(7), Some(alone(old)), "what was newer was not kept");
        assert_eq!(recent.get(8), None);
        let both = Held { stamp: new, other: Some(old) };
        recent.note(7, both);
        assert_eq!(recent.get(7), Some(both), "the same version, of which more is known");
        assert!(both.vector().includes(&old));
        assert_eq!(Held::with(new, &both.vector()), both);
    }

    #[test]
    fn what_was_heard_of_longest_ago_makes_room() {
        let version = alone(stamp("0000000000010000-tpe-00000001"));
        let sets = u64::try_from(ENTRIES / WAYS).unwrap();
        let mut recent = Recent::default();
        // All of one set; the first is heard of again.
        for key in [0, 1, 2, 3, 0, 4].map(|n: u64| n * sets) {
            recent.note(key, version);
        }
        let known = [0, 1, 2, 3, 4].map(|n: u64| recent.get(n * sets).is_some());
        assert_eq!(known, [true, false, true, true, true]);
        for key in 0..100_000 {
            recent.note(key, version);
        }
        let count = (0..100_000).filter(|key| recent.get(*key).is_some()).count();
        assert_eq!(count, ENTRIES);
    }
}
