//! What a drill wants to know beside what is checked, and the copies of eventual data in each region.

use super::{Event, World};
use crate::clock::Ms;
use crate::place::{Each, Side};
use crate::store::Granted;
use std::collections::{BTreeMap, BTreeSet};
use versions::{Clock, Stamp};

/// How long a copy that did not arrive waits before it is sent again.
const AGAIN_MS: Ms = 1_000;

/// What is written down.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Requests that are over, by kind and outcome.
    pub(crate) requests: BTreeMap<(usize, &'static str), u64>,
    /// Leased writes that reached an application: when, the lease, where, the epoch.
    pub(crate) accepted: Vec<(Ms, usize, Side, u64)>,
    /// Leased writes that were committed: when, and the lease.
    pub(crate) committed: Vec<(Ms, usize)>,
    /// Grants.
    pub(crate) granted: Vec<(Ms, Granted)>,
    clocks: Each<Clock>,
    copies: Each<BTreeMap<(usize, u8), Stamp>>,
    has: Each<BTreeSet<u32>>,
    writes: BTreeMap<u32, Write>,
    /// Eventual writes of which an application's answer is nowhere any more.
    pub(crate) lost: u64,
    /// Eventual writes that another one won over which had not seen them.
    pub(crate) overwritten: u64,
    /// Eventual writes.
    pub(crate) written: u64,
}

/// An eventual write.
#[derive(Debug, Clone, Copy)]
struct Write {
    stamp: Stamp,
    /// What its writer had seen.
    base: Option<Stamp>,
    is_overwritten: bool,
}

impl World<'_> {
    /// Writes something down, if anybody wants to know.
    pub(super) fn note(&mut self, write: impl FnOnce(&mut Notes, Ms)) {
        if let Some(notes) = &mut self.notes {
            write(notes, self.now);
        }
    }

    pub(super) fn note_request(&mut self, kind: usize, outcome: &'static str) {
        self.note(|notes, _| *notes.requests.entry((kind, outcome)).or_default() += 1);
    }

    /// An application writes eventual data where it is, and sends a copy.
    pub(super) fn write_here(&mut self, side: Side, row: (usize, u8), write: u32) {
        let (fixture, now) = (self.fixture, self.now);
        let Some(notes) = &mut self.notes else { return };
        if notes.writes.contains_key(&write) {
            return;
        }
        let policy = &fixture.roles.of(side).edge;
        let region = policy.region(fixture.name(side));
        let code = region.map_or(*b"xxx", |region| policy.region_code(region));
        let tick = notes.clocks.of_mut(side).tick(self.regions.of(side).clock.wall_ms(now));
        let stamp = Stamp::new(tick, code, 1);
        let base = notes.copies.of_mut(side).insert(row, stamp);
        notes.has.of_mut(side).insert(write);
        notes.writes.insert(write, Write { stamp, base, is_overwritten: false });
        notes.written += 1;
        let is_replicated = fixture.kinds.get(row.0).is_some_and(|kind| kind.is_replicated);
        if is_replicated {
            self.copy(side, row, write);
        }
    }

    fn copy(&mut self, from: Side, (kind, row): (usize, u8), write: u32) {
        let now = self.now;
        let to = from.other();
        // A region that stands still or is gone sends nothing.
        let is_there = self.regions.of(from).paused_until <= now;
        let arrives = self.network.send(now, from.site(), to.site()).first;
        let at = arrives.filter(|_| is_there && self.regions.of(to).paused_until <= now);
        match at {
            Some(at) => self.at(at, Event::Copied { to, kind, row, write }),
            // It is sent again until it is there, from where it was written.
            None => self.at(now + AGAIN_MS, Event::Copied { to: from, kind, row, write }),
        }
    }

    pub(super) fn on_copied(&mut self, to: Side, row: (usize, u8), write: u32) {
        let Some(notes) = &mut self.notes else { return };
        if !notes.has.of_mut(to).insert(write) {
            self.copy(to, row, write);
            return;
        }
        let Some(incoming) = notes.writes.get(&write).copied() else { return };
        let current = notes.copies.of(to).get(&row).copied();
        let is_concurrent = current.is_some() && current != incoming.base;
        let winner = current.map_or(incoming.stamp, |current| current.max(incoming.stamp));
        notes.copies.of_mut(to).insert(row, winner);
        let loser = current.filter(|_| is_concurrent).map(|current| current.min(incoming.stamp));
        let Some(loser) = loser else { return };
        let loser = notes.writes.values_mut().find(|write| write.stamp == loser);
        if let Some(loser) = loser.filter(|loser| !loser.is_overwritten) {
            // Whoever won had seen it: that is how data changes.
            let is_known = incoming.base.is_some_and(|base| base >= loser.stamp);
            if !is_known {
                loser.is_overwritten = true;
                notes.overwritten += 1;
            }
        }
    }

    /// What is nowhere any more at the end: in no region that is there.
    pub(super) fn close(&self, notes: &mut Notes) {
        let there: Vec<Side> = Side::BOTH
            .into_iter()
            .filter(|side| self.regions.of(*side).paused_until <= self.setting.ends)
            .collect();
        let acknowledged =
            |write: &u32| self.ops.iter().any(|op| op.key == *write && op.told.is_some());
        let is_kept = |write: &u32| there.iter().any(|side| notes.has.of(*side).contains(write));
        let lost =
            notes.writes.keys().filter(|write| !is_kept(write) && acknowledged(write)).count();
        notes.lost = u64::try_from(lost).unwrap_or(u64::MAX);
    }
}
