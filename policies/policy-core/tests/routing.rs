//! Where requests without a lease run: health, migrations, lag and load, as tables.

#![expect(clippy::unwrap_used, reason = "a broken fixture fails its test")]

mod common;

use common::plain;
use policy_core::wire::{LiveDocument, PluginConfig, Region, Spill, StateDocument};
use policy_core::{
    Caller, CanonicalPath, Country, Decision, Identity, Policy, Pseudonym, RegionState, Role,
    Verdict, decide,
};
use proptest::prelude::*;

const SHOP: &str = include_str!("../fixtures/shop.json");

/// The shop with a third region, `osaka`, that residency rules name nowhere, and `carts` that stay in
/// their region. Reads of products, profiles and stock may be 5 s behind; reads spill above 85 %.
fn config(region: &str, role: Role) -> PluginConfig {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    config.attachment.region = region.into();
    config.attachment.role = role;
    config.policy.regions.push(Region {
        name: "osaka".into(),
        code: "osa".into(),
        jurisdiction: "JP".into(),
        locality: None,
        peer_ids: vec!["spiffe://osaka.shop/ns/gateways/sa/peer".into()],
        gateway_ids: Vec::new(),
        workload_ids: Vec::new(),
    });
    for context in &mut config.policy.contexts {
        if ["catalog", "profiles", "inventory"].contains(&&*context.name) {
            context.max_lag_ms = Some(5_000);
        }
    }
    config.policy.load_shedding.spill = Some(Spill { above: 85, margin: 20 });
    config
}

fn policy(region: &str, role: Role) -> Policy {
    Policy::compile(&config(region, role)).unwrap()
}

fn state(policy: &Policy, json: &str) -> RegionState {
    let document: StateDocument = serde_json::from_str(json).unwrap();
    RegionState::from_document(policy, &document).unwrap()
}

fn decision<'p>(
    policy: &'p Policy,
    state: &RegionState,
    caller: Caller,
    method: &str,
    path: &str,
) -> Decision<'p> {
    let path = CanonicalPath::parse(path.as_bytes()).unwrap();
    let request = plain(method, &path);
    decide(policy, state, &request, &mut { caller })
}

fn customer(country: &str, user: Option<u64>) -> Caller {
    let pseudonym = user.map(|user| Pseudonym(user.to_be_bytes()));
    let identity = Identity::customer(Country::parse(country.as_bytes()));
    Caller::Known(Identity { pseudonym, ..identity })
}

/// `reason region`, and `stale` where it is.
fn line(policy: &Policy, decision: &Decision<'_>) -> String {
    let region = decision.region.map_or("-", |region| policy.region_name(region));
    let stale = if decision.stale { " stale" } else { "" };
    format!("{} {region}{stale}", decision.reason)
}

const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/1/profile";
const SUGGESTIONS: &str = "/api/v1/suggestions";
const STOCK: &str = "/api/v1/inventory/1";

#[test]
#[rustfmt::skip] // a table
fn a_region_with_trouble_serves_what_comes_and_stands_in_for_no_other() {
    let taiwan = policy("taiwan", Role::Edge);
    for (state_json, caller, method, path, expected, why) in [
        (r#"{"health":{"taiwan":"degraded"}}"#, Caller::Anonymous, "GET", PRODUCT, "allowed taiwan", "what enters it"),
        (r#"{"health":{"taiwan":"degraded"}}"#, Caller::Anonymous, "POST", PRODUCT, "allowed taiwan", "writes too"),
        (r#"{"health":{"taiwan":"down","tokyo":"degraded"}}"#, Caller::Anonymous, "GET", PRODUCT, "routed_residency osaka", "one without trouble is allowed, though of a worse rank"),
        (r#"{"health":{"taiwan":"down","tokyo":"degraded","osaka":"degraded"}}"#, Caller::Anonymous, "GET", PRODUCT, "routed_residency tokyo", "none is without: the best rank"),
        (r#"{"health":{"taiwan":"down","osaka":"down","tokyo":"degraded"}}"#, Caller::Anonymous, "GET", PRODUCT, "routed_residency tokyo", "the only one that serves"),
        (r#"{"health":{"tokyo":"degraded"}}"#, customer("JP", None), "GET", PROFILE, "routed_residency tokyo", "the only one that may have the data"),
        (r#"{"health":{"taiwan":"down","tokyo":"degraded"}}"#, customer("KR", None), "GET", PROFILE, "routed_residency tokyo", "home, and no other may have it"),
        (r#"{"health":{"taiwan":"degraded"}}"#, customer("TW", None), "POST", "/api/v1/orders", "allowed taiwan", "it holds the lease"),
        (r#"{"health":{"tokyo":"degraded"}}"#, customer("JP", None), "POST", "/api/v1/orders", "routed_holder tokyo", "it holds the lease"),
        (r#"{"situation":"failover","health":{"taiwan":"degraded"}}"#, customer("TW", None), "GET", PROFILE, "allowed taiwan", "trouble is no reason to fall back"),
        (r#"{"situation":"failover","health":{"taiwan":"down","tokyo":"degraded"}}"#, customer("TW", None), "GET", PROFILE, "routed_residency tokyo", "its fallback has trouble, and serves"),
    ] {
        let state = state(&taiwan, state_json);
        assert_eq!(line(&taiwan, &decision(&taiwan, &state, caller, method, path)), expected, "{why}");
    }
}

#[test]
#[rustfmt::skip] // a table
fn reads_go_where_copies_are_not_too_far_behind() {
    let taiwan = policy("taiwan", Role::Edge);
    let behind = r#"{"lagMs":{"taiwan":5001}}"#;
    let all_behind = r#"{"lagMs":{"taiwan":9000,"tokyo":9000,"osaka":9000}}"#;
    for (state_json, caller, method, path, expected, why) in [
        ("{}", Caller::Anonymous, "GET", PRODUCT, "allowed taiwan", "a written state keeps up unless it says otherwise"),
        (r#"{"lagMs":{"taiwan":5000}}"#, Caller::Anonymous, "GET", PRODUCT, "allowed taiwan", "as far behind as it may be"),
        (behind, Caller::Anonymous, "GET", PRODUCT, "routed_lag tokyo", "one millisecond more"),
        (behind, Caller::Anonymous, "HEAD", PRODUCT, "routed_lag tokyo", "a read too"),
        (behind, Caller::Anonymous, "POST", PRODUCT, "allowed taiwan", "a write is behind nothing"),
        (behind, Caller::Anonymous, "GET", "/api/v1/reviews/1", "allowed taiwan", "no bound"),
        (r#"{"lagMs":{"taiwan":9000,"tokyo":9000}}"#, Caller::Anonymous, "GET", PRODUCT, "routed_lag osaka", "the one that keeps up"),
        (r#"{"lagMs":{"taiwan":9000},"health":{"tokyo":"degraded"}}"#, Caller::Anonymous, "GET", PRODUCT, "routed_lag osaka", "not one with trouble"),
        (r#"{"lagMs":{"taiwan":9000,"osaka":9000},"health":{"tokyo":"degraded"}}"#, Caller::Anonymous, "GET", PRODUCT, "allowed taiwan stale", "rather stale here than to one with trouble"),
        (r#"{"lagMs":{"taiwan":9000,"osaka":9000},"health":{"tokyo":"down"}}"#, Caller::Anonymous, "GET", PRODUCT, "allowed taiwan stale", "nor to one that is down"),
        (all_behind, Caller::Anonymous, "GET", PRODUCT, "allowed taiwan stale", "none keeps up"),
        (all_behind, Caller::Anonymous, "POST", PRODUCT, "allowed taiwan", "a write is never stale"),
        (behind, customer("TW", None), "GET", PROFILE, "allowed taiwan stale", "no other region may have it"),
        (behind, customer("KR", None), "GET", PROFILE, "routed_lag tokyo", "another one may have it"),
        (r#"{"lagMs":{"taiwan":9000,"tokyo":9000}}"#, customer("KR", None), "GET", PROFILE, "allowed taiwan stale", "home is no better: it is what is behind after a failover"),
        (r#"{"lagMs":{"tokyo":9000}}"#, customer("JP", None), "GET", PROFILE, "routed_residency tokyo", "where it may be alone: stale there, as that region says"),
        (r#"{"health":{"taiwan":"down"},"lagMs":{"tokyo":9000}}"#, Caller::Anonymous, "GET", PRODUCT, "routed_lag osaka", "of those that could stand in"),
        (behind, Caller::Anonymous, "GET", STOCK, "allowed taiwan", "the lease is here: nothing is ahead"),
        (r#"{"lagMs":{"taiwan":9000},"leases":{"inventory":{"holder":"tokyo","epoch":"2"}}}"#, Caller::Anonymous, "GET", STOCK, "allowed taiwan stale", "leased reads stay, and say so"),
        (r#"{"lagMs":{"taiwan":9000},"leases":{"inventory":{"state":"unknown"}}}"#, Caller::Anonymous, "GET", STOCK, "allowed taiwan stale", "in doubt"),
        (r#"{"lagMs":{"taiwan":9000},"leases":{"inventory":{"state":"unknown"}}}"#, Caller::Anonymous, "POST", STOCK, "lease_unknown -", "of a refusal nothing is stale"),
        (r#"{"leases":{"inventory":{"holder":"tokyo","epoch":"2"}}}"#, Caller::Anonymous, "GET", STOCK, "allowed taiwan", "fresh enough"),
    ] {
        let state = state(&taiwan, state_json);
        assert_eq!(line(&taiwan, &decision(&taiwan, &state, caller, method, path)), expected, "{why}");
    }
}

#[test]
fn where_a_read_arrives_it_is_served_and_says_if_it_is_stale() {
    for role in [Role::Peer, Role::Inbound] {
        let taiwan = policy("taiwan", role);
        for (json, expected) in
            [("{}", "allowed taiwan"), (r#"{"lagMs":{"taiwan":9000}}"#, "allowed taiwan stale")]
        {
            let state = state(&taiwan, json);
            let decision = decision(&taiwan, &state, Caller::Anonymous, "GET", PRODUCT);
            assert_eq!(line(&taiwan, &decision), expected, "{role}");
        }
    }
}

#[test]
fn a_lag_that_nobody_can_tell_is_too_much() {
    let mut config = config("taiwan", Role::Edge);
    config.policy.fencing.static_state = None;
    let taiwan = Policy::compile(&config).unwrap();
    let live = |lag: &str| {
        let text = format!(
            r#"{{"v":1,"region":"taiwan","gen":1,"issued_seq":1,"leases":[],"lag_ms":{lag}}}"#
        );
        let document = LiveDocument::from_json(text.as_bytes()).unwrap();
        RegionState::from_live(&taiwan, &document, 0, |_| false)
    };
    for (state, expected, why) in [
        (live("{}"), "allowed taiwan stale", "an agent that tells no lag"),
        (live(r#"{"taiwan":{"kafka":10}}"#), "allowed taiwan", "it tells that of here"),
        (live(r#"{"taiwan":{"kafka":10,"postgresql":6000}}"#), "allowed taiwan stale", "the worst"),
        (live(r#"{"tokyo":{"kafka":10}}"#), "routed_lag tokyo", "it is told elsewhere"),
        (RegionState::unknown(&taiwan), "allowed taiwan stale", "no agent has said anything"),
    ] {
        let decision = decision(&taiwan, &state, Caller::Anonymous, "GET", PRODUCT);
        assert_eq!(line(&taiwan, &decision), expected, "{why}");
    }
}

fn migration(from: &str, to: &str, stage: u8, salt: &str) -> String {
    format!(r#""migration":{{"from":"{from}","to":"{to}","stage":{stage},"salt":"{salt}"}}"#)
}

#[test]
#[rustfmt::skip] // a table
fn a_migration_moves_whoever_it_may() {
    let (taiwan, tokyo, osaka) = (policy("taiwan", Role::Edge), policy("tokyo", Role::Edge), policy("osaka", Role::Edge));
    let whole = format!("{{{}}}", migration("taiwan", "tokyo", 100, "s"));
    let half = format!("{{{}}}", migration("taiwan", "tokyo", 50, "s"));
    let back = format!("{{{}}}", migration("tokyo", "taiwan", 100, "s"));
    let with = |more: &str| format!("{{{},{more}}}", migration("taiwan", "tokyo", 100, "s"));
    let known = |country| customer(country, Some(7));
    for (here, state_json, caller, method, path, expected, why) in [
        (&taiwan, &whole, known("KR"), "GET", PROFILE, "routed_migration tokyo", "everybody"),
        (&taiwan, &whole, known("KR"), "PUT", PROFILE, "routed_migration tokyo", "with what they write"),
        (&taiwan, &whole, Caller::Anonymous, "GET", PRODUCT, "routed_migration tokyo", "the last stage has those whom nobody knows"),
        (&taiwan, &half, Caller::Anonymous, "GET", PRODUCT, "allowed taiwan", "no stage before it has"),
        (&taiwan, &half, customer("KR", None), "GET", PROFILE, "allowed taiwan", "known, and no key to draw a bucket with"),
        (&taiwan, &whole, Caller::Anonymous, "POST", "/api/v1/login", "routed_migration tokyo", "a login"),
        (&taiwan, &whole, Caller::Anonymous, "GET", SUGGESTIONS, "routed_migration tokyo", "what stays in its region moves with its user"),
        (&taiwan, &whole, known("TW"), "GET", PROFILE, "allowed taiwan", "residency does not let it"),
        (&taiwan, &whole, known("JP"), "GET", PROFILE, "routed_residency tokyo", "it is there already"),
        (&taiwan, &whole, known("TW"), "POST", "/api/v1/orders", "allowed taiwan", "leased: with its lease alone"),
        (&taiwan, &whole, Caller::Anonymous, "GET", STOCK, "allowed taiwan", "leased reads too"),
        (&tokyo, &whole, known("KR"), "GET", PROFILE, "allowed tokyo", "where they go"),
        (&osaka, &whole, Caller::Anonymous, "GET", PRODUCT, "allowed osaka", "nobody of another region"),
        (&taiwan, &with(r#""health":{"tokyo":"down"}"#), known("KR"), "GET", PROFILE, "allowed taiwan", "it is down"),
        (&taiwan, &with(r#""health":{"tokyo":"degraded"}"#), known("KR"), "GET", PROFILE, "allowed taiwan", "it has trouble, here has none"),
        (&taiwan, &with(r#""health":{"tokyo":"degraded","taiwan":"degraded"}"#), known("KR"), "GET", PROFILE, "routed_migration tokyo", "both have trouble"),
        (&taiwan, &with(r#""lagMs":{"tokyo":9000}"#), known("KR"), "GET", PROFILE, "allowed taiwan", "it is too far behind to be read"),
        (&taiwan, &with(r#""lagMs":{"tokyo":9000}"#), known("KR"), "PUT", PROFILE, "routed_migration tokyo", "and not to be written"),
        (&taiwan, &with(r#""lagMs":{"taiwan":9000}"#), known("KR"), "GET", PROFILE, "routed_migration tokyo", "whatever is behind here"),
        (&tokyo, &back, known("KR"), "GET", PROFILE, "routed_migration taiwan", "back to Taiwan"),
        (&tokyo, &back, known("JP"), "GET", PROFILE, "allowed tokyo", "what stays in Tokyo stays"),
        (&tokyo, &back, Caller::Anonymous, "POST", PRODUCT, "routed_migration taiwan", "back to Taiwan"),
    ] {
        let state = state(here, state_json);
        assert_eq!(line(here, &decision(here, &state, caller, method, path)), expected, "{why}: {method} {path}");
    }
}

#[test]
fn about_as_many_move_as_the_stage_says() {
    let taiwan = policy("taiwan", Role::Edge);
    for stage in [0, 10, 50, 100] {
        let state = state(&taiwan, &format!("{{{}}}", migration("taiwan", "tokyo", stage, "s1")));
        let is_moved = |user: &u64| {
            let caller = customer("KR", Some(*user));
            decision(&taiwan, &state, caller, "GET", PROFILE).verdict() == Verdict::Route
        };
        let moved = (0..2_000).filter(is_moved).count();
        let expected = usize::from(stage) * 20;
        assert!(moved.abs_diff(expected) <= 60, "{stage}: {moved}");
        assert!(![0, 100].contains(&stage) || moved == expected, "{stage}: {moved}");
    }
}

#[test]
#[rustfmt::skip] // a table
fn reads_spill_where_there_is_less_to_do() {
    let taiwan = policy("taiwan", Role::Edge);
    // 15 of a hundred.
    let full = r#""load":{"taiwan":100,"tokyo":40}"#;
    let just = |json: &str| format!("{{{json}}}");
    let with = |more: &str| format!("{{{full},{more}}}");
    // Whose draws are the first and the last of all.
    let draws = |user: u64| Pseudonym(user.to_be_bytes()).draw("spill");
    let first = (0..10_000).min_by_key(|user| draws(*user)).unwrap();
    let last = (0..10_000).max_by_key(|user| draws(*user)).unwrap();
    for (state_json, user, method, path, expected, why) in [
        (just(full), first, "GET", "/api/v1/reviews/1", "routed_spill tokyo", "more than 85 here, much less there"),
        (just(full), last, "GET", "/api/v1/reviews/1", "allowed taiwan", "only a share of the users"),
        (just(full), first, "POST", "/api/v1/reviews/1", "allowed taiwan", "no write"),
        (just(full), first, "GET", SUGGESTIONS, "allowed taiwan", "what stays in its region is not there"),
        (just(full), first, "GET", STOCK, "allowed taiwan", "leased"),
        (just(full), first, "GET", PROFILE, "routed_spill tokyo", "both may have it"),
        (with(r#""lagMs":{"tokyo":6000}"#), first, "GET", PROFILE, "allowed taiwan", "too far behind there"),
        (with(r#""lagMs":{"tokyo":6000}"#), first, "GET", "/api/v1/reviews/1", "routed_spill tokyo", "no bound"),
        (with(r#""health":{"tokyo":"degraded"}"#), first, "GET", "/api/v1/reviews/1", "allowed taiwan", "it has trouble"),
        (with(r#""health":{"tokyo":"down"}"#), first, "GET", "/api/v1/reviews/1", "allowed taiwan", "it is down"),
        (just(r#""load":{"taiwan":100}"#), first, "GET", "/api/v1/reviews/1", "allowed taiwan", "nobody knows of there"),
        (just(r#""load":{"tokyo":1}"#), first, "GET", "/api/v1/reviews/1", "allowed taiwan", "nobody knows of here"),
        (just(r#""load":{"taiwan":85,"tokyo":1}"#), first, "GET", "/api/v1/reviews/1", "allowed taiwan", "not above"),
        (just(r#""load":{"taiwan":86,"tokyo":1}"#), first, "GET", "/api/v1/reviews/1", "routed_spill tokyo", "above"),
        (just(r#""load":{"taiwan":100,"tokyo":80}"#), first, "GET", "/api/v1/reviews/1", "allowed taiwan", "hardly less"),
        (just(r#""load":{"taiwan":100,"tokyo":79}"#), first, "GET", "/api/v1/reviews/1", "routed_spill tokyo", "enough less"),
        (just(r#""load":{"taiwan":100,"tokyo":60,"osaka":30}"#), first, "GET", "/api/v1/reviews/1", "routed_spill osaka", "the least of all"),
        (just(r#""load":{"taiwan":100,"tokyo":60,"osaka":30}"#), first, "GET", PROFILE, "routed_spill tokyo", "the least that is allowed"),
        (just(r#""load":{"taiwan":400,"tokyo":0}"#), last, "GET", "/api/v1/reviews/1", "routed_spill tokyo", "everybody"),
    ] {
        let state = state(&taiwan, &state_json);
        let caller = customer("KR", Some(user));
        assert_eq!(line(&taiwan, &decision(&taiwan, &state, caller, method, path)), expected, "{why}: {state_json}");
    }
}

#[test]
fn of_nobody_known_some_of_what_is_read_spills() {
    let taiwan = policy("taiwan", Role::Edge);
    let state = state(&taiwan, r#"{"load":{"taiwan":100,"tokyo":40}}"#);
    let spills = |item: &u32| {
        let path = format!("/api/v1/products/{item}");
        decision(&taiwan, &state, Caller::Anonymous, "GET", &path).verdict() == Verdict::Route
    };
    let spilt = (0..1_000).filter(spills).count();
    assert!((110..=190).contains(&spilt), "15 of a hundred: {spilt}");
}

#[test]
fn without_the_key_nothing_spills() {
    let mut config = config("taiwan", Role::Edge);
    config.policy.load_shedding.spill = None;
    let taiwan = Policy::compile(&config).unwrap();
    let state = state(&taiwan, r#"{"load":{"taiwan":400,"tokyo":0}}"#);
    let decision = decision(&taiwan, &state, Caller::Anonymous, "GET", PRODUCT);
    assert_eq!(line(&taiwan, &decision), "allowed taiwan");
}

#[test]
fn an_order_to_freeze_is_of_every_lease() {
    let taiwan = policy("taiwan", Role::Edge);
    let state =
        state(&taiwan, r#"{"override":"freeze","leases":{"inventory":{"state":"vacant"}}}"#);
    for (caller, path, expected) in [
        (customer("TW", None), "/api/v1/orders", "lease_frozen -"),
        (customer("JP", None), "/api/v1/payments/1", "lease_frozen -"),
        (Caller::Anonymous, STOCK, "lease_vacant -"),
        (Caller::Anonymous, "/api/v1/reviews/1", "allowed taiwan"),
    ] {
        let decision = decision(&taiwan, &state, caller, "POST", path);
        assert_eq!(line(&taiwan, &decision), expected, "{path}");
    }
}

#[test]
fn a_state_that_cannot_be_says_where() {
    let taiwan = policy("taiwan", Role::Edge);
    for (json, path) in [
        (r#"{"lagMs":{"mars":1}}"#.to_owned(), "lagMs"),
        (r#"{"load":{"mars":1}}"#.to_owned(), "load"),
        (format!("{{{}}}", migration("mars", "tokyo", 1, "")), "migration.from"),
        (format!("{{{}}}", migration("tokyo", "mars", 1, "")), "migration.to"),
        (format!("{{{}}}", migration("tokyo", "tokyo", 1, "")), "migration.to"),
        (format!("{{{}}}", migration("tokyo", "taiwan", 101, "")), "migration.stage"),
    ] {
        let document: StateDocument = serde_json::from_str(&json).unwrap();
        let fault = RegionState::from_document(&taiwan, &document).unwrap_err();
        assert_eq!(fault.path, path, "{json}");
    }
}

proptest! {
    /// Raising the stage only adds users, and lowering it takes away those that came last.
    #[test]
    fn a_migration_is_sticky(
        users in prop::collection::vec(any::<u64>(), 1..40),
        salt in "[a-z]{0,8}",
        mut stages in prop::collection::vec(0_u8..=100, 2..6),
        write in any::<bool>(),
    ) {
        let taiwan = policy("taiwan", Role::Edge);
        let moved = |stage: u8| -> Vec<u64> {
            let state = state(&taiwan, &format!("{{{}}}", migration("taiwan", "tokyo", stage, &salt)));
            let is_moved = |user: &u64| {
                let method = if write { "PUT" } else { "GET" };
                let caller = customer("KR", Some(*user));
                decision(&taiwan, &state, caller, method, PROFILE).region == taiwan.region("tokyo")
            };
            users.iter().copied().filter(is_moved).collect()
        };
        stages.sort_unstable();
        let sets: Vec<Vec<u64>> = stages.iter().map(|stage| moved(*stage)).collect();
        for pair in sets.windows(2) {
            let [fewer, more] = pair else { continue };
            prop_assert!(fewer.iter().all(|user| more.contains(user)), "{fewer:?} {more:?}");
        }
        prop_assert!(moved(0).is_empty());
        prop_assert_eq!(moved(100), users);
    }

    /// The higher the load here and the lower there, the more users spill, and never others.
    #[test]
    fn a_spill_is_sticky(
        users in prop::collection::vec(any::<u64>(), 1..40),
        here in 0_u16..200,
        there in 0_u16..200,
        more in 0_u16..50,
        less in 0_u16..50,
    ) {
        let taiwan = policy("taiwan", Role::Edge);
        let spilt = |here: u16, there: u16| -> Vec<u64> {
            let json = format!(r#"{{"load":{{"taiwan":{here},"tokyo":{there}}}}}"#);
            let state = state(&taiwan, &json);
            let spills = |user: &u64| {
                let caller = customer("KR", Some(*user));
                decision(&taiwan, &state, caller, "GET", PROFILE).verdict() == Verdict::Route
            };
            users.iter().copied().filter(spills).collect()
        };
        let before = spilt(here, there);
        let after = spilt(here + more, there.saturating_sub(less));
        prop_assert!(before.iter().all(|user| after.contains(user)));
        prop_assert!(before.is_empty() || (here > 85 && here - there > 20));
    }

    /// Whatever region state says, a request runs only where residency lets it.
    #[test]
    fn no_state_widens_a_rule(
        country in prop::sample::select(vec!["JP", "TW"]),
        loads in prop::collection::vec(0_u16..300, 3),
        lags in prop::collection::vec(0_u32..10_000, 3),
        health in prop::collection::vec(prop::sample::select(vec!["up", "degraded", "down"]), 3),
        route in prop::sample::select(vec![("taiwan", "tokyo"), ("tokyo", "taiwan"), ("taiwan", "osaka")]),
        stage in 0_u8..=100,
        user in any::<u64>(),
        here in prop::sample::select(vec!["taiwan", "tokyo", "osaka"]),
        path in prop::sample::select(vec![PROFILE, "/api/v1/orders/1", "/api/v1/secrets/1"]),
    ) {
        let policy = policy(here, Role::Edge);
        let names = ["taiwan", "tokyo", "osaka"];
        let of = |values: Vec<String>| {
            names.iter().zip(values).map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
        };
        let json = format!(
            r#"{{"load":{{{}}},"lagMs":{{{}}},"health":{{{}}},{}}}"#,
            of(loads.iter().map(ToString::to_string).collect()),
            of(lags.iter().map(ToString::to_string).collect()),
            of(health.iter().map(|health| format!("\"{health}\"")).collect()),
            migration(route.0, route.1, stage, "s"),
        );
        let state = state(&policy, &json);
        let decision = decision(&policy, &state, customer(country, Some(user)), "GET", path);
        if decision.verdict().is_pass() {
            let only = if country == "JP" { "tokyo" } else { "taiwan" };
            prop_assert_eq!(decision.region, policy.region(only));
        }
    }
}
