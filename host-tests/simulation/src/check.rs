//! The invariants of fencing, each with a checker that knows what really happened: who was granted
//! what, what was promised to whom, and what left when.

use crate::clock::Ms;
use crate::place::{Each, Side};
use crate::setting::Mode;
use policy_core::Until;
use std::collections::{BTreeMap, BTreeSet};

macro_rules! invariants {
    ($($variant:ident = $text:literal;)+) => {
        /// What has to hold, whatever happens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Invariant {
            $(#[doc = $text] $variant,)+
        }

        impl Invariant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// `F1` to `F12`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// What it says.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

invariants! {
    F1 = "one region takes writes with an epoch of a lease, the one that was granted it, and a receiver takes a token only with the epoch that it believes in itself";
    F2 = "the epochs that the datastore accepts for a lease never decrease";
    F3 = "no leased write is passed on after the end of what its proxy was promised, less the margin, and none leaves after the whole of it unless it was held up for longer than the margin";
    F4 = "the epoch that a VM believes in never decreases, even when it is loaded again";
    F5 = "a leased write reaches an application with exactly one token, which one of our edges wrote";
    F6 = "no leased write passes a proxy that was promised nothing for its lease since it started";
    F7 = "no request passes a region twice, or more than two, so that every one ends";
    F8 = "what was written, with the datastore's check, is linearizable by row";
    F9 = "the times in which two regions pass writes of a lease on to their applications never overlap";
    F10 = "an idempotency key writes at most once";
    F11 = "a while after everything is well again, writes to every lease succeed from either region";
    F12 = "no order of an operator, and nothing else, lowers an epoch";
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of what.
    pub invariant: Invariant,
    /// When.
    pub at: Ms,
    /// How.
    pub what: String,
}

/// A leased write that a guard passes on.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The proxy.
    pub proxy: usize,
    /// The lease.
    pub lease: usize,
    /// The epoch on it.
    pub epoch: u64,
    /// What the clock of the proxy shows that never steps.
    pub local_ms: u64,
}

/// Watches a world.
#[derive(Debug)]
pub struct Monitor {
    mode: Mode,
    /// What was violated first.
    pub violation: Option<Violation>,
    /// By proxy, lease and epoch: the end of the longest promise, by the proxy's own clock.
    promises: BTreeMap<(usize, usize, u64), u64>,
    /// By lease and epoch.
    granted: BTreeMap<(usize, u64), Side>,
    newest: Vec<(u64, Option<Side>)>,
    /// By proxy, VM and lease.
    believed: BTreeMap<(usize, usize, usize), u64>,
    /// The highest epoch of a write that was passed on, by lease and region.
    passed: Vec<Each<u64>>,
    committed: Vec<u64>,
    keys: BTreeSet<u32>,
}

impl Monitor {
    /// Watches a world with so many leases.
    pub fn new(mode: Mode, leases: usize) -> Self {
        Self {
            mode,
            violation: None,
            promises: BTreeMap::new(),
            granted: BTreeMap::new(),
            newest: vec![(0, None); leases],
            believed: BTreeMap::new(),
            passed: vec![Each::default(); leases],
            committed: vec![0; leases],
            keys: BTreeSet::new(),
        }
    }

    /// Something must not be.
    pub fn violated(&mut self, invariant: Invariant, at: Ms, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, at, what: what() });
        }
    }

    /// The store has granted a lease.
    pub fn granted(&mut self, lease: usize, epoch: u64, to: Side, at: Ms) {
        let newest = self.newest.get(lease).map_or(0, |(epoch, _)| *epoch);
        if let Some(slot) = self.newest.get_mut(lease) {
            *slot = (newest.max(epoch), Some(to));
        }
        let had = *self.granted.entry((lease, epoch)).or_insert(to);
        if had != to {
            self.violated(Invariant::F1, at, || format!("epoch {epoch} is {had}'s and {to}'s"));
        }
    }

    /// The epochs that the store has now.
    pub fn epochs(&mut self, epochs: impl Iterator<Item = u64>, at: Ms) {
        for (lease, epoch) in epochs.enumerate() {
            let newest = self.newest.get(lease).map_or(0, |(epoch, _)| *epoch);
            if epoch < newest {
                self.violated(Invariant::F12, at, || format!("epoch {epoch} after {newest}"));
            }
        }
    }

    /// Who was granted a lease last.
    pub fn newest_holder(&self, lease: usize) -> Option<Side> {
        self.newest.get(lease).and_then(|(_, holder)| *holder)
    }

    /// A proxy was told, in answer to a question that it asked at this time of its own clock, that a
    /// lease is held with this epoch for so long.
    pub fn promised(
        &mut self,
        (proxy, lease): (usize, usize),
        epoch: u64,
        asked_ms: u64,
        ttl_ms: u32,
    ) {
        let ttl_ms = u64::from(ttl_ms);
        let drift_ms = (ttl_ms * Until::DRIFT_PER_MILLE).div_ceil(1_000);
        let end = asked_ms + ttl_ms - drift_ms;
        let known = self.promises.entry((proxy, lease, epoch)).or_insert(end);
        *known = end.max(*known);
    }

    /// A proxy has started again: nothing was promised to it.
    pub fn restarted(&mut self, proxy: usize) {
        self.promises.retain(|(of, _, _), _| *of != proxy);
        self.forget(proxy);
    }

    /// A proxy's VMs cannot remember what they believed.
    pub fn forget(&mut self, proxy: usize) {
        self.believed.retain(|(of, _, _), _| *of != proxy);
    }

    /// A VM believes that a lease is held with this epoch.
    pub fn believed(&mut self, (proxy, vm): (usize, usize), lease: usize, epoch: u64, at: Ms) {
        let known = self.believed.entry((proxy, vm, lease)).or_insert(epoch);
        let before = *known;
        *known = epoch.max(before);
        if epoch < before {
            self.violated(Invariant::F4, at, || format!("epoch {epoch} after {before}"));
        }
    }

    /// A guard has decided to pass a leased write on.
    pub fn decided(&mut self, pass: Pass, at: Ms) {
        let Pass { proxy, lease, epoch, local_ms } = pass;
        match self.promises.get(&(proxy, lease, epoch)).copied() {
            None => self.violated(Invariant::F6, at, || {
                format!("passes epoch {epoch}, of which it was told nothing")
            }),
            Some(end) if local_ms + Until::MARGIN_MS >= end => {
                self.violated(Invariant::F3, at, || {
                    let over = (local_ms + Until::MARGIN_MS).saturating_sub(end);
                    format!("passes epoch {epoch}, {over} ms too late")
                });
            }
            Some(_) => {}
        }
    }

    /// The headers of a leased write leave, so long after that was decided.
    pub fn left(&mut self, pass: Pass, held_ms: u64, at: Ms) {
        let Pass { proxy, lease, epoch, local_ms } = pass;
        let end = self.promises.get(&(proxy, lease, epoch)).copied();
        if held_ms <= Until::MARGIN_MS && end.is_none_or(|end| local_ms >= end) {
            self.violated(Invariant::F3, at, || {
                format!("a write with epoch {epoch} leaves after the end of its lease")
            });
        }
    }

    /// A receiver takes a token while it believes in this epoch itself.
    pub fn took(&mut self, epoch: u64, own: Option<u64>, at: Ms) {
        if own != Some(epoch) {
            self.violated(Invariant::F1, at, || {
                format!("takes a token with epoch {epoch} and believes in {own:?}")
            });
        }
    }

    /// A leased write goes to the application of a region, so long after that was decided.
    pub fn accepted(&mut self, side: Side, lease: usize, epoch: u64, held_ms: u64, at: Ms) {
        if self.granted.get(&(lease, epoch)) != Some(&side) {
            self.violated(Invariant::F1, at, || format!("{side} was not granted epoch {epoch}"));
        }
        // A write that was held up for longer than the margin is the datastore's to refuse.
        if self.mode == Mode::Beyond || held_ms > Until::MARGIN_MS {
            return;
        }
        let Some(passed) = self.passed.get_mut(lease) else { return };
        let other = *passed.of(side.other());
        let own = passed.of_mut(side);
        *own = epoch.max(*own);
        if other > epoch {
            self.violated(Invariant::F9, at, || {
                format!("{side} passes epoch {epoch} after {} passed {other}", side.other())
            });
        }
    }

    /// A write reaches an application with these tokens, of which our edge wrote this one.
    pub fn tokens(&mut self, tokens: &[String], ours: Option<&str>, at: Ms) {
        let is_ours = matches!(tokens, [only] if Some(only.as_str()) == ours);
        if !is_ours {
            self.violated(Invariant::F5, at, || format!("{tokens:?}, of which ours is {ours:?}"));
        }
    }

    /// A guard of a region passes a request that has come through these.
    pub fn hops(&mut self, via: &[Side], here: Side, at: Ms) {
        if via.contains(&here) || via.len() > 2 {
            self.violated(Invariant::F7, at, || format!("passes {here} after {via:?}"));
        }
    }

    /// The datastore has written.
    pub fn committed(&mut self, lease: usize, epoch: u64, key: u32, at: Ms) {
        if !self.keys.insert(key) {
            self.violated(Invariant::F10, at, || format!("key {key} has written twice"));
        }
        let before = self.committed.get(lease).copied().unwrap_or(0);
        if self.mode.checks() && epoch < before {
            self.violated(Invariant::F2, at, || format!("epoch {epoch} after {before}"));
        }
        if let Some(slot) = self.committed.get_mut(lease) {
            *slot = before.max(epoch);
        }
    }
}
