//! One pool of one worker: what decides on the request path, and what that follows on ticks.

use crate::brownout::Brownout;
use crate::control::{Chair, Control, RATIO_MAX};
use crate::counters::{Counters, Slot};
use crate::decision::Decision;
use crate::key::Key;
use crate::meter::{Heard, Meter};
use crate::number::bounded;
use crate::random::Random;
use crate::report::{PoolReport, Report};
use crate::retries::Retries;
use crate::shedder::{Ask, Refused};
use crate::signal::Signal;
use crate::threshold::{RATIO_MIN, Threshold};
use crate::{deadline, ladder};
use core::hash::Hasher;
use policy_core::{Baseline, PerPriority, Priority};
use siphasher::sip::SipHasher24;
use std::cell::Cell;
use std::rc::Rc;

/// For how long an announced rise is reckoned with, in milliseconds.
const EXPECTED_MS: u64 = 5_000;

/// A pool.
#[derive(Debug)]
pub(crate) struct Gate {
    pool: policy_core::Pool,
    pub(crate) counters: Rc<Counters>,
    pub(crate) adaptive: Option<Adaptive>,
}

/// What a pool has whose limit follows something.
#[derive(Debug)]
pub(crate) struct Adaptive {
    id: u64,
    born_ms: Cell<Option<u64>>,
    retries: Retries,
    // On the request path.
    rooms: PerPriority<f64>,
    threshold: Threshold,
    pub(crate) ratio: f64,
    /// In flight at the last tick: here, and elsewhere.
    own: u32,
    pub(crate) others: u32,
    pub(crate) workers: u32,
    in_flight_max: Cell<u32>,
    // On ticks.
    meter: Meter,
    pub(crate) control: Control,
    pub(crate) brownout: Brownout,
    floor: f64,
    expected: Option<Expected>,
    signal: Signal,
}

/// A rise that was announced: until when it is reckoned with, how many requests a second come then, and
/// which share of them has to go.
#[derive(Debug, Clone, Copy)]
struct Expected {
    until_ms: u64,
    coming: f64,
    ratio: f64,
}

impl Gate {
    pub(crate) fn new(pool: &policy_core::Pool) -> Self {
        Self {
            pool: pool.clone(),
            counters: Rc::default(),
            adaptive: (pool.baseline != Baseline::Fixed).then(|| Adaptive::new(pool)),
        }
    }

    pub(crate) fn is(&self, pool: &policy_core::Pool) -> bool {
        self.pool == *pool
    }

    pub(crate) const fn pool(&self) -> &policy_core::Pool {
        &self.pool
    }

    pub(crate) fn admit(&self, ask: Ask, now_ms: u64, random: &Random) -> Result<Slot, Refused> {
        let Some(adaptive) = &self.adaptive else {
            if self.counters.in_flight() >= ladder::share(self.pool.limit, ask.priority) {
                return Err(Refused::Guard);
            }
            return Ok(self.counters.admit(ask.priority));
        };
        adaptive.admit(&self.counters, ask, now_ms, random)
    }
}

impl Adaptive {
    fn new(pool: &policy_core::Pool) -> Self {
        let control = Control::new(pool.limit, pool.baseline);
        Self {
            id: id(pool),
            born_ms: Cell::new(None),
            retries: Retries::default(),
            rooms: ladder::rooms(control.limit(1), 0, 0, 1),
            threshold: Threshold::default(),
            ratio: 0.0,
            own: 0,
            others: 0,
            workers: 1,
            in_flight_max: Cell::new(0),
            meter: Meter::default(),
            control,
            brownout: Brownout::default(),
            floor: 0.0,
            expected: None,
            signal: Signal::default(),
        }
    }

    fn admit(
        &self,
        counters: &Rc<Counters>,
        ask: Ask,
        now_ms: u64,
        random: &Random,
    ) -> Result<Slot, Refused> {
        let Ask { priority, cohort, is_retry, time_left_ms } = ask;
        if self.born_ms.get().is_none() {
            self.born_ms.set(Some(now_ms));
        }
        let median = counters.median(priority);
        if time_left_ms.is_some_and(|left_ms| deadline::is_hopeless(left_ms, median.get())) {
            return Err(Refused::Deadline);
        }
        if !is_retry {
            self.retries.on_first(now_ms);
        } else if self.ratio >= RATIO_MIN && !self.retries.has_room(now_ms, self.workers) {
            return Err(Refused::RetryBudget);
        }
        let key = Key::new(priority, cohort);
        counters.touch(now_ms);
        counters.on_arrival(key);
        if !self.threshold.admits(key, random) {
            return Err(Refused::Threshold);
        }
        counters.on_passed();
        let own = counters.in_flight();
        if f64::from(own) >= self.rooms[priority] {
            return Err(Refused::Guard);
        }
        let in_flight = own.saturating_add(self.others);
        self.in_flight_max.set(self.in_flight_max.get().max(in_flight.saturating_add(1)));
        if is_retry {
            // Those that are refused for another reason take nothing from the others.
            self.retries.on_retry(now_ms);
        }
        Ok(counters.admit(priority))
    }

    pub(crate) fn bound_retries(&mut self, bounds: policy_core::wire::Retries) {
        self.retries.bound(bounds);
    }

    pub(crate) fn signal(&self, utilisation: f64) {
        self.signal.add(utilisation);
    }

    pub(crate) fn set_floor(&mut self, floor: f64) {
        self.floor = bounded(floor, 0.0, RATIO_MAX);
        // What was announced goes on: only a tick knows when it is over.
        self.apply(self.expected.map_or(0.0, |expected| expected.ratio));
    }

    pub(crate) fn expect(&mut self, multiplier: f64, now_ms: u64) {
        // A rise on top of one that has not come yet.
        let running = self.expected.filter(|running| now_ms < running.until_ms);
        let before = running.map_or(self.control.offered(), |running| running.coming);
        let coming = before * multiplier;
        let ratio = self.control.ratio_for(coming);
        let until_ms = now_ms.saturating_add(EXPECTED_MS);
        self.expected = Some(Expected { until_ms, coming, ratio });
        self.apply(ratio);
    }

    /// What others say now: `fresh` are their reports.
    pub(crate) fn on_tick(
        &mut self,
        counters: &Counters,
        node: u32,
        fresh: &[&Report],
        now_ms: u64,
    ) {
        counters.touch(now_ms);
        for priority in Priority::ALL {
            counters.median(*priority).on_tick(now_ms);
        }
        self.signal.turn(now_ms);
        let peers: Vec<(u32, &PoolReport)> =
            fresh.iter().filter_map(|report| Some((report.node, report.pool(self.id)?))).collect();
        self.others =
            peers.iter().fold(0, |sum: u32, (_, peer)| sum.saturating_add(peer.in_flight));
        let born_ms = self.born_ms.get();
        let workers = peers.len().saturating_add(usize::from(born_ms.is_some()));
        self.workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);

        let counts = counters.counts();
        let own = born_ms.map(|born_ms| Heard { node, born_ms, counts: &counts });
        let heard = peers.iter().map(|(node, peer)| Heard {
            node: *node,
            born_ms: peer.born_ms,
            counts: &peer.counts,
        });
        self.meter.take(own.into_iter().chain(heard), now_ms);
        self.own = counters.in_flight();
        let in_flight = self.own.saturating_add(self.others);
        let loaded = peers.iter().map(|(_, peer)| peer.utilisation).max();
        let loaded = loaded.unwrap_or(0).max(self.signal.get());
        self.meter.note(in_flight.max(self.in_flight_max.take()), f64::from(loaded) / 1_000.0);

        self.decide(node, born_ms, &peers, now_ms);
        let least = self.ratio_min(now_ms);
        self.apply(least);
        self.brownout.on_tick(self.ratio, now_ms);
    }

    /// Does as the newest decision says, or makes the next where that is this worker's to do.
    fn decide(
        &mut self,
        node: u32,
        born_ms: Option<u64>,
        peers: &[(u32, &PoolReport)],
        now_ms: u64,
    ) {
        let known = self.control.last().map_or((0, 0), Decision::order);
        let decisions = peers.iter().filter_map(|(_, peer)| peer.decision);
        let newest =
            decisions.filter(|decision| decision.at_ms <= now_ms && decision.order() > known);
        if let Some(newest) = newest.max_by_key(Decision::order) {
            let window = self.meter.next();
            self.control.adopt(newest, &window, now_ms);
        }
        if born_ms.is_none() && peers.is_empty() && self.control.last().is_none() {
            // There is nothing to go on from, and of idle time it would learn that nothing is needed.
            self.meter.next();
            return;
        }
        let is_first =
            |born_ms| peers.iter().all(|(of, peer)| (peer.born_ms, *of) > (born_ms, node));
        let decides = born_ms.map_or(peers.is_empty(), is_first);
        if decides && self.meter.window().is_over() {
            let window = self.meter.next();
            let ratio_min = self.ratio_min(now_ms);
            let chair = Chair { node, now_ms, workers: self.workers, ratio_min };
            self.control.step(&window, chair);
        }
    }

    fn ratio_min(&mut self, now_ms: u64) -> f64 {
        self.expected = self.expected.filter(|expected| now_ms < expected.until_ms);
        self.expected.map_or(0.0, |expected| expected.ratio).max(self.floor)
    }

    /// Puts what holds where requests find it.
    fn apply(&mut self, least: f64) {
        let limit = self.control.limit(self.workers);
        self.rooms = ladder::rooms(limit, self.own, self.others, self.workers);
        let decided = self.control.last();
        let ratio = decided.map_or(0.0, |decision| decision.ratio);
        let least = least.max(self.floor);
        if least > ratio {
            self.ratio = least;
            self.threshold = self.control.keys().threshold(least);
        } else {
            self.ratio = ratio;
            self.threshold =
                decided.map_or_else(Threshold::default, |last| Threshold::new(last.threshold));
        }
    }

    pub(crate) fn threshold(&self) -> f64 {
        self.threshold.get()
    }

    pub(crate) fn report(&self, counters: &Counters) -> Option<PoolReport> {
        Some(PoolReport {
            pool: self.id,
            born_ms: self.born_ms.get()?,
            in_flight: counters.in_flight(),
            utilisation: self.signal.get(),
            counts: counters.counts(),
            decision: self.control.last().copied(),
        })
    }
}

/// What workers tell pools apart by: those that a new policy has changed are not the same.
fn id(pool: &policy_core::Pool) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(&pool.limit.to_le_bytes());
    let slo_ms = match pool.baseline {
        Baseline::Fixed | Baseline::Auto => 0,
        Baseline::Slo { ms } => ms,
    };
    hasher.write(&slo_ms.to_le_bytes());
    hasher.write(&[u8::from(matches!(pool.baseline, Baseline::Slo { .. }))]);
    hasher.write(pool.name.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shedder::Shedder;
    use policy_core::Pool;

    const ASK: Ask =
        Ask { priority: Priority::High, cohort: 0, is_retry: false, time_left_ms: None };

    fn auto(limit: u32) -> Pool {
        Pool { name: "p".into(), limit, baseline: Baseline::Auto }
    }

    /// What is decided where 100 a second are served and no more can be.
    fn decision(at_ms: u64, node: u32) -> Decision {
        Decision {
            at_ms,
            node,
            limit: 40.0,
            base_ms: 20.0,
            spread_ms: 10.0,
            smooth_ms: 20.0,
            ratio: 0.0,
            offered: 100.0,
            capacity: 100.0,
            peak: 20.0,
            threshold: 256.0,
            strained: 0,
        }
    }

    /// What has to go if so many times as much comes.
    fn goes(times: f64) -> f64 {
        // So many times what can be served is let through, of a limit of 40.
        1.0 - (1.25 + 0.5 / 40.0_f64.sqrt()) / times
    }

    /// A pool that has seen as much work of each key and for which this holds.
    fn knowing(decision: Decision) -> Gate {
        let mut gate = Gate::new(&auto(40));
        let arrivals = [10; crate::key::BUCKETS];
        let window = crate::window::Window { arrivals, ..Default::default() };
        let adaptive = gate.adaptive.as_mut().unwrap();
        adaptive.control.adopt(decision, &window, decision.at_ms);
        adaptive.apply(0.0);
        gate
    }

    fn tick(gate: &mut Gate, node: u32, fresh: &[&Report], now_ms: u64) {
        let counters = Rc::clone(&gate.counters);
        gate.adaptive.as_mut().unwrap().on_tick(&counters, node, fresh, now_ms);
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn the_first_reason_not_to_let_it_in_is_the_one_that_is_told() {
        let late = Some(50);
        for (ask, expected, counted, why) in [
            (ASK, Err(Refused::Threshold), (1, 0, 0), "its key is let go, and it has come"),
            (
                Ask { time_left_ms: late, ..ASK },
                Err(Refused::Deadline),
                (0, 0, 0),
                "nobody would wait for it, so that it counts nowhere",
            ),
            (
                Ask { time_left_ms: late, is_retry: true, ..ASK },
                Err(Refused::Deadline),
                (0, 0, 0),
                "which is asked before whether it may try again",
            ),
            (
                Ask { time_left_ms: Some(150), is_retry: true, ..ASK },
                Err(Refused::RetryBudget),
                (0, 0, 0),
                "it is in time, but none may try again",
            ),
            (
                Ask { priority: Priority::Critical, is_retry: true, ..ASK },
                Err(Refused::RetryBudget),
                (0, 0, 0),
                "however important",
            ),
            (
                Ask { priority: Priority::Critical, cohort: 63, time_left_ms: late, ..ASK },
                Ok(()),
                (1, 1, 1),
                "of its priority nobody knows how long it takes, and half a place is free",
            ),
        ] {
            let mut gate = Gate::new(&auto(1));
            let held = gate.admit(ASK, 0, &Random::new(1)).unwrap();
            (0..20).for_each(|_| gate.counters.median(Priority::High).observe(100.0));
            let adaptive = gate.adaptive.as_mut().unwrap();
            adaptive.ratio = 0.5;
            adaptive.threshold = Threshold::new(64.0);
            adaptive.bound_retries(policy_core::wire::Retries { budget: 0, floor: 0 });
            let before = gate.counters.counts();
            let got = gate.admit(ask, 0, &Random::new(1));
            let after = gate.counters.counts();
            let arrived: u32 = after.arrivals.iter().sum();
            let came = arrived.saturating_sub(before.arrivals.iter().sum());
            let passed = after.passed.saturating_sub(before.passed);
            let admitted = after.admitted.saturating_sub(before.admitted);
            assert_eq!((came, passed, admitted), counted, "{ask:?}: {why}");
            assert_eq!(got.map(drop), expected, "{ask:?}: {why}");
            drop(held);
        }
    }

    #[test]
    fn what_passes_the_threshold_and_finds_no_room_is_counted_so() {
        let gate = Gate::new(&auto(1));
        let _held = gate.admit(ASK, 0, &Random::new(1)).unwrap();
        assert_eq!(gate.admit(ASK, 0, &Random::new(1)).unwrap_err(), Refused::Guard);
        let counts = gate.counters.counts();
        assert_eq!((counts.arrivals[8], counts.passed, counts.admitted), (2, 2, 1));
    }

    #[test]
    fn retries_get_in_freely_where_nothing_is_let_go() {
        let mut gate = Gate::new(&auto(1_000));
        let none = policy_core::wire::Retries { budget: 0, floor: 0 };
        gate.adaptive.as_mut().unwrap().bound_retries(none);
        let retry = Ask { is_retry: true, ..ASK };
        for (ratio, is_let_in, why) in [
            (0.0, true, "nothing is let go"),
            (0.004, true, "as little is noise, and no other work is let go for it"),
            (0.005, false, "some is let go"),
        ] {
            gate.adaptive.as_mut().unwrap().ratio = ratio;
            let refused = gate.admit(retry, 0, &Random::new(1)).err();
            assert_eq!(refused, (!is_let_in).then_some(Refused::RetryBudget), "{ratio}: {why}");
        }
    }

    #[test]
    fn what_others_hold_leaves_so_much_room() {
        // One worker of two, each of which had ten at first; how many more get in of each priority.
        for (own, others, more, why) in [
            (0, 0, [27, 18, 11], "nine tenths, and not all of it"),
            (2, 9, [18, 9, 2], "what is free is his until he hears of the other again"),
            (10, 10, [9, 0, 0], "of what is full for both nobody has more than he holds"),
            (0, 20, [11, 2, 0], "who has none gets some of what is full"),
            (0, 30, [3, 0, 0], "all is full but for that"),
            (0, u32::MAX, [0, 0, 0], "more than can be"),
        ] {
            let got = [Priority::Critical, Priority::High, Priority::Low].map(|priority| {
                let mut gate = Gate::new(&auto(10));
                gate.adaptive.as_ref().unwrap().born_ms.set(Some(0));
                let held: Vec<_> =
                    (0..own).map(|_| gate.counters.admit(Priority::Critical)).collect();
                let mut report = leader(100);
                report.pools[0].pool = id(&auto(10));
                report.pools[0].in_flight = others;
                tick(&mut gate, 1, &[&report], 100);
                let asked = || gate.admit(Ask { priority, ..ASK }, 100, &Random::new(1));
                let slots: Vec<_> = std::iter::from_fn(|| asked().ok()).collect();
                assert_eq!(asked().unwrap_err(), Refused::Guard, "{why}");
                drop(held);
                slots.len()
            });
            assert_eq!(got, more, "{own} here, {others} there: {why}");
        }
    }

    #[test]
    fn a_rise_that_was_announced_is_reckoned_with_for_five_seconds() {
        let mut gate = knowing(decision(1_000, 1));
        let adaptive = gate.adaptive.as_mut().unwrap();
        adaptive.expect(4.0, 1_000);
        assert!(close(adaptive.ratio, goes(4.0)), "at once: {}", adaptive.ratio);
        let threshold = adaptive.threshold.get();
        assert!(close(threshold, 256.0 * (1.0 - goes(4.0))), "of what came: {threshold}");
        // Another worker leads and knows nothing of it.
        let mut ruled = adaptive.ratio;
        for now_ms in (1_100..=7_000).step_by(100) {
            let mut leader = leader(now_ms);
            leader.pools[0].decision = Some(decision(now_ms, 2));
            gate.adaptive.as_ref().unwrap().born_ms.set(Some(500));
            tick(&mut gate, 1, &[&leader], now_ms);
            ruled = gate.adaptive.as_ref().unwrap().ratio;
            let expected = if now_ms < 6_000 { goes(4.0) } else { 0.0 };
            assert!(close(ruled, expected), "at {now_ms}: {ruled}");
        }
        assert!(close(ruled, 0.0));
    }

    #[test]
    fn a_rise_that_is_announced_on_top_of_another_is_of_what_was_to_come() {
        for (rises, expected, why) in [
            (&[2.0, 1.05][..], goes(2.1), "a little more than twice as much"),
            (&[2.0, 2.0], goes(4.0), "four times as much"),
            (&[4.0, 0.5], goes(2.0), "not as much after all"),
        ] {
            let mut gate = knowing(decision(1_000, 1));
            let adaptive = gate.adaptive.as_mut().unwrap();
            for (rise, now_ms) in rises.iter().zip([1_000, 3_000]) {
                adaptive.expect(*rise, now_ms);
            }
            assert!(close(adaptive.ratio, expected), "{why}: {}", adaptive.ratio);
            adaptive.expect(2.0, 60_000);
            assert!(close(adaptive.ratio, goes(2.0)), "what is over counts no more");
        }
    }

    /// A report of another worker, which has served for longest.
    fn leader(now_ms: u64) -> Report {
        let other = Shedder::new(2, &[auto(40)]);
        let _slot = other.admit(0, ASK, 0).unwrap();
        other.report(now_ms).unwrap()
    }

    #[test]
    fn what_is_announced_follows_from_what_could_be_served() {
        let known = decision(0, 1);
        for (known, multiplier, expected, why) in [
            (known, 2.0, goes(2.0), "twice what can be served"),
            (known, 1.3, 0.0, "no more than is let through to the guard"),
            (known, 1.0, 0.0, "no more than can be served"),
            (known, 0.5, 0.0, "less"),
            (Decision { capacity: 300.0, ..known }, 2.0, 0.0, "there is room"),
            (Decision { capacity: 0.0, limit: 4.0, ..known }, 4.0, 0.5, "4 in 20 ms are 200/s"),
            (Decision { capacity: 0.0, smooth_ms: 0.0, ..known }, 9.0, 0.0, "nobody can tell"),
            (known, 1e9, 0.98, "a little is let in, whatever is said"),
            (known, f64::INFINITY, 0.98, "a little is let in, whatever is said"),
            (known, f64::NAN, 0.0, "no number"),
            (known, -3.0, 0.0, "less than nothing"),
        ] {
            let mut gate = knowing(known);
            let adaptive = gate.adaptive.as_mut().unwrap();
            adaptive.expect(multiplier, 0);
            assert!(close(adaptive.ratio, expected), "{multiplier}: {why}, not {}", adaptive.ratio);
        }
        let mut new = Gate::new(&auto(40));
        new.adaptive.as_mut().unwrap().expect(4.0, 0);
        assert!(close(new.adaptive.unwrap().ratio, 0.0), "nothing is known yet");
    }

    #[test]
    fn a_floor_holds_until_another_one_is_said() {
        let mut gate = knowing(Decision { ratio: 0.3, threshold: 180.0, ..decision(0, 1) });
        let adaptive = gate.adaptive.as_mut().unwrap();
        for (floor, ratio, threshold, why) in [
            (0.0, 0.3, 180.0, "what was decided"),
            (0.5, 0.5, 128.0, "more than that"),
            (0.2, 0.3, 180.0, "less than was decided"),
            (2.0, 0.98, 5.12, "nobody lets go of all"),
            (f64::NAN, 0.3, 180.0, "no number is no floor"),
            (-1.0, 0.3, 180.0, "less than none"),
        ] {
            adaptive.set_floor(floor);
            assert!(close(adaptive.ratio, ratio), "{floor}: {why}, not {}", adaptive.ratio);
            assert!(close(adaptive.threshold.get(), threshold), "{floor}: {why}");
        }
        adaptive.set_floor(0.4);
        for now_ms in (100..20_000).step_by(100) {
            tick(&mut gate, 1, &[], now_ms);
            let ratio = gate.adaptive.as_ref().unwrap().ratio;
            assert!(close(ratio, 0.4), "at {now_ms}: {ratio}");
        }
        gate.adaptive.as_mut().unwrap().set_floor(0.0);
        (20_000..23_000).step_by(100).for_each(|now_ms| tick(&mut gate, 1, &[], now_ms));
        assert!(close(gate.adaptive.unwrap().ratio, 0.0), "it comes back by itself");
    }

    #[test]
    fn what_is_let_go_at_somebodys_word_says_nothing_of_the_backend() {
        for (ratio_min, passed, capacity, limit, why) in [
            (0.6, 40, 400.0, 40.0, "while it holds"),
            (0.0, 40, 400.0, 40.0, "when it is over"),
            (0.6, 60, 352.0, 43.2, "what found no room does"),
        ] {
            let known = Decision { ratio: 0.6, capacity: 400.0, offered: 400.0, ..decision(0, 1) };
            let mut gate = knowing(known);
            let mut window = crate::window::Window {
                ms: 250,
                admitted: 40,
                served: 40,
                latency_us: 800_000,
                passed,
                ..Default::default()
            };
            window.arrivals[0] = 100;
            let chair = Chair { node: 1, now_ms: 250, workers: 1, ratio_min };
            let control = &mut gate.adaptive.as_mut().unwrap().control;
            let next = control.step(&window, chair);
            assert!((next.capacity - capacity).abs() < 0.1, "{why}: {next:?}");
            assert!((next.limit - limit).abs() < 4.1, "{why}: {next:?}");
            assert_eq!(next.limit > 40.0, limit > 40.0, "{why}: {next:?}");
        }
    }

    #[test]
    fn a_floor_does_not_hide_what_was_announced() {
        let mut gate = knowing(decision(1_000, 1));
        let adaptive = gate.adaptive.as_mut().unwrap();
        adaptive.expect(4.0, 1_000);
        adaptive.set_floor(0.1);
        assert!(close(adaptive.ratio, goes(4.0)), "{}", adaptive.ratio);
        adaptive.set_floor(0.9);
        assert!(close(adaptive.ratio, 0.9), "{}", adaptive.ratio);
    }

    #[test]
    fn what_others_heard_of_upstreams_counts_as_well() {
        for (own, other, why) in [(1.0, 0, "heard here"), (0.0, 1_000, "heard elsewhere")] {
            let mut gate = knowing(decision(0, 1));
            gate.adaptive.as_ref().unwrap().born_ms.set(Some(0));
            gate.adaptive.as_ref().unwrap().signal(own);
            let mut report = leader(100);
            (report.pools[0].born_ms, report.pools[0].utilisation) = (50, other);
            tick(&mut gate, 1, &[&report], 100);
            report.pools[0].utilisation = 0;
            tick(&mut gate, 1, &[&report], 1_100);
            let ratio = gate.adaptive.unwrap().ratio;
            assert!((0.3..0.6).contains(&ratio), "half a second's worth: {ratio}, {why}");
        }
    }

    #[test]
    fn only_a_newer_decision_is_adopted() {
        for (at_ms, node, is_adopted, why) in [
            (1_001, 2, true, "a later one"),
            (1_000, 9, true, "one at once of a larger number"),
            (1_000, 1, false, "the same one"),
            (1_000, 0, false, "one at once of a smaller number"),
            (999, 9, false, "an earlier one"),
            (1_101, 2, false, "one that is still to be made"),
        ] {
            let mut gate = knowing(decision(1_000, 1));
            gate.adaptive.as_ref().unwrap().born_ms.set(Some(500));
            let mut report = leader(1_100);
            report.pools[0].decision = Some(Decision { limit: 99.0, ..decision(at_ms, node) });
            tick(&mut gate, 1, &[&report], 1_100);
            let limit = gate.adaptive.unwrap().control.limit(2);
            assert!(close(limit, if is_adopted { 99.0 } else { 40.0 }), "{limit}: {why}");
        }
    }

    #[test]
    fn pools_are_told_apart_by_all_that_makes_them() {
        let of = |name: &str, limit, baseline| id(&Pool { name: name.into(), limit, baseline });
        let slo = |ms| Baseline::Slo { ms };
        let all = [
            of("p", 10, Baseline::Auto),
            of("q", 10, Baseline::Auto),
            of("p", 11, Baseline::Auto),
            of("p", 10, slo(0)),
            of("p", 10, slo(5)),
            of("", 10, Baseline::Auto),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all.iter().skip(place.saturating_add(1)).all(|other| other != one), "{place}");
        }
        assert_eq!(of("p", 10, Baseline::Auto), all[0]);
    }
}
