//! Gradient2 of Netflix' concurrency-limits with partitions, one for each proxy.
//!
//! Every second, from the mean latency of that second (short) and an average of 600 such (long):
//! limit · clamp(long / short, 0.5, 1) + 4, taken over by a fifth, within 20 to 200. Where fewer than
//! half of the limit were in flight it stays. Above the limit a priority is still let in up to the
//! share of the limit that is its own.

use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::{float, whole};
use crate::overload::queue::{SECOND, Us};
use crate::overload::scenario::Shape;
use policy_core::{PerPriority, Priority};

const LIMIT_FIRST: f64 = 20.0;
const LIMIT_MIN: f64 = 20.0;
const LIMIT_MAX: f64 = 200.0;
const QUEUE: f64 = 4.0;
const SMOOTHING: f64 = 0.2;
const LONG_WINDOW: f64 = 600.0;
const WARM_UP: f64 = 10.0;
const SAMPLES_MIN: u64 = 10;
/// Whoever configures partitions has to say them once for every load; these give critical work five
/// times its part of an ordinary mix.
const SHARES: PerPriority<f64> = PerPriority { critical: 0.4, high: 0.3, normal: 0.2, low: 0.1 };

/// The limiters of all proxies.
#[derive(Debug)]
pub struct Gradient2 {
    shape: Shape,
    proxies: Vec<Proxy>,
}

#[derive(Debug)]
struct Proxy {
    limit: f64,
    in_flight: PerPriority<u64>,
    long: f64,
    windows: f64,
    sum: u64,
    samples: u64,
    in_flight_max: u64,
    update_at: Us,
}

impl Gradient2 {
    /// Limiters that have seen nothing.
    pub fn new(shape: Shape) -> Self {
        let proxy = || Proxy {
            limit: LIMIT_FIRST,
            in_flight: PerPriority::default(),
            long: 0.0,
            windows: 0.0,
            sum: 0,
            samples: 0,
            in_flight_max: 0,
            update_at: 0,
        };
        Self { shape, proxies: (0..shape.proxies).map(|_| proxy()).collect() }
    }
}

impl Proxy {
    fn all(&self) -> u64 {
        self.in_flight.iter().sum()
    }

    fn update(&mut self) {
        let short = float(self.sum) / float(self.samples);
        self.windows += 1.0;
        if self.windows <= WARM_UP {
            self.long += (short - self.long) / self.windows;
        } else {
            self.long += (short - self.long) * 2.0 / (LONG_WINDOW + 1.0);
        }
        if self.long / short > 2.0 {
            self.long *= 0.9;
        }
        if float(self.in_flight_max) < self.limit / 2.0 {
            return;
        }
        let gradient = (self.long / short).clamp(0.5, 1.0);
        let limit = self.limit * gradient + QUEUE;
        let smoothed = self.limit * (1.0 - SMOOTHING) + limit * SMOOTHING;
        self.limit = smoothed.clamp(LIMIT_MIN, LIMIT_MAX);
    }
}

impl Limiter for Gradient2 {
    /// The priority, and how many there were in flight with this one.
    type Pass = (Priority, u64);

    fn admit(&mut self, worker: usize, ask: &Ask, _: Us) -> Option<Self::Pass> {
        let proxy = self.proxies.get_mut(self.shape.proxy(worker))?;
        let own = whole((proxy.limit * SHARES[ask.priority]).ceil()).max(1);
        if proxy.all() >= whole(proxy.limit.floor()) && proxy.in_flight[ask.priority] >= own {
            return None;
        }
        proxy.in_flight[ask.priority] += 1;
        Some((ask.priority, proxy.all()))
    }

    fn end(&mut self, worker: usize, (priority, seen): Self::Pass, how: Ending, now: Us) {
        let Some(proxy) = self.proxies.get_mut(self.shape.proxy(worker)) else { return };
        proxy.in_flight[priority] -= 1;
        let (Ending::Answered { latency, .. } | Ending::TimedOut { latency }) = how;
        proxy.sum += latency;
        proxy.samples += 1;
        proxy.in_flight_max = proxy.in_flight_max.max(seen);
        if now > proxy.update_at {
            if proxy.samples >= SAMPLES_MIN {
                proxy.update();
            }
            (proxy.sum, proxy.samples, proxy.in_flight_max) = (0, 0, 0);
            proxy.update_at = now + SECOND;
        }
    }

    fn tick(&mut self, _: usize, _: Us) {}

    fn gauge(&self) -> Gauge {
        Gauge {
            in_flight: self.proxies.iter().map(Proxy::all).sum(),
            limit: Some(self.proxies.iter().map(|proxy| proxy.limit).sum()),
            ..Gauge::default()
        }
    }
}
