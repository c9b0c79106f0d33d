//! Step 7: where a request without a lease runs.
//!
//! ```text
//! allowed and up ──► first choice ──► migration ──► lag ──► spill
//! ```
//!
//! Each of the last three may choose another region of those that are allowed, and never one with
//! trouble while one without is allowed. None of them is for leased contexts: those change their
//! region as a whole, with their lease.

use super::{Course, Judgement};
use crate::caller::{Pseudonym, draw};
use crate::decision::Decision;
use crate::reason::Reason;
use crate::region::{RegionId, RegionSet};
use crate::residency::ResidencyCell;
use crate::trace::{Step, Trace};
use crate::vocabulary::{Consistency, Effect};

/// What the buckets of reads are drawn by that go to a region with less to do.
const SPILL_SALT: &str = "spill";

/// How many draws there are for each of a hundred.
const DRAWS_PER_PERCENT: u16 = 100;

/// The regions that a request may run in.
#[derive(Debug, Clone, Copy)]
struct Choice {
    /// All of them.
    candidates: RegionSet,
    /// Those that may stand in for another one: without trouble, if there are any.
    preferred: RegionSet,
    /// The subject's home, if it may stand in.
    home: Option<RegionId>,
}

impl<'p> Judgement<'p, '_> {
    /// Here if allowed and up, else home, else the best rank; a fallback only when no region of
    /// the rules themselves is up. Home comes first where the policy steers there.
    pub(super) fn route(
        &self,
        cell: &ResidencyCell,
        decision: &mut Decision<'p>,
        trace: &mut impl Trace<'p>,
    ) -> Result<Course, Reason> {
        let own = cell.base(self.state.situation).and(self.state.up);
        let candidates = if own.is_empty() {
            cell.fallback(self.state.situation).and(self.state.up)
        } else {
            own
        };
        let home = cell.home.filter(|home| candidates.contains(*home));
        trace.see(Step::Candidates { regions: candidates, home });
        let preferred = self.state.preferred(candidates);
        let home = home.filter(|home| preferred.contains(*home));
        let choice = Choice { candidates, preferred, home };
        let first = self.first(cell, choice).ok_or(Reason::HomeUnavailable)?;
        if self.context.lease.is_some() {
            return Ok(first);
        }
        let course = self.migrate(first, choice, decision);
        if self.effect != Effect::Read {
            return Ok(course);
        }
        let course = self.keep_up(course, choice);
        Ok(self.spill(course, choice, decision))
    }

    fn first(&self, cell: &ResidencyCell, choice: Choice) -> Option<Course> {
        let here = self.policy.here();
        let Choice { candidates, preferred, home } = choice;
        let steers = self.policy.steers_home() && self.context.lease.is_none();
        // Where nobody says whose data it is, the client's country is a hint good enough for this: it
        // chooses among regions that are allowed.
        let nearest = || self.policy.home(self.request.client_country?);
        let home_or_nearest = if cell.home.is_some() {
            home
        } else {
            nearest().filter(|region| preferred.contains(*region))
        };
        if let Some(home) = home_or_nearest.filter(|home| steers && *home != here) {
            let is_free = candidates.contains(here);
            let why = if is_free { Reason::RoutedHome } else { Reason::RoutedResidency };
            return Some(Course { region: home, why });
        }
        if candidates.contains(here) {
            return Some(Course { region: here, why: Reason::Allowed });
        }
        let region = home.or_else(|| preferred.best())?;
        Some(Course { region, why: Reason::RoutedResidency })
    }

    /// Somebody whose region's users are being moved is served where they go, if it is their turn.
    fn migrate(&self, course: Course, choice: Choice, decision: &mut Decision<'p>) -> Course {
        let Some(migration) = &self.state.migration else { return course };
        let is_meant = course.region == migration.from
            && migration.from != migration.to
            && choice.preferred.contains(migration.to);
        if !is_meant {
            return course;
        }
        // Whoever has no bucket moves with the last.
        let drawn = pseudonym(decision).map(|pseudonym| pseudonym.draw(&migration.salt));
        let share = u16::from(migration.stage).saturating_mul(DRAWS_PER_PERCENT);
        let is_moved = drawn.map_or(migration.stage >= 100, |drawn| drawn < share);
        if !is_moved {
            return course;
        }
        decision.moved = true;
        Course { region: migration.to, why: Reason::RoutedMigration }
    }

    /// Reads that must not be too far behind go where copies are not, if there is such a region.
    fn keep_up(&self, course: Course, choice: Choice) -> Course {
        let Some(max_lag_ms) = self.context.max_lag_ms else { return course };
        if !self.state.fresh(course.region.into(), max_lag_ms).is_empty() {
            return course;
        }
        let fresh = self.state.fresh(choice.preferred, max_lag_ms);
        let here = Some(self.policy.here()).filter(|here| fresh.contains(*here));
        let home = choice.home.filter(|home| fresh.contains(*home));
        match here.or(home).or(fresh.best()) {
            Some(region) => Course { region, why: Reason::RoutedLag },
            None => course,
        }
    }

    /// A share of the reads that would run here goes to the region that has least to do: one of a
    /// hundred users for each point that the load here is above the threshold, and none any more when
    /// the other region has hardly less to do. So the share begins and ends with nothing, and there
    /// is no level at which much of it comes or goes at once.
    fn spill(&self, course: Course, choice: Choice, decision: &Decision<'p>) -> Course {
        let here = self.policy.here();
        let Some(spill) = self.policy.spill() else { return course };
        let is_copied = self.context.consistency == Consistency::Replicated;
        if course.region != here || !is_copied {
            return course;
        }
        let Some(load) = self.state.load(here) else { return course };
        let others = choice.preferred.without(here.into());
        let others = match self.context.max_lag_ms {
            Some(max_lag_ms) => self.state.fresh(others, max_lag_ms),
            None => others,
        };
        let known = others.iter().filter_map(|region| Some((self.state.load(region)?, region)));
        let Some((least, region)) = known.min() else { return course };
        let above = load.saturating_sub(spill.above);
        let apart = load.saturating_sub(least).saturating_sub(spill.margin);
        let share = above.min(apart).min(100).saturating_mul(DRAWS_PER_PERCENT);
        // Of whom nobody knows who it is, what is read tells one from the other.
        let drawn = pseudonym(decision).map_or_else(
            || draw(self.request.path.path(), SPILL_SALT.as_bytes()),
            |pseudonym| pseudonym.draw(SPILL_SALT),
        );
        if drawn < share { Course { region, why: Reason::RoutedSpill } } else { course }
    }
}

/// Who sent the request, where that is known.
fn pseudonym(decision: &Decision<'_>) -> Option<Pseudonym> {
    decision.identity?.pseudonym
}
