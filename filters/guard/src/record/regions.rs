//! What a record says of the regions: as much as its decision can be made again with.

use policy_core::{
    Decision, Migration, Policy, Reason, RegionId, RegionSet, RegionState, Situation, StateOrigin,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a record says of region state.
#[derive(Debug)]
pub(super) struct StateSeen {
    pub(super) origin: StateOrigin,
    pub(super) situation: Situation,
    up: RegionSet,
    degraded: RegionSet,
    /// How far behind which regions are, where that made a difference.
    lag: Vec<(RegionId, u32)>,
    /// The migration that the request was part of.
    moved: Option<Migration>,
}

/// A share of the users of one region who are served by another one.
#[derive(Debug, Serialize)]
pub(super) struct Moved<'d> {
    from: &'d str,
    to: &'d str,
    stage: u8,
    salt: &'d str,
}

impl StateSeen {
    pub(super) fn of(state: &RegionState, decision: &Decision<'_>) -> Self {
        let by_lag = decision.stale || decision.reason == Reason::RoutedLag;
        let known = |region| Some((region, state.lag_ms(region)?));
        let all = RegionSet::first(RegionId::MAX);
        Self {
            origin: state.origin,
            situation: state.situation,
            up: state.up,
            degraded: state.degraded,
            lag: all.iter().filter(|_| by_lag).filter_map(known).collect(),
            moved: state.migration.as_ref().filter(|_| decision.moved).cloned(),
        }
    }

    /// The regions that do not serve.
    pub(super) fn down<'p>(&self, policy: &'p Policy) -> Vec<&'p str> {
        names(policy, policy.all_regions().without(self.up))
    }

    /// The regions that serve with trouble.
    pub(super) fn degraded<'p>(&self, policy: &'p Policy) -> Vec<&'p str> {
        names(policy, self.degraded.and(self.up))
    }

    /// How far behind which regions are, where that made a difference.
    pub(super) fn lag_ms<'p>(&self, policy: &'p Policy) -> BTreeMap<&'p str, u32> {
        self.lag.iter().map(|(region, lag_ms)| (policy.region_name(*region), *lag_ms)).collect()
    }

    /// The migration that the request was part of.
    pub(super) fn moved<'d>(&'d self, policy: &'d Policy) -> Option<Moved<'d>> {
        let Migration { from, to, stage, salt } = self.moved.as_ref()?;
        let (from, to) = (policy.region_name(*from), policy.region_name(*to));
        Some(Moved { from, to, stage: *stage, salt })
    }
}

pub(super) fn names(policy: &Policy, regions: RegionSet) -> Vec<&str> {
    regions.iter().map(|region| policy.region_name(region)).collect()
}
