//! A PI controller from the latency to the share that is rejected, least important first: no limit
//! of what is in flight. Its signal is late by the queue that it should have prevented.

use super::limit::{Latency, Window};
use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::{float, length};
use crate::overload::queue::{MS, Us};
use crate::overload::scenario::Shape;
use policy_core::Priority;

const KEYS: usize = 256;
const KP: f64 = 0.1;
const KI: f64 = 0.5;
const WINDOW_SECONDS: f64 = 0.25;
const REJECTED_MAX: f64 = 0.98;
const DECAY: f64 = 0.8;

/// The controllers of all proxies.
#[derive(Debug)]
pub struct Ratio {
    shape: Shape,
    proxies: Vec<Proxy>,
}

#[derive(Debug)]
struct Proxy {
    latency: Latency,
    in_flight: u64,
    rejected: f64,
    error: f64,
    arrived: Vec<f64>,
    recent: Vec<f64>,
    threshold: f64,
}

impl Ratio {
    /// Controllers that have seen nothing.
    pub fn new(shape: Shape) -> Self {
        let proxy = || Proxy {
            latency: Latency::default(),
            in_flight: 0,
            rejected: 0.0,
            error: 0.0,
            arrived: vec![0.0; KEYS],
            recent: vec![0.0; KEYS],
            threshold: length(KEYS),
        };
        Self { shape, proxies: (0..shape.proxies).map(|_| proxy()).collect() }
    }
}

/// Where a request stands in the order in which work is let go.
pub(super) fn key(ask: &Ask) -> usize {
    let priority = Priority::ALL.iter().position(|priority| *priority == ask.priority);
    priority.unwrap_or(0) * (KEYS / 4) + usize::from(ask.cohort)
}

/// How many keys are let in with a fraction of the next, for this share to be rejected.
pub(super) fn threshold(arrived: &[f64], rejected: f64) -> f64 {
    let mut left = (1.0 - rejected) * arrived.iter().sum::<f64>();
    if rejected < 0.005 {
        return length(KEYS);
    }
    for (key, count) in arrived.iter().enumerate() {
        if left < *count {
            return length(key) + left / count;
        }
        left -= count;
    }
    length(KEYS)
}

/// Where the threshold runs through a key, time stands for chance: it knows nothing of who asks.
pub(super) fn chance(now: Us) -> f64 {
    float(now.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) / float(1 << 53)
}

impl Proxy {
    fn window(&mut self, pressure: f64) {
        let error = (pressure - 1.0).clamp(-1.0, 3.0);
        let change = KP * (error - self.error) + KI * WINDOW_SECONDS * error;
        self.error = error;
        let changed = self.rejected + change * (1.0 - self.rejected).max(0.05);
        self.rejected = changed.clamp(0.0, REJECTED_MAX);
        for (arrived, recent) in self.arrived.iter_mut().zip(&mut self.recent) {
            *arrived = DECAY * *arrived + *recent;
            *recent = 0.0;
        }
        self.threshold = threshold(&self.arrived, self.rejected);
    }
}

impl Limiter for Ratio {
    type Pass = ();

    fn admit(&mut self, worker: usize, ask: &Ask, now: Us) -> Option<()> {
        let proxy = self.proxies.get_mut(self.shape.proxy(worker))?;
        let key = key(ask);
        if let Some(recent) = proxy.recent.get_mut(key) {
            *recent += 1.0;
        }
        if length(key) + chance(now) >= proxy.threshold {
            proxy.latency.refused();
            return None;
        }
        proxy.in_flight += 1;
        Some(())
    }

    fn end(&mut self, worker: usize, (): (), how: Ending, _: Us) {
        let Some(proxy) = self.proxies.get_mut(self.shape.proxy(worker)) else { return };
        proxy.in_flight -= 1;
        // What timed out took as long as that at least; without it nothing would be seen of a
        // backend that answers nobody in time.
        let (Ending::Answered { latency, .. } | Ending::TimedOut { latency }) = how;
        proxy.latency.answered(latency);
    }

    fn tick(&mut self, worker: usize, now: Us) {
        let proxy = self.proxies.get_mut(self.shape.proxy(worker));
        if let Some(proxy) = proxy
            && let Some(Window { pressure, .. }) = proxy.latency.window(now)
        {
            proxy.window(pressure);
        }
    }

    fn gauge(&self) -> Gauge {
        let count = length(self.proxies.len().max(1));
        let mean = |of: fn(&Proxy) -> f64| self.proxies.iter().map(of).sum::<f64>() / count;
        Gauge {
            in_flight: self.proxies.iter().map(|proxy| proxy.in_flight).sum(),
            limit: None,
            threshold: Some(mean(|proxy| proxy.threshold)),
            base_ms: Some(mean(|proxy| proxy.latency.base) / float(MS)),
        }
    }
}
