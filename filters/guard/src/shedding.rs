//! Load shedding in a VM: the pools of each attachment, what the VMs of a proxy tell each other of
//! them at a tick, and what region state says of the load to come.
//!
//! ```text
//! request ─► admission ─► pools of this attachment          (nothing shared)
//! tick ─► reports of the other VMs ─► pools ─► own report   (shared data, sealed)
//! ```
//!
//! Without a key nobody's word is taken, and a VM sheds by what it sees itself.

use crate::guard::InForce;
use crate::host::Vm;
use crate::keyring::KeyRing;
use crate::metric::{Gauge, Metric, PoolGauge};
use load_shed::{Report, SALT_LEN, Shedder};
use policy_core::{
    Baseline, Outlook, Policy, Pool, RegionId, RegionState, Role, SheddingMode, StateOrigin,
};
use std::rc::Rc;

/// How often VMs tell each other of their load, in milliseconds: what a VM knows of the others is as old
/// when a request asks. With half a second the first seconds of an overload are lost.
pub(crate) const TICK_MS: u32 = 100;
/// The name in shared data: an attachment and a place follow.
const NAME: &str = "meshfence/v1/shed";
const SEALED: &[u8] = b"meshfence/v1/shed/report";
/// As many VMs of one proxy tell each other of their load.
const PLACES: usize = 64;
/// For how long the place of a VM that says nothing more stays its own, in milliseconds.
const ABANDONED_MS: u64 = 10_000;
/// A VM has a few attachments; more are some that came and went.
const ATTACHMENTS_MAX: usize = 16;

/// What one VM knows of its load, whatever its configurations.
#[derive(Debug)]
pub(crate) struct Shedding {
    node: u32,
    attached: Vec<Attached>,
    /// How far the wall clock was ahead of the monotonic one at the last tick, in milliseconds.
    ahead_ms: Option<u64>,
}

/// The pools of one attachment.
#[derive(Debug)]
struct Attached {
    id: u64,
    /// Those of the policy in force, the very ones.
    pools: Rc<[Pool]>,
    shedder: Shedder,
    /// Where this VM reports.
    place: Option<usize>,
    /// The load that was announced last, in percent of the usual one. Whoever does not know what it was
    /// cannot tell a rise, and region state that is not known announces nothing new.
    announced: Option<u16>,
}

impl Shedding {
    pub(crate) fn new(node: u32) -> Self {
        Self { node, attached: Vec::new(), ahead_ms: None }
    }

    /// A policy comes into force: pools that it has like the one before keep what they know. What was
    /// told of the others is over.
    pub(crate) fn on_start(&mut self, force: &InForce, vm: &mut impl Vm) {
        let before = self.attached.iter().find(|known| known.id == force.attachment);
        let pools = before.map_or_else(|| Rc::from([]), |known| Rc::clone(&known.pools));
        self.attach(force);
        let goes_on = |pool: &&Pool| {
            ticks(&force.policy) && force.pools.iter().any(|other| other.name == pool.name)
        };
        for pool in pools.iter().filter(|pool| !goes_on(pool)) {
            for what in PoolGauge::ALL {
                vm.set(Gauge::Pool(what, force.policy.role(), &pool.name), 0);
            }
        }
    }

    fn attach(&mut self, force: &InForce) {
        if force.policy.shedding() == SheddingMode::Disabled {
            return;
        }
        let known = self.attached.iter_mut().find(|known| known.id == force.attachment);
        if let Some(known) = known {
            known.shedder.reconfigure(&force.pools);
            known.shedder.bound_retries(force.policy.retries());
            known.pools = Rc::clone(&force.pools);
            return;
        }
        if self.attached.len() >= ATTACHMENTS_MAX {
            self.attached.remove(0);
        }
        self.attached.push(Attached::new(self.node, force));
    }

    /// The pools of a policy's attachment. Nothing where another policy is in force there by now: what
    /// began under this one is few, and counted nowhere.
    pub(crate) fn pools(&mut self, force: &InForce) -> Option<&Shedder> {
        if !self.attached.iter().any(|known| known.id == force.attachment) {
            self.attach(force);
        }
        self.attached.iter().find(|known| known.is_of(force)).map(|known| &known.shedder)
    }

    /// The time of day in seconds since the Unix epoch, as of a tick and the monotonic time since; before
    /// the first tick nobody knows it, and cohorts are others than afterwards.
    pub(crate) fn wall_s(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(self.ahead_ms.unwrap_or(0)) / 1_000
    }

    /// What others have seen is taken over, and the pools follow it.
    pub(crate) fn on_tick(&mut self, force: &InForce, vm: &mut impl Vm) {
        if !ticks(&force.policy) {
            return;
        }
        // Without a clock limits stay as they are.
        let Some(now_ms) = vm.monotonic_ms() else { return };
        if let Some(wall_ms) = vm.unix_ms() {
            self.ahead_ms = Some(wall_ms.saturating_sub(now_ms));
        }
        if let Some(attached) = self.attached.iter_mut().find(|known| known.is_of(force)) {
            attached.on_tick(force, now_ms, vm);
        }
    }
}

/// Whether any limit of a policy follows something, so that there is something to do at a tick.
pub(crate) fn ticks(policy: &Policy) -> bool {
    policy.shedding() != SheddingMode::Disabled
        && policy.pools().iter().any(|pool| pool.baseline != Baseline::Fixed)
}

/// What cohorts are drawn with: the same in all proxies of a key, and of this VM alone without one.
pub(crate) fn salt(force: &InForce, node: u32) -> [u8; SALT_LEN] {
    force.cohort_salt.unwrap_or_else(|| u128::from(node).to_le_bytes())
}

impl Attached {
    fn new(node: u32, force: &InForce) -> Self {
        let mut shedder = Shedder::new(node, &force.pools);
        shedder.bound_retries(force.policy.retries());
        let pools = Rc::clone(&force.pools);
        Self { id: force.attachment, pools, shedder, place: None, announced: None }
    }

    /// Whether this policy is the one in force here.
    fn is_of(&self, force: &InForce) -> bool {
        self.id == force.attachment && Rc::ptr_eq(&self.pools, &force.pools)
    }

    fn on_tick(&mut self, force: &InForce, now_ms: u64, vm: &mut impl Vm) {
        self.look_ahead(&force.state(), force.policy.here(), now_ms);
        let (others, free) = match force.keys.first() {
            Some(_) => self.read(&force.keys, now_ms, vm),
            None => (Vec::new(), None),
        };
        self.shedder.on_tick(now_ms, &others);
        let Some(report) = self.shedder.report(now_ms) else { return };
        self.share(&force.keys, &report, free, vm);
        for (number, pool) in self.pools.iter().enumerate() {
            self.tell(number, force.policy.role(), &pool.name, vm);
        }
    }

    /// What region state says of the load to come.
    fn look_ahead(&mut self, state: &RegionState, here: RegionId, now_ms: u64) {
        let Outlook { multiplier, shed_floor } = state.outlook(here);
        self.shedder.set_floor(f64::from(shed_floor) / 100.0);
        if state.origin == StateOrigin::None {
            return;
        }
        let before = self.announced.replace(multiplier).unwrap_or(multiplier);
        if multiplier > before {
            self.shedder.expect(f64::from(multiplier) / f64::from(before.max(1)), now_ms);
        }
    }

    /// What the other VMs have reported, and a place that is free or may be taken.
    fn read(
        &mut self,
        keys: &KeyRing,
        now_ms: u64,
        vm: &mut impl Vm,
    ) -> (Vec<Report>, Option<usize>) {
        let (mut others, mut free) = (Vec::new(), None);
        let node = self.shedder.node();
        // A place that another VM has taken at the same moment is looked for anew.
        let mut own = None;
        for place in 0..PLACES {
            let Some((sealed, _)) = vm.shared(&self.key(place)) else {
                free = free.or(Some(place));
                break;
            };
            let report = keys.unseal([SEALED, &self.id.to_le_bytes()], &sealed);
            let report = report.and_then(Report::from_bytes);
            match report {
                Some(report) if report.node() == node => own = own.or(Some(place)),
                Some(report) if report.is_abandoned(now_ms, ABANDONED_MS) => {
                    free = free.or(Some(place));
                }
                Some(report) => others.push(report),
                None => {
                    vm.count(Metric::ForeignSharedData);
                    free = free.or(Some(place));
                }
            }
        }
        self.place = own;
        (others, free)
    }

    fn share(&mut self, keys: &KeyRing, report: &Report, free: Option<usize>, vm: &mut impl Vm) {
        let Some(place) = self.place.or(free) else { return };
        let sealed = keys.seal([SEALED, &self.id.to_le_bytes()], &report.to_bytes());
        let Some(sealed) = sealed else { return };
        // Who took the same place at the same moment finds the other one there at the next tick.
        if vm.share(&self.key(place), &sealed, None).is_ok() {
            self.place = Some(place);
        }
    }

    fn key(&self, place: usize) -> String {
        format!("{NAME}/{:016x}/{place}", self.id)
    }

    /// Tells how a pool is doing.
    fn tell(&self, number: usize, role: Role, name: &str, vm: &mut impl Vm) {
        let Some(view) = self.shedder.view(number) else { return };
        for what in PoolGauge::ALL {
            let value = match what {
                PoolGauge::Limit => view.limit,
                PoolGauge::Ratio => view.ratio * 1_000.0,
                PoolGauge::InFlight => view.pooled.into(),
                PoolGauge::Brownout => view.brownout.into(),
            };
            vm.set(Gauge::Pool(what, role, name), load_shed::whole(value.round()).into());
        }
    }
}
