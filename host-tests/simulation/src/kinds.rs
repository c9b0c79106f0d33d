//! What clients ask for: kinds of requests, each of one context and about subjects of one country.

use policy_core::wire::{PolicyBody, ShardBy, StateDocument};
use policy_core::{
    Caller, CanonicalPath, Consistency, Country, Effect, IdempotencyKey, Identity, Method, Policy,
    RegionState, Request, RequestKind, SubjectMode, decide,
};
use std::collections::BTreeSet;

/// What stands in a path for the number of a row.
const ROW: &str = "{row}";
/// No more kinds are drawn from a policy set.
const KINDS_MAX: usize = 64;

/// A kind of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The context that they are meant for.
    pub context: String,
    path: String,
    /// Where their subjects reside; nowhere where nobody has to be known.
    pub country: Option<Country>,
    /// Whether what they write needs a lease.
    pub is_leased: bool,
    /// Whether what they write without one is copied to the other region.
    pub is_replicated: bool,
    /// Whether they can be reads as well.
    pub has_reads: bool,
}

impl Kind {
    /// Their path for a row.
    pub fn path(&self, row: u64) -> String {
        self.path.replace(ROW, &row.to_string())
    }
}

/// The kinds of the example that seeds draw from: the first nine need each lease once, the last needs
/// none.
pub fn example() -> Vec<Kind> {
    let leased = |context: &str, path: &str, code: &str| Kind {
        context: context.to_owned(),
        path: path.to_owned(),
        country: Country::parse(code.as_bytes()),
        is_leased: true,
        is_replicated: false,
        has_reads: path.ends_with(ROW),
    };
    let mut kinds = Vec::new();
    for (context, path) in
        [("orders", "/api/v1/orders/{row}"), ("payments", "/api/v1/payments/{row}")]
    {
        kinds.extend(["JP", "TW", "KR", "US"].map(|code| leased(context, path, code)));
    }
    kinds.push(leased("inventory", "/api/v1/inventory/{row}", ""));
    let webhook = "/api/v1/webhooks/payments/taiwan~tokyo";
    kinds.push(leased("payment-webhooks", webhook, ""));
    let profile = leased("profiles", "/api/v1/customers/{row}", "KR");
    kinds.push(Kind { is_leased: false, is_replicated: true, ..profile });
    kinds
}

/// Kinds for every context of a policy set that has writes, one for each lease and for each answer that
/// a country makes a difference to.
pub fn of(body: &PolicyBody, policy: &Policy, host: &str) -> Vec<Kind> {
    // Every lease is held at home: what is asked is which one a request needs.
    let Ok(state) = RegionState::from_document(policy, &StateDocument::default()) else {
        return Vec::new();
    };
    let named = body.residency.home.keys().filter(|code| *code != "*").map(String::as_str);
    // Somebody of a country that nothing names.
    let others =
        ["US", "BR", "ZA"].into_iter().filter(|code| !body.residency.home.contains_key(*code));
    let codes: Vec<&str> = named.chain(others.take(1)).collect();
    let mut kinds = Vec::new();
    for context in &body.contexts {
        let Some((path, has_reads)) = context.matches.iter().find_map(path_of) else { continue };
        let shards = match &context.shard {
            Some(shard) if shard.by == ShardBy::Path => {
                let name = context.lease.as_ref().unwrap_or(&context.name);
                let spec = policy.leases().iter().find(|spec| *spec.name == **name);
                let shards = spec.map(|spec| spec.shards.as_slice()).unwrap_or_default();
                shards.iter().filter_map(|shard| shard.name.as_deref()).map(Some).collect()
            }
            _ => vec![None],
        };
        let variable = context.shard.as_ref().and_then(|shard| shard.variable.as_deref());
        let countries: Vec<Option<Country>> = if context.subject == SubjectMode::None {
            vec![None]
        } else {
            codes.iter().map(|code| Country::parse(code.as_bytes())).collect()
        };
        let mut seen = BTreeSet::new();
        for (shard, country) in
            shards.iter().flat_map(|shard| countries.iter().map(move |country| (*shard, *country)))
        {
            let kind = Kind {
                context: context.name.clone(),
                path: concrete(&path, variable.zip(shard)),
                country,
                is_leased: context.consistency.is_leased(),
                is_replicated: context.consistency == Consistency::Replicated,
                has_reads,
            };
            if kinds.len() < KINDS_MAX && seen.insert(answer(&kind, policy, &state, host)) {
                kinds.push(kind);
            }
        }
    }
    kinds
}

/// The template of a match that POST writes by, and whether GET reads by it.
fn path_of(found: &policy_core::wire::Match) -> Option<(String, bool)> {
    let takes = |method: Method| found.methods.is_empty() || found.methods.contains(&method);
    let writes = found.effect.is_none_or(|effect| effect == Effect::Write);
    let reads = takes(Method::Get) && found.effect.is_none();
    (takes(Method::Post) && writes).then(|| (found.path.clone(), reads))
}

/// A path of a template.
fn concrete(template: &str, shard: Option<(&str, &str)>) -> String {
    let segment =
        |segment: &str| match segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
            Some(variable) => match shard {
                Some((of, shard)) if of == variable => shard.to_owned(),
                _ => ROW.to_owned(),
            },
            None if segment == "**" => ROW.to_owned(),
            None => segment.to_owned(),
        };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// What is made of a write of a kind: requests with the same need no kind of their own.
fn answer(kind: &Kind, policy: &Policy, state: &RegionState, host: &str) -> String {
    let path = kind.path(1);
    let Ok(path) = CanonicalPath::parse(path.as_bytes()) else { return String::new() };
    let request = Request {
        method: b"POST",
        host: host.as_bytes(),
        path: &path,
        kind: RequestKind::Plain,
        idempotency_key: IdempotencyKey::Present,
        deadline: None,
        token: None,
        client_country: None,
        entry: None,
    };
    let mut caller = caller(kind.country);
    let decision = decide(policy, state, &request, &mut caller);
    format!("{} {:?} {:?} {:?}", decision.reason, decision.region, decision.held, decision.rule)
}

/// A customer who resides there, or nobody.
pub fn caller(country: Option<Country>) -> Caller {
    country.map_or(Caller::Anonymous, |country| Caller::Known(Identity::customer(Some(country))))
}
