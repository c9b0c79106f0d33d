//! All pools of one worker.

use crate::counters::Slot;
use crate::pool::Gate;
use crate::random::Random;
use crate::report::{FRESH_MS, POOLS_MAX, Report};
use crate::threshold::RATIO_MIN;
use policy_core::{Pool, Priority};

/// How many other workers are listened to.
const OTHERS_MAX: usize = 64;

/// The load shedding of one worker: admission on the request path, control on ticks.
#[derive(Debug)]
pub struct Shedder {
    node: u32,
    random: Random,
    gates: Vec<Gate>,
    /// The newest report of each other worker that was listened to of late: whose, and when it was made.
    heard: Vec<(u32, u64)>,
}

/// What is known of a request when it asks to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// How important it is.
    pub priority: Priority,
    /// The cohort of its caller, 0 to 63 (see [`crate::cohort`]). A retry keeps it.
    pub cohort: u8,
    /// Whether it is known to be a second attempt or a later one.
    pub is_retry: bool,
    /// How long its caller still waits, in milliseconds, where that is known.
    pub time_left_ms: Option<u32>,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Work of its priority and cohort is let go.
    Threshold,
    /// There is no room for its priority.
    Guard,
    /// There are too many retries while work is let go.
    RetryBudget,
    /// It cannot be served in the time it has left. That is no overload.
    Deadline,
}

/// How a pool is doing, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// How many may be in flight, in the whole proxy; of a fixed limit in this worker.
    pub limit: f64,
    /// The share of work that has to go, 0 to 0.98.
    pub ratio: f64,
    /// How many of 256 keys are let in.
    pub threshold: f64,
    /// In flight in this worker.
    pub in_flight: u32,
    /// In flight in the whole proxy, as far as this worker knows; of a fixed limit in this worker.
    pub pooled: u32,
    /// How many workers have had requests of it.
    pub workers: u32,
    /// 0 (nothing) to 4: how much an application should leave out.
    pub brownout: u8,
    /// How long requests take that have not to wait, in milliseconds, where that is known.
    pub baseline_ms: Option<f64>,
    /// How long they take now.
    pub latency_ms: Option<f64>,
}

impl Shedder {
    /// The pools of a worker with this node number, all empty.
    pub fn new(node: u32, pools: &[Pool]) -> Self {
        let gates = pools.iter().map(Gate::new).collect();
        Self { node, random: Random::new(node), gates, heard: Vec::new() }
    }

    /// The number of its worker.
    pub const fn node(&self) -> u32 {
        self.node
    }

    /// Other pools are in force. One of the same name, limit and baseline keeps what it has learned
    /// and what is in flight; any other begins anew. Slots of those that are gone can still be given
    /// back.
    pub fn reconfigure(&mut self, pools: &[Pool]) {
        let mut before = std::mem::take(&mut self.gates);
        let kept = |pool: &Pool| {
            let place = before.iter().position(|gate| gate.is(pool));
            place.map_or_else(|| Gate::new(pool), |place| before.swap_remove(place))
        };
        self.gates = pools.iter().map(kept).collect();
    }

    /// Lets a request into the pool of this number, or not. `now_ms` is monotonic, and the same clock
    /// as that of ticks. Constant time, no allocation, nothing that workers share.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn admit(&self, pool: usize, ask: Ask, now_ms: u64) -> Result<Slot, Refused> {
        let gate = self.gates.get(pool).ok_or(Refused::Guard)?;
        gate.admit(ask, now_ms, &self.random)
    }

    /// An upstream of the pool has said how loaded it is, as a share of what it can do.
    pub fn signal(&self, pool: usize, utilisation: f64) {
        if let Some(adaptive) = self.gates.get(pool).and_then(|gate| gate.adaptive.as_ref()) {
            adaptive.signal(utilisation);
        }
    }

    /// So many retries get in while work is let go, of all pools that are there now.
    pub fn bound_retries(&mut self, bounds: policy_core::wire::Retries) {
        for adaptive in self.gates.iter_mut().filter_map(|gate| gate.adaptive.as_mut()) {
            adaptive.bound_retries(bounds);
        }
    }

    /// Of all pools whose limit follows something at least this share of work has to go, until
    /// another one is said.
    pub fn set_floor(&mut self, ratio: f64) {
        for adaptive in self.gates.iter_mut().filter_map(|gate| gate.adaptive.as_mut()) {
            adaptive.set_floor(ratio);
        }
    }

    /// About now `multiplier` times as much will come as came so far: a region takes over from
    /// another. For five seconds as much work is let go as that makes necessary by what is known of
    /// the capacity. Before the pool was ever full that is little: what its limit lets through is
    /// then taken for it.
    pub fn expect(&mut self, multiplier: f64, now_ms: u64) {
        for adaptive in self.gates.iter_mut().filter_map(|gate| gate.adaptive.as_mut()) {
            adaptive.expect(multiplier, now_ms);
        }
    }

    /// To be called every 50 to 250 milliseconds with the newest reports of other workers, and before
    /// [`report`](Self::report), which tells the others what was decided here. What is older than a
    /// second is passed over; so is what is this worker's own, or older than something else that was
    /// heard of the same worker, now or before: somebody has put it back, and counts only grow.
    pub fn on_tick(&mut self, now_ms: u64, others: &[Report]) {
        let mut fresh: Vec<&Report> = Vec::with_capacity(others.len().min(OTHERS_MAX));
        for report in others.iter().filter(|report| report.is_fresh(now_ms)) {
            let is_old =
                self.heard.iter().any(|(of, at_ms)| *of == report.node && *at_ms > report.at_ms);
            if report.node == self.node || is_old {
                continue;
            }
            let same = fresh.iter_mut().find(|known| known.node == report.node);
            if let Some(known) = same {
                if known.at_ms < report.at_ms {
                    *known = report;
                }
            } else if fresh.len() < OTHERS_MAX {
                fresh.push(report);
            }
        }
        self.heard.retain(|(of, at_ms)| {
            now_ms.saturating_sub(*at_ms) <= FRESH_MS
                && fresh.iter().all(|of_now| of_now.node != *of)
        });
        self.heard.extend(fresh.iter().map(|report| (report.node, report.at_ms)));
        for gate in &mut self.gates {
            let counters = std::rc::Rc::clone(&gate.counters);
            if let Some(adaptive) = &mut gate.adaptive {
                adaptive.on_tick(&counters, self.node, &fresh, now_ms);
            }
        }
    }

    /// What other workers should know. Nothing from a worker that has had no request of any pool whose
    /// limit follows something: it is none, as the main thread of a proxy is not.
    pub fn report(&self, now_ms: u64) -> Option<Report> {
        let report = |gate: &Gate| gate.adaptive.as_ref()?.report(&gate.counters);
        let pools: Vec<_> = self.gates.iter().filter_map(report).take(POOLS_MAX).collect();
        (!pools.is_empty()).then_some(Report { node: self.node, at_ms: now_ms, pools })
    }

    /// The share of work that has to go in this pool.
    pub fn ratio(&self, pool: usize) -> f64 {
        let adaptive = self.gates.get(pool).and_then(|gate| gate.adaptive.as_ref());
        adaptive.map_or(0.0, |adaptive| adaptive.ratio)
    }

    /// Whether work of this pool is let go. Of a smaller share nothing is.
    pub fn sheds(&self, pool: usize) -> bool {
        self.ratio(pool) >= RATIO_MIN
    }

    /// The brownout level of this pool.
    pub fn brownout(&self, pool: usize) -> u8 {
        let adaptive = self.gates.get(pool).and_then(|gate| gate.adaptive.as_ref());
        adaptive.map_or(0, |adaptive| adaptive.brownout.level())
    }

    /// How a pool is doing.
    pub fn view(&self, pool: usize) -> Option<View> {
        let gate = self.gates.get(pool)?;
        let in_flight = gate.counters.in_flight();
        let Some(adaptive) = &gate.adaptive else {
            return Some(View {
                limit: gate.pool().limit.into(),
                ratio: 0.0,
                threshold: 256.0,
                in_flight,
                pooled: in_flight,
                workers: 1,
                brownout: 0,
                baseline_ms: None,
                latency_ms: None,
            });
        };
        let known = |ms: fn(&crate::decision::Decision) -> f64| {
            adaptive.control.last().map(ms).filter(|ms| *ms > 0.0)
        };
        Some(View {
            limit: adaptive.control.limit(adaptive.workers),
            ratio: adaptive.ratio,
            threshold: adaptive.threshold(),
            in_flight,
            pooled: in_flight.saturating_add(adaptive.others),
            workers: adaptive.workers,
            brownout: adaptive.brownout.level(),
            baseline_ms: known(|last| last.base_ms),
            latency_ms: known(|last| last.smooth_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Outcome;
    use policy_core::Baseline;

    fn pool(name: &str, limit: u32, baseline: Baseline) -> Pool {
        Pool { name: name.into(), limit, baseline }
    }

    fn fixed(limits: &[u32]) -> Shedder {
        let pools = limits.iter().map(|limit| pool("p", *limit, Baseline::Fixed));
        Shedder::new(1, &pools.collect::<Vec<_>>())
    }

    fn auto(limit: u32) -> Pool {
        pool("auto", limit, Baseline::Auto)
    }

    fn ask(priority: Priority) -> Ask {
        Ask { priority, cohort: 0, is_retry: false, time_left_ms: None }
    }

    fn fill(shedder: &Shedder, pool: usize, priority: Priority) -> Vec<Slot> {
        (0..100).map_while(|_| shedder.admit(pool, ask(priority), 0).ok()).collect()
    }

    /// What a worker of this number reports that has this many in flight.
    fn report(node: u32, pools: &[Pool], in_flight: usize, now_ms: u64) -> Report {
        let shedder = Shedder::new(node, pools);
        let slots =
            (0..in_flight.max(1)).map(|_| shedder.admit(0, ask(Priority::Critical), now_ms));
        let slots: Vec<_> = slots.collect::<Result<_, _>>().unwrap();
        let report = shedder.report(now_ms).unwrap();
        drop(slots);
        report
    }

    #[test]
    fn each_priority_may_use_its_share_of_a_fixed_limit() {
        for (priority, limit, admitted, why) in [
            (Priority::Critical, 10, 15, "half as much again"),
            (Priority::High, 10, 10, "all of it"),
            (Priority::Normal, 10, 8, "four fifths"),
            (Priority::Low, 10, 6, "three fifths"),
            (Priority::Normal, 3, 2, "whole places only"),
            (Priority::Low, 1, 1, "one always"),
            (Priority::Critical, 1, 1, "whole places only"),
            (Priority::Low, 0, 1, "one always"),
        ] {
            let shedder = fixed(&[limit]);
            assert_eq!(fill(&shedder, 0, priority).len(), admitted, "{priority} of {limit}: {why}");
        }
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let served = Outcome::Served { latency_us: 1_000 };
        for outcome in [None, Some(served), Some(Outcome::Failed), Some(Outcome::Unknown)] {
            for shedder in [fixed(&[1]), Shedder::new(1, &[auto(1)])] {
                let slot = shedder.admit(0, ask(Priority::High), 0).unwrap();
                let refused = shedder.admit(0, ask(Priority::High), 0).unwrap_err();
                assert_eq!(refused, Refused::Guard, "{outcome:?}");
                match outcome {
                    None => drop(slot),
                    Some(outcome) => slot.finish(outcome),
                }
                assert_eq!(fill(&shedder, 0, Priority::High).len(), 1, "{outcome:?}");
            }
        }
    }

    #[test]
    fn what_low_work_has_filled_leaves_room_for_critical_work() {
        let shedder = fixed(&[10, 1]);
        let low = fill(&shedder, 0, Priority::Low);
        assert_eq!(low.len(), 6);
        assert_eq!(shedder.admit(0, ask(Priority::Low), 0).unwrap_err(), Refused::Guard);
        let critical = fill(&shedder, 0, Priority::Critical);
        assert_eq!(critical.len(), 9);
        assert_eq!(fill(&shedder, 1, Priority::Low).len(), 1, "pools do not share");
    }

    #[test]
    fn there_is_no_such_pool() {
        let mut shedder = fixed(&[10]);
        for number in [1, 7, usize::MAX] {
            let refused = shedder.admit(number, ask(Priority::Critical), 0).unwrap_err();
            assert_eq!(refused, Refused::Guard, "{number}");
            shedder.signal(number, 1.0);
            assert_eq!(shedder.view(number), None, "{number}");
            assert_eq!((shedder.brownout(number), shedder.ratio(number).to_bits()), (0, 0));
        }
        shedder.reconfigure(&[]);
        assert_eq!(shedder.admit(0, ask(Priority::Critical), 0).unwrap_err(), Refused::Guard);
    }

    #[test]
    fn a_fixed_pool_follows_nothing() {
        let mut shedder = fixed(&[10]);
        let slots = fill(&shedder, 0, Priority::Low);
        let before = shedder.view(0);
        shedder.signal(0, 2.0);
        shedder.set_floor(0.9);
        shedder.expect(10.0, 0);
        shedder.on_tick(1_000, &[]);
        shedder.on_tick(5_000, &[report(2, &[auto(10)], 3, 5_000)]);
        assert_eq!(shedder.view(0), before);
        assert_eq!(before.map(|view| (view.in_flight, view.pooled, view.workers)), Some((6, 6, 1)));
        assert_eq!(shedder.report(5_000), None, "and tells nothing");
        drop(slots);
    }

    #[test]
    fn a_report_that_somebody_has_put_back_is_not_heard() {
        let pools = [auto(10)];
        let (first, then) = (report(2, &pools, 5, 1_000), report(2, &pools, 1, 1_100));
        let mut shedder = Shedder::new(1, &pools);
        let others = |shedder: &Shedder| shedder.view(0).unwrap().pooled;
        for (now_ms, said, expected, why) in [
            (1_000, &first, 5, "the first"),
            (1_050, &first, 5, "the same again: its worker has had no tick since"),
            (1_100, &then, 1, "the next"),
            (1_150, &first, 0, "an older one, which somebody has kept"),
            (1_200, &then, 1, "the newest again"),
        ] {
            shedder.on_tick(now_ms, std::slice::from_ref(said));
            assert_eq!(others(&shedder), expected, "{now_ms}: {why}");
        }
        // Where it is put back beside the newer one, it does not matter which of them comes first.
        let newer = report(2, &pools, 3, 1_200);
        for (now_ms, said) in
            [(1_250, [then.clone(), newer.clone()]), (1_300, [newer.clone(), then.clone()])]
        {
            shedder.on_tick(now_ms, &said);
            assert_eq!(others(&shedder), 3, "{now_ms}: the newer of two");
        }
    }

    #[test]
    fn pools_that_are_as_they_were_keep_what_they_know() {
        let slo = |ms| Baseline::Slo { ms };
        for (before, after, is_kept, why) in [
            (auto(10), auto(10), true, "the same"),
            (auto(10), auto(11), false, "another limit"),
            (auto(10), pool("other", 10, Baseline::Auto), false, "another name"),
            (auto(10), pool("auto", 10, Baseline::Fixed), false, "another baseline"),
            (pool("a", 9, slo(5)), pool("a", 9, slo(6)), false, "another promise"),
            (pool("a", 9, Baseline::Fixed), pool("a", 9, Baseline::Fixed), true, "the same"),
        ] {
            let mut shedder = Shedder::new(1, &[before]);
            let slots = fill(&shedder, 0, Priority::Low);
            let held = u32::try_from(slots.len()).unwrap();
            assert!(held > 1, "{why}");
            // It may stand at another place.
            shedder.reconfigure(&[pool("first", 3, Baseline::Fixed), after]);
            let in_flight = |shedder: &Shedder| shedder.view(1).unwrap().in_flight;
            assert_eq!(in_flight(&shedder), if is_kept { held } else { 0 }, "{why}");
            assert_eq!(shedder.view(0).unwrap().in_flight, 0, "{why}");
            drop(slots);
            assert_eq!(in_flight(&shedder), 0, "{why}: places of what is gone can be given back");
        }
    }

    #[test]
    fn only_reports_of_others_that_are_fresh_count() {
        let pools = [auto(10)];
        let of = |node, in_flight, at_ms| report(node, &pools, in_flight, at_ms);
        for (reports, others, workers, why) in [
            (vec![], 0, 1, "nobody says anything"),
            (vec![of(2, 4, 5_000)], 4, 2, "one other"),
            (vec![of(2, 4, 5_000), of(3, 5, 4_900)], 9, 3, "two others"),
            (vec![of(2, 4, 4_000)], 4, 2, "a second old"),
            (vec![of(2, 4, 3_999)], 0, 1, "older than a second"),
            (vec![of(2, 4, 5_001)], 0, 1, "from the future"),
            (vec![of(1, 4, 5_000)], 0, 1, "its own"),
            (vec![of(2, 4, 5_000), of(2, 7, 5_000)], 4, 2, "said twice"),
            (vec![of(2, 4, 3_000), of(2, 7, 5_000)], 7, 2, "the first of which is old"),
            (vec![report(2, &[auto(11)], 4, 5_000)], 0, 1, "of another pool"),
            (
                (2..100).map(|node| of(node, 1, 5_000)).collect(),
                64,
                65,
                "more than are listened to",
            ),
        ] {
            let mut shedder = Shedder::new(1, &pools);
            let own = shedder.admit(0, ask(Priority::High), 4_800).unwrap();
            shedder.on_tick(5_000, &reports);
            let view = shedder.view(0).unwrap();
            assert_eq!((view.in_flight, view.pooled), (1, others + 1), "{why}");
            assert_eq!(view.workers, workers, "{why}");
            drop(own);
        }
    }

    #[test]
    fn a_worker_that_had_no_request_is_none() {
        let mut shedder = Shedder::new(5, &[pool("p", 10, Baseline::Fixed), auto(10), auto(20)]);
        assert_eq!(shedder.report(0), None, "it had none");
        let _fixed = shedder.admit(0, ask(Priority::High), 0).unwrap();
        assert_eq!(shedder.report(0), None, "none of a pool whose limit follows something");
        shedder.on_tick(10, &[report(2, &[auto(10)], 1, 10)]);
        assert_eq!(shedder.view(1).unwrap().workers, 1, "the other one");
        let _slot = shedder.admit(1, ask(Priority::High), 20).unwrap();
        let report = shedder.report(30).unwrap();
        assert_eq!((report.node(), report.at_ms, report.pools.len()), (5, 30, 1));
        assert_eq!((report.pools[0].born_ms, report.pools[0].in_flight), (20, 1));
        assert_eq!(shedder.node(), 5);
    }

    #[test]
    fn a_report_tells_of_so_many_pools_at_most() {
        let pools: Vec<_> = (1..=70).map(auto).collect();
        let shedder = Shedder::new(1, &pools);
        let asked = (0..70).map(|number| shedder.admit(number, ask(Priority::Critical), 0));
        assert!(asked.collect::<Result<Vec<_>, _>>().is_ok());
        let report = shedder.report(0).unwrap();
        assert_eq!(report.pools.len(), POOLS_MAX);
        assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report));
    }

    #[test]
    fn as_many_retries_get_in_as_is_said() {
        let mut shedder = Shedder::new(1, &[auto(1_000)]);
        let retry = Ask { is_retry: true, ..ask(Priority::Critical) };
        shedder.set_floor(0.5);
        for (budget, floor, expected) in [(0, 0, 0), (0, 1, 10), (0, 2, 10)] {
            shedder.bound_retries(policy_core::wire::Retries { budget, floor });
            let asked = (0..100).map(|_| shedder.admit(0, retry, 0).map(drop));
            let refused = asked.filter(|asked| *asked == Err(Refused::RetryBudget)).count();
            assert_eq!(100 - refused, expected, "{budget} {floor}");
        }
    }

    /// Two workers that tell each other of themselves each tenth of a second.
    struct Pair {
        workers: [Shedder; 2],
        said: [Option<Report>; 2],
    }

    impl Pair {
        fn new() -> Self {
            let workers = [7, 3].map(|node| Shedder::new(node, &[auto(40)]));
            Self { workers, said: [None, None] }
        }

        /// Those that are not hung do some work and tick.
        fn tick(&mut self, are_awake: [bool; 2], now_ms: u64) {
            for (number, is_awake) in are_awake.into_iter().enumerate() {
                if !is_awake {
                    continue;
                }
                for _ in 0..10 {
                    let slot = self.workers[number].admit(0, ask(Priority::High), now_ms);
                    slot.unwrap().finish(Outcome::Served { latency_us: 20_000 });
                }
                let others: Vec<_> = self.said.iter().flatten().cloned().collect();
                self.workers[number].on_tick(now_ms, &others);
                self.said[number] = self.workers[number].report(now_ms);
            }
        }

        /// Who made the decision that a worker follows.
        fn ruler(&self, number: usize) -> u32 {
            let said = self.said[number].as_ref().unwrap();
            said.pools[0].decision.unwrap().node
        }
    }

    #[test]
    fn who_has_served_longest_decides_until_it_is_silent_for_a_second() {
        let mut pair = Pair::new();
        pair.tick([true, false], 10_000);
        for now_ms in (10_100..=12_000).step_by(100) {
            pair.tick([true, true], now_ms);
        }
        assert_eq!((pair.ruler(0), pair.ruler(1)), (7, 7), "the first");
        let decision = |said: &Option<Report>| said.as_ref().unwrap().pools[0].decision;
        pair.tick([false, true], 12_050);
        assert_eq!(decision(&pair.said[0]), decision(&pair.said[1]), "and the other does alike");
        for now_ms in (12_100..=13_000).step_by(100) {
            pair.tick([false, true], now_ms);
            assert_eq!(pair.ruler(1), 7, "at {now_ms} its last report is fresh");
        }
        pair.tick([false, true], 13_100);
        assert_eq!(pair.ruler(1), 3, "it is silent, and the window has long been over");
        let taken = pair.workers[1].view(0).unwrap();
        for now_ms in (13_200..=13_800).step_by(100) {
            pair.tick([false, true], now_ms);
        }
        pair.tick([true, true], 13_900);
        assert_eq!(pair.ruler(0), 3, "it is back, and goes on from what was decided");
        for now_ms in (14_000..=14_300).step_by(100) {
            pair.tick([true, true], now_ms);
        }
        assert_eq!((pair.ruler(0), pair.ruler(1)), (7, 7), "as the one that has served longest");
        assert!(taken.limit >= 1.0 && pair.workers[0].view(0).unwrap().workers == 2);
    }

    #[test]
    fn others_can_read_what_is_decided_however_requests_go() {
        let mut shedder = Shedder::new(1, &[auto(40)]);
        // All take half a minute, as where clients wait for news, then some a moment.
        for now_ms in (0..60_000_u64).step_by(250) {
            for number in 0..20 {
                let is_short = now_ms > 5_000 && number % 2 == 0;
                let slot = shedder.admit(0, ask(Priority::High), now_ms).unwrap();
                let latency_us = if is_short { 1_000 } else { 30_000_000 };
                slot.finish(Outcome::Served { latency_us });
            }
            shedder.on_tick(now_ms, &[]);
            let report = shedder.report(now_ms).unwrap();
            assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report), "at {now_ms}");
        }
    }

    #[test]
    fn a_limit_is_as_it_was_set_until_something_is_known() {
        for idle_ms in [0, 900, 1_000, 60_000] {
            let mut shedder = Shedder::new(1, &[auto(50)]);
            (0..=idle_ms).step_by(100).for_each(|now_ms| shedder.on_tick(now_ms, &[]));
            let asked = || shedder.admit(0, ask(Priority::High), idle_ms).ok();
            let slots: Vec<_> = std::iter::from_fn(asked).collect();
            assert_eq!(slots.len(), 50, "after {idle_ms} ms in which none came");
            for ms in (100..3_000).step_by(100) {
                shedder.on_tick(idle_ms.saturating_add(ms), &[]);
                let limit = shedder.view(0).unwrap().limit;
                assert!((limit - 50.0).abs() < 1e-9, "{limit} {ms} ms after {idle_ms}");
            }
        }
    }

    #[test]
    fn who_had_no_request_goes_on_where_all_others_are_gone() {
        let mut pair = Pair::new();
        pair.tick([true, false], 0);
        (100..=1_000).step_by(100).for_each(|now_ms| pair.tick([true, false], now_ms));
        let mut said = pair.said[0].clone().unwrap();
        let decision = said.pools[0].decision.as_mut().unwrap();
        (decision.ratio, decision.threshold) = (0.5, 128.0);
        let [_, other] = &mut pair.workers;
        for (now_ms, least, most, why) in [
            (1_000, 0.5, 0.5, "what the other one has decided"),
            (2_000, 0.5, 0.5, "its report is fresh still"),
            (3_100, 0.0, 0.49, "nothing came for a second"),
            (4_200, 0.0, 0.3, "nor for another"),
            (5_300, 0.0, 0.0, "nor for a third"),
        ] {
            other.on_tick(now_ms, std::slice::from_ref(&said));
            let ratio = other.ratio(0);
            assert!((least..=most).contains(&ratio), "at {now_ms}: {why}, not {ratio}");
        }
    }
}
