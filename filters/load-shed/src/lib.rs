//! How much a worker lets in at once, least important work first out.
//!
//! Requests are counted from their admission to the end of their stream, in one pool for each
//! context that has a limit of its own and one for all others. Of a pool's limit a priority may
//! use a share (algorithms: the ladder `h`): critical work one and a half times the limit, so that
//! it finds room in a pool that everything else has filled.
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

use policy_core::{Pool, Priority};
use std::cell::Cell;

/// The requests in flight of one worker.
#[derive(Debug, Default)]
pub struct InFlight {
    pools: Box<[Counter]>,
}

#[derive(Debug)]
struct Counter {
    limit: u32,
    count: Cell<u32>,
}

/// A place that an admitted request takes; it has to be given back with [`InFlight::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place that is not given back stays taken"]
pub struct Slot {
    pool: usize,
}

impl InFlight {
    /// Empty pools.
    pub fn new(pools: &[Pool]) -> Self {
        let counter = |pool: &Pool| Counter { limit: pool.limit, count: Cell::new(0) };
        Self { pools: pools.iter().map(counter).collect() }
    }

    /// Lets a request in, or not.
    pub fn admit(&self, pool: usize, priority: Priority) -> Option<Slot> {
        let counter = self.pools.get(pool)?;
        let count = counter.count.get();
        if count >= share(counter.limit, priority) {
            return None;
        }
        counter.count.set(count.saturating_add(1));
        Some(Slot { pool })
    }

    /// Gives a place back.
    #[expect(clippy::needless_pass_by_value, reason = "a place is given back once")]
    pub fn release(&self, slot: Slot) {
        if let Some(counter) = self.pools.get(slot.pool) {
            counter.count.set(counter.count.get().saturating_sub(1));
        }
    }
}

/// How much of a limit a priority may use; one request always.
pub fn share(limit: u32, priority: Priority) -> u32 {
    let tenths = match priority {
        Priority::Critical => 15,
        Priority::High => 10,
        Priority::Normal => 8,
        Priority::Low => 6,
    };
    (limit.saturating_mul(tenths) / 10).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(limits: &[u32]) -> InFlight {
        let pool = |limit: &u32| Pool { name: "p".into(), limit: *limit };
        InFlight::new(&limits.iter().map(pool).collect::<Vec<_>>())
    }

    #[test]
    fn each_priority_may_use_its_share_of_the_limit() {
        for (priority, limit, admitted) in [
            (Priority::Critical, 10, 15),
            (Priority::High, 10, 10),
            (Priority::Normal, 10, 8),
            (Priority::Low, 10, 6),
            (Priority::Low, 1, 1),
            (Priority::Critical, 1, 1),
        ] {
            let in_flight = pools(&[limit]);
            let slots: Vec<_> = (0..40).map_while(|_| in_flight.admit(0, priority)).collect();
            assert_eq!(slots.len(), admitted, "{priority} of {limit}");
        }
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let in_flight = pools(&[1]);
        let slot = in_flight.admit(0, Priority::High).unwrap();
        assert_eq!(in_flight.admit(0, Priority::High), None);
        in_flight.release(slot);
        assert!(in_flight.admit(0, Priority::High).is_some());
    }

    #[test]
    fn what_low_work_has_filled_leaves_room_for_critical_work() {
        let in_flight = pools(&[10, 1]);
        let low: Vec<_> = (0..40).map_while(|_| in_flight.admit(0, Priority::Low)).collect();
        assert_eq!(low.len(), 6);
        let critical: Vec<_> =
            (0..40).map_while(|_| in_flight.admit(0, Priority::Critical)).collect();
        assert_eq!(critical.len(), 9);
        assert!(in_flight.admit(1, Priority::Low).is_some(), "pools do not share");
        assert_eq!(in_flight.admit(7, Priority::Critical), None, "there is no such pool");
    }
}
