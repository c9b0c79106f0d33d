//! Step 6: the lease that a request needs, by the write rule or by the receiving rule.

use super::{Judgement, Ruling};
use crate::caller::Evidence;
use crate::decision::Fence;
use crate::lease::LeaseView;
use crate::policy::{LeaseRef, LeaseSpec, ShardSource};
use crate::reason::Reason;
use crate::request::IdempotencyKey;
use crate::residency::{ResidencyCell, Subject};
use crate::trace::{Step, Trace};
use crate::vocabulary::{Effect, IdempotencyRule, Method};
use core::cmp::Ordering;

impl<'p> Judgement<'p, '_> {
    /// The lease that the request needs, as far as this region knows it.
    pub(super) fn held(
        &self,
        lease: &LeaseRef,
        ruling: &Ruling<'_>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Result<(Fence<'p>, &'p LeaseSpec), Reason> {
        let standing = ruling.found.standing;
        if self.is_keyless() && self.context.idempotency_key == IdempotencyRule::Require {
            return Err(Reason::IdempotencyKeyMissing);
        }
        if standing.is_none() && matches!(lease.shard, ShardSource::Residency(_)) {
            // Data of two groups, or of nobody known, belongs to the lease of none.
            let is_conflict = matches!(ruling.subject, Subject::Of(_));
            return Err(if is_conflict { Reason::SubjectConflict } else { Reason::SubjectUnknown });
        }
        let (spec, shard, view) =
            self.view(lease, standing, evidence).ok_or(Reason::LeaseUnknown)?;
        trace.see(Step::Lease { lease: spec, shard, view });
        let held = match view {
            LeaseView::Held(held) => held,
            LeaseView::Unknown => return Err(Reason::LeaseUnknown),
            LeaseView::Vacant => return Err(Reason::LeaseVacant),
            LeaseView::Draining => return Err(Reason::LeaseDraining),
            LeaseView::Frozen => return Err(Reason::LeaseFrozen),
        };
        let fence = Fence { lease: &spec.name, shard, holder: held.holder, epoch: held.epoch };
        Ok((fence, spec))
    }

    /// Whether it is a write that could happen twice, and has no key against that.
    pub(super) fn is_keyless(&self) -> bool {
        self.effect == Effect::Write
            && matches!(self.method, Method::Post | Method::Patch)
            && self.request.idempotency_key == IdempotencyKey::Absent
    }

    /// What can be said now of the lease that the request needs, and its shard by name.
    pub(super) fn view(
        &self,
        lease: &LeaseRef,
        standing: Option<usize>,
        evidence: &mut impl Evidence,
    ) -> Option<(&'p LeaseSpec, Option<&'p str>, LeaseView)> {
        let spec = self.policy.leases().get(lease.lease)?;
        let Some(shard) = self.shard(lease, standing) else {
            return Some((spec, None, LeaseView::Unknown));
        };
        let name = spec.shards.get(shard).and_then(|shard| shard.name.as_deref());
        let view = match self.state.lease(lease.lease, shard) {
            // Only what ends asks for the time.
            LeaseView::Held(held)
                if held.until.is_some() && !held.is_certain(evidence.monotonic_ms()) =>
            {
                LeaseView::Unknown
            }
            view => view,
        };
        Some((spec, name, view))
    }

    /// The write rule: the holder may have the data and can be reached.
    pub(super) fn send(&self, fence: &Fence<'p>, cell: &ResidencyCell) -> Result<(), Reason> {
        if !cell.permitted(self.state.situation).contains(fence.holder) {
            return Err(Reason::HolderNotPermitted);
        }
        if !self.state.up.contains(fence.holder) {
            return Err(Reason::HolderUnreachable);
        }
        Ok(())
    }

    /// The receiving rule: this region holds the lease, and a write brings its token.
    pub(super) fn receive(&self, fence: &Fence<'p>, is_write: bool) -> Result<(), Reason> {
        let here = self.policy.here();
        if fence.holder != here {
            return Err(Reason::WrongRegion);
        }
        if !is_write {
            return Ok(());
        }
        // A token of another lease says nothing about this one.
        let token = self.request.token.ok_or(Reason::FenceMissing)?;
        if token.lease != fence.lease || token.shard != fence.shard {
            return Err(Reason::FenceMissing);
        }
        if token.holder != self.policy.region_name(here) {
            return Err(Reason::WrongRegion);
        }
        match token.epoch.cmp(&fence.epoch) {
            Ordering::Less => Err(Reason::FenceStale),
            Ordering::Greater => Err(Reason::FenceAhead),
            Ordering::Equal => Ok(()),
        }
    }

    fn shard(&self, lease: &LeaseRef, standing: Option<usize>) -> Option<usize> {
        match &lease.shard {
            ShardSource::Whole => self.policy.find_shard(lease.lease, None),
            ShardSource::Residency(of_cell) => of_cell.get(standing?).copied().flatten(),
            ShardSource::Path => {
                let segment = self.request.path.segments().nth(self.found.shard_segment?)?;
                self.policy.find_shard(lease.lease, Some(core::str::from_utf8(segment).ok()?))
            }
        }
    }
}
