//! Something for each priority.

use crate::vocabulary::Priority;
use core::ops::{Index, IndexMut};

/// One value for each priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerPriority<T> {
    /// Of critical requests.
    pub critical: T,
    /// Of high ones.
    pub high: T,
    /// Of normal ones.
    pub normal: T,
    /// Of low ones.
    pub low: T,
}

impl<T> PerPriority<T> {
    /// A value made for each, the most important first.
    pub fn each(mut make: impl FnMut(Priority) -> T) -> Self {
        Self {
            critical: make(Priority::Critical),
            high: make(Priority::High),
            normal: make(Priority::Normal),
            low: make(Priority::Low),
        }
    }

    /// All of them, the most important first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.critical, &self.high, &self.normal, &self.low].into_iter()
    }
}

impl<T> Index<Priority> for PerPriority<T> {
    type Output = T;

    fn index(&self, of: Priority) -> &T {
        match of {
            Priority::Critical => &self.critical,
            Priority::High => &self.high,
            Priority::Normal => &self.normal,
            Priority::Low => &self.low,
        }
    }
}

impl<T> IndexMut<Priority> for PerPriority<T> {
    fn index_mut(&mut self, of: Priority) -> &mut T {
        match of {
            Priority::Critical => &mut self.critical,
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
            Priority::Low => &mut self.low,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_priority_has_its_own() {
        let mut ranks = PerPriority::each(|priority| priority as usize);
        for priority in Priority::ALL {
            assert_eq!(ranks[*priority], *priority as usize);
            ranks[*priority] += 10;
        }
        assert_eq!(ranks.iter().copied().collect::<alloc::vec::Vec<_>>(), [10, 11, 12, 13]);
    }
}
