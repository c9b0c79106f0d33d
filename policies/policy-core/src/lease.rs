//! What is known of the regions and their leases at the time of a decision.

use crate::policy::Policy;
use crate::region::{RegionId, RegionSet};
use crate::vocabulary::{Health, LeaseState, Situation};
use crate::wire::{ConfigFault, LeaseDocument, StateDocument};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// By whom.
    pub holder: RegionId,
    /// The number that grows with every grant.
    pub epoch: u64,
}

impl Lease {
    /// The largest epoch: the largest integer of a structured header (RFC 9651 §3.3.1), which a
    /// `bigint` holds too.
    pub const EPOCH_MAX: u64 = 999_999_999_999_999;
}

/// What can be said of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseView {
    /// Held, for certain.
    Held(Lease),
    /// Nobody can tell.
    Unknown,
    /// Held by nobody.
    Vacant,
    /// Being handed over.
    Draining,
    /// Stopped by an operator.
    Frozen,
}

/// Where region state came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOrigin {
    /// `Fencing.spec.static`: for a first try without an agent.
    Static,
    /// Nowhere: every lease is unknown.
    None,
}

impl StateOrigin {
    /// The word in decision records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::None => "none",
        }
    }
}

/// What is known of the regions and their leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionState {
    /// Where it came from.
    pub origin: StateOrigin,
    /// What the regions are going through.
    pub situation: Situation,
    /// The regions that serve.
    pub up: RegionSet,
    /// By lease and shard, in the order of [`Policy::leases`].
    pub(crate) leases: Box<[Box<[LeaseView]>]>,
}

impl RegionState {
    /// Nothing is known: no lease is held, and no region is said to be down.
    pub fn unknown(policy: &Policy) -> Self {
        Self {
            origin: StateOrigin::None,
            situation: Situation::Normal,
            up: policy.all_regions(),
            leases: policy
                .leases()
                .iter()
                .map(|lease| lease.shards.iter().map(|_| LeaseView::Unknown).collect())
                .collect(),
        }
    }

    /// The state that a document describes. A lease that it does not name is held at home, epoch 1.
    ///
    /// # Errors
    /// The path in the document of what the policy does not know.
    pub fn from_document(policy: &Policy, document: &StateDocument) -> Result<Self, ConfigFault> {
        let mut up = policy.all_regions();
        for (name, health) in &document.health {
            let region = policy.region(name).ok_or_else(|| fault("health", name, "no region"))?;
            if *health == Health::Down {
                up = up.without(region.into());
            }
        }
        let mut leases: Box<[Box<[LeaseView]>]> = policy
            .leases()
            .iter()
            .map(|lease| {
                lease
                    .shards
                    .iter()
                    .map(|shard| LeaseView::Held(Lease { holder: shard.home, epoch: 1 }))
                    .collect::<Vec<_>>()
                    .into()
            })
            .collect();
        for (name, lease) in &document.leases {
            let (number, shard) =
                policy.find_lease(name).ok_or_else(|| fault("leases", name, "no lease"))?;
            let slot = leases.get_mut(number).and_then(|shards| shards.get_mut(shard));
            if let Some(slot) = slot {
                *slot = view(policy, lease, &format!("leases.{name}"))?;
            }
        }
        Ok(Self {
            origin: StateOrigin::Static,
            situation: document.situation.unwrap_or(Situation::Normal),
            up,
            leases,
        })
    }

    /// What can be said of a lease.
    pub fn lease(&self, lease: usize, shard: usize) -> LeaseView {
        let view = self.leases.get(lease).and_then(|shards| shards.get(shard));
        view.copied().unwrap_or(LeaseView::Unknown)
    }
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
    Ok(LeaseView::Held(Lease { holder, epoch }))
}

fn fault(path: &str, name: &str, what: &str) -> ConfigFault {
    ConfigFault { path: String::from(path), message: format!("`{name}` is {what}") }
}
