//! What a policy says of versions: how they merge and where, as tables.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken fixture fails its test"
)]

mod common;

use common::plain;
use policy_core::wire::{PluginConfig, StateDocument};
use policy_core::{
    Caller, CanonicalPath, Country, Identity, MergeStrategy, Mode, OnLostUpdate, Policy, Reason,
    RegionState, Verdict, Versioning, decide,
};
use serde_json::{Value, json};

const SHOP: &str = include_str!("../fixtures/shop.json");

/// The numbers of contexts of the shop.
const ORDERS: usize = 0;
const ACCOUNTS: usize = 4;
const PROFILES: usize = 6;
const REVIEWS: usize = 8;
const SUGGESTIONS: usize = 10;

/// The shop, whose suggestions are merged at its checkout and at the login, whose reviews all stay,
/// and whose profiles say themselves how they are merged.
fn shop() -> Value {
    let mut config: Value = serde_json::from_str(SHOP).unwrap();
    let policy = &mut config["policy"];
    policy["hmac"] =
        json!({"keys": [{"id": "k1", "env": "MESHFENCE_HMAC_K1"}], "replayWindowMs": 30_000});
    policy["versioning"]["etag"] = json!(["profiles", "reviews"]);
    policy["versioning"]["onLostUpdate"] = json!("deny");
    policy["versioning"]["causalLifetimeMs"] = json!(3_600_000);
    policy["versioning"]["conflictWindowMs"] = json!(250);
    policy["versioning"]["hints"] = json!("baggage");
    let contexts = &mut policy["contexts"];
    let checkout = json!({"path": "/api/v1/checkout", "methods": ["POST"]});
    contexts[ORDERS]["match"].as_array_mut().unwrap().push(checkout);
    contexts[PROFILES]["merge"] = json!({"strategy": "or-set"});
    contexts[REVIEWS]["merge"] = json!({"strategy": "append-only"});
    contexts[SUGGESTIONS]["merge"] = json!({
        "strategy": "or-set",
        "at": [{"context": "orders", "match": 1}, {"context": "accounts", "match": 0}],
    });
    config
}

fn read(config: &Value) -> PluginConfig {
    PluginConfig::from_json(&serde_json::to_vec(config).unwrap()).unwrap()
}

fn compile(config: &Value) -> Policy {
    Policy::compile(&read(config)).unwrap()
}

fn customer(code: &str) -> Caller {
    Caller::Known(Identity::customer(Country::parse(code.as_bytes())))
}

/// `strategy: regions` of what a request is told, and `-` for nothing.
fn told(policy: &Policy, state: &str, caller: Caller, method: &str, path: &str) -> String {
    let document: StateDocument = serde_json::from_str(state).unwrap();
    let state = RegionState::from_document(policy, &document).unwrap();
    let path = CanonicalPath::parse(path.as_bytes()).unwrap();
    let request = plain(method, &path);
    let decision = decide(policy, &state, &request, &mut { caller });
    let Some(merging) = decision.merge else { return "-".into() };
    assert!(decision.verdict().is_pass(), "{}", decision.reason);
    let regions: Vec<&str> =
        merging.regions.iter().map(|region| policy.region_name(region)).collect();
    format!("{}: {}", merging.strategy, regions.join(" "))
}

const NORMAL: &str = "{}";
const TAIWAN_LOST: &str = r#"{"situation":"failover","health":{"taiwan":"down"},"leases":{"orders/taiwan~tokyo":{"holder":"tokyo","epoch":"42"}}}"#;
const IN_DOUBT: &str = r#"{"leases":{"orders/taiwan~tokyo":{"state":"unknown"}}}"#;

#[test]
#[rustfmt::skip] // a table
fn whoever_merges_is_told_how_and_where() {
    let anonymous = Caller::Anonymous;
    for (here, state, caller, method, path, expected, why) in [
        ("taiwan", NORMAL, customer("TW"), "POST", "/api/v1/checkout", "or-set: taiwan tokyo", "no rule is about such data of theirs"),
        ("tokyo", NORMAL, customer("JP"), "POST", "/api/v1/checkout", "or-set: tokyo", "by the rule of the merged data"),
        ("taiwan", NORMAL, customer("JP"), "POST", "/api/v1/checkout", "or-set: tokyo", "routed"),
        ("taiwan", NORMAL, anonymous, "POST", "/api/v1/login", "or-set: tokyo", "about nobody: what holds for everybody"),
        ("taiwan", NORMAL, customer("TW"), "POST", "/api/v1/orders", "-", "another match"),
        ("taiwan", NORMAL, customer("TW"), "GET", "/api/v1/checkout", "-", "another method, which matches nothing"),
        ("taiwan", IN_DOUBT, customer("TW"), "POST", "/api/v1/checkout", "-", "refused"),
        ("taiwan", NORMAL, anonymous, "POST", "/api/v1/checkout", "-", "refused earlier"),
        ("taiwan", NORMAL, customer("TW"), "POST", "/api/v1/suggestions", "-", "merged elsewhere"),
        ("taiwan", NORMAL, anonymous, "POST", "/api/v1/reviews/1", "append-only: taiwan tokyo", "a write of the context itself"),
        ("taiwan", NORMAL, anonymous, "GET", "/api/v1/reviews/1", "-", "a read"),
        ("taiwan", NORMAL, customer("TW"), "PUT", "/api/v1/customers/1", "or-set: taiwan", "at home"),
        ("tokyo", NORMAL, customer("TW"), "PUT", "/api/v1/customers/1", "or-set: taiwan", "sent there"),
        ("tokyo", TAIWAN_LOST, customer("TW"), "PUT", "/api/v1/customers/1", "or-set: taiwan tokyo", "the situation that is; health is no matter of rules"),
        ("tokyo", NORMAL, customer("KR"), "PUT", "/api/v1/customers/1", "or-set: taiwan tokyo", "both"),
        ("taiwan", NORMAL, anonymous, "POST", "/api/v1/products/1", "-", "the last write wins"),
        ("taiwan", NORMAL, anonymous, "OPTIONS", "/api/v1/reviews/1", "-", "a read by its method"),
    ] {
        let mut config = shop();
        config["attachment"]["region"] = json!(here);
        assert_eq!(told(&compile(&config), state, caller, method, path), expected, "{why}: {method} {path}");
    }
}

#[test]
fn whoever_merges_may_read() {
    let rule = |regions: Value| {
        let mut config = shop();
        let when =
            json!({"dataClasses": ["public"], "contexts": ["reviews"], "operations": ["read"]});
        let rule =
            json!({"name": "r", "when": when, "deniedRegions": regions, "otherwise": "deny"});
        config["policy"]["residency"]["rules"].as_array_mut().unwrap().push(rule);
        compile(&config)
    };
    let review =
        |policy: &Policy| told(policy, NORMAL, Caller::Anonymous, "POST", "/api/v1/reviews/1");
    assert_eq!(review(&rule(json!(["tokyo"]))), "append-only: taiwan", "the write may be in both");
    assert_eq!(review(&rule(json!(["*"]))), "-", "nowhere is not told");
}

#[test]
fn data_about_nobody_is_merged_as_such() {
    let mut config = shop();
    config["policy"]["contexts"][SUGGESTIONS]["subject"] = json!("none");
    let policy = compile(&config);
    let told = told(&policy, NORMAL, customer("JP"), "POST", "/api/v1/checkout");
    assert_eq!(told, "or-set: taiwan tokyo", "rules about somebody are not about it");
}

#[test]
fn what_is_not_enforced_says_nothing() {
    let policy = compile(&shop());
    let versioning = policy.versioning();
    assert_eq!(versioning.on_lost_update, OnLostUpdate::Deny);
    assert_eq!((versioning.causal_lifetime_ms, versioning.has_hints), (Some(3_600_000), true));
    assert_eq!(versioning.conflict_window_ms, 250);
    let has_etag: Vec<&str> = policy
        .contexts()
        .iter()
        .filter(|context| context.has_etag)
        .map(|context| &*context.name)
        .collect();
    assert_eq!(has_etag, ["profiles", "reviews"]);
    assert_eq!(policy.contexts()[REVIEWS].merge, Some(MergeStrategy::AppendOnly));
    assert_eq!(policy.contexts()[SUGGESTIONS].merge, None, "it is merged at a match");

    // Whatever mode is to come: only what is enforced is told.
    for mode in Mode::ALL.iter().copied().filter(|mode| *mode != Mode::Enforce) {
        let mut config = shop();
        config["policy"]["versioning"]["mode"] = json!(mode);
        let policy = compile(&config);
        let expected = Versioning { mode, conflict_window_ms: 250, ..Versioning::default() };
        assert_eq!(policy.versioning(), expected);
        let mut contexts = policy.contexts().iter();
        assert!(contexts.all(|context| !context.has_etag && context.merge.is_none()), "{mode}");
        for path in ["/api/v1/checkout", "/api/v1/reviews/1"] {
            assert_eq!(told(&policy, NORMAL, customer("TW"), "POST", path), "-", "{mode} {path}");
        }
    }

    let mut config = shop();
    config["policy"]["contexts"][REVIEWS]["merge"] = json!({"strategy": "last-write-wins"});
    let policy = compile(&config);
    assert_eq!(policy.contexts()[REVIEWS].merge, None, "that goes without saying");
}

#[test]
#[rustfmt::skip] // a table
fn what_cannot_be_says_where() {
    let at = |context: &str, position: usize| json!({"strategy": "or-set", "at": [{"context": context, "match": position}]});
    for (pointer, value, path) in [
        ("/policy/versioning/etag", json!(["profils"]), "policy.versioning.etag[0]"),
        ("/policy/versioning/etag", json!(["reviews", "orders"]), "policy.versioning.etag[1]"),
        ("/policy/versioning/etag", json!(["reviews", "reviews"]), "policy.versioning.etag[1]"),
        ("/policy/versioning/etag", json!([]), "policy.versioning.onLostUpdate"),
        ("/policy/versioning/onLostUpdate", json!("refuse"), "policy.versioning.onLostUpdate"),
        ("/policy/versioning/causalLifetimeMs", json!(999), "policy.versioning.causalLifetimeMs"),
        ("/policy/versioning/causalLifetimeMs", json!(86_400_001), "policy.versioning.causalLifetimeMs"),
        ("/policy/versioning/conflictWindowMs", json!(0), "policy.versioning.conflictWindowMs"),
        ("/policy/versioning/conflictWindowMs", json!(60_001), "policy.versioning.conflictWindowMs"),
        ("/policy/versioning/hints", json!("tracestate"), "policy.versioning.hints"),
        ("/policy/versioning", json!({"mode": "enforce", "maxDriftMs": 500, "onDrift": "tag", "merge": {}}), "policy.versioning.merge"),
        ("/policy/hmac", json!(null), "policy.versioning.etag"),
        ("/policy/contexts/0/merge", json!({"strategy": "append-only"}), "policy.contexts[0].merge"),
        ("/policy/contexts/8/merge", json!({"strategy": "lww"}), "policy.contexts[8].merge.strategy"),
        ("/policy/contexts/8/merge", json!({"strategy": "append-only", "at": [{"context": "orders", "match": 0}]}), "policy.contexts[8].merge.at"),
        ("/policy/contexts/8/merge", json!({"strategy": "last-write-wins", "at": [{"context": "orders", "match": 0}]}), "policy.contexts[8].merge.at"),
        ("/policy/contexts/8/merge", at("order", 0), "policy.contexts[8].merge.at[0]"),
        ("/policy/contexts/8/merge", at("orders", 2), "policy.contexts[8].merge.at[0]"),
        ("/policy/contexts/8/merge", at("profiles", 0), "policy.contexts[8].merge.at[0]"),
        ("/policy/contexts/8/merge", at("orders", 1), "policy.contexts[10].merge.at[0]"),
        ("/policy/contexts/8/merge", json!({"strategy": "or-set", "at": [{"context": "orders", "name": "checkout"}]}), "policy.contexts[8].merge.at[0].name"),
    ] {
        let mut config = shop();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = config.pointer_mut(parent).unwrap();
        parent.as_object_mut().unwrap().insert(key.into(), value.clone());
        let bytes = serde_json::to_vec(&config).unwrap();
        let fault = PluginConfig::from_json(&bytes).and_then(|config| Policy::compile(&config));
        assert_eq!(fault.expect_err(path).path, path, "{pointer} {value}");
    }
    let mut config = shop();
    config["policy"]["versioning"]["etag"] = json!([]);
    config["policy"]["versioning"]["onLostUpdate"] = json!("pass");
    config["policy"]["hmac"] = json!(null);
    let fault = Policy::compile(&read(&config)).unwrap_err();
    assert_eq!(fault.to_string(), "policy.versioning.causalLifetimeMs: needs a key in `policy.hmac`");
}

#[test]
fn what_is_not_said_is_not_written() {
    let written = |config: &PluginConfig| serde_json::to_value(config).unwrap();
    let config = read(&shop());
    assert_eq!(read(&written(&config)), config, "there and back");
    let mut plain: PluginConfig = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    let versioning = json!({"mode": "enforce", "maxDriftMs": 500, "onDrift": "tag"});
    assert_eq!(written(&plain)["policy"]["versioning"], versioning, "so hashes stay");
    assert_eq!(written(&plain)["policy"]["contexts"][ACCOUNTS].get("merge"), None);
    plain.policy.versioning.conflict_window_ms = 1_000;
    assert_eq!(written(&plain)["policy"]["versioning"], versioning, "the default");
}

#[test]
fn a_lost_update_is_refused_for_good() {
    let reason = Reason::parse("lost_update").unwrap();
    assert_eq!(reason, Reason::LostUpdate);
    assert_eq!((reason.verdict(), reason.status(), reason.grpc_status()), (Verdict::Deny, 412, 10));
    assert_eq!((reason.retry_after_s(), reason.is_remark()), (0, false));
    assert!(!reason.is_between_regions(), "a client hears of it");
}
