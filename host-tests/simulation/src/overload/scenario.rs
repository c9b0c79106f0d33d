//! What is played: a backend, those who call it, and how much they want.
//!
//! The one that everything starts from is deliberately harsh: 40 servers that take 20 ms, one
//! queue without an end, clients that leave after a second and come back twice, and a backend that
//! does not notice that they left, so that it works for nobody as soon as its queue is a second
//! long. Without shedding one burst is the end of it.

use super::draw;
use super::number::{float, whole};
use super::queue::{MS, SECOND, Us};
use crate::rng::Rng;
use policy_core::PerPriority;
use std::ops::Range;

/// All of a run but who sheds.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Which numbers are drawn.
    pub seed: u64,
    /// The proxies and their workers.
    pub shape: Shape,
    /// How many times as much as the others half of the workers of each proxy get.
    pub skew: f64,
    /// What serves.
    pub backend: Service,
    /// Which share of the requests has a priority.
    pub mix: PerPriority<f64>,
    /// Who asks.
    pub clients: Clients,
    /// What holds from when on; the first from 0.
    pub phases: Vec<Phase>,
    /// When workers are told how many times as much will come, if they are.
    pub announced: Option<(Us, f64)>,
    /// The time that the figures are about.
    pub stress: Range<Us>,
    /// When nothing new arrives any more.
    pub end: Us,
    /// How often the state of the limiter is written down.
    pub gauge_every: Us,
}

/// Proxies, and workers in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many proxies.
    pub proxies: usize,
    /// How many workers each has.
    pub workers: usize,
}

/// A backend.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// How many requests it serves at once.
    pub servers: u32,
    /// What one takes on average, milliseconds.
    pub mean_ms: f64,
    /// The standard deviation of the logarithm of that.
    pub sigma: f64,
    /// Whose backend it is.
    pub of: Of,
}

/// Whose a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// One for all proxies: what a gateway has in front of it. No proxy sees all of its load.
    All,
    /// Each proxy has an equal part of the servers to itself, with a queue of its own: an application
    /// with the proxy beside it.
    EachProxy,
}

/// Those who ask.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    /// How many there are, each of which asks equally often.
    pub users: u64,
    /// After how long they give an attempt up.
    pub patience: Us,
    /// How often they try again.
    pub retries: u32,
    /// How long they wait before that.
    pub backoff: Backoff,
    /// Whether they say of an attempt that it is not the first. What comes from outside does not,
    /// and nobody would believe it; another proxy does.
    pub tells_retries: bool,
}

/// How long a client waits before it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Anything up to this, doubled with each time ("full jitter").
    FullJitter(Us),
    /// Not at all.
    None,
}

/// How things are from some time on.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    /// From when.
    pub at: Us,
    /// Requests of users a second, retries not counted.
    pub rps: f64,
    /// How many of the servers there are.
    pub servers: f64,
    /// How many times as long a request takes.
    pub slowness: f64,
}

impl Backoff {
    /// How long a client waits that has tried again so many times.
    pub fn wait(self, retries: u32, rng: &mut Rng) -> Us {
        match self {
            Self::FullJitter(base) => {
                whole(draw::unit(rng) * float(base) * libm::exp2(f64::from(retries)))
            }
            Self::None => 0,
        }
    }
}

impl Shape {
    /// All workers.
    pub fn all(self) -> usize {
        self.proxies * self.workers
    }

    /// Which proxy a worker belongs to.
    pub fn proxy(self, worker: usize) -> usize {
        worker / self.workers.max(1)
    }

    /// The workers of a proxy.
    pub fn workers_of(self, proxy: usize) -> Range<usize> {
        proxy * self.workers..(proxy + 1) * self.workers
    }
}

impl Service {
    /// Requests a second that it can serve.
    pub fn capacity(&self) -> f64 {
        float(u64::from(self.servers)) * 1_000.0 / self.mean_ms
    }
}

/// When the stress begins; learning takes some of that.
pub const STEP: Us = 30 * SECOND;
/// How long it lasts.
pub const STRESS: Us = 90 * SECOND;
/// How long recovery is watched.
pub const AFTER: Us = 40 * SECOND;
/// The load of an ordinary day, as a share of the capacity.
pub const BASE_LOAD: f64 = 0.6;

impl Scenario {
    /// An ordinary day that stays one.
    pub fn calm(seed: u64, load: f64) -> Self {
        let backend = Service { servers: 40, mean_ms: 20.0, sigma: 0.8, of: Of::All };
        Self {
            seed,
            shape: Shape { proxies: 4, workers: 4 },
            skew: 1.0,
            backend,
            mix: PerPriority { critical: 0.08, high: 0.22, normal: 0.40, low: 0.30 },
            clients: Clients {
                users: 10_000,
                patience: SECOND,
                retries: 2,
                backoff: Backoff::FullJitter(100 * MS),
                tells_retries: false,
            },
            phases: vec![Phase {
                at: 0,
                rps: load * backend.capacity(),
                servers: 1.0,
                slowness: 1.0,
            }],
            announced: None,
            stress: STEP..STEP + STRESS,
            end: STEP + STRESS + AFTER,
            gauge_every: 100 * MS,
        }
    }

    /// The base load, then for 90 s so many times the capacity, then the base load again.
    pub fn step(seed: u64, times: f64) -> Self {
        let mut scenario = Self::calm(seed, BASE_LOAD);
        let capacity = scenario.backend.capacity();
        scenario.stressed(|phase| phase.rps = times * capacity);
        scenario
    }

    /// Changes what holds during the stress.
    pub fn stressed(&mut self, change: impl Fn(&mut Phase)) {
        let Some(before) = self.phases.first().copied() else { return };
        let mut during = Phase { at: self.stress.start, ..before };
        change(&mut during);
        self.phases = vec![before, during, Phase { at: self.stress.end, ..before }];
    }

    /// The same with another backend, whose load keeps its share of the capacity.
    #[must_use]
    pub fn on(mut self, change: impl FnOnce(&mut Service)) -> Self {
        let before = self.backend.capacity();
        change(&mut self.backend);
        let factor = self.backend.capacity() / before;
        for phase in &mut self.phases {
            phase.rps *= factor;
        }
        self
    }

    /// What the backend can serve at most between two times.
    pub fn capacity_between(&self, within: &Range<Us>) -> f64 {
        let ends = self.phases.iter().skip(1).map(|phase| phase.at).chain([Us::MAX]);
        let served = self.phases.iter().zip(ends).map(|(phase, end)| {
            let (from, until) = (phase.at.max(within.start), end.min(within.end));
            let seconds = float(until.saturating_sub(from)) / float(SECOND);
            seconds * self.backend.capacity() * phase.servers / phase.slowness
        });
        served.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_what_the_phases_leave_of_it() {
        let mut scenario = Scenario::step(1, 3.0);
        assert!((scenario.backend.capacity() - 2_000.0).abs() < 1e-9);
        scenario.stressed(|phase| phase.slowness = 2.0);
        let from = scenario.stress.start - SECOND;
        let served = scenario.capacity_between(&(from..from + 3 * SECOND));
        assert!((served - 4_000.0).abs() < 1e-6, "{served}");
    }

    #[test]
    fn workers_belong_to_one_proxy() {
        let shape = Shape { proxies: 4, workers: 3 };
        for proxy in 0..4 {
            assert!(shape.workers_of(proxy).all(|worker| shape.proxy(worker) == proxy));
        }
        assert_eq!(shape.workers_of(3).end, shape.all());
    }
}
