//! The load shedding of the module: the very crate, one `Shedder` for each worker.
//!
//! What the module does around it is modelled: a worker publishes its report at its tick, after it
//! has read what the other workers of its proxy published before, so that what it knows of them is
//! older by up to a tick. Workers of other proxies know nothing of each other.

use super::limiter::{Ask, Ending, Gauge, Limiter};
use super::number::length;
use super::queue::{MS, Us};
use super::scenario::Shape;
use load_shed::{Outcome, Report, Shedder, Slot};
use policy_core::{Baseline, Pool};

/// The pool of the module that is used: the only one.
const POOL: usize = 0;
/// How many may be in flight in a worker before anything is known.
const LIMIT_FIRST: u32 = 10;

/// The workers.
#[derive(Debug)]
pub struct Ours {
    shape: Shape,
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    shedder: Shedder,
    published: Option<Report>,
}

impl Ours {
    /// Workers that have seen nothing.
    pub fn new(shape: Shape, baseline: Baseline) -> Self {
        let pool = Pool { name: "default".into(), limit: LIMIT_FIRST, baseline };
        let worker = |node: usize| Worker {
            shedder: Shedder::new(
                u32::try_from(node).unwrap_or(u32::MAX),
                std::slice::from_ref(&pool),
            ),
            published: None,
        };
        Self { shape, workers: (0..shape.all()).map(worker).collect() }
    }
}

impl Limiter for Ours {
    type Pass = Slot;

    fn admit(&mut self, worker: usize, ask: &Ask, now: Us) -> Option<Slot> {
        let asked = load_shed::Ask {
            priority: ask.priority,
            cohort: ask.cohort,
            is_retry: ask.is_retry,
            time_left_ms: u32::try_from(ask.patience / MS).ok(),
        };
        self.workers.get(worker)?.shedder.admit(POOL, asked, now / MS).ok()
    }

    fn end(&mut self, _: usize, slot: Slot, how: Ending, _: Us) {
        match how {
            Ending::Answered { latency, .. } => {
                slot.finish(Outcome::Served { latency_us: latency });
            }
            Ending::TimedOut { .. } => slot.finish(Outcome::Unknown),
        }
    }

    fn tick(&mut self, worker: usize, now: Us) {
        let of = self.shape.workers_of(self.shape.proxy(worker));
        let workers = self.workers.get(of).unwrap_or_default();
        let others: Vec<_> = workers.iter().filter_map(|worker| worker.published.clone()).collect();
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.shedder.on_tick(now / MS, &others);
            worker.published = worker.shedder.report(now / MS);
        }
    }

    fn expect(&mut self, multiplier: f64, now: Us) {
        for worker in &mut self.workers {
            worker.shedder.expect(multiplier, now / MS);
        }
    }

    fn gauge(&self) -> Gauge {
        let views = self.workers.iter().filter_map(|worker| worker.shedder.view(POOL));
        let views: Vec<_> = views.collect();
        let count = length(views.len().max(1));
        let mean = |of: fn(&load_shed::View) -> f64| views.iter().map(of).sum::<f64>() / count;
        Gauge {
            in_flight: views.iter().map(|view| u64::from(view.in_flight)).sum(),
            limit: Some(mean(|view| view.limit) * length(self.shape.proxies)),
            threshold: Some(mean(|view| view.threshold)),
            base_ms: Some(mean(|view| view.baseline_ms.unwrap_or(0.0))),
        }
    }
}
