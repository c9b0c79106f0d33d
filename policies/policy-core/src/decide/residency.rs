//! Step 5: whether the rules let a request go on.

use super::Judgement;
use crate::decision::Decision;
use crate::reason::Reason;
use crate::request::RequestKind;
use crate::residency::{ResidencyCell, Subject};
use crate::vocabulary::{Effect, Otherwise};

impl<'p> Judgement<'p, '_> {
    /// Whether the rules let the request go on, and whether it is served here although its data may
    /// not be here whole.
    pub(super) fn residency(
        &self,
        cell: &ResidencyCell,
        subject: Subject,
        decision: &mut Decision<'p>,
    ) -> Result<bool, Reason> {
        let (situation, here) = (self.state.situation, self.policy.here());
        let permitted = cell.permitted(situation);
        let is_here = permitted.contains(here);
        let excluded = cell.excluded(situation).filter(|_| !is_here);
        if let Some(excluded) = excluded {
            self.go_by(excluded.rule(), decision);
        }
        let otherwise = excluded.map(|excluded| excluded.otherwise);
        if let (Some(Otherwise::Redact), Some(excluded)) = (otherwise, excluded) {
            if self.effect == Effect::Write {
                return Err(self.denied(cell, decision));
            }
            if self.request.kind != RequestKind::Plain {
                // What streams and gRPC carry cannot be redacted.
                return Err(Reason::RedactionImpossible);
            }
            if self.policy.role().routes() && !self.state.up.contains(here) {
                // What may be served whole would not be here either.
                return Err(Reason::HomeUnavailable);
            }
            decision.redact = excluded.profiles;
            return Ok(true);
        }
        if !self.policy.role().routes() {
            return match is_here {
                true => Ok(false),
                // The sender knows of a situation that has not reached this region yet, or the
                // other way round: that passes.
                false if cell.ever_permitted().contains(here) => Err(Reason::HomeUnavailable),
                false if otherwise == Some(Otherwise::Hold) => Err(Reason::HomeUnavailable),
                false => Err(self.denied(cell, decision)),
            };
        }
        match otherwise {
            Some(Otherwise::Deny) => return Err(self.denied(cell, decision)),
            Some(Otherwise::Hold) => return Err(Reason::HomeUnavailable),
            Some(Otherwise::Route | Otherwise::Redact) | None => {}
        }
        if permitted.is_empty() {
            let is_conflict = matches!(subject, Subject::Of(countries) if countries.is_conflict());
            return Err(if is_conflict {
                Reason::SubjectConflict
            } else {
                self.denied(cell, decision)
            });
        }
        // Decided before fencing: without a region for the data, the lease does not matter.
        if permitted.and(self.state.up).is_empty() {
            return Err(Reason::HomeUnavailable);
        }
        Ok(false)
    }

    /// A refusal by a rule: by a statute, if the rule that says so names whoever enforces it.
    fn denied(&self, cell: &ResidencyCell, decision: &mut Decision<'p>) -> Reason {
        let excluded = cell.excluded(self.state.situation);
        decision.blocked_by =
            excluded.and_then(|excluded| self.policy.blocked_by(excluded.rule()?));
        match decision.blocked_by {
            Some(_) => Reason::ResidencyDeniedByLaw,
            None => Reason::ResidencyDenied,
        }
    }
}
