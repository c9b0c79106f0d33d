//! What one worker counts of one pool, and the place that a request takes in it.

use crate::key::{BUCKETS, Key};
use crate::median::Median;
use crate::number::float;
use crate::spread;
use policy_core::{PerPriority, Priority};
use std::cell::Cell;
use std::rc::Rc;

/// No request is taken to have lasted longer, in microseconds: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// How a request that was let in has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream answered.
    Served {
        /// How long that took from the admission to the response's headers, in microseconds.
        latency_us: u64,
    },
    /// It could not, for load or loss: no answer in time, a connection that broke, 502 to 504.
    Failed,
    /// Nothing that tells of load: the client went away, the module answered before the upstream could,
    /// or that is broken (any other 5xx).
    Unknown,
}

/// What has been counted since the pool began, at one moment. Each number starts again at zero after
/// its largest, so that only differences tell something; they are right as long as less than that
/// happens between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Requests that came to the threshold, by their keys.
    pub(crate) arrivals: [u32; BUCKETS],
    /// Those that passed it.
    pub(crate) passed: u32,
    /// Those that the guard let in too.
    pub(crate) admitted: u32,
    pub(crate) served: u32,
    pub(crate) failed: u32,
    /// Those that were served, by the class of how much longer or shorter each took than the one
    /// before.
    pub(crate) apart: [u32; spread::CLASSES],
    /// How long those that were served took together.
    pub(crate) latency_us: u64,
    /// How many were in flight times how long, in request milliseconds, twice.
    pub(crate) area: u64,
}

/// The counters themselves. Slots hold them, so that they outlive a pool that a new policy has not.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    arrivals: [Cell<u32>; BUCKETS],
    passed: Cell<u32>,
    admitted: Cell<u32>,
    served: Cell<u32>,
    failed: Cell<u32>,
    apart: [Cell<u32>; spread::CLASSES],
    last_us: Cell<u64>,
    latency_us: Cell<u64>,
    area: Cell<u64>,
    in_flight: Cell<u32>,
    /// When `area` was last brought up to date, and how many were in flight after that.
    touched: Cell<Option<(u64, u32)>>,
    medians: PerPriority<Median>,
}

impl Counters {
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    pub(crate) fn median(&self, priority: Priority) -> &Median {
        &self.medians[priority]
    }

    /// Brings `area` up to date. Nobody says when a place was given back, so that half of the time
    /// since the last look is taken to have passed before: right on average.
    pub(crate) fn touch(&self, now_ms: u64) {
        let in_flight = self.in_flight.get();
        if let Some((at_ms, held)) = self.touched.get() {
            let passed_ms = now_ms.saturating_sub(at_ms);
            let twice = u64::from(held).saturating_add(in_flight.into());
            self.area.set(self.area.get().wrapping_add(passed_ms.saturating_mul(twice)));
        }
        self.touched.set(Some((now_ms, in_flight)));
    }

    pub(crate) fn on_arrival(&self, key: Key) {
        if let Some(count) = self.arrivals.get(key.bucket()) {
            up(count);
        }
    }

    pub(crate) fn on_passed(&self) {
        up(&self.passed);
    }

    /// Takes a place.
    pub(crate) fn admit(self: &Rc<Self>, priority: Priority) -> Slot {
        up(&self.admitted);
        let in_flight = self.in_flight.get().saturating_add(1);
        self.in_flight.set(in_flight);
        self.touched.set(self.touched.get().map(|(at_ms, _)| (at_ms, in_flight)));
        Slot { counters: Rc::clone(self), priority }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            arrivals: self.arrivals.each_ref().map(Cell::get),
            passed: self.passed.get(),
            admitted: self.admitted.get(),
            served: self.served.get(),
            failed: self.failed.get(),
            apart: self.apart.each_ref().map(Cell::get),
            latency_us: self.latency_us.get(),
            area: self.area.get(),
        }
    }
}

fn up(count: &Cell<u32>) {
    count.set(count.get().wrapping_add(1));
}

/// A place that an admitted request takes. It is given back when this is dropped, however the stream
/// ends and whatever policy is in force by then.
#[derive(Debug)]
#[must_use = "a place that is dropped is given back at once"]
pub struct Slot {
    counters: Rc<Counters>,
    priority: Priority,
}

impl Slot {
    /// Gives the place back and says how it went.
    pub fn finish(self, outcome: Outcome) {
        let counters = &self.counters;
        match outcome {
            Outcome::Served { latency_us } => {
                let latency_us = latency_us.min(LATENCY_US_MAX);
                up(&counters.served);
                let apart_us = counters.last_us.replace(latency_us).abs_diff(latency_us);
                if let Some(count) = counters.apart.get(spread::class(apart_us)) {
                    up(count);
                }
                counters.latency_us.set(counters.latency_us.get().wrapping_add(latency_us));
                counters.median(self.priority).observe(float(latency_us) / 1_000.0);
            }
            Outcome::Failed => up(&counters.failed),
            Outcome::Unknown => {}
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let in_flight = &self.counters.in_flight;
        in_flight.set(in_flight.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(latency_us: u64) -> Outcome {
        Outcome::Served { latency_us }
    }

    fn counters() -> Rc<Counters> {
        Rc::default()
    }

    #[test]
    fn a_place_is_given_back_exactly_once() {
        for (outcome, answered, failed, why) in [
            (None, 0, 0, "dropped: nothing is known of the upstream"),
            (Some(served(1_000)), 1, 0, "served"),
            (Some(Outcome::Failed), 0, 1, "failed"),
            (Some(Outcome::Unknown), 0, 0, "said to be unknown"),
        ] {
            let counters = counters();
            let (slot, other) =
                (counters.admit(Priority::High), counters.admit(Priority::Critical));
            assert_eq!(counters.in_flight(), 2, "{why}");
            match outcome {
                None => drop(slot),
                Some(outcome) => slot.finish(outcome),
            }
            assert_eq!(counters.in_flight(), 1, "{why}");
            let counts = counters.counts();
            assert_eq!(
                (counts.admitted, counts.served, counts.failed),
                (2, answered, failed),
                "{why}"
            );
            drop(other);
            assert_eq!(counters.in_flight(), 0, "{why}");
        }
    }

    #[test]
    fn a_place_outlives_the_pool() {
        let counters = counters();
        let slot = counters.admit(Priority::Low);
        drop(counters);
        slot.finish(served(1));
    }

    #[test]
    fn requests_are_counted_where_they_have_come_to() {
        let counters = counters();
        counters.on_arrival(Key::new(Priority::Critical, 0));
        counters.on_arrival(Key::new(Priority::Low, 63));
        counters.on_arrival(Key::new(Priority::Low, 63));
        counters.on_passed();
        let counts = counters.counts();
        assert_eq!((counts.arrivals[0], counts.arrivals[31]), (1, 2));
        assert_eq!(counts.arrivals.iter().sum::<u32>(), 3);
        assert_eq!((counts.passed, counts.admitted), (1, 0));
    }

    #[test]
    fn what_is_served_tells_how_long_it_took() {
        let counters = counters();
        for (latency_us, sum_us, class, why) in [
            (5_000, 5_000, spread::class(5_000), "the first is apart from none"),
            (5_000, 10_000, 0, "as long as the one before"),
            (1_000, 11_000, spread::class(4_000), "shorter is apart too"),
            (u64::MAX, 600_011_000, spread::class(599_999_000), "nothing lasts longer"),
        ] {
            let before = counters.counts().apart[class];
            counters.admit(Priority::Normal).finish(served(latency_us));
            let counts = counters.counts();
            assert_eq!(counts.latency_us, sum_us, "{latency_us}: {why}");
            assert_eq!(counts.apart[class], before.saturating_add(1), "{latency_us}: {why}");
        }
        counters.admit(Priority::Normal).finish(Outcome::Failed);
        assert_eq!(counters.counts().latency_us, 600_011_000, "a failure tells no latency");
    }

    #[test]
    fn each_priority_has_a_median_of_its_own() {
        let counters = counters();
        for _ in 0..30 {
            counters.admit(Priority::High).finish(served(4_000));
            counters.admit(Priority::Low).finish(Outcome::Failed);
        }
        let median = counters.median(Priority::High).get().unwrap();
        assert!((median - 4.0).abs() < 1e-9, "{median}");
        for other in [Priority::Critical, Priority::Normal, Priority::Low] {
            assert_eq!(counters.median(other).get(), None, "{other}");
        }
    }

    #[test]
    fn counts_begin_again_after_their_largest() {
        let counters = counters();
        for count in [&counters.passed, &counters.admitted, &counters.served, &counters.failed] {
            count.set(u32::MAX);
        }
        counters.arrivals[8].set(u32::MAX);
        counters.apart.iter().for_each(|count| count.set(u32::MAX));
        counters.latency_us.set(u64::MAX);
        counters.area.set(u64::MAX);
        counters.touch(0);
        counters.on_arrival(Key::new(Priority::High, 0));
        counters.on_passed();
        let slot = counters.admit(Priority::High);
        counters.touch(1);
        slot.finish(served(3_000));
        counters.admit(Priority::High).finish(Outcome::Failed);
        let after = counters.counts();
        assert_eq!((after.arrivals[8], after.passed, after.admitted), (0, 0, 1));
        assert_eq!((after.served, after.failed), (0, 0));
        assert_eq!(after.apart[spread::class(3_000)], 0);
        assert_eq!((after.latency_us, after.area), (2_999, 1));
    }

    #[test]
    fn area_is_twice_what_was_in_flight_times_how_long() {
        let counters = counters();
        counters.touch(1_000);
        let first = counters.admit(Priority::High);
        let second = counters.admit(Priority::High);
        counters.touch(1_100);
        assert_eq!(counters.counts().area, 400, "two for 100 ms");
        drop(second);
        counters.touch(1_200);
        assert_eq!(counters.counts().area, 700, "two for half of 100 ms, one for the other half");
        drop(first);
        counters.touch(1_200);
        assert_eq!(counters.counts().area, 700, "no time has passed");
        counters.touch(1_100);
        assert_eq!(counters.counts().area, 700, "nor has it when a clock goes back");
        counters.touch(9_000);
        assert_eq!(counters.counts().area, 700, "none is in flight");
    }

    #[test]
    fn nobody_knows_how_long_the_first_look_was() {
        let counters = counters();
        let _slot = counters.admit(Priority::High);
        counters.touch(1_000_000);
        assert_eq!(counters.counts().area, 0);
        counters.touch(1_000_010);
        assert_eq!(counters.counts().area, 20);
    }
}
