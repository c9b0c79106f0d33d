//! Step 6: the lease that a request needs, by the write rule or by the receiving rule.

use super::Judgement;
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
        standing: Option<usize>,
        subject: Subject,
        trace: &mut impl Trace<'p>,
    ) -> Result<(Fence<'p>, &'p LeaseSpec), Reason> {
        let keyless = self.request.idempotency_key == IdempotencyKey::Absent;
        if self.effect == Effect::Write
            && self.context.idempotency_key == IdempotencyRule::Require
            && matches!(self.method, Method::Post | Method::Patch)
            && keyless
        {
            return Err(Reason::IdempotencyKeyMissing);
        }
        if standing.is_none() && matches!(lease.shard, ShardSource::Residency(_)) {
            // Data of two groups, or of nobody known, belongs to the lease of none.
            let is_conflict = matches!(subject, Subject::Of(_));
            return Err(if is_conflict { Reason::SubjectConflict } else { Reason::SubjectUnknown });
        }
        let shard = self.shard(lease, standing);
        let spec = self.policy.leases().get(lease.lease).ok_or(Reason::LeaseUnknown)?;
        let name = shard.and_then(|shard| spec.shards.get(shard)).map(|shard| &shard.name);
        let view = shard.map_or(LeaseView::Unknown, |shard| self.state.lease(lease.lease, shard));
        trace.see(Step::Lease { lease: spec, shard: name.and_then(Option::as_deref), view });
        let held = match view {
            LeaseView::Held(held) => held,
            LeaseView::Unknown => return Err(Reason::LeaseUnknown),
            LeaseView::Vacant => return Err(Reason::LeaseVacant),
            LeaseView::Draining => return Err(Reason::LeaseDraining),
            LeaseView::Frozen => return Err(Reason::LeaseFrozen),
        };
        let fence = Fence {
            lease: &spec.name,
            shard: name.and_then(Option::as_deref),
            holder: held.holder,
            epoch: held.epoch,
        };
        Ok((fence, spec))
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
