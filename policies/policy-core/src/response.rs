//! What becomes of a response whose upstream says that its data is of another class than the context's.

use crate::moment::Moment;
use crate::policy::{DeclaredClass, Policy};
use crate::reason::Reason;
use crate::redaction::ProfileSet;
use crate::region::RegionId;
use crate::residency::{Circumstances, Subject, Table};
use crate::state::RegionState;
use crate::vocabulary::Otherwise;

/// What a request was judged by, for its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub(crate) context: usize,
    pub(crate) subject: Subject,
    /// Whether it is about nobody, or about somebody of whom it is known where they reside.
    pub(crate) is_known: bool,
    pub(crate) circumstances: Circumstances,
    /// Where it runs; set for requests that pass.
    pub(crate) ran_in: Option<RegionId>,
}

impl Judged {
    /// By what circumstances.
    pub fn circumstances(&self) -> Circumstances {
        self.circumstances
    }
}

/// Why a response may not be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld<'p> {
    /// Why.
    pub reason: Reason,
    /// The rule that says so; none where no rule is about such data.
    pub rule: Option<&'p str>,
    /// Who blocks it, where a statute does.
    pub blocked_by: Option<&'p str>,
}

/// Judges a response by the class that its upstream declares, beside the context's own: the stricter
/// holds. Returns what has to be redacted for that; `now` is asked for the time where the rules have
/// dates and the request has not asked yet.
///
/// # Errors
/// Such data may not come from where the request ran.
pub fn decide_response<'p>(
    policy: &'p Policy,
    state: &RegionState,
    judged: &Judged,
    declared: DeclaredClass,
    mut now: impl FnMut() -> Option<u64>,
) -> Result<ProfileSet, Withheld<'p>> {
    let unknown = Withheld { reason: Reason::HostFailure, rule: None, blocked_by: None };
    let context = policy.contexts().get(judged.context).ok_or(unknown)?;
    let is_bound = declared.is_bound();
    let mut declared = context.declared(declared).peekable();
    if declared.peek().is_none() {
        return Ok(ProfileSet::EMPTY);
    }
    // Data about a person of whom nobody knows where they reside is refused, as a request for it is;
    // rules about nobody are for contexts that say so.
    if !judged.is_known && is_bound {
        return Err(Withheld { reason: Reason::ResidencyDenied, ..unknown });
    }
    let mut circumstances = judged.circumstances;
    let mut now = || now().map(Moment);
    let mut find = |table: &Table| {
        let found = table.find(judged.subject, &mut circumstances, &mut now);
        found.map(|found| found.cell).ok_or(unknown)
    };
    // What holds for data of several classes is what holds for each.
    let mut cell = find(context.residency())?;
    for table in declared {
        cell = cell.meet(&find(table)?);
    }
    let (situation, here) = (state.situation, policy.here());
    let permitted = cell.permitted(situation);
    let excluded = cell.excluded(situation).filter(|_| !permitted.contains(here));
    let redacts = excluded.filter(|excluded| excluded.otherwise == Otherwise::Redact);
    let profiles = redacts.map_or(ProfileSet::EMPTY, |excluded| excluded.profiles);
    let ran_in = judged.ran_in.unwrap_or(here);
    if permitted.contains(ran_in) || (ran_in == here && redacts.is_some()) {
        return Ok(profiles);
    }
    let rule = excluded.and_then(|excluded| excluded.rule());
    let blocked_by = rule.and_then(|rule| policy.blocked_by(rule));
    let reason = match blocked_by {
        Some(_) => Reason::ResidencyDeniedByLaw,
        None => Reason::ResidencyDenied,
    };
    Err(Withheld { reason, rule: rule.and_then(|rule| policy.rule_name(rule)), blocked_by })
}
