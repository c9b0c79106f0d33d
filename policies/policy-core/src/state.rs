//! What is known of the regions and their leases at the time of a decision.

use crate::lease::{Lease, LeaseView, Until};
use crate::policy::Policy;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{Health, LeaseState, Situation};
use crate::wire::{
    ConfigFault, LeaseDocument, LiveDocument, LiveLease, MigrationDocument, OverrideMode,
    StateDocument,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

/// Where region state came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOrigin {
    /// The agent of this region.
    Agent,
    /// `Fencing.spec.static`: for a first try without an agent.
    Static,
    /// Nowhere: every lease is unknown.
    None,
}

impl StateOrigin {
    /// The word in decision records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Static => "static",
            Self::None => "none",
        }
    }
}

/// What is known of the regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionState {
    /// Where it came from.
    pub origin: StateOrigin,
    /// Until when it can be believed; for ever if no agent serves it. Every lease has an end of its
    /// own besides.
    pub until: Option<Until>,
    /// What the regions are going through.
    pub situation: Situation,
    /// The regions that serve, those with trouble included.
    pub up: RegionSet,
    /// The regions that serve with trouble.
    pub degraded: RegionSet,
    /// A share of the users of one region who are served by another one.
    pub migration: Option<Migration>,
    /// How far the copies in each region are behind, in milliseconds, by its rank.
    lag_ms: Box<[Option<u32>]>,
    /// How much of its capacity each region uses, in percent, by its rank.
    load: Box<[Option<u16>]>,
    /// What each region has to expect, by its rank.
    outlook: Box<[Outlook]>,
    /// By lease and shard, in the order of [`Policy::leases`].
    leases: Box<[Box<[LeaseView]>]>,
}

/// What a region has to expect of the load that comes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// How many times its usual load, in percent: 100 is what it has.
    pub multiplier: u16,
    /// How much of it is shed at least, whatever is measured, in percent.
    pub shed_floor: u16,
}

/// Nothing out of the usual.
impl Default for Outlook {
    fn default() -> Self {
        Self { multiplier: 100, shed_floor: 0 }
    }
}

/// A share of the users of one region who are served by another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Whose users.
    pub from: RegionId,
    /// Where they are served.
    pub to: RegionId,
    /// How many of a hundred.
    pub stage: u8,
    /// What their buckets are drawn by.
    pub salt: Box<str>,
}

impl RegionState {
    /// Stands in while a policy is being put together.
    pub(crate) fn nothing() -> Self {
        Self {
            origin: StateOrigin::None,
            until: None,
            situation: Situation::Normal,
            up: RegionSet::EMPTY,
            degraded: RegionSet::EMPTY,
            migration: None,
            lag_ms: Box::default(),
            load: Box::default(),
            outlook: Box::default(),
            leases: Box::default(),
        }
    }

    /// Nothing is known: no lease is held, and no region is said to be down.
    pub fn unknown(policy: &Policy) -> Self {
        let leases = policy.leases().iter();
        let views = |_: &_| LeaseView::Unknown;
        Self {
            up: policy.all_regions(),
            leases: leases.map(|lease| lease.shards.iter().map(views).collect()).collect(),
            ..Self::nothing()
        }
    }

    /// The state that a document describes. A lease that it does not name is held at home, epoch 1.
    ///
    /// # Errors
    /// The path in the document of what the policy does not know.
    pub fn from_document(policy: &Policy, document: &StateDocument) -> Result<Self, ConfigFault> {
        let mut state = Self::unknown(policy);
        for (name, health) in &document.health {
            let region = policy.region(name).ok_or_else(|| fault("health", name, "no region"))?;
            state.set_health(region, *health);
        }
        for (views, lease) in state.leases.iter_mut().zip(policy.leases()) {
            for (view, shard) in views.iter_mut().zip(&lease.shards) {
                *view = LeaseView::Held(Lease { holder: shard.home, epoch: 1, until: None });
            }
        }
        for (name, lease) in &document.leases {
            let (number, shard) =
                policy.find_lease(name).ok_or_else(|| fault("leases", name, "no lease"))?;
            if let Some(slot) = state.slot(number, shard) {
                *slot = view(policy, lease, &format!("leases.{name}"))?;
            }
        }
        if document.order == Some(OverrideMode::Freeze) {
            for view in state.leases.iter_mut().flatten() {
                if matches!(view, LeaseView::Held(_)) {
                    *view = LeaseView::Frozen;
                }
            }
        }
        let lag_ms = by_rank(policy, "lagMs", &document.lag_ms)?;
        let load = by_rank(policy, "load", &document.load)?;
        Ok(Self {
            origin: StateOrigin::Static,
            situation: document.situation.unwrap_or(Situation::Normal),
            migration: document.migration.as_ref().map(|it| sound(policy, it)).transpose()?,
            // A state for a first try is of regions that keep up.
            lag_ms: lag_ms.iter().map(|lag| Some(lag.unwrap_or(0))).collect(),
            load,
            ..state
        })
    }

    /// The state that the agent of this region has described, in answer to a question that was asked
    /// at this monotonic time. What the document says of regions and leases that the policy does not
    /// know is nothing to this policy: agents learn of a new region or context before all proxies do.
    /// `is_doubtful` tells which leases nobody can be sure of, whatever the document says.
    pub fn from_live(
        policy: &Policy,
        document: &LiveDocument,
        asked_ms: u64,
        is_doubtful: impl Fn(&str) -> bool,
    ) -> Self {
        let mut state = Self::unknown(policy);
        for (name, health) in &document.health {
            if let Some(region) = policy.region(name) {
                state.set_health(region, *health);
            }
        }
        let regions = || policy.all_regions().iter();
        let lag = |region| document.lag_ms.get(policy.region_name(region))?.values().max().copied();
        let load = |region| document.load.get(policy.region_name(region)).copied();
        let outlook = |region| {
            let name = policy.region_name(region);
            let usual = Outlook::default();
            let said = |of: &BTreeMap<String, u16>| of.get(name).copied();
            Outlook {
                multiplier: said(&document.expected_multiplier).unwrap_or(usual.multiplier),
                shed_floor: said(&document.shed_floor).unwrap_or(usual.shed_floor),
            }
        };
        let is_frozen = document
            .order
            .as_ref()
            .is_some_and(|order| order.mode == OverrideMode::Freeze && order.remaining_ms > 0);
        for lease in &document.leases {
            let name = lease.name();
            let Some((number, shard)) = policy.find_lease(&name) else { continue };
            let Some(slot) = state.slot(number, shard) else { continue };
            if !is_doubtful(&name) {
                *slot = live_view(policy, lease, asked_ms, is_frozen);
            }
        }
        Self {
            origin: StateOrigin::Agent,
            until: Some(Until::after(asked_ms, policy.lease_times().ttl_ms)),
            situation: document.situation.unwrap_or(Situation::Normal),
            migration: document.migration.as_ref().and_then(|it| migration(policy, it)),
            lag_ms: regions().map(lag).collect(),
            load: regions().map(load).collect(),
            outlook: regions().map(outlook).collect(),
            ..state
        }
    }

    /// What can be said of a lease.
    pub fn lease(&self, lease: usize, shard: usize) -> LeaseView {
        let view = self.leases.get(lease).and_then(|shards| shards.get(shard));
        view.copied().unwrap_or(LeaseView::Unknown)
    }

    /// Who holds a lease for certain at this monotonic time.
    pub fn held(&self, lease: usize, shard: usize, now_ms: Option<u64>) -> Option<Lease> {
        match self.lease(lease, shard) {
            LeaseView::Held(held) => held.is_certain(now_ms).then_some(held),
            _ => None,
        }
    }

    /// Whether anything is known for certain of a lease at this monotonic time: also that nobody may
    /// write is.
    pub fn knows(&self, lease: usize, shard: usize, now_ms: Option<u64>) -> bool {
        is_known(&self.lease(lease, shard), now_ms)
    }

    /// Whether that is so of every lease.
    pub fn knows_every_lease(&self, now_ms: Option<u64>) -> bool {
        self.leases.iter().flatten().all(|view| is_known(view, now_ms))
    }

    /// Those of some regions that serve without trouble; all of them where none does.
    pub fn preferred(&self, regions: RegionSet) -> RegionSet {
        let up = regions.and(self.up).without(self.degraded);
        if up.is_empty() { regions } else { up }
    }

    /// Those of some regions whose copies are known to be no further behind than this.
    pub fn fresh(&self, regions: RegionSet, max_lag_ms: u32) -> RegionSet {
        regions
            .iter()
            .filter(|region| self.lag_ms(*region).is_some_and(|lag_ms| lag_ms <= max_lag_ms))
            .collect()
    }

    /// How far the copies in a region are behind, in milliseconds, if that can be told.
    pub fn lag_ms(&self, region: RegionId) -> Option<u32> {
        self.lag_ms.get(region.rank()).copied().flatten()
    }

    /// How much of its capacity a region uses, in percent, if that can be told.
    pub fn load(&self, region: RegionId) -> Option<u16> {
        self.load.get(region.rank()).copied().flatten()
    }

    /// What a region has to expect of the load that comes to it.
    pub fn outlook(&self, region: RegionId) -> Outlook {
        self.outlook.get(region.rank()).copied().unwrap_or_default()
    }

    /// How a region is.
    pub fn health(&self, region: RegionId) -> Health {
        match (self.up.contains(region), self.degraded.contains(region)) {
            (false, _) => Health::Down,
            (true, true) => Health::Degraded,
            (true, false) => Health::Up,
        }
    }

    fn set_health(&mut self, region: RegionId, health: Health) {
        match health {
            Health::Up => {}
            Health::Degraded => self.degraded = self.degraded.or(region.into()),
            Health::Down => self.up = self.up.without(region.into()),
        }
    }

    fn slot(&mut self, lease: usize, shard: usize) -> Option<&mut LeaseView> {
        self.leases.get_mut(lease)?.get_mut(shard)
    }
}

fn is_known(view: &LeaseView, now_ms: Option<u64>) -> bool {
    match view {
        LeaseView::Held(lease) => lease.is_certain(now_ms),
        LeaseView::Unknown => false,
        LeaseView::Vacant | LeaseView::Draining | LeaseView::Frozen => true,
    }
}

fn live_view(policy: &Policy, lease: &LiveLease, asked_ms: u64, is_frozen: bool) -> LeaseView {
    match lease.state {
        LeaseState::Unknown => LeaseView::Unknown,
        LeaseState::Vacant => LeaseView::Vacant,
        LeaseState::Draining => LeaseView::Draining,
        LeaseState::Frozen => LeaseView::Frozen,
        LeaseState::Active if is_frozen => LeaseView::Frozen,
        LeaseState::Active => {
            let holder = lease.holder.as_deref().and_then(|holder| policy.region(holder));
            let until = Some(Until::after(asked_ms, lease.ttl_ms));
            holder.map_or(LeaseView::Unknown, |holder| {
                LeaseView::Held(Lease { holder, epoch: lease.epoch, until })
            })
        }
    }
}

/// What is said of regions, by their ranks.
fn by_rank<T: Copy>(
    policy: &Policy,
    key: &str,
    said: &BTreeMap<String, T>,
) -> Result<Box<[Option<T>]>, ConfigFault> {
    if let Some(name) = said.keys().find(|name| policy.region(name).is_none()) {
        return Err(fault(key, name, "no region"));
    }
    let of = |region| said.get(policy.region_name(region)).copied();
    Ok(policy.all_regions().iter().map(of).collect())
}

/// A migration that somebody has written down, and not an agent.
fn sound(policy: &Policy, document: &MigrationDocument) -> Result<Migration, ConfigFault> {
    let MigrationDocument { stage, from, to, .. } = document;
    if *stage > 100 {
        return Err(fault("migration.stage", &format!("{stage}"), "more than 100"));
    }
    if from == to {
        return Err(fault("migration.to", to, "where they come from"));
    }
    for (key, name) in [("migration.from", from), ("migration.to", to)] {
        policy.region(name).ok_or_else(|| fault(key, name, "no region"))?;
    }
    migration(policy, document).ok_or_else(|| fault("migration", from, "no region"))
}

fn migration(policy: &Policy, document: &MigrationDocument) -> Option<Migration> {
    Some(Migration {
        from: policy.region(&document.from)?,
        to: policy.region(&document.to)?,
        stage: document.stage,
        salt: document.salt.as_str().into(),
    })
}

fn view(policy: &Policy, document: &LeaseDocument, path: &str) -> Result<LeaseView, ConfigFault> {
    let LeaseDocument { state, holder, epoch } = document;
    match state {
        None | Some(LeaseState::Active) => {}
        Some(LeaseState::Unknown) => return Ok(LeaseView::Unknown),
        Some(LeaseState::Vacant) => return Ok(LeaseView::Vacant),
        Some(LeaseState::Draining) => return Ok(LeaseView::Draining),
        Some(LeaseState::Frozen) => return Ok(LeaseView::Frozen),
    }
    let missing = |key| ConfigFault {
        path: String::from(path),
        message: format!("a lease that is held has a `{key}`"),
    };
    let name = holder.as_deref().ok_or_else(|| missing("holder"))?;
    let holder =
        policy.region(name).ok_or_else(|| fault(&format!("{path}.holder"), name, "no region"))?;
    let text = epoch.as_deref().ok_or_else(|| missing("epoch"))?;
    let epoch =
        text.parse().ok().filter(|epoch| (1..=Lease::EPOCH_MAX).contains(epoch)).ok_or_else(
            || fault(&format!("{path}.epoch"), text, "no number of 1 to 15 digits above 0"),
        )?;
    Ok(LeaseView::Held(Lease { holder, epoch, until: None }))
}

fn fault(path: &str, name: &str, what: &str) -> ConfigFault {
    ConfigFault { path: String::from(path), message: format!("`{name}` is {what}") }
}
