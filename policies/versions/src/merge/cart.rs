//! The cart.

use crate::{Stamp, Time};
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;

/// A cart: an observed-remove set of items with quantities.
///
/// Each time something is put in, it lies there under the version of that write. Removing an item
/// removes the writes that this copy has seen of it, and no others. So after a partition all is
/// there that was put in in either region, what was removed stays removed, and what was put in anew
/// while the other region removed it is there.
///
/// ```
/// use versions::{Stamp, merge::Cart};
///
/// let version = |header: &[u8]| Stamp::parse(header).ok_or("no version");
/// let mut taiwan = Cart::new();
/// taiwan.add("tea", 2, version(b"0192f3a4b5c60000-tpe-3fa29c1b")?);
/// taiwan.add("cup", 1, version(b"0192f3a4b5c70000-tpe-3fa29c1b")?);
/// let mut tokyo = taiwan.clone();
///
/// // The regions lose sight of each other.
/// taiwan.remove(&"cup");
/// taiwan.add("tea", 1, version(b"0192f3a4b5d00000-tpe-3fa29c1b")?);
/// tokyo.add("tea", 1, version(b"0192f3a4b5d00000-tyo-5d0c11e2")?);
/// tokyo.add("pot", 1, version(b"0192f3a4b5d10000-tyo-5d0c11e2")?);
///
/// let cart = Cart::checkout([taiwan, tokyo]);
/// assert!(cart.items().eq([(&"pot", 1), (&"tea", 4)]));
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cart<Item> {
    /// Never an item without a line.
    lines: BTreeMap<Item, BTreeMap<Stamp, Line>>,
}

/// What has become of what one write put in. The larger one stays in a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Line {
    /// It is there, this many times. Two quantities under one version must not be; the larger
    /// stays.
    There(u32),
    /// It was removed. Once removed a line never comes back, whatever copy still has it.
    Removed,
}

impl<Item> Default for Cart<Item> {
    fn default() -> Self {
        Self { lines: BTreeMap::new() }
    }
}

impl<Item: Ord> Cart<Item> {
    /// An empty cart.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an item in, this many times, in addition to what is there. The same write a second
    /// time changes nothing, even if what it put in was removed meanwhile.
    pub fn add(&mut self, item: Item, quantity: u32, version: Stamp) {
        self.put(item, version, Line::There(quantity));
    }

    /// Removes an item, as far as this copy has seen it.
    pub fn remove(&mut self, item: &Item) {
        for line in self.lines.get_mut(item).into_iter().flat_map(BTreeMap::values_mut) {
            *line = Line::Removed;
        }
    }

    /// Removes an item as far as this copy has seen it, and puts it in this many times; with a
    /// quantity of zero it is only removed. The same write a second time changes nothing.
    pub fn set_quantity(&mut self, item: Item, quantity: u32, version: Stamp) {
        let lines = self.lines.entry(item).or_default();
        if lines.contains_key(&version) {
            return;
        }
        for line in lines.values_mut() {
            *line = Line::Removed;
        }
        let line = if quantity == 0 { Line::Removed } else { Line::There(quantity) };
        lines.insert(version, line);
    }

    /// What is in the cart, in the order of the items, and how many of each. Never zero of them.
    pub fn items(&self) -> impl Iterator<Item = (&Item, u64)> {
        self.lines.iter().filter_map(|(item, lines)| {
            let there = lines.values().map(|line| match line {
                Line::There(quantity) => u64::from(*quantity),
                Line::Removed => 0,
            });
            let quantity = there.fold(0, u64::saturating_add);
            (quantity > 0).then_some((item, quantity))
        })
    }

    /// How many of this item are in the cart.
    pub fn quantity(&self, item: &Item) -> u64 {
        self.items().find(|(found, _)| *found == item).map_or(0, |(_, quantity)| quantity)
    }

    /// Takes over all that the other copy knows.
    pub fn merge(&mut self, other: Self) {
        for (item, lines) in other.lines {
            match self.lines.entry(item) {
                Entry::Vacant(entry) => {
                    entry.insert(lines);
                }
                Entry::Occupied(entry) => {
                    let own = entry.into_mut();
                    for (version, line) in lines {
                        put(own, version, line);
                    }
                }
            }
        }
    }

    /// The cart to check out: the copies of all regions as one. A region that cannot be asked has
    /// what was put in there for later; so whoever checks out either waits for it or says that
    /// something may be missing.
    pub fn checkout(copies: impl IntoIterator<Item = Self>) -> Self {
        let mut cart = Self::new();
        for copy in copies {
            cart.merge(copy);
        }
        cart
    }

    /// Drops what is remembered of removed lines with a version before this time.
    ///
    /// Only where every copy of this cart, in every region, backups and messages under way
    /// included, either has merged the removal or will never be merged again: a copy that still has
    /// the line would bring it back. So choose a time that lies further back than anything can be
    /// late, and then some; a day, not a minute.
    pub fn forget(&mut self, before: Time) {
        self.lines.retain(|_, lines| {
            lines.retain(|version, line| *line != Line::Removed || version.time() >= before);
            !lines.is_empty()
        });
    }

    fn put(&mut self, item: Item, version: Stamp, line: Line) {
        put(self.lines.entry(item).or_default(), version, line);
    }
}

fn put(lines: &mut BTreeMap<Stamp, Line>, version: Stamp, line: Line) {
    let known = lines.entry(version).or_insert(line);
    *known = line.max(*known);
}

/// A list of lines, which any language reads: `{"item": …, "version": …, "quantity": 2}`, with
/// `null` for what was removed.
#[cfg(feature = "serde")]
mod form {
    use super::{Cart, Line};
    use crate::Stamp;
    use alloc::vec::Vec;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row<Item> {
        item: Item,
        version: Stamp,
        quantity: Option<u32>,
    }

    impl<Item: Serialize> Serialize for Cart<Item> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.lines.iter().flat_map(|(item, lines)| {
                lines.iter().map(move |(version, line)| {
                    let quantity = match line {
                        Line::There(quantity) => Some(*quantity),
                        Line::Removed => None,
                    };
                    Row { item, version: *version, quantity }
                })
            }))
        }
    }

    impl<'de, Item: Deserialize<'de> + Ord> Deserialize<'de> for Cart<Item> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let mut cart = Self::new();
            for Row { item, version, quantity } in Vec::<Row<Item>>::deserialize(deserializer)? {
                cart.put(item, version, quantity.map_or(Line::Removed, Line::There));
            }
            Ok(cart)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tick;
    use alloc::vec::Vec;

    fn version(ms: u64) -> Stamp {
        Stamp::new(Tick { ms, counter: 0, ahead_ms: 0 }, *b"tpe", 1)
    }

    #[test]
    fn a_write_that_comes_again_changes_nothing() {
        let mut cart = Cart::new();
        cart.add("tea", 2, version(1));
        cart.set_quantity("tea", 5, version(2));
        cart.set_quantity("cup", 0, version(3));
        cart.add("tea", 1, version(4));
        cart.add("cup", 1, version(5));
        let once = cart.clone();
        cart.add("tea", 2, version(1));
        cart.set_quantity("tea", 5, version(2));
        cart.set_quantity("cup", 0, version(3));
        assert_eq!(cart, once);
        assert_eq!((cart.quantity(&"tea"), cart.quantity(&"cup")), (6, 1));
    }

    #[test]
    fn only_what_was_removed_long_ago_is_forgotten() {
        let mut cart = Cart::new();
        for ms in 1..4 {
            cart.add("tea", 1, version(ms));
        }
        cart.remove(&"tea");
        cart.add("cup", 1, version(1));
        cart.forget(Time::new(3, 0));
        let left: Vec<_> = cart.lines.values().map(BTreeMap::len).collect();
        assert_eq!(left, [1, 1]);
        // A copy that is older brings back what is forgotten, and nothing else.
        let mut old = Cart::new();
        old.add("tea", 1, version(2));
        old.add("tea", 1, version(3));
        cart.merge(old);
        assert!(cart.items().eq([(&"cup", 1), (&"tea", 1)]));
    }
}
