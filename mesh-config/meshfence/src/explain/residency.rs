//! Step 5 in words: whom a request is about, and what each rule says of that.

use super::{Finding, Seen};
use policy_core::wire::Rule;
use policy_core::{
    Caller, Context, Country, DataClass, Fit, Identity, Policy, PrincipalKind, RegionSet,
    ResidencyCell, Step, Subject, SubjectMode, fits,
};

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
            Step::Residency { cell, .. } => {
                if let (Some(context), Some(subject)) = (context, subject) {
                    found.extend(rules(seen, context, subject));
                }
                found.extend(allowed(policy, cell));
            }
            _ => {}
        }
    }
    if found.is_empty() {
        found.push(Finding::note("not asked"));
    }
    found
}

/// Whom a request is about, and whether that is enough to go on.
fn whom(mode: SubjectMode, caller: Option<Caller>, is_enough: bool) -> Finding {
    let says = match caller {
        None => return Finding::note(format!("subject: {mode}: about nobody")),
        Some(Caller::Known(Identity { kind: PrincipalKind::Customer, countries, .. })) => {
            match countries.first() {
                Some(country) => format!("a customer who resides in {}", country.as_str()),
                None => "a customer whose country cannot be read".to_owned(),
            }
        }
        Some(Caller::Known(_)) => "staff or a service".to_owned(),
        Some(Caller::Anonymous) => "nobody known".to_owned(),
        Some(Caller::Refused) => "credentials that prove nothing".to_owned(),
        Some(Caller::Unreadable) => "credentials that could not be read".to_owned(),
    };
    Finding::matched(is_enough, format!("subject: {mode}: {says}"))
}

/// Every rule, and whether it applies.
fn rules(seen: &Seen<'_>, context: &Context, subject: Subject) -> Vec<Finding> {
    let body = &seen.set.body;
    let Some(wire) = body.contexts.iter().find(|known| *known.name == *context.name) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for class in &wire.data_classes {
        // The set was loaded, so its rules compile.
        let Ok(fits) = fits(body, *class, subject) else { continue };
        let mut applies = false;
        for (rule, fit) in body.residency.rules.iter().zip(fits) {
            applies |= fit == Fit::Applies;
            found.push(Finding::matched(fit == Fit::Applies, told(rule, *class, fit, subject)));
        }
        if !applies {
            found.push(without_rule(*class));
        }
    }
    found
}

fn told(rule: &Rule, class: DataClass, fit: Fit, subject: Subject) -> String {
    let name = &rule.name;
    let country = match subject {
        Subject::Of(country) => country,
        Subject::Nobody | Subject::Unknown => return without_country(rule, class, fit),
    };
    let country = Country::as_str(&country);
    match fit {
        Fit::Applies => format!("{name}: {class} data of {country}, {}", where_to(rule)),
        Fit::OtherClass => format!("{name}: not about {class} data"),
        Fit::OtherCountry => format!("{name}: about {}, not {country}", listed(&rule.countries)),
        Fit::NamedElsewhere => {
            format!("{name}: about countries that no other rule names, and one names {country}")
        }
        Fit::AboutNobody | Fit::AboutSomebody => {
            format!("{name}: about requests without a subject")
        }
    }
}

fn without_country(rule: &Rule, class: DataClass, fit: Fit) -> String {
    let name = &rule.name;
    match fit {
        Fit::Applies => format!("{name}: {class} data, {}", where_to(rule)),
        Fit::OtherClass => format!("{name}: not about {class} data"),
        _ => format!("{name}: about subjects in {}", listed(&rule.countries)),
    }
}

fn where_to(rule: &Rule) -> String {
    let fallback = rule.fallback.as_ref().map(|fallback| {
        let situations: Vec<&str> =
            fallback.situations.iter().map(|situation| situation.as_str()).collect();
        format!("; in a {} in {} too", situations.join(" or "), fallback.regions.join(", "))
    });
    let regions = rule.regions.join(", ");
    format!("only in {regions}, otherwise {}{}", rule.otherwise, fallback.unwrap_or_default())
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
    if cell.refused_in(state.situation).contains(policy.here()) {
        found.push(Finding::matched(
            false,
            "a rule refuses it in this region rather than send it on",
        ));
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
