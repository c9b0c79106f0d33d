//! What becomes of a message between two sites, or inside of one.

use crate::clock::Ms;
use crate::place::Site;
use crate::rng::Rng;

/// How one site reaches another.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link {
    /// How many faults cut it now.
    pub cuts: u32,
    /// Now it is there, now it is not: for how long each.
    pub flaps_ms: Option<u64>,
    /// A message may take up to so much longer.
    pub slow_ms: u64,
    /// How many of a thousand come twice.
    pub doubled: u64,
}

/// All of it.
#[derive(Debug)]
pub struct Network {
    links: [Link; 16],
    rng: Rng,
}

/// When a message arrives; a second time if it was doubled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrivals {
    /// The first.
    pub first: Option<Ms>,
    /// The second.
    pub second: Option<Ms>,
}

impl Network {
    /// One in which everything arrives.
    pub fn new(rng: Rng) -> Self {
        Self { links: [Link::default(); 16], rng }
    }

    /// How one site reaches another.
    pub fn link(&mut self, from: Site, to: Site) -> Option<&mut Link> {
        self.links.get_mut(from as usize * 4 + to as usize)
    }

    /// A message is sent.
    pub fn send(&mut self, now: Ms, from: Site, to: Site) -> Arrivals {
        let link = self.link(from, to).copied().unwrap_or_default();
        // As many numbers are taken whatever happens, so that faults do not change what else does.
        let (usual, slow, again, twice) =
            (self.rng.any(), self.rng.any(), self.rng.any(), self.rng.chance(link.doubled));
        let flaps = link.flaps_ms.is_some_and(|span| (now / span.max(1)).is_multiple_of(2));
        if link.cuts > 0 || flaps {
            return Arrivals { first: None, second: None };
        }
        let far = if from == to { 2 } else { 40 };
        let base = usual % far + u64::from(from != to) * 5;
        let arrives = |extra: u64| now + base + extra.checked_rem(link.slow_ms + 1).unwrap_or(0);
        Arrivals { first: Some(arrives(slow)), second: twice.then(|| arrives(again) + 1) }
    }
}
