//! DAGOR, of `WeChat`: priorities of business and of users, and steps up and down through them.
//!
//! A level is a priority and one of 128 groups of users, by a hash that changes every hour. Every
//! second, or every 2 000 requests, the mean queueing time is held against 20 ms: above, so many
//! levels are taken away that 5 % less would have been let in, else so many added that it were 1 %
//! more. It is meant for the server itself, which knows the queueing time; here the backend tells it
//! to the proxy, with a response. An attempt without one counts as if it had waited all the time.

use crate::overload::cohort;
use crate::overload::limiter::{Ask, Ending, Gauge, Limiter};
use crate::overload::number::{float, length, share};
use crate::overload::queue::{MS, SECOND, Us};
use crate::overload::scenario::Shape;
use policy_core::Priority;

const GROUPS: usize = 128;
const LEVELS: usize = 4 * GROUPS;
const WINDOW: Us = SECOND;
const WINDOW_REQUESTS: u64 = 2_000;
const QUEUEING_MAX: f64 = 20.0;
const DOWN: f64 = 0.05;
const UP: f64 = 0.01;

/// The admission of all proxies.
#[derive(Debug)]
pub struct Dagor {
    shape: Shape,
    proxies: Vec<Proxy>,
}

#[derive(Debug)]
struct Proxy {
    /// Levels from here on are rejected.
    level: usize,
    in_flight: u64,
    arrived: Vec<u64>,
    requests: u64,
    admitted: u64,
    queued: Us,
    ended: u64,
    window_end: Us,
}

impl Dagor {
    /// Proxies that let everything in.
    pub fn new(shape: Shape) -> Self {
        let proxy = || Proxy {
            level: LEVELS,
            in_flight: 0,
            arrived: vec![0; LEVELS],
            requests: 0,
            admitted: 0,
            queued: 0,
            ended: 0,
            window_end: WINDOW,
        };
        Self { shape, proxies: (0..shape.proxies).map(|_| proxy()).collect() }
    }
}

fn level(ask: &Ask, now: Us) -> usize {
    let priority = Priority::ALL.iter().position(|priority| *priority == ask.priority);
    let group = usize::try_from(cohort::hash(ask.user, now) >> 32).unwrap_or(0) % GROUPS;
    priority.unwrap_or(0) * GROUPS + group
}

impl Proxy {
    fn window(&mut self, now: Us) {
        let queueing = share(self.queued, self.ended * MS);
        let at = |level: usize| self.arrived.get(level).map_or(0.0, |count| float(*count));
        let (admitted, mut would) = (float(self.admitted), float(self.admitted));
        if queueing > QUEUEING_MAX {
            while would > (1.0 - DOWN) * admitted && self.level > 0 {
                self.level -= 1;
                would -= at(self.level);
            }
        } else {
            // One level at least: 1 % more than nothing would be nothing for ever.
            loop {
                would += at(self.level);
                self.level = (self.level + 1).min(LEVELS);
                if would >= (1.0 + UP) * admitted || self.level == LEVELS {
                    break;
                }
            }
        }
        self.arrived.fill(0);
        (self.requests, self.admitted, self.queued, self.ended) = (0, 0, 0, 0);
        self.window_end = now + WINDOW;
    }
}

impl Limiter for Dagor {
    type Pass = ();

    fn admit(&mut self, worker: usize, ask: &Ask, now: Us) -> Option<()> {
        let proxy = self.proxies.get_mut(self.shape.proxy(worker))?;
        if now >= proxy.window_end || proxy.requests >= WINDOW_REQUESTS {
            proxy.window(now);
        }
        let level = level(ask, now);
        proxy.requests += 1;
        if let Some(count) = proxy.arrived.get_mut(level) {
            *count += 1;
        }
        if level >= proxy.level {
            return None;
        }
        proxy.admitted += 1;
        proxy.in_flight += 1;
        Some(())
    }

    fn end(&mut self, worker: usize, (): (), how: Ending, _: Us) {
        let Some(proxy) = self.proxies.get_mut(self.shape.proxy(worker)) else { return };
        proxy.in_flight -= 1;
        proxy.ended += 1;
        proxy.queued += match how {
            Ending::Answered { waited, .. } => waited,
            Ending::TimedOut { latency } => latency,
        };
    }

    fn tick(&mut self, _: usize, _: Us) {}

    fn gauge(&self) -> Gauge {
        let levels = self.proxies.iter().map(|proxy| length(proxy.level) / 2.0).sum::<f64>();
        Gauge {
            in_flight: self.proxies.iter().map(|proxy| proxy.in_flight).sum(),
            threshold: Some(levels / length(self.proxies.len().max(1))),
            ..Gauge::default()
        }
    }
}
