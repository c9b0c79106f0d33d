//! A backend: some servers before one queue. It works on what it was given whether anybody still
//! waits for it or not.

use super::draw::Lognormal;
use super::number::whole;
use super::queue::Us;
use super::slab::Key;
use crate::rng::Rng;
use std::collections::VecDeque;

/// The backend.
#[derive(Debug)]
pub struct Backend {
    /// How many it can serve at once.
    servers: u32,
    busy: u32,
    waiting: VecDeque<(Key, Us)>,
    service: Lognormal,
    slowness: f64,
    rng: Rng,
}

/// What a server began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Began {
    /// The attempt.
    pub attempt: Key,
    /// How long that had to wait.
    pub waited: Us,
    /// When it will be ready.
    pub ready: Us,
}

impl Backend {
    /// One that has nothing to do. Takes microseconds.
    pub fn new(service: Lognormal, rng: Rng) -> Self {
        Self { servers: 0, busy: 0, waiting: VecDeque::new(), service, slowness: 1.0, rng }
    }

    /// How it is from now on; what it has begun with stays as it is.
    pub fn set(&mut self, servers: u32, slowness: f64) {
        (self.servers, self.slowness) = (servers, slowness);
    }

    /// Gives it something to do; [`Backend::begin`] says what it then begins with.
    pub fn offer(&mut self, attempt: Key, now: Us) {
        self.waiting.push_back((attempt, now));
    }

    /// A server is free again.
    pub fn finish(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }

    /// What it begins with now, one after the other.
    pub fn begin(&mut self, now: Us) -> Option<Began> {
        if self.busy >= self.servers {
            return None;
        }
        let (attempt, since) = self.waiting.pop_front()?;
        self.busy += 1;
        let takes = whole(self.service.draw(&mut self.rng) * self.slowness).max(1);
        Some(Began { attempt, waited: now.saturating_sub(since), ready: now + takes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::slab::Slab;

    #[test]
    fn first_come_first_served_by_as_many_as_there_are() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..4).map(|n| slab.insert(n)).collect();
        let mut backend = Backend::new(Lognormal::of(1_000.0, 0.5), Rng::new(1));
        for key in &keys {
            backend.offer(*key, 10);
        }
        assert_eq!(backend.begin(10), None, "nobody is there");
        backend.set(2, 1.0);
        let begun: Vec<_> = std::iter::from_fn(|| backend.begin(15)).collect();
        assert_eq!(begun.iter().map(|began| began.attempt).collect::<Vec<_>>(), keys[..2]);
        assert!(begun.iter().all(|began| began.waited == 5 && began.ready > 15));
        backend.finish();
        assert_eq!(
            backend.begin(90).map(|began| (began.attempt, began.waited)),
            Some((keys[2], 80))
        );
        backend.set(1, 1.0);
        backend.finish();
        assert_eq!(backend.begin(95), None, "one is busy, and more there are not");
    }
}
