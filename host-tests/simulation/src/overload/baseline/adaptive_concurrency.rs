//! Envoy's `adaptive_concurrency`: one gradient controller for all workers of a proxy.
//!
//! Every 100 ms the limit becomes gradient · limit + √(gradient · limit), where the gradient is
//! (minRTT + 25 %) / sampleRTT within 0.5 to 2, both medians. Every 60 s (+ up to 15 %), and
//! when the limit was at its minimum five times in a row, minRTT is measured anew: the limit is 3
//! until 50 requests have ended. Attempts that their client gave up are no samples.

use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::{float, whole};
use crate::overload::queue::{SECOND, Us};
use crate::overload::scenario::Shape;
use crate::rng::Rng;

const LIMIT_MIN: u64 = 3;
const LIMIT_MAX: u64 = 1_000;
const MIN_RTT_SAMPLES: usize = 50;
const MIN_RTT_EVERY: Us = 60 * SECOND;
const MIN_RTT_JITTER: f64 = 0.15;
const BUFFER: f64 = 0.25;
const AT_MINIMUM_MAX: u32 = 5;

/// The controllers of all proxies.
#[derive(Debug)]
pub struct AdaptiveConcurrency {
    shape: Shape,
    proxies: Vec<Controller>,
    rng: Rng,
}

#[derive(Debug)]
struct Controller {
    limit: u64,
    in_flight: u64,
    samples: Vec<Us>,
    min_rtt: Us,
    /// While minRTT is measured: the limit before. Samples of before then do not count.
    measuring: Option<u64>,
    epoch: Us,
    measure_at: Us,
    times_at_minimum: u32,
}

impl AdaptiveConcurrency {
    /// The controllers, which begin with measuring.
    pub fn new(shape: Shape, rng: Rng) -> Self {
        let controller = || Controller {
            limit: LIMIT_MIN,
            in_flight: 0,
            samples: Vec::new(),
            min_rtt: 0,
            measuring: Some(LIMIT_MIN),
            epoch: 0,
            measure_at: 0,
            times_at_minimum: 0,
        };
        Self { shape, proxies: (0..shape.proxies).map(|_| controller()).collect(), rng }
    }
}

impl Controller {
    fn median(&mut self) -> Option<Us> {
        let middle = self.samples.len() / 2;
        if self.samples.is_empty() {
            return None;
        }
        let (_, median, _) = self.samples.select_nth_unstable(middle);
        let median = *median;
        self.samples.clear();
        Some(median)
    }

    fn set(&mut self, limit: u64) {
        let stays = self.measuring.is_none() && self.limit == LIMIT_MIN && limit == LIMIT_MIN;
        self.times_at_minimum = if stays { self.times_at_minimum + 1 } else { 0 };
        self.limit = limit;
    }

    fn begin_to_measure(&mut self, now: Us) {
        (self.measuring, self.epoch) = (Some(self.limit), now);
        self.samples.clear();
        self.set(LIMIT_MIN);
    }

    fn end_to_measure(&mut self, now: Us, jitter: f64) {
        let (Some(before), Some(median)) = (self.measuring, self.median()) else { return };
        self.min_rtt = median;
        self.set(before);
        self.measuring = None;
        self.measure_at = now + whole(float(MIN_RTT_EVERY) * (1.0 + MIN_RTT_JITTER * jitter));
    }

    fn window(&mut self, now: Us) {
        if self.measuring.is_some() {
            return;
        }
        if now >= self.measure_at || self.times_at_minimum >= AT_MINIMUM_MAX {
            return self.begin_to_measure(now);
        }
        let Some(sample) = self.median() else { return };
        let gradient = (float(self.min_rtt) * (1.0 + BUFFER) / float(sample)).clamp(0.5, 2.0);
        let limit = float(self.limit) * gradient;
        self.set(whole((limit + limit.sqrt()).floor()).clamp(LIMIT_MIN, LIMIT_MAX));
    }
}

impl Limiter for AdaptiveConcurrency {
    /// When the request was let in.
    type Pass = Us;

    fn admit(&mut self, worker: usize, _: &Ask, now: Us) -> Option<Us> {
        let controller = self.proxies.get_mut(self.shape.proxy(worker))?;
        if controller.in_flight >= controller.limit {
            return None;
        }
        controller.in_flight += 1;
        Some(now)
    }

    fn end(&mut self, worker: usize, since: Us, how: Ending, now: Us) {
        let Some(controller) = self.proxies.get_mut(self.shape.proxy(worker)) else { return };
        controller.in_flight -= 1;
        let Ending::Answered { latency, .. } = how else { return };
        if since < controller.epoch {
            return;
        }
        controller.samples.push(latency);
        if controller.measuring.is_some() && controller.samples.len() >= MIN_RTT_SAMPLES {
            let jitter = crate::overload::draw::unit(&mut self.rng);
            controller.end_to_measure(now, jitter);
        }
    }

    fn tick(&mut self, worker: usize, now: Us) {
        let proxy = self.shape.proxy(worker);
        if self.shape.workers_of(proxy).start == worker
            && let Some(controller) = self.proxies.get_mut(proxy)
        {
            controller.window(now);
        }
    }

    fn gauge(&self) -> Gauge {
        let sum = |of: fn(&Controller) -> u64| self.proxies.iter().map(of).sum();
        Gauge {
            in_flight: sum(|controller| controller.in_flight),
            limit: Some(float(sum(|controller| controller.limit))),
            ..Gauge::default()
        }
    }
}
