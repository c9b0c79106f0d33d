//! A leased write that has run: who has acknowledged it, and whether its lease is still what it was.
//!
//! Nothing is refused here any more: the write is there, and a refusal would make its client repeat it.

use crate::header;
use crate::host::Headers;
use policy_core::wire::Acks;
use policy_core::{Decision, Lease, LeaseView, Policy, Reason, RegionSet, RegionState};

/// What is remembered of a leased write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The lease and its shard, by their numbers.
    lease: usize,
    shard: usize,
    epoch: u64,
    acks: Option<Acks>,
}

/// What a response and region state say of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Remarks {
    /// The regions that have acknowledged it, where that matters.
    pub(crate) acknowledged: Option<RegionSet>,
    /// They are too few.
    pub(crate) lacks_acks: bool,
    /// Its lease was granted anew since it was let pass.
    pub(crate) has_changed: bool,
}

impl Remarks {
    /// The one that is told: that the lease has changed is the graver.
    pub(crate) fn reason(self) -> Option<Reason> {
        if self.has_changed {
            Some(Reason::ChangedInflight)
        } else {
            self.lacks_acks.then_some(Reason::AcksMissing)
        }
    }
}

impl Committed {
    /// A request that passes, if it is a leased write.
    pub(crate) fn of(policy: &Policy, decision: &Decision<'_>) -> Option<Self> {
        let fence = decision.fence?;
        let context = decision.context?;
        let lease = context.lease.as_ref()?.lease;
        let shard = policy.find_shard(lease, fence.shard)?;
        Some(Self { lease, shard, epoch: fence.epoch, acks: context.acks })
    }

    /// What is to be said of its response.
    pub(crate) fn remarks(
        self,
        policy: &Policy,
        state: &RegionState,
        headers: Option<&Headers>,
    ) -> Remarks {
        // Whether a lease is certain does not matter here: no other grant has this number.
        let has_changed = matches!(
            state.lease(self.lease, self.shard),
            LeaseView::Held(Lease { epoch, .. }) if epoch != self.epoch
        );
        let Some(acks) = self.acks.filter(|_| headers.is_none_or(has_run)) else {
            return Remarks { has_changed, ..Remarks::default() };
        };
        let acknowledged = headers.map_or(RegionSet::EMPTY, |headers| named(policy, headers));
        let is_peer_down = state.up != policy.all_regions();
        Remarks {
            acknowledged: Some(acknowledged),
            lacks_acks: fencing::are_too_few(acks, acknowledged, is_peer_down),
            has_changed,
        }
    }
}

/// Whether the application says that it has done what it was asked to. Of a refusal there is nothing
/// to acknowledge.
fn has_run(headers: &Headers) -> bool {
    let is_done = headers.first(b":status").is_some_and(|status| status.starts_with(b"2"));
    is_done && headers.first(b"grpc-status").is_none_or(|status| status == b"0")
}

fn named(policy: &Policy, headers: &Headers) -> RegionSet {
    let values = headers.iter().filter(|(name, _)| *name == header::ACKS.as_bytes());
    values
        .fold(RegionSet::EMPTY, |named, (_, value)| named.or(fencing::acknowledged(policy, value)))
}
