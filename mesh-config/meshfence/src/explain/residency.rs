//! Step 5 in words: whom a request is about, and what each rule says of that.

use super::{Finding, Seen};
use policy_core::wire::Rule;
use policy_core::{
    Asked, Caller, Circumstances, Countries, DataClass, Fit, Moment, Otherwise, Policy,
    PrincipalKind, RegionSet, ResidencyCell, Step, Subject, SubjectMode, fits,
};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn findings(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(policy) = seen.guard.policy() else { return Vec::new() };
    let mut found = Vec::new();
    let mut subject = None;
    let mut context = None;
    for step in seen.trace {
        match step {
            Step::Classified { context: classified, .. } => context = Some(*classified),
            Step::Subject { mode, caller, about } => {
                found.push(whom(*mode, *caller, about.is_ok()));
                subject = about.ok();
            }
            Step::Residency { cell, circumstances, shadow, .. } => {
                if let (Some(context), Some(subject)) = (context, subject) {
                    let asked = Asked {
                        context: &context.name,
                        class: DataClass::Public,
                        subject,
                        circumstances: Circumstances {
                            // Where the decision did not ask for the time it made no difference to it,
                            // and it does to what is told of each rule.
                            at: circumstances.at.or_else(now),
                            ..*circumstances
                        },
                        situation: policy.configured_state().situation,
                    };
                    found.extend(rules(seen, &asked));
                }
                found.extend(allowed(policy, cell));
                if shadow.is_some() {
                    found.push(Finding::note("rules in shadow would say something else"));
                }
            }
            _ => {}
        }
    }
    if found.is_empty() {
        found.push(Finding::note("not asked"));
    }
    found
}

fn now() -> Option<Moment> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Moment(now.as_secs()))
}

/// Whom a request is about, and whether that is enough to go on.
fn whom(mode: SubjectMode, caller: Option<Caller>, is_enough: bool) -> Finding {
    let says = match caller {
        None => return Finding::note(format!("subject: {mode}: about nobody")),
        Some(Caller::Known(identity)) => {
            let what = match identity.kind {
                PrincipalKind::Customer => "a customer",
                PrincipalKind::Staff => "staff",
                PrincipalKind::Service => "a service",
                PrincipalKind::Anonymous | PrincipalKind::Other => "somebody else",
            };
            let countries = codes(&identity.countries);
            match (identity.countries.first(), identity.kind) {
                (Some(_), PrincipalKind::Customer) => format!("{what} who resides in{countries}"),
                (Some(_), _) => format!("{what}, about somebody who resides in{countries}"),
                (None, PrincipalKind::Customer) => format!("{what} whose country cannot be read"),
                (None, _) => what.to_owned(),
            }
        }
        Some(Caller::Anonymous) => "nobody known".to_owned(),
        Some(Caller::Refused) => "credentials that prove nothing".to_owned(),
        Some(Caller::Unreadable) => "credentials that could not be read".to_owned(),
    };
    Finding::matched(is_enough, format!("subject: {mode}: {says}"))
}

/// More rules about something else are only counted.
const OTHERS_SHOWN: usize = 6;

/// Every rule, and whether it applies.
fn rules(seen: &Seen<'_>, asked: &Asked<'_>) -> Vec<Finding> {
    let body = &seen.set.body;
    let Some(wire) = body.contexts.iter().find(|known| known.name == asked.context) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for class in &wire.data_classes {
        let asked = Asked { class: *class, ..*asked };
        // The set was loaded, so its rules compile.
        let Ok(fits) = fits(body, &asked) else { continue };
        let mut applies = false;
        let is_other = |fit: &Fit| {
            matches!(
                fit,
                Fit::OtherClass | Fit::OtherCountry | Fit::NamedElsewhere | Fit::AboutNobody
            )
        };
        let others = fits.iter().filter(|fit| is_other(fit)).count();
        let is_long = others > OTHERS_SHOWN;
        for (rule, fit) in body.residency.rules.iter().zip(fits) {
            if is_long && is_other(&fit) {
                continue;
            }
            let is_there = matches!(fit, Fit::Applies | Fit::Shadow);
            applies |= is_there && rule.denied_regions.is_empty();
            found.push(Finding::matched(is_there, told(rule, fit, &asked)));
        }
        if is_long {
            let text =
                format!("{others} other rules: not about {class} data{}", whose(asked.subject));
            found.push(Finding::matched(false, text));
        }
        if !applies {
            found.push(without_rule(*class));
        }
    }
    found
}

fn told(rule: &Rule, fit: Fit, asked: &Asked<'_>) -> String {
    let (name, class) = (&rule.name, asked.class);
    let circumstances = &asked.circumstances;
    let who = whose(asked.subject);
    match fit {
        Fit::Applies => format!("{name}: {class} data{who}, {}", where_to(rule)),
        Fit::Shadow => format!("{name}: {class} data{who}, in shadow: {}", where_to(rule)),
        Fit::OtherClass => format!("{name}: not about {class} data"),
        Fit::OtherCountry => {
            format!(
                "{name}: about {}, not{}",
                listed(&rule.when.countries),
                whom_not(asked.subject)
            )
        }
        Fit::NamedElsewhere => {
            format!(
                "{name}: about countries that no other rule names, and one names{}",
                whom_not(asked.subject)
            )
        }
        Fit::AboutNobody => format!("{name}: about requests without a subject"),
        Fit::AboutSomebody => format!("{name}: about subjects in {}", listed(&rule.when.countries)),
        Fit::OtherContext => format!("{name}: about {}", listed(&rule.when.contexts)),
        Fit::OtherPurpose => format!("{name}: for {}", listed(&rule.when.purposes)),
        Fit::OtherOperation => {
            format!("{name}: not about `{}`", circumstances.operation)
        }
        Fit::OtherPrincipal => format!("{name}: not about `{}` callers", circumstances.kind),
        Fit::OtherEntry => {
            format!("{name}: about requests that enter in {}", listed(&rule.when.entry_regions))
        }
        Fit::OtherSituation => format!("{name}: not in situation {}", asked.situation),
        Fit::NotInForce => format!("{name}: not in force{}", dates(rule)),
        Fit::Disabled => format!("{name}: disabled"),
    }
}

/// ` of JP`.
fn whose(subject: Subject) -> String {
    match subject {
        Subject::Of(countries) => format!(" of{}", codes(&countries)),
        Subject::Strictest => " of somebody, of whatever country".to_owned(),
        Subject::Nobody | Subject::Unknown => String::new(),
    }
}

fn whom_not(subject: Subject) -> String {
    match subject {
        Subject::Of(countries) => codes(&countries),
        Subject::Strictest | Subject::Nobody | Subject::Unknown => String::new(),
    }
}

fn codes(countries: &Countries) -> String {
    countries.iter().flat_map(|country| [String::from(" "), country.to_string()]).collect()
}

fn dates(rule: &Rule) -> String {
    let from = rule.effective_from.as_ref().map(|from| format!(" before {from}"));
    let until = rule.effective_until.as_ref().map(|until| format!(" from {until} on"));
    from.into_iter().chain(until).collect::<Vec<_>>().join(" and")
}

fn where_to(rule: &Rule) -> String {
    let otherwise = match &rule.redact {
        Some(profile) => format!("{} by {profile}", rule.otherwise),
        None => rule.otherwise.to_string(),
    };
    if !rule.denied_regions.is_empty() {
        let where_not = match rule.denied_regions.as_slice() {
            [all] if all == "*" => String::from("in no region"),
            some => format!("never in {}", some.join(", ")),
        };
        return format!("{where_not}, otherwise {otherwise}");
    }
    let fallback = rule.fallback.as_ref().map(|fallback| {
        let situations: Vec<&str> =
            fallback.situations.iter().map(|situation| situation.as_str()).collect();
        format!("; in a {} in {} too", situations.join(" or "), fallback.regions.join(", "))
    });
    let basis = rule.transfer_basis.as_ref().map(|basis| format!("; by {basis}"));
    let law = rule.legal_ref.as_ref().map(|law| format!(" ({law})"));
    let more: String = [fallback, basis, law].into_iter().flatten().collect();
    format!("only in {}, otherwise {otherwise}{more}", rule.regions.join(", "))
}

/// A few of many.
fn listed(countries: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = countries.iter().take(SHOWN).map(String::as_str).collect();
    match countries.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn without_rule(class: DataClass) -> Finding {
    if class.is_bound() {
        Finding::matched(false, format!("no rule is about {class} data: allowed nowhere"))
    } else {
        Finding::note(format!("no rule is about {class} data: allowed everywhere"))
    }
}

fn allowed(policy: &Policy, cell: &ResidencyCell) -> Vec<Finding> {
    let state = policy.configured_state();
    let names = |regions: RegionSet| {
        let names: Vec<&str> = regions.iter().map(|region| policy.region_name(region)).collect();
        if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") }
    };
    let permitted = cell.permitted(state.situation);
    let mut found = vec![Finding::matched(
        !permitted.is_empty(),
        format!("all together, situation {}: {}", state.situation, names(permitted)),
    )];
    if let Some(home) = cell.home {
        found.push(Finding::note(format!("home: {}", policy.region_name(home))));
    }
    let excluded = cell.excluded(state.situation).filter(|_| !permitted.contains(policy.here()));
    found.extend(match excluded.map(|excluded| excluded.otherwise) {
        Some(Otherwise::Deny) => {
            Some(Finding::matched(false, "a rule refuses it in this region rather than send it on"))
        }
        Some(Otherwise::Hold) => Some(Finding::matched(
            false,
            "a rule lets it wait in this region rather than send it on",
        )),
        Some(Otherwise::Redact) => Some(Finding::note(
            "a rule lets it be served in this region, with its response redacted",
        )),
        Some(Otherwise::Route) | None => None,
    });
    if cell.is_exempted(policy.here(), state.situation) {
        found.push(Finding::note("in this region by an exception alone"));
    }
    if cell.has_lapsed(state.situation) {
        found.push(Finding::note("an exception that would allow more has expired"));
    }
    if policy.role().routes() {
        found.push(Finding::matched(
            !permitted.and(state.up).is_empty(),
            format!("of these up: {}", names(permitted.and(state.up))),
        ));
    } else if !permitted.contains(policy.here()) {
        // Where a request has arrived it runs or ends: which other regions are up is not asked.
        let here = policy.region_name(policy.here());
        let why = if cell.ever_permitted().contains(policy.here()) {
            "one of them in another situation only: the sender may have known of that"
        } else {
            "not one of them in any situation"
        };
        found.push(Finding::matched(false, format!("{here}, where it has arrived, is {why}")));
    }
    found
}
