//! Decisions as a table: entry, state, caller, request, and what must come of it.

#![expect(clippy::unwrap_used, reason = "a broken fixture fails its test")]

mod common;

use common::plain;
use policy_core::wire::{PluginConfig, StateDocument};
use policy_core::{
    Caller, CanonicalPath, Country, Deadline, Decision, Evidence, IdempotencyKey, Identity, Policy,
    PrincipalKind, RegionState, Request, RequestKind, SubjectSource, decide,
};
use proptest::prelude::*;

const SHOP: &str = include_str!("../fixtures/shop.json");

fn policy(region: &str) -> Policy {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    config.attachment.region = region.into();
    Policy::compile(&config).unwrap()
}

fn state(policy: &Policy, json: &str) -> RegionState {
    let document: StateDocument = serde_json::from_str(json).unwrap();
    RegionState::from_document(policy, &document).unwrap()
}

fn customer(code: &str) -> Caller {
    Caller::Known(Identity::customer(Country::parse(code.as_bytes())))
}

fn request<'r>(method: &'r str, path: &'r CanonicalPath<'r>) -> Request<'r> {
    Request { host: b"API.shop.example:8443", ..plain(method, path) }
}

/// Counts what it is asked.
#[derive(Default)]
struct Counted {
    callers: u32,
    times: u32,
}

impl Evidence for Counted {
    fn caller(&mut self, _: &Policy, _: Option<&[u8]>) -> Caller {
        self.callers += 1;
        Caller::Anonymous
    }

    fn unix_s(&mut self) -> Option<u64> {
        self.times += 1;
        None
    }

    fn monotonic_ms(&mut self) -> Option<u64> {
        self.times += 1;
        None
    }
}

/// `verdict status reason region rule fence`, with `-` for what is not there.
fn line(policy: &Policy, decision: &Decision<'_>) -> String {
    let region = decision.region.map_or("-", |region| policy.region_name(region));
    let fence = decision.fence.map_or(String::from("-"), |fence| {
        let holder = policy.region_name(fence.holder);
        format!("{}/{}@{holder}#{}", fence.lease, fence.shard.unwrap_or("*"), fence.epoch)
    });
    format!(
        "{} {} {} {region} {} {fence}",
        decision.verdict(),
        decision.status,
        decision.reason,
        decision.rule.unwrap_or("-")
    )
}

const NORMAL: &str = "{}";
const TAIWAN_LOST: &str = r#"{"situation":"failover","health":{"taiwan":"down"},"leases":{"orders/taiwan~tokyo":{"holder":"tokyo","epoch":"42"}}}"#;
const TAIWAN_DOWN: &str = r#"{"health":{"taiwan":"down"}}"#;
const TOKYO_DOWN: &str = r#"{"situation":"failover","health":{"tokyo":"down"}}"#;
const FAILBACK: &str = r#"{"leases":{"orders/taiwan~tokyo":{"holder":"tokyo","epoch":"42"}}}"#;
const BOTH_DOWN: &str = r#"{"health":{"tokyo":"down","taiwan":"down"}}"#;

#[test]
#[rustfmt::skip] // a table
fn requests_are_decided() {
    let taiwan = policy("taiwan");
    let tokyo = policy("tokyo");
    let anonymous = Caller::Anonymous;
    for (here, state_json, caller, method, path, expected, why) in [
        // Residency.
        (&taiwan, NORMAL, customer("TW"), "GET", "/api/v1/customers/1/profile", "allow 200 allowed taiwan taiwan-may-move -", "at home"),
        (&taiwan, NORMAL, customer("JP"), "GET", "/api/v1/customers/1/profile", "route 200 routed_residency tokyo japan-stays -", "away from home"),
        (&tokyo, NORMAL, customer("TW"), "GET", "/api/v1/customers/1/profile", "route 200 routed_residency taiwan taiwan-may-move -", "no fallback in normal times"),
        (&tokyo, NORMAL, customer("KR"), "GET", "/api/v1/customers/1", "allow 200 allowed tokyo others-in-both -", "bare path of /**"),
        (&taiwan, NORMAL, customer("KR"), "GET", "/api/v1/customers/1", "allow 200 allowed taiwan others-in-both -", "allowed here, though home is there"),
        (&taiwan, NORMAL, anonymous, "GET", "/api/v1/customers/1", "deny 401 credentials_missing - - -", "no credentials"),
        (&taiwan, NORMAL, Caller::Known(Identity::customer(None)), "GET", "/api/v1/customers/1", "deny 403 subject_unknown - - -", "no country"),
        (&taiwan, NORMAL, Caller::Known(Identity::of(PrincipalKind::Staff)), "GET", "/api/v1/customers/1", "deny 403 subject_unproven - - -", "staff"),
        (&taiwan, NORMAL, customer("TW"), "GET", "/api/v1/secrets/1", "deny 403 residency_denied - - -", "no rule for a bound class"),
        (&taiwan, NORMAL, anonymous, "POST", "/api/v1/login", "allow 200 allowed taiwan nobody-yet -", "subject: none"),
        (&taiwan, NORMAL, anonymous, "GET", "/api/v1/products/1", "allow 200 allowed taiwan - -", "no rule for a public class"),
        (&taiwan, NORMAL, anonymous, "GET", "/api/v1/ledger/1", "deny 403 residency_denied - ledger-in-tokyo -", "otherwise: deny"),
        (&tokyo, NORMAL, anonymous, "GET", "/api/v1/ledger/1", "allow 200 allowed tokyo ledger-in-tokyo -", "where it may be"),
        (&taiwan, TOKYO_DOWN, anonymous, "GET", "/api/v1/ledger/1", "allow 200 allowed taiwan ledger-in-tokyo -", "its fallback, in failover"),
        (&taiwan, r#"{"situation":"drill","health":{"tokyo":"down"}}"#, anonymous, "GET", "/api/v1/ledger/1", "deny 403 residency_denied - ledger-in-tokyo -", "not in a drill"),
        (&taiwan, NORMAL, anonymous, "GET", "/api/v1/suggestions", "allow 200 allowed taiwan - -", "optional: nobody known"),
        (&taiwan, NORMAL, customer("JP"), "GET", "/api/v1/suggestions", "route 200 routed_residency tokyo japan-suggestions-stay -", "optional: the caller where known"),
        (&taiwan, NORMAL, Caller::Known(Identity::customer(None)), "GET", "/api/v1/suggestions", "deny 403 subject_unknown - - -", "an unreadable claim widens nothing"),
        (&taiwan, NORMAL, Caller::Unreadable, "GET", "/api/v1/suggestions", "hold 503 host_failure - - -", "a failed read widens nothing"),
        (&taiwan, NORMAL, Caller::Known(Identity::customer(None)), "GET", "/api/v1/products/1", "allow 200 allowed taiwan - -", "no rule asks for a country"),
        // Situations and health.
        (&taiwan, TOKYO_DOWN, customer("JP"), "GET", "/api/v1/customers/1", "hold 503 home_unavailable - japan-stays -", "no fallback: hold"),
        (&taiwan, TOKYO_DOWN, customer("KR"), "GET", "/api/v1/customers/1", "allow 200 allowed taiwan others-in-both -", "home is down, but here is allowed"),
        (&tokyo, TAIWAN_LOST, customer("TW"), "GET", "/api/v1/customers/1", "allow 200 allowed tokyo taiwan-may-move -", "fallback in failover"),
        (&tokyo, TAIWAN_DOWN, customer("TW"), "GET", "/api/v1/customers/1", "hold 503 home_unavailable - taiwan-may-move -", "down alone is no failover"),
        (&taiwan, BOTH_DOWN, anonymous, "GET", "/api/v1/products/1", "hold 503 home_unavailable - - -", "nothing is up"),
        (&taiwan, TAIWAN_DOWN, anonymous, "GET", "/api/v1/products/1", "route 200 routed_residency tokyo - -", "here is down, there is up"),
        // Fencing.
        (&taiwan, NORMAL, customer("TW"), "POST", "/api/v1/orders", "allow 200 allowed taiwan taiwan-may-move orders/taiwan~tokyo@taiwan#1", ""),
        (&taiwan, NORMAL, customer("JP"), "POST", "/api/v1/orders", "route 200 routed_holder tokyo japan-stays orders/tokyo@tokyo#1", ""),
        (&tokyo, NORMAL, customer("KR"), "POST", "/api/v1/orders", "allow 200 allowed tokyo others-in-both orders/tokyo+taiwan@tokyo#1", ""),
        (&tokyo, NORMAL, customer("US"), "POST", "/api/v1/orders", "route 200 routed_holder taiwan others-in-both orders/taiwan+tokyo@taiwan#1", ""),
        (&tokyo, TAIWAN_LOST, customer("TW"), "POST", "/api/v1/orders", "allow 200 allowed tokyo taiwan-may-move orders/taiwan~tokyo@tokyo#42", "the lease moved"),
        (&taiwan, FAILBACK, customer("TW"), "POST", "/api/v1/orders", "hold 503 holder_not_permitted - taiwan-may-move -", "the situation is over, the lease still away"),
        (&taiwan, TOKYO_DOWN, customer("JP"), "POST", "/api/v1/orders", "hold 503 home_unavailable - japan-stays -", "decided before fencing"),
        (&tokyo, TAIWAN_DOWN, customer("US"), "POST", "/api/v1/orders", "hold 503 holder_unreachable - others-in-both -", "the holder is down"),
        (&taiwan, r#"{"leases":{"orders/taiwan~tokyo":{"state":"unknown"}}}"#, customer("TW"), "POST", "/api/v1/orders", "hold 503 lease_unknown - taiwan-may-move -", ""),
        (&taiwan, r#"{"leases":{"orders/taiwan~tokyo":{"state":"vacant"}}}"#, customer("TW"), "POST", "/api/v1/orders", "hold 503 lease_vacant - taiwan-may-move -", ""),
        (&taiwan, r#"{"leases":{"orders/taiwan~tokyo":{"state":"draining"}}}"#, customer("TW"), "POST", "/api/v1/orders", "hold 503 lease_draining - taiwan-may-move -", ""),
        (&taiwan, r#"{"leases":{"orders/taiwan~tokyo":{"state":"frozen"}}}"#, customer("TW"), "POST", "/api/v1/orders", "hold 503 lease_frozen - taiwan-may-move -", ""),
        (&taiwan, r#"{"leases":{"orders/tokyo":{"state":"unknown"}}}"#, customer("TW"), "POST", "/api/v1/orders", "allow 200 allowed taiwan taiwan-may-move orders/taiwan~tokyo@taiwan#1", "another shard is in doubt"),
        (&tokyo, NORMAL, customer("TW"), "GET", "/api/v1/orders/1", "route 200 routed_holder taiwan taiwan-may-move -", "reads: holder"),
        (&tokyo, NORMAL, anonymous, "GET", "/api/v1/inventory/1", "allow 200 allowed tokyo - -", "reads: local"),
        (&tokyo, NORMAL, anonymous, "PUT", "/api/v1/inventory/1", "route 200 routed_holder taiwan - inventory/*@taiwan#1", ""),
        (&tokyo, NORMAL, anonymous, "POST", "/shop.inventory.v1.Inventory/GetStock", "allow 200 allowed tokyo - -", "effect: read"),
        (&tokyo, NORMAL, anonymous, "POST", "/shop.inventory.v1.Inventory/Reserve", "route 200 routed_holder taiwan - inventory/*@taiwan#1", "effect: write"),
        (&taiwan, NORMAL, anonymous, "POST", "/api/v1/webhooks/payments/tokyo", "route 200 routed_holder tokyo nobody-yet payments/tokyo@tokyo#1", "shard by path"),
        (&taiwan, NORMAL, anonymous, "POST", "/api/v1/webhooks/payments/mars", "hold 503 lease_unknown - nobody-yet -", "no such shard"),
        // Classification.
        (&taiwan, NORMAL, anonymous, "GET", "/api/v1/webhooks/payments/tokyo", "deny 404 unmatched - - -", "not for this method"),
        (&taiwan, NORMAL, anonymous, "GET", "/admin", "deny 404 unmatched - - -", ""),
        (&taiwan, NORMAL, anonymous, "BREW", "/api/v1/products/1", "deny 400 malformed - - -", "unknown method"),
        (&taiwan, BOTH_DOWN, anonymous, "GET", "/health", "allow 200 health_check taiwan - -", "whatever the state"),
        (&taiwan, NORMAL, anonymous, "POST", "/health", "deny 404 unmatched - - -", "GET and HEAD only"),
    ] {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let state = state(here, state_json);
        let decision = decide(here, &state, &request(method, &path), &mut { caller });
        assert_eq!(line(here, &decision), expected, "{why}: {method} {path:?}");
    }
}

#[test]
#[rustfmt::skip] // a table
fn facts_other_than_the_path_decide_too() {
    let taiwan = policy("taiwan");
    let order = CanonicalPath::parse(b"/api/v1/orders").unwrap();
    let browse = CanonicalPath::parse(b"/api/v1/products/1").unwrap();
    let post = request("POST", &order);
    let keyless = Request { idempotency_key: IdempotencyKey::Absent, ..post.clone() };
    let get = request("GET", &browse);
    let state = RegionState::from_document(&taiwan, &StateDocument::default()).unwrap();
    for (request, expected, why) in [
        (keyless.clone(), "idempotency_key_missing", "POST needs a key"),
        (Request { method: b"PUT", ..keyless.clone() }, "allowed", "PUT is idempotent"),
        (Request { kind: RequestKind::Stream, ..post.clone() }, "stream_refused", "leased"),
        (Request { kind: RequestKind::Stream, ..get.clone() }, "allowed", "eventual"),
        (Request { kind: RequestKind::Grpc, ..post.clone() }, "allowed", "unary"),
        (Request { deadline: Some(Deadline::from_ms(5)), ..get.clone() }, "deadline", "too short"),
        (Request { deadline: Some(Deadline::from_ms(50)), ..get.clone() }, "allowed", ""),
        (Request { host: b"evil.example", ..get.clone() }, "unmatched", "not our host"),
        (Request { host: b"api.shop.example.evil", ..get.clone() }, "unmatched", "not our host"),
        (Request { host: b"", ..get.clone() }, "unmatched", "no host"),
        (Request { method: b"OPTIONS", kind: RequestKind::Preflight, ..post.clone() }, "preflight", ""),
        (Request { method: b"\xff", ..get.clone() }, "malformed", "not text"),
    ] {
        let decision = decide(&taiwan, &state, &request, &mut customer("TW"));
        assert_eq!(decision.reason.as_str(), expected, "{why}");
    }
}

#[test]
fn without_a_state_no_leased_write_runs_and_everything_else_does() {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    config.policy.fencing.static_state = None;
    let policy = Policy::compile(&config).unwrap();
    let state = policy.configured_state();
    for (path, expected) in [("/api/v1/orders", "lease_unknown"), ("/api/v1/reviews/1", "allowed")]
    {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let decision = decide(&policy, state, &request("POST", &path), &mut customer("TW"));
        assert_eq!(decision.reason.as_str(), expected);
    }
}

#[test]
fn claims_are_asked_for_only_where_they_matter() {
    let policy = policy("taiwan");
    let state = RegionState::unknown(&policy);
    for (path, asked) in [("/api/v1/login", false), ("/api/v1/orders", true), ("/nowhere", false)] {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let mut counted = Counted::default();
        decide(&policy, &state, &request("POST", &path), &mut counted);
        assert_eq!(counted.callers, u32::from(asked), "{path:?}");
        assert_eq!(counted.times, 0, "the policy has no dates");
    }
}

#[test]
#[rustfmt::skip] // a table
fn a_configuration_that_cannot_be_used_says_where() {
    for (change, path) in [
        (("/policy/regions/1/name", r#""taiwan""#), "policy.regions[1].name"),
        (("/policy/regions/1/code", r#""TYO""#), "policy.regions[1].code"),
        (("/attachment/region", r#""mars""#), "attachment.region"),
        (("/attachment/role", r#""moon""#), "attachment.role"),
        (("/policy/hosts", "[]"), "policy.hosts"),
        (("/policy/hosts/0", r#""a:80""#), "policy.hosts[0]"),
        (("/policy/healthPaths/0", r#""/api/v1/customers/me""#), "policy.healthPaths"),
        (("/policy/contexts/0/shard", "null"), "policy.fencing.initialHolders"),
        (("/policy/healthPaths/0", r#""/a//b""#), "policy.healthPaths[0]"),
        (("/policy/unmatchedStatus", "200"), "policy.unmatchedStatus"),
        (("/policy/contexts/1/name", r#""orders""#), "policy.contexts[1].name"),
        (("/policy/contexts/0/name", r#""Or ders""#), "policy.contexts[0].name"),
        (("/policy/contexts/6/subject", r#""optional""#), "policy.contexts[6].subject"),
        (("/policy/contexts/0/match", "[]"), "policy.contexts[0].match"),
        (("/policy/contexts/0/match/0/path", r#""/a/../b""#), "policy.contexts[0].match[0].path"),
        (("/policy/contexts/3/dataClasses/0", r#""behavioural""#), "policy.contexts[3].lease"),
        (("/policy/contexts/1/match/0/path", r#""/api/v1/orders/**""#), "policy.contexts[1].match[0]"),
        (("/policy/contexts/2/match/0/path", r#""/api/v1/hooks/{other}""#), "policy.contexts[2].match[0].path"),
        (("/policy/contexts/2/lease", r#""accounts""#), "policy.contexts[2].lease"),
        (("/policy/contexts/2/lease", r#""nobody""#), "policy.contexts[2].lease"),
        (("/policy/contexts/2/lease", r#""inventory""#), "policy.contexts[2].shard"),
        (("/policy/contexts/0/subject", r#""none""#), "policy.contexts[0].shard"),
        (("/policy/contexts/2/consistency", r#""regional""#), "policy.contexts[2].lease"),
        (("/policy/contexts/3/match/0/effect", r#""none""#), "policy.contexts[3].match[0].effect"),
        (("/policy/contexts/0/dataClasses/0", r#""secret""#), "policy.contexts[0].dataClasses[0]"),
        (("/policy/residency/home/JP", r#""mars""#), "policy.residency.home.JP"),
        (("/policy/residency/rules/0/when/countries/0", r#""XX""#), "policy.residency.rules[0].when.countries[0]"),
        (("/policy/residency/rules/0/regions", "[]"), "policy.residency.rules[0].regions"),
        (("/policy/residency/rules/1/fallback/situations/0", r#""normal""#), "policy.residency.rules[1].fallback.situations"),
        (("/policy/residency/mode", r#""disabled""#), "policy.residency.mode"),
        (("/policy/fencing/mode", r#""disabled""#), "policy.fencing.mode"),
        (("/policy/fencing/initialHolders", "{}"), "policy.fencing.initialHolders"),
        (("/policy/fencing/static", r#"{"leases":{"mars":{}}}"#), "policy.fencing.static.leases"),
        (("/policy/fencing/static", r#"{"leases":{"inventory":{"holder":"tokyo","epoch":"0"}}}"#), "policy.fencing.static.leases.inventory.epoch"),
        (("/policy/fencing/static", r#"{"leases":{"inventory":{"holder":"tokyo","epoch":"1000000000000000"}}}"#), "policy.fencing.static.leases.inventory.epoch"),
        (("/policy/fencing/static", r#"{"leases":{"inventory":{"holder":"tokyo"}}}"#), "policy.fencing.static.leases.inventory"),
        (("/policy/fencing/static", r#"{"leases":{"inventory":{"epoch":"2"}}}"#), "policy.fencing.static.leases.inventory"),
        (("/policy/contexts/3/dataClasses/0", r#""behavioural""#), "policy.contexts[3].lease"),
        (("/policy/healthPaths/0", r#""/api/v1/customers/me""#), "policy.healthPaths"),
        (("/policy/loadShedding/concurrency/default", "0"), "policy.loadShedding.concurrency.default"),
        (("/policy/loadShedding/concurrency/reviews", "\"4\""), "policy.loadShedding.concurrency.reviews"),
        (("/policy/loadShedding/status", "500"), "policy.loadShedding.status"),
        (("/format", "2"), "format"),
    ] {
        let mut config: serde_json::Value = serde_json::from_str(SHOP).unwrap();
        *config.pointer_mut(change.0).expect(change.0) = serde_json::from_str(change.1).unwrap();
        let bytes = serde_json::to_vec(&config).unwrap();
        let fault = PluginConfig::from_json(&bytes).and_then(|config| Policy::compile(&config));
        assert_eq!(fault.expect_err(path).path, path, "{change:?}");
    }
}

#[test]
fn an_unknown_or_doubled_key_is_refused() {
    for (text, path) in [
        (SHOP.replace("\"hosts\"", "\"hostz\""), "policy.hostz"),
        (SHOP.replacen("\"format\": 1,", "\"format\": 1, \"format\": 1,", 1), "format"),
        (format!("{SHOP} x"), "."),
        (String::from("[]"), "."),
        (String::new(), "."),
    ] {
        let fault = PluginConfig::from_json(text.as_bytes()).unwrap_err();
        assert_eq!(fault.path, path, "{fault}");
    }
}

proptest! {
    /// A country's data runs only where its rules say, whatever is asked of whichever region.
    #[test]
    fn no_state_or_request_widens_a_rule(
        tokyo_here in any::<bool>(),
        country in prop::sample::select(vec!["JP", "TW", "KR", "US"]),
        path in prop::sample::select(vec![
            "/api/v1/orders", "/api/v1/payments/1", "/api/v1/customers/1", "/api/v1/secrets/1",
        ]),
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE"]),
        situation in prop::sample::select(vec!["normal", "drill", "failover"]),
        down in prop::sample::select(vec!["", "taiwan", "tokyo"]),
        holder in prop::sample::select(vec!["taiwan", "tokyo"]),
    ) {
        let policy = policy(if tokyo_here { "tokyo" } else { "taiwan" });
        let health = if down.is_empty() { "{}".into() } else { format!(r#"{{"{down}":"down"}}"#) };
        let leases: Vec<String> = policy.leases().iter().flat_map(|lease| {
            lease.shards.iter().map(|shard| match &shard.name {
                Some(shard) => format!(r#""{}/{shard}":{{"holder":"{holder}","epoch":"2"}}"#, lease.name),
                None => format!(r#""{}":{{"holder":"{holder}","epoch":"2"}}"#, lease.name),
            }).collect::<Vec<_>>()
        }).collect();
        let json = format!(
            r#"{{"situation":"{situation}","health":{health},"leases":{{{}}}}}"#, leases.join(",")
        );
        let state = state(&policy, &json);
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let decision = decide(&policy, &state, &request(method, &path), &mut customer(country));
        if let Some(region) = decision.region {
            let region = policy.region_name(region);
            prop_assert_ne!(region, down);
            match country {
                "JP" => prop_assert_eq!(region, "tokyo"),
                "TW" if situation == "normal" => prop_assert_eq!(region, "taiwan"),
                _ => {}
            }
            prop_assert!(!path.path().starts_with(b"/api/v1/secrets"));
        }
        prop_assert_eq!(decision.region.is_some(), decision.verdict().is_pass());
    }
}

/// Where the claims of all issuers have one place, the issuer's `iss` is what tells them apart.
#[test]
fn claims_in_one_place_belong_to_an_issuer() {
    let compile = |claims: &str| {
        let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
        config.attachment.claims = Some(serde_json::from_str(claims).unwrap());
        Policy::compile(&config)
    };
    let apart = policy("taiwan");
    let place = |policy: &Policy| match policy.subject_sources() {
        [SubjectSource::JwtClaim(source)] => source.place.clone(),
        other => panic!("{other:?}"),
    };
    let source = place(&apart);
    assert_eq!((&*source.issuer, source.iss.as_deref()), ("shop", None));

    let shared =
        compile(r#"{"key":"payload","issuers":{"shop":"https://id","other":"x"}}"#).unwrap();
    let source = place(&shared);
    assert_eq!((&*source.issuer, source.iss.as_deref()), ("payload", Some("https://id")));

    for claims in [
        r#"{"key":"payload","issuers":{}}"#,
        r#"{"key":"payload","issuers":{"shop":""}}"#,
        r#"{"key":"","issuers":{"shop":"https://id"}}"#,
    ] {
        let fault = compile(claims).unwrap_err();
        assert_eq!(fault.to_string(), "attachment.claims: do not say how to tell those of `shop`");
    }
}
