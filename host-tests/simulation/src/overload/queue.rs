//! What will happen, in the order in which it does.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// A time: microseconds since the run began.
pub type Us = u64;

/// A millisecond.
pub const MS: Us = 1_000;
/// A second.
pub const SECOND: Us = 1_000_000;

/// Events in order of their time; those of one time in the order in which they were added.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    /// Events that are all added the same time ahead, so in order already: the timeouts, which
    /// are most of what waits.
    lane: VecDeque<Entry<E>>,
    ahead: Us,
    added: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: Us,
    number: u64,
    event: E,
}

impl<E> Entry<E> {
    fn order(&self) -> (Us, u64) {
        (self.at, self.number)
    }
}

impl<E> Queue<E> {
    /// Nothing will happen yet; what is added with [`Queue::add_ahead`] does so this much later.
    pub fn new(ahead: Us) -> Self {
        Self { heap: BinaryHeap::new(), lane: VecDeque::new(), ahead, added: 0 }
    }

    /// Something happens then.
    pub fn add(&mut self, at: Us, event: E) {
        let entry = self.entry(at, event);
        self.heap.push(entry);
    }

    /// Something happens the fixed time from now. Every call has to come with a later time.
    pub fn add_ahead(&mut self, now: Us, event: E) {
        let entry = self.entry(now + self.ahead, event);
        self.lane.push_back(entry);
    }

    fn entry(&mut self, at: Us, event: E) -> Entry<E> {
        self.added += 1;
        Entry { at, number: self.added, event }
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Us> {
        let next = [self.lane.front(), self.heap.peek()];
        next.into_iter().flatten().map(|entry| entry.at).min()
    }

    /// What happens next, and when.
    pub fn pop(&mut self) -> Option<(Us, E)> {
        let is_lane = match (self.lane.front(), self.heap.peek()) {
            (Some(lane), Some(heap)) => lane.order() < heap.order(),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let entry = if is_lane { self.lane.pop_front() } else { self.heap.pop() };
        entry.map(|entry| (entry.at, entry.event))
    }
}

// The greatest comes out of a heap first: the earliest.
impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.order().cmp(&self.order())
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_then_of_adding() {
        let mut queue = Queue::new(10);
        queue.add(12, 'c');
        queue.add_ahead(1, 'b');
        queue.add(5, 'a');
        queue.add_ahead(2, 'd');
        queue.add(30, 'e');
        assert_eq!(queue.next_at(), Some(5));
        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(queue.next_at(), None);
        assert_eq!(all, [(5, 'a'), (11, 'b'), (12, 'c'), (12, 'd'), (30, 'e')]);
    }
}
