//! How what several regions have becomes one, for the application that merges it.

use super::Judgement;
use crate::caller::Evidence;
use crate::decision::{Decision, Merging};
use crate::moment::Moment;
use crate::policy::{Context, Merged};
use crate::residency::{Circumstances, Subject};
use crate::trace::{Step, Trace};
use crate::vocabulary::{Operation, SubjectMode};

impl<'p> Judgement<'p, '_> {
    /// What a request that passes is told: of another context's data where that is merged on it,
    /// else of its own context's where it is an eventual write. Nothing where such data may be
    /// nowhere, or where nobody can tell.
    pub(super) fn merging(
        &self,
        decision: &Decision<'p>,
        evidence: &mut impl Evidence,
        trace: &mut impl Trace<'p>,
    ) -> Option<Merging> {
        if !decision.verdict().is_pass() {
            return None;
        }
        let judged = decision.judged?;
        let (merged, strategy, subject) = match self.found.merges {
            Some(Merged { context, strategy }) => {
                let merged = self.policy.contexts().get(context)?;
                (merged, strategy, subject_in(merged, judged.subject))
            }
            None if decision.is_eventual_write() => {
                (self.context, self.context.merge?, judged.subject)
            }
            None => return None,
        };
        // Whoever merges reads what there is, and would have to be allowed to.
        let mut circumstances =
            Circumstances { operation: Operation::Read, ..judged.circumstances };
        let mut now = || evidence.unix_s().map(Moment);
        let found = merged.residency().find(subject, &mut circumstances, &mut now)?;
        let regions = found.cell.permitted(self.state.situation);
        if regions.is_empty() {
            return None;
        }
        let merging = Merging { strategy, regions };
        trace.see(Step::Merge { context: merged, merging });
        Some(merging)
    }
}

/// Whom merged data is about, as its own context has it: what the request does not say must not
/// leave more than what holds for everybody.
fn subject_in(merged: &Context, subject: Subject) -> Subject {
    match (merged.subject, subject) {
        (SubjectMode::None, _) => Subject::Nobody,
        (SubjectMode::SelfCaller | SubjectMode::Optional, Subject::Nobody)
        | (SubjectMode::SelfCaller, Subject::Unknown) => Subject::Strictest,
        (SubjectMode::SelfCaller | SubjectMode::Optional, known) => known,
    }
}
