//! Who decides what is let in: what each algorithm has to be able to do.

use super::queue::Us;
use policy_core::Priority;

/// A request that asks to be let in.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// How important it is.
    pub priority: Priority,
    /// Whose it is.
    pub user: u64,
    /// The cohort of that user, 0 to 63.
    pub cohort: u8,
    /// Whether it was tried before.
    pub is_retry: bool,
    /// How long its client will still wait.
    pub patience: Us,
}

/// How a request that was let in has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a response.
    Answered {
        /// After how long, as the proxy sees it.
        latency: Us,
        /// How much of that it waited in the backend's queue. No proxy knows that unless the
        /// backend tells.
        waited: Us,
    },
    /// Its client gave it up.
    TimedOut {
        /// After how long.
        latency: Us,
    },
}

/// What can be seen of an algorithm from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gauge {
    /// How many it believes to be in flight, over all workers.
    pub in_flight: u64,
    /// How many may be, over all workers, where it limits that.
    pub limit: Option<f64>,
    /// Up to which key of priority and cohort it lets in, 0 to 256, as the mean over all workers,
    /// where it has such a threshold.
    pub threshold: Option<f64>,
    /// The latency that it thinks normal, milliseconds.
    pub base_ms: Option<f64>,
}

/// An algorithm with its state in all workers of all proxies. Workers are counted through all
/// proxies; what one knows of another it may know only by the way it says itself.
pub trait Limiter {
    /// What a request that was let in holds until it ends.
    type Pass;

    /// Lets a request in, or not.
    fn admit(&mut self, worker: usize, ask: &Ask, now: Us) -> Option<Self::Pass>;

    /// A request that was let in has ended.
    fn end(&mut self, worker: usize, pass: Self::Pass, how: Ending, now: Us);

    /// The worker's timer: every 100 ms, at a different time for each.
    fn tick(&mut self, worker: usize, now: Us);

    /// All workers are told that so many times as much will come. Most algorithms have no use for that.
    fn expect(&mut self, _multiplier: f64, _now: Us) {}

    /// How it is.
    fn gauge(&self) -> Gauge;
}
