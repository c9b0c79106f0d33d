//! Step 7: where a request without a lease runs.

use super::{Course, Judgement};
use crate::reason::Reason;
use crate::region::{RegionId, RegionSet};
use crate::residency::ResidencyCell;
use crate::trace::{Step, Trace};

impl<'p> Judgement<'p, '_> {
    /// Here if allowed and up, else home, else the best rank; a fallback only when no region of
    /// the rules themselves is up. Home comes first where the policy steers there.
    pub(super) fn route(
        &self,
        cell: &ResidencyCell,
        trace: &mut impl Trace<'p>,
    ) -> Result<Course, Reason> {
        let own = cell.base(self.state.situation).and(self.state.up);
        let candidates = if own.is_empty() {
            cell.fallback(self.state.situation).and(self.state.up)
        } else {
            own
        };
        let here = self.policy.here();
        let home = cell.home.filter(|home| candidates.contains(*home));
        trace.see(Step::Candidates { regions: candidates, home });
        let steers = self.policy.steers_home() && self.context.lease.is_none();
        // Where nobody says whose data it is, the client's country is a hint good enough for this: it
        // chooses among regions that are allowed.
        let nearest = || self.policy.home(self.request.client_country?);
        let home_or_nearest = if cell.home.is_some() {
            home
        } else {
            nearest().filter(|region| candidates.contains(*region))
        };
        if let Some(home) = home_or_nearest.filter(|home| steers && *home != here) {
            return Ok(Course { region: home, steered: candidates.contains(here) });
        }
        let region = best(candidates, here, home).ok_or(Reason::HomeUnavailable)?;
        Ok(Course { region, steered: false })
    }
}

fn best(candidates: RegionSet, here: RegionId, home: Option<RegionId>) -> Option<RegionId> {
    if candidates.contains(here) {
        return Some(here);
    }
    home.or_else(|| candidates.best())
}
