//! What holds of load shedding whatever comes: requests, endings, ticks at any moment, other pools,
//! clocks that stand still or leap, and reports that say anything.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails fails the test")]

use load_shed::{Ask, COHORTS, Key, Outcome, Refused, Report, Shedder, Slot, View, share};
use policy_core::{Baseline, Pool, Priority};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NODE: u32 = 5;
/// How long a report without decisions is before its pools, and for each of them.
const HEAD: usize = 14;
const POOL: usize = 311;

/// Something that happens to a worker. Pools and slots are chosen by numbers of any size.
#[derive(Debug, Clone)]
enum Step {
    Ask(usize, Ask),
    Finish(usize, Option<Outcome>),
    Tick(u64, Vec<Forged>),
    Pass(u64),
    Reconfigure(usize),
    Floor(f64),
    Expect(f64),
    Signal(usize, f64),
    Sweep,
}

/// A report that says anything, of all pools.
#[derive(Debug, Clone)]
struct Forged {
    node: u32,
    /// How long ago it was made, its pools were born and its decision was made.
    ages_ms: [u64; 3],
    in_flight: u32,
    utilisation: u16,
    /// All counts of requests; how long they took together; and the area.
    counts: (u32, u64, u64),
    /// Who decided, the numbers in the order in which they are written, and for how long all was at
    /// its least.
    decision: Option<(u32, [f64; 9], u8)>,
}

impl Forged {
    fn report(&self, ids: &[[u8; 8]], now_ms: u64) -> Option<Report> {
        let at_ms = now_ms.saturating_sub(self.ages_ms[0]);
        let mut out = vec![1];
        out.extend(self.node.to_le_bytes());
        out.extend(at_ms.to_le_bytes());
        out.push(u8::try_from(ids.len()).unwrap());
        for id in ids {
            out.extend(id);
            out.extend(at_ms.saturating_sub(self.ages_ms[1]).to_le_bytes());
            out.extend(self.in_flight.to_le_bytes());
            out.extend(self.utilisation.to_le_bytes());
            let (count, latency_us, area) = self.counts;
            out.extend(count.to_le_bytes().repeat(68));
            out.extend(latency_us.to_le_bytes());
            out.extend(area.to_le_bytes());
            out.push(u8::from(self.decision.is_some()));
            if let Some((node, numbers, strained)) = self.decision {
                out.extend(at_ms.saturating_sub(self.ages_ms[2]).to_le_bytes());
                out.extend(node.to_le_bytes());
                out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                out.push(strained);
            }
        }
        Report::from_bytes(&out)
    }
}

/// What was so at the last tick of a pool.
#[derive(Debug, Clone, Copy)]
struct Seen {
    own: u32,
    others: u32,
}

/// A worker, and what a simple model knows of it: which places are taken.
struct World {
    now_ms: u64,
    shedder: Shedder,
    /// The pools, each with a number that it keeps for as long as it is the same.
    pools: Vec<(u32, Pool)>,
    live: Vec<(u32, Slot)>,
    seen: BTreeMap<u32, Seen>,
    next: u32,
}

fn pools(number: usize) -> Vec<Pool> {
    let pool = |name: &str, limit, baseline| Pool { name: name.into(), limit, baseline };
    let auto = pool("auto", 10, Baseline::Auto);
    let slo = pool("slo", 5, Baseline::Slo { ms: 100 });
    let fixed = pool("fixed", 4, Baseline::Fixed);
    match number % 3 {
        0 => vec![auto, slo, fixed],
        1 => vec![fixed, pool("one", 1, Baseline::Auto), auto],
        _ => vec![pool("auto", 0, Baseline::Auto), pool("fixed", 0, Baseline::Fixed), slo],
    }
}

fn factor(priority: Priority) -> f64 {
    match priority {
        Priority::Critical => 1.5,
        Priority::High => 1.0,
        Priority::Normal => 0.8,
        Priority::Low => 0.6,
    }
}

/// How much room a worker has: four fifths of what it held and up to twice its even share of what was
/// free, one fifth of its even share of all.
fn room(priority: Priority, seen: Seen, view: &View) -> f64 {
    let (own, pooled) = (f64::from(seen.own), f64::from(seen.own.saturating_add(seen.others)));
    let bound = (view.limit * factor(priority)).max(1.0);
    let workers = f64::from(view.workers);
    let held = own + (2.0 / workers).min(1.0) * (bound - pooled);
    let room = 0.8 * held + 0.2 * bound / workers;
    if pooled < bound { room.max(1.0) } else { room }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now_ms: 1_000_000,
            shedder: Shedder::new(NODE, &[]),
            pools: Vec::new(),
            live: Vec::new(),
            seen: BTreeMap::new(),
            next: 0,
        };
        world.reconfigure(0);
        world
    }

    fn reconfigure(&mut self, number: usize) {
        let pools = pools(number);
        self.shedder.reconfigure(&pools);
        let before = std::mem::take(&mut self.pools);
        for pool in pools {
            let kept = before.iter().find(|(_, known)| *known == pool);
            let id = kept.map_or(self.next, |(id, _)| *id);
            self.next += 1;
            self.seen.entry(id).or_insert(Seen { own: 0, others: 0 });
            self.pools.push((id, pool));
        }
    }

    fn view(&self, place: usize) -> View {
        self.shedder.view(place).unwrap()
    }

    fn held(&self, place: usize) -> u32 {
        let id = self.pools[place].0;
        u32::try_from(self.live.iter().filter(|(of, _)| *of == id).count()).unwrap()
    }

    /// (d) and (e): nobody is let in where there is no room, and by the guard nobody is refused where
    /// there is.
    fn ask(&mut self, place: usize, ask: Ask) -> Result<(), TestCaseError> {
        let place = place % self.pools.len();
        let (id, pool) = self.pools[place].clone();
        let (held, view, seen) = (self.held(place), self.view(place), self.seen[&id]);
        let asked = self.shedder.admit(place, ask, self.now_ms);
        let room = if pool.baseline == Baseline::Fixed {
            share(pool.limit, ask.priority).into()
        } else {
            room(ask.priority, seen, &view)
        };
        // Numbers that are reckoned in another order may be rounded otherwise.
        let free = room - f64::from(held);
        match &asked {
            Ok(_) => prop_assert!(free > -1e-6, "{held} of {view:?} {seen:?}"),
            Err(Refused::Guard) => prop_assert!(free < 1e-6, "{held} of {view:?} {seen:?}"),
            Err(_) => prop_assert!(pool.baseline != Baseline::Fixed, "{asked:?}"),
        }
        // Who is alone has the share of its priority and not a place more.
        if asked.is_ok()
            && pool.baseline != Baseline::Fixed
            && (view.workers, seen.others) == (1, 0)
        {
            let most = (view.limit * factor(ask.priority)).max(1.0).ceil();
            prop_assert!(f64::from(held) + 1.0 <= most, "{held} and one of {most}");
        }
        self.live.extend(asked.ok().map(|slot| (id, slot)));
        Ok(())
    }

    /// What other workers call the pools.
    fn ids(&self) -> Vec<[u8; 8]> {
        let pools: Vec<_> = self.pools.iter().map(|(_, pool)| pool.clone()).collect();
        let other = Shedder::new(9, &pools);
        for place in 0..pools.len() {
            drop(other.admit(place, calm(Priority::Critical, 0), 0));
        }
        let bytes = other.report(0).unwrap().to_bytes();
        bytes[HEAD..].chunks_exact(POOL).map(|pool| *pool.first_chunk().unwrap()).collect()
    }

    fn tick(&mut self, others: &[Report]) {
        self.shedder.on_tick(self.now_ms, others);
        for (place, (id, _)) in self.pools.iter().enumerate() {
            let view = self.view(place);
            let others = view.pooled.saturating_sub(view.in_flight);
            self.seen.insert(*id, Seen { own: view.in_flight, others });
        }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Ask(place, ask) => self.ask(place, ask)?,
            Step::Finish(number, outcome) => {
                if !self.live.is_empty() {
                    let (_, slot) = self.live.swap_remove(number % self.live.len());
                    match outcome {
                        Some(outcome) => slot.finish(outcome),
                        None => drop(slot),
                    }
                }
            }
            Step::Tick(ms, forged) => {
                self.now_ms = self.now_ms.saturating_add(ms);
                let ids = self.ids();
                let others = forged.iter().filter_map(|forged| forged.report(&ids, self.now_ms));
                self.tick(&others.collect::<Vec<_>>());
            }
            Step::Pass(ms) => self.now_ms = self.now_ms.saturating_add(ms),
            Step::Reconfigure(number) => self.reconfigure(number),
            Step::Floor(ratio) => self.shedder.set_floor(ratio),
            Step::Expect(multiplier) => self.shedder.expect(multiplier, self.now_ms),
            Step::Signal(place, utilisation) => {
                self.shedder.signal(place % self.pools.len(), utilisation);
            }
            Step::Sweep => {
                for place in 0..self.pools.len() {
                    self.sweep(place)?;
                }
            }
        }
        self.check()
    }

    /// (a) and (c), and that others can read what is reported.
    fn check(&self) -> Result<(), TestCaseError> {
        for (place, (_, pool)) in self.pools.iter().enumerate() {
            let view = self.view(place);
            prop_assert_eq!(view.in_flight, self.held(place));
            if pool.baseline == Baseline::Fixed {
                prop_assert!(view.in_flight <= share(pool.limit, Priority::Critical));
                continue;
            }
            prop_assert!((1.0..=10_000.0).contains(&view.limit), "{view:?}");
            prop_assert!((0.0..=0.98).contains(&view.ratio), "{view:?}");
            prop_assert!((0.0..=256.0).contains(&view.threshold), "{view:?}");
            prop_assert!((1..=65).contains(&view.workers), "{view:?}");
            prop_assert!(view.brownout <= 4, "{view:?}");
            for ms in [view.baseline_ms, view.latency_ms].into_iter().flatten() {
                prop_assert!(ms.is_finite(), "{view:?}");
            }
        }
        if let Some(report) = self.shedder.report(self.now_ms) {
            prop_assert_eq!(Report::from_bytes(&report.to_bytes()), Some(report));
        }
        Ok(())
    }

    /// (b) and (f): of two keys the more important one is let in if the other one is, all but the one
    /// on the edge surely.
    fn sweep(&mut self, place: usize) -> Result<(), TestCaseError> {
        let threshold = self.view(place).threshold;
        let mut is_past = false;
        for priority in Priority::ALL {
            for cohort in 0..COHORTS {
                let key = f64::from(Key::new(*priority, cohort).get());
                let asked = self.shedder.admit(place, calm(*priority, cohort), self.now_ms);
                let passes = !matches!(asked, Err(Refused::Threshold));
                prop_assert!(passes || key + 1.0 > threshold, "{} of {}", key, threshold);
                prop_assert!(!passes || key < threshold, "{} of {}", key, threshold);
                prop_assert!(!passes || !is_past, "{} comes before {}", key, threshold);
                is_past |= !passes;
            }
        }
        Ok(())
    }

    /// (g): all places are given back, then little comes for long.
    fn calm_down(&mut self) -> Result<(), TestCaseError> {
        self.live.clear();
        self.shedder.set_floor(0.0);
        for number in 0..320_u64 {
            self.now_ms = self.now_ms.saturating_add(250);
            for place in 0..self.pools.len() {
                for (count, priority) in Priority::ALL.iter().cycle().take(8).enumerate() {
                    let cohort = u8::try_from(number.wrapping_mul(37) % 64).unwrap();
                    let ask = calm(*priority, cohort.wrapping_add(u8::try_from(count).unwrap()));
                    if let Ok(slot) = self.shedder.admit(place, ask, self.now_ms) {
                        slot.finish(Outcome::Served { latency_us: 10_000 });
                    }
                }
            }
            self.tick(&[]);
        }
        self.check()?;
        for place in 0..self.pools.len() {
            let view = self.view(place);
            prop_assert_eq!((view.in_flight, view.pooled, view.brownout), (0, 0, 0));
            prop_assert!(view.ratio <= 0.0, "{view:?}");
            prop_assert!(view.threshold >= 256.0, "{view:?}");
        }
        Ok(())
    }
}

/// A request of which nothing more is known.
fn calm(priority: Priority, cohort: u8) -> Ask {
    Ask { priority, cohort, is_retry: false, time_left_ms: None }
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let time_left_ms = prop_oneof![4 => Just(None), 1 => (0..300_u32).prop_map(Some)];
    let priority = proptest::sample::select(Priority::ALL);
    (priority, any::<u8>(), proptest::bool::weighted(0.2), time_left_ms).prop_map(
        |(priority, cohort, is_retry, time_left_ms)| Ask {
            priority,
            cohort,
            is_retry,
            time_left_ms,
        },
    )
}

/// From nothing to the most, both ends often.
fn up_to(most: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(f64::from_bits(1)),
        Just(most),
        (0.0..=1.0).prop_map(move |x| x * most)
    ]
}

fn odd() -> impl Strategy<Value = f64> {
    proptest::sample::select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300][..])
}

fn any_decision() -> impl Strategy<Value = (u32, [f64; 9], u8)> {
    let ms = || up_to(3_600_000.0);
    let rate = || prop_oneof![up_to(1e9), up_to(500.0)];
    let limit = up_to(9_999.0).prop_map(|limit| limit + 1.0);
    let numbers = (limit, ms(), ms(), ms(), up_to(0.98), rate(), rate(), rate(), up_to(256.0))
        .prop_map(|(limit, base, spread, smooth, ratio, offered, capacity, peak, threshold)| {
            [limit, base, spread, smooth, ratio, offered, capacity, peak, threshold]
        });
    // One number in a while cannot be.
    let broken = proptest::option::weighted(0.1, (0..9_usize, odd()));
    (any::<u32>(), numbers, broken, any::<u8>()).prop_map(
        |(node, mut numbers, broken, strained)| {
            if let Some((place, number)) = broken {
                numbers[place] = number;
            }
            (node, numbers, strained)
        },
    )
}

fn any_forged() -> impl Strategy<Value = Forged> {
    let count = || prop_oneof![0..50_u32, any::<u32>()];
    let large = || prop_oneof![0..1_000_000_u64, any::<u64>()];
    (
        0..8_u32,
        [0..1_200_u64, 0..4_000_000, 0..2_000],
        prop_oneof![0..20_u32, any::<u32>()],
        any::<u16>(),
        (count(), large(), large()),
        proptest::option::of(any_decision()),
    )
        .prop_map(|(node, ages_ms, in_flight, utilisation, counts, decision)| Forged {
            node,
            ages_ms,
            in_flight,
            utilisation,
            counts,
            decision,
        })
}

fn any_step() -> impl Strategy<Value = Step> {
    let latency_us = prop_oneof![9 => 0..2_000_000_u64, 1 => any::<u64>()];
    let outcome = prop_oneof![
        Just(None),
        latency_us.prop_map(|latency_us| Some(Outcome::Served { latency_us })),
        Just(Some(Outcome::Failed)),
        Just(Some(Outcome::Unknown)),
    ];
    let gap = || prop_oneof![8 => 0..500_u64, 2 => 500..100_000_u64, 1 => Just(1 << 40)];
    let forged = prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::collection::vec(any_forged(), 0..4),
    ];
    let share = || prop_oneof![8 => 0.0..1.0, 1 => odd()];
    prop_oneof![
        20 => (any::<usize>(), any_ask()).prop_map(|(place, ask)| Step::Ask(place, ask)),
        12 => (any::<usize>(), outcome)
            .prop_map(|(number, outcome)| Step::Finish(number, outcome)),
        10 => (gap(), forged).prop_map(|(ms, forged)| Step::Tick(ms, forged)),
        2 => gap().prop_map(Step::Pass),
        1 => (0..3_usize).prop_map(Step::Reconfigure),
        1 => share().prop_map(Step::Floor),
        1 => prop_oneof![8 => 0.0..10.0, 1 => odd()].prop_map(Step::Expect),
        2 => (any::<usize>(), share()).prop_map(|(place, share)| Step::Signal(place, share)),
        1 => Just(Step::Sweep),
    ]
}

/// Workers of one proxy, each with what it reported last and what is in flight in it.
struct Proxy {
    now_ms: u64,
    workers: Vec<(Shedder, Option<Report>, Vec<Slot>)>,
}

impl Proxy {
    /// Each worker has had a request.
    fn new() -> Self {
        let pool = Pool { name: "auto".into(), limit: 10, baseline: Baseline::Auto };
        let worker = |node| (Shedder::new(node, std::slice::from_ref(&pool)), None, Vec::new());
        let mut proxy = Self { now_ms: 1_000, workers: (1..=4).map(worker).collect() };
        for number in 0..proxy.workers.len() {
            proxy.ask(number, calm(Priority::High, 0));
        }
        proxy
    }

    fn ask(&mut self, number: usize, ask: Ask) {
        let (shedder, _, slots) = &mut self.workers[number];
        slots.extend(shedder.admit(0, ask, self.now_ms).ok());
    }

    /// One worker after the other ticks with what the others reported last.
    fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        for number in 0..self.workers.len() {
            let others: Vec<_> =
                self.workers.iter().filter_map(|(_, report, _)| report.clone()).collect();
            let (shedder, report, _) = &mut self.workers[number];
            shedder.on_tick(self.now_ms, &others);
            *report = shedder.report(self.now_ms);
        }
    }

    fn decided(&self, number: usize) -> [u64; 3] {
        let view = self.workers[number].0.view(0).unwrap();
        [view.limit, view.ratio, view.threshold].map(f64::to_bits)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_comes_the_invariants_hold(
        steps in proptest::collection::vec(any_step(), 0..150),
    ) {
        let mut world = World::new();
        for step in steps {
            world.step(step)?;
        }
        world.step(Step::Sweep)?;
        world.calm_down()?;
    }

    /// Once they have heard of each other, all do alike.
    #[test]
    fn workers_of_a_proxy_do_not_drift_apart(
        rounds in proptest::collection::vec(
            (
                proptest::collection::vec((0..4_usize, any_ask()), 0..30),
                proptest::collection::vec((0..4_usize, any::<usize>(), 0..400_000_u64), 0..30),
                50..400_u64,
            ),
            1..40,
        ),
    ) {
        let mut proxy = Proxy::new();
        for (asks, endings, ms) in rounds {
            for (number, ask) in asks {
                proxy.ask(number, ask);
            }
            for (number, which, latency_us) in endings {
                let slots = &mut proxy.workers[number].2;
                if !slots.is_empty() {
                    let slot = slots.swap_remove(which % slots.len());
                    slot.finish(Outcome::Served { latency_us });
                }
            }
            proxy.tick(ms);
            // No time for another decision, but for that one to be heard of.
            proxy.tick(0);
            for number in 1..proxy.workers.len() {
                prop_assert_eq!(proxy.decided(0), proxy.decided(number), "{}", number);
            }
        }
    }
}
