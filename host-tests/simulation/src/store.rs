//! The lease store at the third site: etcd with an election key for each lease, as far as it matters
//! here. It grants, and every grant has a higher epoch.
//!
//! Another region gets a lease only when the one that had it has released it, or when that one's time
//! is over for certain: the time of a lease by the store's own clock, what two clocks may differ in
//! it, and a guard. An agent of the same region gets it at once.

use crate::agent::{Claim, Grant, LeaseName, Reply, Sync};
use crate::mutant::Mutant;
use crate::place::{Each, Side};
use policy_core::Situation;
use std::rc::Rc;

/// How much longer than a lease lasts the store waits before another region gets it.
pub const GUARD_MS: u64 = 2_000;
/// A region that has not been heard of for so long is not up.
const SILENT_MS: u64 = 20_000;

/// The lease store.
#[derive(Debug)]
pub struct LeaseStore {
    names: Rc<[LeaseName]>,
    ttl_ms: u64,
    mutant: Option<Mutant>,
    leases: Vec<Entry>,
    starts: u64,
    enrolled: Vec<(Side, u64, u64)>,
    /// The newest start of each region's agent that has said something, and what number that had.
    said: Each<(u64, u64)>,
    heard_ms: Each<u64>,
    is_healthy: Each<bool>,
    frozen_until_ms: u64,
    granted: Vec<Granted>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    holder: Option<(Side, u64)>,
    /// Who had it last, whether it is released or not.
    last: Option<Side>,
    epoch: u64,
    renewed_ms: u64,
    is_released: bool,
    wanted: Option<Side>,
    /// It is not renewed any more, whoever has it.
    is_forced: bool,
}

/// A lease has been granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// Which.
    pub lease: usize,
    /// To whom.
    pub to: Side,
    /// With which epoch.
    pub epoch: u64,
}

impl LeaseStore {
    /// A store in which nobody has anything yet, and every lease is wanted at home.
    pub fn new(names: Rc<[LeaseName]>, ttl_ms: u64, mutant: Option<Mutant>, now_ms: u64) -> Self {
        let vacant = |name: &LeaseName| Entry {
            holder: None,
            last: None,
            epoch: 0,
            renewed_ms: 0,
            is_released: true,
            wanted: Some(name.home),
            is_forced: false,
        };
        Self {
            leases: names.iter().map(vacant).collect(),
            names,
            ttl_ms,
            mutant,
            starts: 0,
            enrolled: Vec::new(),
            said: Each::default(),
            heard_ms: Each::from_fn(|_| now_ms),
            is_healthy: Each::from_fn(|_| true),
            frozen_until_ms: 0,
            granted: Vec::new(),
        }
    }

    /// An agent says something.
    pub fn on_sync(&mut self, sync: &Sync, now_ms: u64) -> Reply {
        let start = match sync.start {
            Some(start) => start,
            None => self.enrol(sync),
        };
        // What was said before something else that has been heard since says nothing any more.
        let said = self.said.of_mut(sync.from);
        let is_news = sync.start.is_some() && *said < (start, sync.seq);
        if is_news {
            *said = (start, sync.seq);
            *self.heard_ms.of_mut(sync.from) = now_ms;
            *self.is_healthy.of_mut(sync.from) = sync.is_healthy;
            for (lease, claim) in sync.claims.iter().enumerate() {
                self.take(lease, *claim, sync, start, now_ms);
            }
        }
        Reply {
            nonce: sync.nonce,
            start,
            situation: self.situation(),
            frozen_ms: self.frozen_until_ms.saturating_sub(now_ms),
            up: Each::from_fn(|side| self.is_up(side, now_ms)),
            grants: self.leases.iter().map(|entry| self.told(entry, now_ms)).collect(),
        }
    }

    fn enrol(&mut self, sync: &Sync) -> u64 {
        let known = self
            .enrolled
            .iter()
            .find(|(side, nonce, _)| (*side, *nonce) == (sync.from, sync.nonce));
        if let Some((_, _, start)) = known {
            return *start;
        }
        self.starts += 1;
        self.enrolled.push((sync.from, sync.nonce, self.starts));
        self.starts
    }

    fn told(&self, entry: &Entry, now_ms: u64) -> Grant {
        Grant {
            holder: entry.holder,
            epoch: entry.epoch,
            remaining_ms: (entry.renewed_ms + self.ttl_ms).saturating_sub(now_ms),
            wanted: entry.wanted,
        }
    }

    fn take(&mut self, lease: usize, claim: Claim, sync: &Sync, start: u64, now_ms: u64) {
        let may = self.may_have(lease, sync.from, now_ms);
        let ttl_ms = self.ttl_ms;
        let Some(entry) = self.leases.get_mut(lease) else { return };
        let is_holders = entry.holder == Some((sync.from, start));
        match claim {
            Claim::Nothing => {}
            Claim::Hold(epoch) => {
                let is_over = now_ms >= entry.renewed_ms + ttl_ms;
                if is_holders && epoch == entry.epoch && !entry.is_forced && !is_over {
                    entry.renewed_ms = now_ms;
                }
            }
            Claim::Release(epoch) => {
                if is_holders && epoch == entry.epoch {
                    (entry.holder, entry.is_released) = (None, true);
                }
            }
            Claim::Want => {
                if !may || !sync.is_healthy {
                    return;
                }
                let grows = match self.mutant {
                    Some(Mutant::StoreReusesEpochs) => entry.epoch == 0,
                    _ => true,
                };
                *entry = Entry {
                    holder: Some((sync.from, start)),
                    last: Some(sync.from),
                    epoch: entry.epoch + u64::from(grows),
                    renewed_ms: now_ms,
                    is_released: false,
                    wanted: entry.wanted.filter(|wanted| *wanted != sync.from),
                    is_forced: false,
                };
                self.granted.push(Granted { lease, to: sync.from, epoch: entry.epoch });
            }
        }
    }

    /// Whether a region may be granted a lease now.
    fn may_have(&self, lease: usize, side: Side, now_ms: u64) -> bool {
        let (Some(entry), Some(name)) = (self.leases.get(lease), self.names.get(lease)) else {
            return false;
        };
        if !*name.possible.of(side) {
            return false;
        }
        if entry.wanted.is_some_and(|wanted| wanted != side && self.is_up(wanted, now_ms)) {
            return false;
        }
        let wait_ms = match self.mutant {
            Some(Mutant::StoreGrantsEarly) => self.ttl_ms / 3,
            _ => self.ttl_ms + self.ttl_ms.div_ceil(1_000) + GUARD_MS,
        };
        // A start of the same region comes after another: nobody else has the lease meanwhile.
        entry.is_released || entry.last == Some(side) || now_ms >= entry.renewed_ms + wait_ms
    }

    fn is_up(&self, side: Side, now_ms: u64) -> bool {
        *self.is_healthy.of(side) && now_ms.saturating_sub(*self.heard_ms.of(side)) < SILENT_MS
    }

    /// A failover lasts as long as a lease is away from home.
    fn situation(&self) -> Situation {
        let is_away =
            |(entry, name): (&Entry, &LeaseName)| entry.last.is_some_and(|last| last != name.home);
        if self.leases.iter().zip(self.names.iter()).any(is_away) {
            Situation::Failover
        } else {
            Situation::Normal
        }
    }

    /// An operator wants a lease elsewhere; with force it is not renewed where it is.
    pub fn want(&mut self, lease: usize, side: Side, is_forced: bool) {
        let can = self.names.get(lease).is_some_and(|name| *name.possible.of(side));
        let Some(entry) = self.leases.get_mut(lease) else { return };
        if can && entry.last != Some(side) {
            entry.wanted = Some(side);
            entry.is_forced = is_forced;
            if is_forced && self.mutant == Some(Mutant::OverrideLowersEpoch) {
                entry.epoch = entry.epoch.saturating_sub(2);
            }
        }
    }

    /// An operator stops writes for a while.
    pub fn freeze(&mut self, until_ms: u64) {
        self.frozen_until_ms = until_ms;
    }

    /// What an operator still wants is forgotten: leases stay where they are.
    pub fn settle(&mut self) {
        self.frozen_until_ms = 0;
        for entry in self.leases.iter_mut().filter(|entry| entry.epoch > 0) {
            (entry.wanted, entry.is_forced) = (None, false);
        }
    }

    /// What has been granted since this was asked last.
    pub fn granted(&mut self) -> Vec<Granted> {
        core::mem::take(&mut self.granted)
    }

    /// The newest epoch of each lease.
    pub fn epochs(&self) -> impl Iterator<Item = u64> {
        self.leases.iter().map(|entry| entry.epoch)
    }
}
