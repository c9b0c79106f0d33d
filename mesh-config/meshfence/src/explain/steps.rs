//! The nine steps of a request in words.

use super::{CameTo, Explained, Finding, Seen, fencing, residency};
use guard::{fake::FakeHost, header};
use policy_core::name::HEADER_PREFIX;
use policy_core::wire::Match;
use policy_core::{
    Baseline, CanonicalPath, Context, Method, Policy, Pool, Priority, Reason, Role, SheddingMode,
    Step, Template, Verdict,
};

const STEPS: [&str; 9] =
    ["trust", "loop", "classify", "deadline", "residency", "fencing", "route", "shed", "stamp"];

/// `POST /api/v1/orders at taiwan, role edge`.
pub(super) fn request_line(seen: &Seen<'_>) -> String {
    let header = |name| seen.before.request_header(name).unwrap_or_default();
    let place = seen.guard.policy().map_or_else(String::new, |policy| {
        format!(" at {}, role {}", policy.region_name(policy.here()), policy.role())
    });
    format!("{} {}{place}", header(":method"), header(":path"))
}

/// Every step, as far as the request came.
pub(super) fn all(seen: &Seen<'_>) -> Vec<Explained> {
    let ended_at = seen.reason.filter(|reason| !reason.verdict().is_pass()).map(|reason| {
        let at = ended_at(reason, seen);
        STEPS.iter().position(|step| *step == at).unwrap_or(0)
    });
    let explained = |(number, step): (usize, &&'static str)| {
        let came_to = match ended_at {
            Some(end) if number > end => CameTo::Unreached,
            Some(end) if number == end => CameTo::Refused,
            _ => CameTo::Passed,
        };
        let findings = if came_to == CameTo::Unreached { Vec::new() } else { findings(step, seen) };
        Explained { step, came_to, findings }
    };
    STEPS.iter().enumerate().map(explained).collect()
}

/// The step that a refusal belongs to.
fn ended_at(reason: Reason, seen: &Seen<'_>) -> &'static str {
    let is_routed = || seen.trace.iter().any(|step| matches!(step, Step::Candidates { .. }));
    match reason {
        // The certificate is a region's, and what it says of the way is not.
        Reason::PeerUntrusted if seen.recorded("from").is_some() => "loop",
        Reason::PeerUntrusted | Reason::PolicyUnavailable | Reason::HostFailure => "trust",
        Reason::Malformed if malformed_part(seen).starts_with(HEADER_PREFIX) => "trust",
        Reason::Loop => "loop",
        Reason::Malformed | Reason::Unmatched => "classify",
        Reason::Deadline => "deadline",
        Reason::HomeUnavailable if is_routed() => "route",
        Reason::CredentialsMissing
        | Reason::SubjectUnknown
        | Reason::SubjectUnproven
        | Reason::ResidencyDenied
        | Reason::ResidencyDeniedByLaw
        | Reason::SubjectConflict
        | Reason::RedactionImpossible
        | Reason::HomeUnavailable => "residency",
        Reason::ShedGuard | Reason::ShedThreshold | Reason::ShedRetry => "shed",
        Reason::ClockUnsynced | Reason::LostUpdate => "stamp",
        _ => "fencing",
    }
}

fn malformed_part<'s>(seen: &'s Seen<'_>) -> &'s str {
    seen.recorded("part").unwrap_or_default()
}

fn findings(step: &str, seen: &Seen<'_>) -> Vec<Finding> {
    match step {
        "trust" => trust(seen),
        "loop" => passed(seen),
        "classify" => classify(seen),
        "deadline" => deadline(seen),
        "residency" => residency::findings(seen),
        "fencing" => fencing::findings(seen),
        "route" => route(seen),
        "shed" => shed(seen),
        _ => stamp(seen),
    }
}

fn trust(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(policy) = seen.guard.policy() else {
        let fault = seen.guard.fault().map_or_else(String::new, ToString::to_string);
        return vec![Finding::matched(false, format!("there is no policy: {fault}"))];
    };
    let who = match (seen.recorded("from"), policy.role()) {
        (Some("gateway"), _) => {
            "the sender is a gateway that this region's workloads believe".into()
        }
        (Some(region), _) => format!("the sender is {region}, by the one name in its certificate"),
        (None, Role::Edge) => "at the edge nobody is believed".into(),
        (None, Role::Outbound) => "a workload is believed only in what was signed for it".into(),
        (None, Role::Peer) => "the sender is no trusted region".to_owned(),
        (None, Role::Inbound) => "the sender is no gateway of this region".to_owned(),
    };
    let is_nobody = seen.recorded("from").is_none();
    let mut found = vec![match seen.reason {
        Some(Reason::PeerUntrusted) if is_nobody => Finding::matched(false, who),
        _ => Finding::note(who),
    }];
    if seen.after.replied.is_none() {
        found.extend(headers_of_the_mesh(seen));
    }
    if malformed_part(seen).starts_with(HEADER_PREFIX) {
        found.push(Finding::matched(false, format!("{} is malformed", malformed_part(seen))));
    }
    found
}

/// What became of the headers that only the mesh may set, and came with the request.
fn headers_of_the_mesh(seen: &Seen<'_>) -> Vec<Finding> {
    let mut names: Vec<&str> = seen.before.request.iter().map(|(name, _)| name.as_str()).collect();
    names.retain(|name| header::is_reserved(name.as_bytes()));
    names.sort_unstable();
    names.dedup();
    let became = |name: &str| match seen.after.request_header(name) {
        None => "dropped",
        after if after == seen.before.request_header(name) => "kept",
        Some(_) => "replaced",
    };
    let told = ["dropped", "replaced", "kept"].into_iter().filter_map(|what| {
        let such: Vec<&str> = names.iter().copied().filter(|name| became(name) == what).collect();
        (!such.is_empty()).then(|| Finding::note(format!("{what}: {}", such.join(", "))))
    });
    told.collect()
}

fn passed(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(from) = seen.recorded("from") else {
        return vec![Finding::note("it has passed no region")];
    };
    let is_by_another = seen.reason == Some(Reason::PeerUntrusted);
    vec![match seen.before.request_header(header::VIA) {
        Some(via) if is_by_another => {
            let why = format!("the last of them is not {from}, which sent it");
            Finding::matched(false, format!("it has passed {via}, and {why}"))
        }
        Some(via) => Finding::matched(
            seen.reason != Some(Reason::Loop),
            format!("it has passed {via}; each region once, and two at most"),
        ),
        None if is_by_another => Finding::matched(
            false,
            format!("{} is missing: {from} has to be the last region in it", header::VIA),
        ),
        None => Finding::note("it has passed no region"),
    }]
}

fn classify(seen: &Seen<'_>) -> Vec<Finding> {
    if seen.reason == Some(Reason::Malformed) {
        return vec![Finding::matched(false, format!("{} is malformed", malformed_part(seen)))];
    }
    let header = |name| seen.before.request_header(name).unwrap_or_default();
    let mut found = Vec::new();
    for step in seen.trace {
        match step {
            Step::Exempt(reason) => {
                let what = "answered whatever the policy says";
                found.push(Finding::matched(true, format!("{reason}: {what}")));
            }
            Step::Unmatched { knows_host: false } => found.push(Finding::matched(
                false,
                format!(
                    "host {} is none of {}",
                    header(":authority"),
                    seen.set.body.hosts.join(", ")
                ),
            )),
            Step::Unmatched { knows_host: true } => {
                found.push(Finding::matched(false, "no context matches"));
            }
            Step::Classified { context, effect, found: by } => {
                let says = if by.effect.is_some() { "by its match" } else { "by the method" };
                let does = match by.operation {
                    Some(operation) => format!(", for rules: {operation}"),
                    None => String::new(),
                };
                found.push(Finding::matched(
                    true,
                    format!(
                        "context {}, {}, priority {}; the request is a {effect} {says}{does}",
                        context.name, context.consistency, context.priority
                    ),
                ));
            }
            _ => {}
        }
    }
    // Neither a probe nor a request to another host is looked for among them.
    let is_outside =
        |step: &Step<'_>| matches!(step, Step::Exempt(_) | Step::Unmatched { knows_host: false });
    if !seen.trace.iter().any(is_outside) {
        found.extend(templates(seen));
    }
    found
}

/// Every template that describes the path, the one that decides first.
fn templates(seen: &Seen<'_>) -> Vec<Finding> {
    let header = |name| seen.before.request_header(name).unwrap_or_default();
    let (target, method) = (header(":path"), header(":method"));
    let Ok(path) = CanonicalPath::parse(target.as_bytes()) else { return Vec::new() };
    let method = Method::from_bytes(method.as_bytes());
    let by = seen.trace.iter().find_map(|step| match step {
        Step::Classified { found, context, .. } => Some((&*found.route, &*context.name)),
        _ => None,
    });
    let winner = by.map(|(_, context)| context);
    let is_it = |context: &str, one: &Match| by == Some((one.path.as_str(), context));
    let mut decided = false;
    let mut found = Vec::new();
    let mut all: Vec<_> = seen
        .set
        .body
        .contexts
        .iter()
        .flat_map(|context| context.matches.iter().map(move |one| (context.name.as_str(), one)))
        .collect();
    all.sort_by_key(|(context, one)| (!is_it(context, one), Some(*context) != winner));
    for (context, one) in all {
        let Ok(template) = Template::parse(&one.path) else { continue };
        if !template.matches(&path) {
            continue;
        }
        let methods: Vec<&str> = one.methods.iter().map(|method| method.as_str()).collect();
        let fits =
            one.methods.is_empty() || method.is_some_and(|method| one.methods.contains(&method));
        let text = if !fits {
            format!("{} of {context} is for {} only", one.path, methods.join(", "))
        } else if is_it(context, one) && !decided {
            decided = true;
            found.push(Finding::matched(true, format!("{} of {context} matches", one.path)));
            continue;
        } else {
            format!("{} of {context} matches too, and is less specific", one.path)
        };
        found.push(Finding::matched(false, text));
    }
    found
}

fn deadline(seen: &Seen<'_>) -> Vec<Finding> {
    let left = seen.trace.iter().find_map(|step| match step {
        Step::Deadline { left } => Some(*left),
        _ => None,
    });
    vec![match left {
        None => Finding::note("the caller names none"),
        Some(None) => Finding::matched(false, "too little time is left for another hop"),
        Some(Some(left)) => Finding::matched(true, format!("{left} ms are left for the next hop")),
    }]
}

fn route(seen: &Seen<'_>) -> Vec<Finding> {
    let mut found = region(seen);
    if seen.after.request_header(header::STALE).is_some() {
        found.push(Finding::note("copies here are too far behind, or may be, which is marked"));
    }
    found
}

fn region(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(policy) = seen.guard.policy() else { return Vec::new() };
    if !policy.role().routes() {
        let here = policy.region_name(policy.here());
        return vec![Finding::note(format!("no region is chosen in this role: it runs in {here}"))];
    }
    let candidates = seen.trace.iter().find_map(|step| match step {
        Step::Candidates { regions, home } => Some((*regions, *home)),
        _ => None,
    });
    let to = seen.recorded("to").unwrap_or("nowhere");
    let Some((regions, home)) = candidates else {
        return vec![Finding::note(format!("it runs in {to}"))];
    };
    let names: Vec<&str> = regions.iter().map(|region| policy.region_name(region)).collect();
    let why = if let Some(why) = seen.reason.and_then(chosen) {
        why
    } else if regions.contains(policy.here()) {
        "this region is one of them"
    } else if home.is_some() {
        "the subject's home is one of them"
    } else {
        "it has the best rank of them"
    };
    vec![if names.is_empty() {
        Finding::matched(false, "no region that is allowed is up")
    } else {
        Finding::matched(
            true,
            format!("allowed and up: {}; it runs in {to}: {why}", names.join(", ")),
        )
    }]
}

/// Why a region was chosen that need not have been.
fn chosen(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::RoutedHome => "the policy prefers the subject's home",
        Reason::RoutedMigration => "its share of the users is served there",
        Reason::RoutedLag => "copies elsewhere are too far behind",
        Reason::RoutedSpill => "there is less to do",
        _ => return None,
    })
}

fn shed(seen: &Seen<'_>) -> Vec<Finding> {
    let Some(policy) = seen.guard.policy() else { return Vec::new() };
    let context = seen.trace.iter().find_map(|step| match step {
        Step::Classified { context, .. } => Some(*context),
        _ => None,
    });
    let here = policy.region_name(policy.here());
    let runs_here = seen.recorded("to") == Some(here);
    let Some(context) = context else { return vec![Finding::note("never counted")] };
    if policy.shedding() == SheddingMode::Disabled {
        return vec![Finding::note("requests are not counted in this role")];
    }
    let is_shed = seen.reason.is_some_and(|reason| reason.verdict() == Verdict::Shed);
    if !runs_here && !is_shed {
        return vec![Finding::note("it is counted in the region that it runs in")];
    }
    let Some(pool) = context.pool else {
        return vec![Finding::note("its context is never shed, and counted nowhere")];
    };
    let Some(Pool { name, limit, baseline }) = policy.pools().get(pool) else {
        return Vec::new();
    };
    let priority = priority(seen, context);
    let share = load_shed::share(*limit, priority);
    let is_shadow = policy.shedding() == SheddingMode::Shadow;
    let shadow = if is_shadow { "; in shadow nothing is refused" } else { "" };
    let lowered = if priority == context.priority { "" } else { " (it asks for no more)" };
    let follows = match baseline {
        Baseline::Fixed => String::new(),
        Baseline::Auto => {
            String::from(" at first, following the latency of what it is the limit of")
        }
        Baseline::Slo { ms } => format!(" at first, so that requests take {ms} ms"),
    };
    let text = format!(
        "pool {name}, limit {limit} for each worker{follows}: priority {priority}{lowered} may have \
         {share} in flight{shadow}"
    );
    vec![match seen.reason {
        Some(Reason::ShedGuard) => Finding::matched(false, format!("{text}, and has them")),
        Some(Reason::ShedThreshold) => {
            Finding::matched(false, format!("{text}, and work of its importance is let go"))
        }
        Some(Reason::ShedRetry) => {
            Finding::matched(false, format!("{text}, and there are too many tries of others"))
        }
        _ => Finding::matched(true, text),
    }]
}

/// How important the request is, by its context and by what it says of itself.
fn priority(seen: &Seen<'_>, context: &Context) -> Priority {
    let policy = seen.guard.policy();
    policy
        .map_or(context.priority, |policy| guard::priority(policy, context, &seen.before.headers()))
}

fn stamp(seen: &Seen<'_>) -> Vec<Finding> {
    let mut found = vec![match seen.recorded("version") {
        Some(_) => Finding::matched(true, "an eventual write: it gets its origin and a version"),
        None if seen.reason == Some(Reason::ClockUnsynced) => {
            let what = match seen.guard.policy().map(Policy::role) {
                // Nobody's version is believed at the edge, and elsewhere nothing is stamped; behind
                // a workload it is either.
                Some(Role::Edge) => "the clock here is too far off",
                Some(Role::Peer | Role::Inbound) => {
                    "the version that it came with is too far ahead"
                }
                _ => "the clock here, or the version that it came with, is too far off",
            };
            Finding::matched(false, format!("{what} to order a write"))
        }
        None if is_marked(seen.after) && !is_marked(seen.before) => {
            Finding::note("the version that it came with is too far ahead, which is marked")
        }
        None if seen.reason == Some(Reason::LostUpdate) => {
            Finding::matched(false, "it would overwrite what its writer has not seen")
        }
        None => Finding::note("not a write that is stamped here"),
    }];
    found.extend(merge(seen));
    found
}

/// What becomes one behind a request that passes.
fn merge(seen: &Seen<'_>) -> Option<Finding> {
    let policy = seen.guard.policy()?;
    if !seen.reason.is_none_or(|reason| reason.verdict().is_pass()) {
        return None;
    }
    seen.trace.iter().find_map(|step| match step {
        Step::Merge { context, merging } => {
            let regions: Vec<&str> =
                merging.regions.iter().map(|region| policy.region_name(region)).collect();
            let (name, regions) = (&context.name, regions.join(", "));
            let text = format!("what {name} has in {regions} becomes one by {}", merging.strategy);
            Some(Finding::note(text))
        }
        _ => None,
    })
}

/// Whether the version of a request is marked as unsynchronised.
fn is_marked(request: &FakeHost) -> bool {
    request.request_header(header::UNSYNCED).is_some()
}

/// The headers of the mesh on the request that went on, or on its answer.
pub(super) fn headers(seen: &Seen<'_>) -> Vec<(String, String)> {
    let is_ours = |name: &str| name.starts_with(HEADER_PREFIX) || name == "retry-after";
    if let Some(answer) = &seen.after.replied {
        let ours = answer.headers.iter().filter(|(name, _)| is_ours(name));
        return ours.cloned().collect();
    }
    let ours = seen.after.request.iter().filter(|(name, _)| is_ours(name));
    ours.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}
