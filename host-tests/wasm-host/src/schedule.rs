//! What happens next, by the virtual clock.

use crate::common::Random;
use crate::service::Ending;
use crate::vm::CallKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// A VM of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VmNumber(pub(crate) u64);

/// Something that will happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Tick { vm: VmNumber, root: u32, generation: u64 },
    QueueReady { worker: usize, vm_key: String, root: u32, token: u32 },
    Called { vm: VmNumber, kind: CallKind, token: u32, ending: Ending },
    Answered { stream: u64, ending: Ending },
}

/// In which order things happen that are due at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In that in which they were asked for.
    #[default]
    AsAsked,
    /// In one that the number decides: the same number, the same order.
    Shuffled(u64),
}

/// What will happen, in order.
#[derive(Debug)]
pub(crate) struct Schedule {
    events: BTreeMap<(Duration, u64, u64), Event>,
    asked: u64,
    shuffle: Option<Random>,
}

impl Schedule {
    pub(crate) fn new(order: Order) -> Self {
        let shuffle = match order {
            Order::AsAsked => None,
            Order::Shuffled(seed) => Some(Random(seed)),
        };
        Self { events: BTreeMap::new(), asked: 0, shuffle }
    }

    pub(crate) fn at(&mut self, time: Duration, event: Event) {
        self.asked = self.asked.saturating_add(1);
        let rank = self.shuffle.as_mut().map_or(0, Random::next);
        self.events.insert((time, rank, self.asked), event);
    }

    /// The next event that is due by this time, and when it is.
    pub(crate) fn next(&mut self, until: Duration) -> Option<(Duration, Event)> {
        let first = self.events.first_entry()?;
        let time = first.key().0;
        (time <= until).then(|| (time, first.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Order, Schedule};
    use crate::service::{Ending, Failure};
    use std::time::Duration;

    fn order(order: Order) -> Vec<u64> {
        let mut schedule = Schedule::new(order);
        let event = |stream| Event::Answered { stream, ending: Ending::Fail(Failure::Reset) };
        schedule.at(Duration::from_secs(2), event(9));
        for stream in 0..6 {
            schedule.at(Duration::from_secs(1), event(stream));
        }
        let mut seen = Vec::new();
        while let Some((_, Event::Answered { stream, .. })) = schedule.next(Duration::from_secs(2))
        {
            seen.push(stream);
        }
        seen
    }

    #[test]
    fn what_is_due_together_comes_in_the_order_chosen() {
        assert_eq!(order(Order::AsAsked), [0, 1, 2, 3, 4, 5, 9]);
        let shuffled = order(Order::Shuffled(1));
        assert_eq!(shuffled, order(Order::Shuffled(1)));
        assert_ne!(shuffled, order(Order::AsAsked));
        assert_eq!(shuffled.last(), Some(&9), "time comes first");
    }
}
