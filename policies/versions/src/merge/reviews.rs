//! What is only ever appended.

use crate::Stamp;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;

/// Reviews, events, comments: nothing is changed, and the version of the write is the id. So the
/// same review that arrives a second time, by a retry or from another region, is the same review.
///
/// ```
/// use versions::{Stamp, merge::Reviews};
///
/// let version = Stamp::parse(b"0192f3a4b5c60007-tyo-5d0c11e2").ok_or("no version")?;
/// let mut tokyo = Reviews::new();
/// tokyo.append(version, "lovely");
/// let mut taiwan = Reviews::new();
/// taiwan.merge(tokyo.clone());
/// taiwan.merge(tokyo);
/// assert!(taiwan.iter().eq([(version, &"lovely")]));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Reviews<T> {
    entries: BTreeMap<Stamp, T>,
}

impl<T> Default for Reviews<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<T: Ord> Reviews<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one. Two under one version must not be; where they are, all regions keep the larger.
    pub fn append(&mut self, version: Stamp, review: T) {
        match self.entries.entry(version) {
            Entry::Vacant(entry) => {
                entry.insert(review);
            }
            Entry::Occupied(mut entry) => {
                if review > *entry.get() {
                    entry.insert(review);
                }
            }
        }
    }

    /// Takes over all that the other copy has.
    pub fn merge(&mut self, other: Self) {
        for (version, review) in other.entries {
            self.append(version, review);
        }
    }
}

impl<T> Reviews<T> {
    /// The one with this version.
    pub fn get(&self, version: &Stamp) -> Option<&T> {
        self.entries.get(version)
    }

    /// All of them, in the order of their versions.
    pub fn iter(&self) -> impl Iterator<Item = (Stamp, &T)> {
        self.entries.iter().map(|(version, review)| (*version, review))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
