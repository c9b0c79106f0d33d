//! Envoy's `admission_control`: each worker rejects at random, by the share of its own requests
//! that failed.
//!
//! With n requests of the last 120 s, s of them answered, a threshold of 95 % and an
//! aggression of 1, a request is rejected with probability (n − s / 0.95) / (n + 1), at most 0.8.
//! What it rejects is not counted; a stream that is reset counts as failed.

use crate::overload::draw;
use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::float;
use crate::overload::queue::{SECOND, Us};
use crate::overload::scenario::Shape;
use crate::rng::Rng;
use std::collections::VecDeque;

const WINDOW: Us = 120 * SECOND;
const THRESHOLD: f64 = 0.95;
const REJECTED_MAX: f64 = 0.8;

/// Requests of some last time, in buckets of a second.
#[derive(Debug, Default)]
pub(super) struct Recent {
    buckets: VecDeque<(Us, u64, u64)>,
    all: u64,
    good: u64,
}

impl Recent {
    pub(super) fn count(&mut self, is_good: bool, now: Us) {
        let second = now / SECOND;
        if self.buckets.back().is_none_or(|(at, ..)| *at != second) {
            self.buckets.push_back((second, 0, 0));
        }
        if let Some((_, all, good)) = self.buckets.back_mut() {
            *all += 1;
            *good += u64::from(is_good);
        }
        self.all += 1;
        self.good += u64::from(is_good);
    }

    /// How many there were and how many of them were good.
    pub(super) fn of(&mut self, window: Us, now: Us) -> (f64, f64) {
        let oldest = now.saturating_sub(window) / SECOND;
        while let Some((at, all, good)) = self.buckets.front().copied()
            && at < oldest
        {
            self.buckets.pop_front();
            self.all -= all;
            self.good -= good;
        }
        (float(self.all), float(self.good))
    }
}

/// The workers.
#[derive(Debug)]
pub struct AdmissionControl {
    workers: Vec<Recent>,
    in_flight: u64,
    rng: Rng,
}

impl AdmissionControl {
    /// Workers that have seen nothing.
    pub fn new(shape: Shape, rng: Rng) -> Self {
        let workers = (0..shape.all()).map(|_| Recent::default()).collect();
        Self { workers, in_flight: 0, rng }
    }
}

impl Limiter for AdmissionControl {
    type Pass = ();

    fn admit(&mut self, worker: usize, _: &Ask, now: Us) -> Option<()> {
        let (all, good) = self.workers.get_mut(worker)?.of(WINDOW, now);
        let probability = ((all - good / THRESHOLD) / (all + 1.0)).clamp(0.0, REJECTED_MAX);
        if draw::unit(&mut self.rng) < probability {
            return None;
        }
        self.in_flight += 1;
        Some(())
    }

    fn end(&mut self, worker: usize, (): (), how: Ending, now: Us) {
        self.in_flight -= 1;
        if let Some(worker) = self.workers.get_mut(worker) {
            worker.count(matches!(how, Ending::Answered { .. }), now);
        }
    }

    fn tick(&mut self, _: usize, _: Us) {}

    fn gauge(&self) -> Gauge {
        Gauge { in_flight: self.in_flight, ..Gauge::default() }
    }
}
