//! A limit of what is in flight, of which each priority may use a share: what one would try first.

use super::limit::Limit;
use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::{float, length};
use crate::overload::queue::{MS, Us};
use crate::overload::scenario::Shape;
use policy_core::PerPriority;

/// What a worker holds against the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Its own requests, against a limit of its own.
    Alone,
    /// All of the proxy's, as the workers published them at their last tick.
    Stale,
    /// All of the proxy's, exactly: a counter that every request changes, which in a proxy costs a
    /// lock that all workers share.
    Exact,
}

/// The shares of the priorities.
pub const STEPS: PerPriority<f64> = PerPriority { critical: 1.5, high: 1.0, normal: 0.8, low: 0.6 };
/// No priorities at all.
pub const FLAT: PerPriority<f64> = PerPriority { critical: 1.0, high: 1.0, normal: 1.0, low: 1.0 };

/// Limits with shares.
#[derive(Debug)]
pub struct Ladder {
    shape: Shape,
    view: View,
    shares: PerPriority<f64>,
    /// One for each worker or each proxy.
    limits: Vec<Limit>,
    /// What each worker has in flight.
    own: Vec<u64>,
    /// What each said of that at its last tick.
    published: Vec<u64>,
    /// What each has added up of that at its last tick.
    pooled: Vec<u64>,
}

impl Ladder {
    /// Ten requests a worker, before anything was seen.
    pub fn new(shape: Shape, view: View, shares: PerPriority<f64>) -> Self {
        let (count, workers) =
            if view == View::Alone { (shape.all(), 1) } else { (shape.proxies, shape.workers) };
        let limit = || Limit::new(10.0 * length(workers));
        Self {
            shape,
            view,
            shares,
            limits: (0..count).map(|_| limit()).collect(),
            own: vec![0; shape.all()],
            published: vec![0; shape.all()],
            pooled: vec![0; shape.all()],
        }
    }

    fn limit(&mut self, worker: usize) -> Option<&mut Limit> {
        let at = if self.view == View::Alone { worker } else { self.shape.proxy(worker) };
        self.limits.get_mut(at)
    }

    fn sum(&self, counts: &[u64], worker: usize) -> u64 {
        let workers = self.shape.workers_of(self.shape.proxy(worker));
        counts.get(workers).unwrap_or_default().iter().sum()
    }

    fn in_flight(&self, worker: usize) -> u64 {
        let at = |counts: &[u64]| counts.get(worker).copied().unwrap_or(0);
        match self.view {
            View::Alone => at(&self.own),
            View::Stale => at(&self.pooled),
            View::Exact => self.sum(&self.own, worker),
        }
    }
}

impl Limiter for Ladder {
    type Pass = ();

    fn admit(&mut self, worker: usize, ask: &Ask, _: Us) -> Option<()> {
        let (in_flight, share) = (self.in_flight(worker), self.shares[ask.priority]);
        let limit = self.limit(worker)?;
        if float(in_flight) >= (limit.value * share).max(1.0) {
            limit.latency.refused();
            return None;
        }
        limit.admitted(in_flight + 1);
        *self.own.get_mut(worker)? += 1;
        Some(())
    }

    fn end(&mut self, worker: usize, (): (), how: Ending, _: Us) {
        if let Some(own) = self.own.get_mut(worker) {
            *own -= 1;
        }
        if let Some(limit) = self.limit(worker) {
            match how {
                Ending::Answered { latency, .. } => limit.latency.answered(latency),
                Ending::TimedOut { .. } => limit.latency.failed(),
            }
        }
    }

    fn tick(&mut self, worker: usize, now: Us) {
        let own = self.own.get(worker).copied().unwrap_or(0);
        if let Some(published) = self.published.get_mut(worker) {
            *published = own;
        }
        let sum = self.sum(&self.published, worker);
        if let Some(pooled) = self.pooled.get_mut(worker) {
            *pooled = sum;
        }
        if let Some(limit) = self.limit(worker) {
            let _ = limit.window(now);
        }
    }

    fn gauge(&self) -> Gauge {
        let base = self.limits.iter().map(|limit| limit.latency.base).sum::<f64>();
        Gauge {
            in_flight: self.own.iter().sum(),
            limit: Some(self.limits.iter().map(|limit| limit.value).sum()),
            base_ms: Some(base / length(self.limits.len().max(1)) / float(MS)),
            threshold: None,
        }
    }
}
