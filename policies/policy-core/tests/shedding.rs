//! What a policy says of load, as tables.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken fixture fails its test"
)]

use policy_core::wire::{LiveDocument, PluginConfig, Retries, StateDocument};
use policy_core::{
    Baseline, Caller, CanonicalPath, CohortSource, Country, Deadline, IdempotencyKey, Identity,
    Outlook, Policy, Pool, Reason, RegionState, Request, RequestKind, SheddingMode, decide,
};
use serde_json::{Value, json};

const SHOP: &str = include_str!("../fixtures/shop.json");

/// The numbers of contexts of the shop.
const REVIEWS: usize = 8;
const SUGGESTIONS: usize = 10;

/// The shop with a load shedding of its own.
fn shop(shedding: &Value) -> Value {
    let mut config: Value = serde_json::from_str(SHOP).unwrap();
    let own = config["policy"]["loadShedding"].as_object_mut().unwrap();
    for (key, value) in shedding.as_object().unwrap() {
        own.insert(key.clone(), value.clone());
    }
    config
}

fn read(config: &Value) -> PluginConfig {
    PluginConfig::from_json(&serde_json::to_vec(config).unwrap()).unwrap()
}

fn compile(config: &Value) -> Policy {
    Policy::compile(&read(config)).unwrap()
}

/// All that can be said.
fn whole() -> Value {
    shop(&json!({
        "mode": "shadow",
        "concurrency": {"default": 10, "reviews": 4, "payments": 16},
        "latency": {"default": "auto", "payments": {"slo": {"ms": 300}}, "reviews": "fixed"},
        "cohort": ["clientAddress", "jwtSubject"],
        "retries": {"budget": 5, "floor": 0},
        "neverShed": ["suggestions"],
        "priorityHeader": "ignore",
        "brownout": "disabled",
        "spill": {"above": 85, "margin": 20},
    }))
}

#[test]
fn what_is_written_is_what_was_read() {
    let mut config = whole();
    config["policy"]["contexts"][REVIEWS]["deadline"] = json!({"maxMs": 3_000, "minMs": 20});
    let written = serde_json::to_value(read(&config)).unwrap();
    assert_eq!(written["policy"]["loadShedding"], config["policy"]["loadShedding"]);
    assert_eq!(written["policy"]["contexts"], config["policy"]["contexts"]);

    // What is as it is anyway is not said.
    let said = shop(&json!({
        "latency": {},
        "cohort": ["jwtSubject", "clientAddress"],
        "retries": {"budget": 10, "floor": 3},
        "neverShed": [],
        "priorityHeader": "honour",
        "brownout": "enforce",
    }));
    let written = serde_json::to_value(read(&said)).unwrap();
    assert_eq!(written["policy"]["loadShedding"], shop(&json!({}))["policy"]["loadShedding"]);
}

#[test]
fn pools_follow_what_is_said_of_them() {
    let pools = |shedding: &Value| -> Vec<String> {
        let policy = compile(&shop(shedding));
        let of = |pool: &Pool| {
            let limit = pool.limit;
            match pool.baseline {
                Baseline::Fixed => format!("{} {limit}", pool.name),
                Baseline::Auto => format!("{} {limit} auto", pool.name),
                Baseline::Slo { ms } => format!("{} {limit} {ms}ms", pool.name),
            }
        };
        let pools = policy.pools().iter().map(of);
        let contexts = policy.contexts().iter().filter_map(|context| {
            let name = &policy.pools()[context.pool?].name;
            (context.name == *name).then(|| format!("{name} is in it"))
        });
        pools.chain(contexts).collect()
    };
    for (shedding, is) in [
        (json!({}), &["default 10", "reviews 4", "reviews is in it"][..]),
        (
            json!({"latency": {"default": "auto"}}),
            &["default 10 auto", "reviews 4 auto", "reviews is in it"],
        ),
        (
            json!({"latency": {"default": "auto", "reviews": "fixed"}}),
            &["default 10 auto", "reviews 4", "reviews is in it"],
        ),
        (
            json!({
                "concurrency": {"default": 64, "payments": 20},
                "latency": {"payments": {"slo": {"ms": 60_000}}},
            }),
            &["default 64", "payments 20 60000ms", "payments is in it"],
        ),
    ] {
        assert_eq!(pools(&shedding), is, "{shedding}");
    }
}

#[test]
fn everything_that_is_said_can_be_asked_for() {
    let policy = compile(&whole());
    assert_eq!(policy.cohort(), [CohortSource::ClientAddress, CohortSource::JwtSubject]);
    assert_eq!(policy.retries(), Retries { budget: 5, floor: 0 });
    assert!(!policy.heeds_client_priority() && !policy.tells_brownout());
    assert_eq!(policy.contexts()[SUGGESTIONS].pool, None);
    let plain = compile(&shop(&json!({})));
    assert_eq!(plain.cohort(), [CohortSource::JwtSubject, CohortSource::ClientAddress]);
    assert_eq!(plain.retries(), Retries { budget: 10, floor: 3 });
    assert!(plain.heeds_client_priority() && plain.tells_brownout());
    assert_eq!(plain.contexts()[SUGGESTIONS].pool, Some(0));
}

#[test]
fn shedding_is_where_requests_are_counted_and_changes_nothing_in_shadow() {
    for (mode, shed_at, role, is) in [
        ("enforce", "edge", "edge", SheddingMode::Enforce),
        ("enforce", "edge", "peer", SheddingMode::Enforce),
        ("enforce", "edge", "inbound", SheddingMode::Disabled),
        ("enforce", "inbound", "inbound", SheddingMode::Enforce),
        ("enforce", "inbound", "outbound", SheddingMode::Disabled),
        ("shadow", "edge", "edge", SheddingMode::Shadow),
        ("shadow", "inbound", "edge", SheddingMode::Disabled),
        ("disabled", "edge", "edge", SheddingMode::Disabled),
    ] {
        let spill = json!({"above": 85, "margin": 20});
        let mut config = shop(&json!({"mode": mode, "shedAt": shed_at, "spill": spill}));
        config["attachment"]["role"] = json!(role);
        let policy = compile(&config);
        let case = format!("{mode} {shed_at} {role}");
        assert_eq!(policy.shedding(), is, "{case}");
        assert_eq!(policy.spill().is_some(), mode == "enforce", "{case}");
        assert_eq!(policy.tells_brownout(), mode == "enforce", "{case}");
    }
}

#[test]
fn what_cannot_be_says_where() {
    for (shedding, path) in [
        (json!({"mode": "watch"}), "mode"),
        (json!({"status": 500}), "status"),
        (json!({"concurrency": {}}), "concurrency"),
        (json!({"concurrency": {"default": 0}}), "concurrency.default"),
        (json!({"concurrency": {"default": 10_001}}), "concurrency.default"),
        (json!({"concurrency": {"default": 1, "reviewz": 1}}), "concurrency.reviewz"),
        (json!({"latency": {"payments": "auto"}}), "concurrency"),
        (json!({"latency": {"payment": "auto"}}), "latency.payment"),
        (json!({"latency": {"reviews": {"slo": {"ms": 0}}}}), "latency.reviews"),
        (json!({"latency": {"default": {"slo": {"ms": 60_001}}}}), "latency.default"),
        (json!({"latency": {"default": {"slo": {"ms": 1.5}}}}), "latency.default.slo.ms"),
        (json!({"latency": {"default": {"slo": {"s": 1}}}}), "latency.default.slo.s"),
        (json!({"latency": {"reviews": "measured"}}), "latency.reviews"),
        (json!({"latency": {"reviews": 300}}), "latency.reviews"),
        (json!({"cohort": []}), "cohort"),
        (json!({"cohort": ["jwtSubject", "jwtSubject"]}), "cohort[1]"),
        (json!({"cohort": ["cookie"]}), "cohort[0]"),
        (json!({"retries": {"budget": 101, "floor": 3}}), "retries.budget"),
        (json!({"retries": {"budget": 10, "floor": 1_001}}), "retries.floor"),
        (json!({"retries": {"budget": 10}}), "retries"),
        (json!({"neverShed": ["profils"]}), "neverShed[0]"),
        (json!({"neverShed": ["profiles", "profiles"]}), "neverShed[1]"),
        (json!({"neverShed": ["profiles", "reviews"]}), "neverShed[1]"),
        (json!({"neverShed": ["default"]}), "neverShed[0]"),
        (json!({"priorityHeader": true}), "priorityHeader"),
        (json!({"brownout": "on"}), "brownout"),
        (json!({"spill": {"above": 0, "margin": 20}}), "spill.above"),
        (json!({"spill": {"above": 85, "margin": 101}}), "spill.margin"),
        (json!({"shed": 1}), "shed"),
    ] {
        let config = shop(&shedding);
        let read = PluginConfig::from_json(&serde_json::to_vec(&config).unwrap());
        let fault = read.and_then(|config| Policy::compile(&config)).unwrap_err();
        assert_eq!(fault.path, format!("policy.loadShedding.{path}"), "{fault}: {shedding}");
    }
}

#[test]
fn deadlines_that_nobody_can_meet_say_where() {
    for (deadline, path) in [
        (json!({}), ""),
        (json!({"maxMs": 19}), ".maxMs"),
        (json!({"maxMs": 3_600_001}), ".maxMs"),
        (json!({"minMs": 0}), ".minMs"),
        (json!({"minMs": 60_001}), ".minMs"),
        (json!({"maxMs": 100, "minMs": 86}), ".minMs"),
        (json!({"maxMs": 100, "least": 1}), ".least"),
    ] {
        let mut config = shop(&json!({}));
        config["policy"]["contexts"][REVIEWS]["deadline"] = deadline.clone();
        let read = PluginConfig::from_json(&serde_json::to_vec(&config).unwrap());
        let fault = read.and_then(|config| Policy::compile(&config)).unwrap_err();
        assert_eq!(fault.path, format!("policy.contexts[{REVIEWS}].deadline{path}"), "{deadline}");
    }
    let mut config = shop(&json!({}));
    config["policy"]["contexts"][REVIEWS]["deadline"] = json!({"maxMs": 100, "minMs": 85});
    compile(&config);
}

/// What is left for the next hop of a request to the reviews.
fn left(deadline: &Value, asked: Option<u64>, kind: RequestKind) -> Result<Option<u64>, Reason> {
    let mut config = shop(&json!({}));
    if !deadline.is_null() {
        config["policy"]["contexts"][REVIEWS]["deadline"] = deadline.clone();
    }
    let policy = compile(&config);
    let state = RegionState::from_document(&policy, &StateDocument::default()).unwrap();
    let request = Request {
        method: b"GET",
        host: b"api.shop.example",
        path: &CanonicalPath::parse(b"/api/v1/reviews/7").unwrap(),
        kind,
        idempotency_key: IdempotencyKey::Present,
        deadline: asked.map(Deadline::from_ms),
        token: None,
        client_country: None,
        entry: None,
    };
    let mut caller = Caller::Known(Identity::customer(Country::parse(b"TW")));
    let decision = decide(&policy, &state, &request, &mut caller);
    if decision.reason == Reason::Allowed {
        Ok(decision.remaining_ms)
    } else {
        Err(decision.reason)
    }
}

#[test]
fn the_smaller_deadline_is_the_deadline() {
    let both = || json!({"maxMs": 3_000, "minMs": 50});
    for (deadline, asked, kind, is) in [
        (json!(null), None, RequestKind::Plain, Ok(None)),
        (json!(null), Some(9_000), RequestKind::Grpc, Ok(Some(8_995))),
        (both(), None, RequestKind::Plain, Ok(Some(2_995))),
        (both(), Some(9_000), RequestKind::Grpc, Ok(Some(2_995))),
        (both(), Some(1_000), RequestKind::Grpc, Ok(Some(995))),
        // What is left has to be enough for the request behind the hop.
        (both(), Some(55), RequestKind::Grpc, Ok(Some(50))),
        (both(), Some(54), RequestKind::Grpc, Err(Reason::Deadline)),
        (json!({"minMs": 50}), None, RequestKind::Plain, Ok(None)),
        (json!({"minMs": 50}), Some(54), RequestKind::Plain, Err(Reason::Deadline)),
        (json!({"maxMs": 3_000}), Some(6), RequestKind::Plain, Ok(Some(1))),
        (json!({"maxMs": 3_000}), Some(5), RequestKind::Plain, Err(Reason::Deadline)),
        // A stream takes as long as it likes, but for its caller.
        (both(), None, RequestKind::Stream, Ok(None)),
        (both(), Some(9_000), RequestKind::Stream, Ok(Some(8_995))),
    ] {
        assert_eq!(left(&deadline, asked, kind), is, "{deadline} {asked:?} {kind:?}");
    }
}

#[test]
fn a_region_knows_what_it_has_to_expect() {
    let mut config = shop(&json!({}));
    config["policy"]["fencing"]["static"] = json!(null);
    let policy = compile(&config);
    let outlook = |said: &Value| {
        let mut document = json!({
            "v": 1, "region": "taiwan", "gen": 1, "issued_seq": 1, "leases": [],
        });
        for (key, value) in said.as_object().unwrap() {
            document[key] = value.clone();
        }
        let document = LiveDocument::from_json(document.to_string().as_bytes()).unwrap();
        let state = RegionState::from_live(&policy, &document, 0, |_| false);
        let of = |name: &str| {
            let Outlook { multiplier, shed_floor } = state.outlook(policy.region(name).unwrap());
            (multiplier, shed_floor)
        };
        [of("taiwan"), of("tokyo")]
    };
    assert_eq!(outlook(&json!({})), [(100, 0), (100, 0)]);
    assert_eq!(
        outlook(&json!({
            "expected_multiplier": {"taiwan": 200, "osaka": 300},
            "shed_floor": {"tokyo": 98, "taiwan": 5},
        })),
        [(200, 5), (100, 98)]
    );
    let unknown = RegionState::unknown(&policy);
    assert_eq!(unknown.outlook(policy.here()), Outlook { multiplier: 100, shed_floor: 0 });
}
