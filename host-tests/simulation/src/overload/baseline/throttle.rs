//! The client-side throttling of Google's SRE book, in each worker.
//!
//! With n requests of the last 30 s, a of them accepted, a request is rejected with probability
//! (n − K · a) / (n + 1), K = 2. What is rejected here counts as a request.

use super::admission_control::Recent;
use crate::overload::draw;
use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::queue::{SECOND, Us};
use crate::overload::scenario::Shape;
use crate::rng::Rng;

const WINDOW: Us = 30 * SECOND;
const K: f64 = 2.0;

/// The workers.
#[derive(Debug)]
pub struct Throttle {
    workers: Vec<Recent>,
    in_flight: u64,
    rng: Rng,
}

impl Throttle {
    /// Workers that have seen nothing.
    pub fn new(shape: Shape, rng: Rng) -> Self {
        let workers = (0..shape.all()).map(|_| Recent::default()).collect();
        Self { workers, in_flight: 0, rng }
    }
}

impl Limiter for Throttle {
    type Pass = ();

    fn admit(&mut self, worker: usize, _: &Ask, now: Us) -> Option<()> {
        let recent = self.workers.get_mut(worker)?;
        let (requests, accepted) = recent.of(WINDOW, now);
        let probability = (requests - K * accepted) / (requests + 1.0);
        if draw::unit(&mut self.rng) < probability {
            recent.count(false, now);
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
