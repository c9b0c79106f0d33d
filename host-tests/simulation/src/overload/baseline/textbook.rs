//! The algorithm as it was first written down, with constants that can be set to what it warns of:
//! a limit with shares as the guard, and a PI controller from what overflows it to a threshold.
//! Workers know what the others of their proxy had in flight when they last told each other.

use super::ladder::STEPS;
use super::limit::Limit;
use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::{float, length};
use crate::overload::queue::{MS, Us};
use crate::overload::scenario::Shape;
use policy_core::{PerPriority, Priority};

const KEYS: usize = 256;
const KP: f64 = 0.1;
const DECAY: f64 = 0.8;

/// What can be set.
#[derive(Debug, Clone, Copy)]
pub struct Constants {
    /// What of the limit each priority may use.
    pub shares: PerPriority<f64>,
    /// How fast the ratio follows its error, a second.
    pub ki: f64,
    /// How long a window is.
    pub window: Us,
    /// How often the workers of a proxy tell each other what they have in flight.
    pub sync: Us,
}

/// Those that it was written down with.
pub const WRITTEN: Constants =
    Constants { shares: STEPS, ki: 0.5, window: 250 * MS, sync: 100 * MS };

/// The controllers of all proxies.
#[derive(Debug)]
pub struct Textbook {
    shape: Shape,
    constants: Constants,
    proxies: Vec<Proxy>,
    own: Vec<u64>,
    published: Vec<u64>,
    others: Vec<u64>,
    /// When each worker tells the others again.
    due: Vec<Us>,
}

#[derive(Debug)]
struct Proxy {
    limit: Limit,
    ratio: f64,
    error: f64,
    arrived: Vec<f64>,
    recent: Vec<f64>,
    threshold: f64,
    passed: u64,
    admitted: u64,
    offered_before: f64,
    since: Us,
}

impl Textbook {
    /// Controllers that have seen nothing.
    pub fn new(shape: Shape, constants: Constants) -> Self {
        let proxy = || Proxy {
            limit: Limit::with_window(10.0 * length(shape.workers), constants.window),
            ratio: 0.0,
            error: 0.0,
            arrived: vec![0.0; KEYS],
            recent: vec![0.0; KEYS],
            threshold: length(KEYS),
            passed: 0,
            admitted: 0,
            offered_before: 0.0,
            since: 0,
        };
        Self {
            shape,
            constants,
            proxies: (0..shape.proxies).map(|_| proxy()).collect(),
            own: vec![0; shape.all()],
            published: vec![0; shape.all()],
            others: vec![0; shape.all()],
            due: vec![0; shape.all()],
        }
    }
}

impl Textbook {
    /// What the workers of a proxy have told each other that they have in flight.
    fn sum(&self, proxy: usize) -> u64 {
        self.published.get(self.shape.workers_of(proxy)).unwrap_or_default().iter().sum()
    }
}

impl Proxy {
    fn control(&mut self, ki: f64, in_flight: f64, now: Us) {
        let seconds = float(now - self.since) / 1e6;
        let over = float(self.passed - self.admitted) / float(self.admitted.max(1));
        let free = (0.85 - in_flight / self.limit.value).max(0.0);
        let error = (over - 1.5 * free).clamp(-1.0, 3.0);
        let change = KP * (error - self.error) + ki * seconds * error;
        self.ratio = (self.ratio + change * (1.0 - self.ratio).max(0.05)).clamp(0.0, 0.98);
        self.error = error;
        let offered = self.recent.iter().sum::<f64>() / seconds;
        if self.ratio > 0.02 && offered > self.offered_before && self.offered_before > 0.0 {
            self.ratio = 1.0 - (1.0 - self.ratio) * self.offered_before / offered;
        }
        self.offered_before = offered;
        for (arrived, recent) in self.arrived.iter_mut().zip(&mut self.recent) {
            *arrived = DECAY * *arrived + *recent;
            *recent = 0.0;
        }
        self.threshold = super::ratio::threshold(&self.arrived, self.ratio);
        (self.passed, self.admitted, self.since) = (0, 0, now);
    }
}

impl Limiter for Textbook {
    type Pass = ();

    fn admit(&mut self, worker: usize, ask: &Ask, now: Us) -> Option<()> {
        let own = self.own.get_mut(worker)?;
        let in_flight = *own + self.others.get(worker)?;
        let proxy = self.proxies.get_mut(self.shape.proxy(worker))?;
        let key = super::ratio::key(ask);
        if let Some(recent) = proxy.recent.get_mut(key) {
            *recent += 1.0;
        }
        if length(key) + super::ratio::chance(now) >= proxy.threshold {
            proxy.limit.latency.refused();
            return None;
        }
        proxy.passed += 1;
        let share = self.constants.shares[ask.priority];
        if float(in_flight) >= (proxy.limit.value * share).max(1.0) {
            proxy.limit.latency.refused();
            return None;
        }
        proxy.admitted += 1;
        proxy.limit.admitted(in_flight + 1);
        *own += 1;
        Some(())
    }

    fn end(&mut self, worker: usize, (): (), how: Ending, _: Us) {
        if let Some(own) = self.own.get_mut(worker) {
            *own -= 1;
        }
        if let Some(proxy) = self.proxies.get_mut(self.shape.proxy(worker)) {
            match how {
                Ending::Answered { latency, .. } => proxy.limit.latency.answered(latency),
                Ending::TimedOut { .. } => proxy.limit.latency.failed(),
            }
        }
    }

    fn tick(&mut self, worker: usize, now: Us) {
        let proxy = self.shape.proxy(worker);
        if let Some(due) = self.due.get_mut(worker)
            && now >= *due
        {
            *due = now + self.constants.sync;
            let own = self.own.get(worker).copied().unwrap_or(0);
            if let Some(published) = self.published.get_mut(worker) {
                *published = own;
            }
            let sum = self.sum(proxy);
            if let Some(others) = self.others.get_mut(worker) {
                *others = sum - own;
            }
        }
        let sum = self.sum(proxy);
        if let Some(proxy) = self.proxies.get_mut(proxy)
            && proxy.limit.window(now)
        {
            proxy.control(self.constants.ki, float(sum), now);
        }
    }

    fn gauge(&self) -> Gauge {
        let count = length(self.proxies.len().max(1));
        Gauge {
            in_flight: self.own.iter().sum(),
            limit: Some(self.proxies.iter().map(|proxy| proxy.limit.value).sum()),
            threshold: Some(self.proxies.iter().map(|proxy| proxy.threshold).sum::<f64>() / count),
            base_ms: None,
        }
    }
}

/// A flatter ladder than that.
pub const FLATTER: PerPriority<f64> =
    PerPriority { critical: 1.0, high: 0.95, normal: 0.9, low: 0.85 };

/// Shares with another one for critical work.
pub fn with_headroom(critical: f64) -> PerPriority<f64> {
    PerPriority::each(
        |priority| {
            if priority == Priority::Critical { critical } else { STEPS[priority] }
        },
    )
}
