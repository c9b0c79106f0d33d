//! The concurrency guard: of a limit each priority may use a share, so that critical work finds room
//! in a pool that everything else has filled.

use policy_core::{PerPriority, Priority};

/// How much of a limit a priority may use, in tenths. A flatter ladder leaves critical work no room
/// of its own, and twice the limit for it collapses where it alone is more than can be served.
const fn tenths(priority: Priority) -> u32 {
    match priority {
        Priority::Critical => 15,
        Priority::High => 10,
        Priority::Normal => 8,
        Priority::Low => 6,
    }
}

/// How many requests of a priority find room in one worker's limit; one always.
pub fn share(limit: u32, priority: Priority) -> u32 {
    (limit.saturating_mul(tenths(priority)) / 10).max(1)
}

/// How many times its even share of what is free a worker may take until it hears of the others
/// again.
const GREED: f64 = 2.0;
/// How much of what a worker holds counts when rooms are given anew; the rest goes back to even
/// shares, so that nobody keeps what it once got.
const HELD: f64 = 0.8;

/// What one worker may have in flight of each priority until its next tick, of a limit that belongs
/// to all workers of a proxy. At its last tick it held `own` itself and the others `others`.
///
/// Were every worker let in up to the limit less what others held, all would fill the same free
/// places at once, then nobody would be let in until all had seen it. So each takes its share of
/// them, rather more than an even one, since not all have the same to do.
pub(crate) fn rooms(limit: f64, own: u32, others: u32, workers: u32) -> PerPriority<f64> {
    let (own, pooled) = (f64::from(own), f64::from(own.saturating_add(others)));
    let even = 1.0 / f64::from(workers.max(1));
    PerPriority::each(|priority| {
        let bound = (limit * f64::from(tenths(priority)) / 10.0).max(1.0);
        let share = own + (GREED * even).min(1.0) * (bound - pooled);
        let room = HELD * share + (1.0 - HELD) * even * bound;
        // Where anything is free, nobody is without: fractions of a place are of no use.
        if pooled < bound { room.max(1.0) } else { room }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(limit: f64, own: u32, others: u32, workers: u32) -> f64 {
        rooms(limit, own, others, workers)[Priority::High]
    }

    #[test]
    fn what_is_free_is_shared_and_not_filled_by_everybody_at_once() {
        // Four workers with five each of a limit of 40: twenty are free, and all together may take
        // twice that less what the pull to even shares leaves of it, not four times.
        let all = 4.0 * room(40.0, 5, 15, 4);
        assert!((40.0..60.0).contains(&all), "{all}");
        // Full is full, for all together.
        assert!((4.0 * room(40.0, 10, 30, 4) - 40.0).abs() < 1e-9);
    }

    #[test]
    fn who_holds_too_much_gives_back_and_who_has_none_gets_some() {
        assert!(room(40.0, 25, 15, 4) < 25.0);
        assert!(room(40.0, 1, 39, 4) > 2.0);
        assert!((room(3.0, 0, 2, 16) - 1.0).abs() < 1e-9, "a place is free");
        assert!(room(3.0, 0, 3, 16) < 1.0, "none is");
    }

    #[test]
    fn one_worker_alone_has_all_of_it() {
        assert!((room(40.0, 12, 0, 1) - 40.0).abs() < 1e-9);
        let critical = rooms(40.0, 12, 0, 1)[Priority::Critical];
        assert!((critical - 60.0).abs() < 1e-9);
    }
}
