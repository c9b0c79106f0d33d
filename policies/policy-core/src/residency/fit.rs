//! Which rules apply to a request, and why the others do not: for people; a decision has a table.

use super::conditions::{Circumstances, Whom, place};
use super::rulebook::{Rule, Rulebook};
use super::table::Subject;
use crate::moment::Moment;
use crate::region::RegionId;
use crate::vocabulary::{DataClass, Operation, PrincipalKind, ResidencyMode, Situation};
use crate::wire::{self, ConfigFault};
use alloc::vec::Vec;

/// Whether a rule applies to a request about a subject's data of one class, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Applies,
    /// It does, and is in shadow: it changes nothing.
    Shadow,
    /// It is about other classes.
    OtherClass,
    /// It is about subjects of other countries.
    OtherCountry,
    /// It is about countries that no other rule for the class names, and one does.
    NamedElsewhere,
    /// It is about requests that are about nobody.
    AboutNobody,
    /// It is about subjects whose country is known.
    AboutSomebody,
    /// It is about other contexts.
    OtherContext,
    /// It is about other purposes.
    OtherPurpose,
    /// It is about other operations.
    OtherOperation,
    /// It is about other callers.
    OtherPrincipal,
    /// It is about requests that enter elsewhere.
    OtherEntry,
    /// It is about other situations.
    OtherSituation,
    /// It is not in force at the time.
    NotInForce,
    /// It is disabled.
    Disabled,
}

/// A request as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// The name of its context.
    pub context: &'r str,
    /// A class of the context.
    pub class: DataClass,
    /// Whom it is about.
    pub subject: Subject,
    /// What else rules ask for.
    pub circumstances: Circumstances,
    /// What the regions are going through.
    pub situation: Situation,
}

/// How the rules of a policy fit a request: one for each rule, in their order.
///
/// # Errors
/// The JSON path of what is no policy.
pub fn fits(body: &wire::PolicyBody, asked: &Asked<'_>) -> Result<Vec<Fit>, ConfigFault> {
    let first =
        RegionId::new(0).ok_or_else(|| super::rulebook::fault("policy.regions", "is empty"))?;
    let book = Rulebook::compile(body, first)?;
    let context = body.contexts.iter().find(|context| context.name == asked.context);
    let purpose = context.and_then(|context| context.purpose.as_deref());
    Ok(book.rules.iter().map(|rule| fit(&book, rule, asked, purpose)).collect())
}

fn fit(book: &Rulebook<'_>, rule: &Rule, asked: &Asked<'_>, purpose: Option<&str>) -> Fit {
    let Circumstances { operation, kind, entry, bucket, at, .. } = asked.circumstances;
    // Without a time nothing is said of dates.
    let at = at.unwrap_or(Moment(u64::MAX));
    let when = &rule.when;
    if !when.classes.contains(place(DataClass::ALL, asked.class)) {
        return Fit::OtherClass;
    }
    if let Some(other) = whom(book, rule, asked) {
        return other;
    }
    let is_dated = asked.circumstances.at.is_some();
    for (is_other, why) in [
        (!when.fits_context(asked.context), Fit::OtherContext),
        (!when.fits_purpose(purpose), Fit::OtherPurpose),
        (!when.operations.contains(place(Operation::ALL, operation)), Fit::OtherOperation),
        (!when.kinds.contains(place(PrincipalKind::ALL, kind)), Fit::OtherPrincipal),
        (!when.entries.contains(entry), Fit::OtherEntry),
        (!when.situations.contains(place(Situation::ALL, asked.situation)), Fit::OtherSituation),
        (is_dated && !rule.is_in_force(at), Fit::NotInForce),
        (is_dated && rule.phase.at(at) == ResidencyMode::Disabled, Fit::Disabled),
    ] {
        if is_other {
            return why;
        }
    }
    // Somebody who is not known counts as the first.
    let is_staged_out = rule.percent.is_some_and(|percent| bucket.unwrap_or(0) >= percent);
    let is_shadow = is_dated && rule.phase.at(at) == ResidencyMode::Shadow;
    if is_staged_out || is_shadow { Fit::Shadow } else { Fit::Applies }
}

/// Why a rule is not about the subject, if it is not.
fn whom(book: &Rulebook<'_>, rule: &Rule, asked: &Asked<'_>) -> Option<Fit> {
    let countries = match (asked.subject, &rule.when.whom) {
        (Subject::Nobody | Subject::Unknown, Whom::Nobody)
        | (Subject::Unknown, Whom::Anybody)
        | (Subject::Strictest, Whom::Anybody | Whom::Others | Whom::Of(_)) => return None,
        (Subject::Nobody | Subject::Unknown, _) => return Some(Fit::AboutSomebody),
        (Subject::Of(_) | Subject::Strictest, Whom::Nobody) => return Some(Fit::AboutNobody),
        (Subject::Of(countries), _) => countries,
    };
    let is_about = |country| match &rule.when.whom {
        Whom::Anybody => true,
        Whom::Nobody => false,
        Whom::Others => !book.is_named(asked.class, country),
        Whom::Of(all) => all.contains(&country),
    };
    let is_others = rule.when.whom == Whom::Others;
    let why = if is_others { Fit::NamedElsewhere } else { Fit::OtherCountry };
    (!countries.iter().any(is_about)).then_some(why)
}
