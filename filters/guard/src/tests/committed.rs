//! Leased writes that have run, and reads of copies: what is said of their responses.

use super::roles::{config, from};
use super::{ATTEMPTS, arrive, configure, end, run};
use crate::fake::{FakeAnswer, FakeHost, FakeVm};
use crate::{Flow, Guard, Regional, Worker};
use policy_core::Role;
use policy_core::wire::{Acks, Agent, LiveDocument, PluginConfig};
use serde_json::Value;

const TAIWAN: &str = "spiffe://taiwan.shop/ns/gateways/sa/peer";
const TOKYO: &str = "spiffe://tokyo.shop/ns/gateways/sa/peer";

/// The shop, with orders that both regions acknowledge, one while the other is down, and products of
/// which copies may be 5 s behind.
fn shop(role: Role, state: &str) -> PluginConfig {
    let mut config = config("taiwan", role);
    for context in &mut config.policy.contexts {
        match &*context.name {
            "orders" => context.acks = Some(Acks { required: 2, when_peer_down: Some(1) }),
            "catalog" => context.max_lag_ms = Some(5_000),
            _ => {}
        }
    }
    config.policy.fencing.static_state = Some(serde_json::from_str(state).unwrap());
    config
}

fn guard(role: Role, state: &str) -> Guard {
    let json = serde_json::to_vec(&shop(role, state)).unwrap();
    let guard = configure(b"guard", Some(&json));
    assert_eq!(guard.fault(), None);
    guard
}

fn order(country: &str) -> FakeHost {
    arrive("POST", "/api/v1/orders", country, &[("idempotency-key", "k1")])
}

/// What a response's headers become, by this name.
fn respond(guard: &Guard, host: &mut FakeHost, response: &[(&str, &str)], by: &str) -> Value {
    let (flow, mut stream) = run(guard, host);
    assert_eq!(flow, Flow::Continue, "{:?}", host.replied);
    if !by.is_empty() {
        host.properties.insert("upstream.uri_san_peer_certificate".into(), by.into());
    }
    host.properties.insert(ATTEMPTS.into(), 1_u64.to_le_bytes().into());
    host.response =
        response.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    guard.on_response_headers(&mut Worker::new(0), &mut stream, host, false);
    assert_eq!(host.replied, None, "it has run");
    end(guard, stream, host);
    let record = host.recorded.as_deref().unwrap_or("{}");
    serde_json::from_str(record).unwrap()
}

fn header(host: &FakeHost, name: &str) -> Option<String> {
    let found = host.response.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

#[test]
#[rustfmt::skip] // a table
fn too_few_acknowledgements_are_said_and_not_refused() {
    let down = r#"{"health":{"tokyo":"down"}}"#;
    let ok = (":status", "201");
    for (state, country, response, told, why) in [
        ("{}", "TW", &[ok, ("x-meshfence-acks", "taiwan tokyo")][..], false, "both"),
        ("{}", "TW", &[ok, ("x-meshfence-acks", "taiwan"), ("x-meshfence-acks", "tokyo")], false, "both, one after the other"),
        ("{}", "TW", &[ok, ("x-meshfence-acks", "taiwan")], true, "one"),
        ("{}", "TW", &[ok, ("x-meshfence-acks", "taiwan taiwan osaka")], true, "one, twice, and nobody"),
        ("{}", "TW", &[ok], true, "none is named"),
        ("{}", "JP", &[ok, ("x-meshfence-acks", "tokyo")], true, "where it ran elsewhere too"),
        (down, "TW", &[ok, ("x-meshfence-acks", "taiwan")], false, "one is enough while the other is down"),
        (down, "TW", &[ok], true, "none is not"),
        (r#"{"health":{"tokyo":"degraded"}}"#, "TW", &[ok, ("x-meshfence-acks", "taiwan")], true, "trouble is not down"),
        ("{}", "TW", &[(":status", "409")], false, "a refusal of the application is nothing to acknowledge"),
        ("{}", "TW", &[(":status", "200"), ("grpc-status", "9")], false, "nor one by gRPC"),
        ("{}", "TW", &[(":status", "200"), ("grpc-status", "0")], true, "a success by gRPC"),
    ] {
        let guard = guard(Role::Edge, state);
        let mut host = order(country);
        let record = respond(&guard, &mut host, response, "");
        let reason = header(&host, "x-meshfence-reason");
        assert_eq!(reason.as_deref(), told.then_some("acks_missing"), "{why}");
        let counted = host.metrics.get("role=.=edge;.;meshfence_acks_missing_total");
        assert_eq!(counted, told.then_some(&1), "{why}");
        assert_eq!(record["outcome"]["reason"].as_str(), told.then_some("acks_missing"), "{why}: {record}");
        let verdict = if country == "JP" { "route" } else { "allow" };
        assert_eq!(record["outcome"]["verdict"].as_str(), told.then_some(verdict), "{why}");
        assert!(header(&host, "cache-control").is_some(), "it is about a person");
    }
}

#[test]
fn only_writes_of_contexts_that_say_so_need_acknowledgements() {
    let guard = guard(Role::Edge, "{}");
    let key = ("idempotency-key", "k1");
    for (method, path) in [
        ("GET", "/api/v1/orders/1"),
        ("POST", "/api/v1/payments/1"),
        ("POST", "/api/v1/inventory/1"),
        ("POST", "/api/v1/reviews/1"),
    ] {
        let mut host = arrive(method, path, "TW", &[key]);
        let record = respond(&guard, &mut host, &[(":status", "200")], "");
        assert_eq!(header(&host, "x-meshfence-reason"), None, "{method} {path}");
        assert_eq!(record.get("acks"), None, "{method} {path}");
    }
    let mut host = order("TW");
    let response = [(":status", "200"), ("x-meshfence-acks", "tokyo taiwan")];
    let (flow, mut stream) = run(&guard, &mut host);
    assert_eq!(flow, Flow::Continue);
    host.response = response.map(|(name, value)| (name.into(), value.into())).into();
    guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
    assert_eq!(header(&host, "x-meshfence-acks").as_deref(), Some("tokyo taiwan"), "passed on");
}

#[test]
fn a_remark_of_another_guard_is_passed_on_and_no_one_elses() {
    let edge = guard(Role::Edge, "{}");
    let remark = ("x-meshfence-reason", "changed_inflight");
    let both = ("x-meshfence-acks", "taiwan tokyo");
    for (response, by, kept, why) in [
        (&[(":status", "200"), remark, both][..], TOKYO, true, "of the peer's guard"),
        (&[(":status", "200"), remark, both], "", false, "of nobody known"),
        (&[(":status", "200"), remark, both], TAIWAN, false, "of another region's"),
        (&[(":status", "409"), remark, both], TOKYO, false, "beside a refusal"),
        (&[(":status", "200"), remark, remark, both], TOKYO, false, "twice"),
    ] {
        let mut host = order("JP");
        respond(&edge, &mut host, response, by);
        let reason = header(&host, "x-meshfence-reason");
        assert_eq!(reason.as_deref(), kept.then_some("changed_inflight"), "{why}");
        let stripped = host.metrics.contains_key("meshfence_stripped_responses_total");
        assert_eq!(stripped, !kept, "{why}");
    }
}

#[test]
fn a_lease_that_was_granted_anew_meanwhile_is_said() {
    let mut config = shop(Role::Edge, "{}");
    config.policy.fencing.static_state = None;
    config.attachment.agent =
        Some(Agent { cluster: "region-agent".into(), authority: "agent".into() });
    let guard = configure(b"guard", Some(&serde_json::to_vec(&config).unwrap()));
    assert_eq!(guard.fault(), None);
    let lease = |epoch: u64, holder: &str, state: &str| {
        let holder =
            if holder.is_empty() { String::new() } else { format!(r#""holder":"{holder}","#) };
        format!(r#"{{"ctx":"inventory",{holder}"epoch":{epoch},"ttl_ms":15000,"state":"{state}"}}"#)
    };
    for (after, changed, why) in [
        (lease(7, "taiwan", "active"), false, "renewed"),
        (lease(8, "taiwan", "active"), true, "granted anew to the same region"),
        (lease(8, "tokyo", "active"), true, "granted to another one"),
        (lease(7, "taiwan", "draining"), false, "being handed over: it still is that grant"),
        (lease(7, "", "vacant"), false, "over: nobody has another one"),
        (lease(7, "taiwan", "unknown"), false, "in doubt"),
    ] {
        let mut vm = FakeVm { monotonic_ms: 1_000, ..FakeVm::default() };
        let mut regional = Regional::new(1);
        let mut hear = |vm: &mut FakeVm, issued_seq: u64, lease: &str| {
            vm.monotonic_ms += 2_000;
            guard.on_tick(&mut Worker::new(1), &mut regional, vm);
            let call = u32::try_from(vm.asked.len()).unwrap() - 1;
            let body = format!(
                r#"{{"v":1,"region":"taiwan","gen":1,"issued_seq":{issued_seq},"leases":[{lease}]}}"#
            );
            LiveDocument::from_json(body.as_bytes()).unwrap();
            let size = body.len();
            let headers = vec![(":status".into(), "200".into())];
            vm.answer = Some(FakeAnswer { headers, body: body.into_bytes() });
            guard.on_answer(&mut regional, call, size, vm);
        };
        hear(&mut vm, 1, &lease(7, "taiwan", "active"));
        let key = ("idempotency-key", "k1");
        let mut host = arrive("POST", "/api/v1/inventory/1", "TW", &[key]);
        host.monotonic_ms = vm.monotonic_ms;
        let (flow, mut stream) = run(&guard, &mut host);
        assert_eq!(flow, Flow::Continue, "{:?}", host.replied);
        hear(&mut vm, 2, &after);
        host.response = vec![(":status".into(), "200".into())];
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        assert_eq!(host.replied, None, "the body is untouched");
        let reason = header(&host, "x-meshfence-reason");
        assert_eq!(reason.as_deref(), changed.then_some("changed_inflight"), "{why}");
        let counted = host.metrics.get("role=.=edge;.;meshfence_changed_inflight_total");
        assert_eq!(counted, changed.then_some(&1), "{why}");
    }
}

#[test]
fn the_token_of_a_lock_is_passed_on_to_writes_of_locked_contexts() {
    let key = ("idempotency-key", "k1");
    let lock = ("meshfence-lock", "sku-1:7f3a");
    for (method, path, more, passed, why) in [
        ("POST", "/api/v1/inventory/1", &[key, lock][..], Some("sku-1:7f3a"), "a write"),
        ("POST", "/api/v1/inventory/1", &[key], None, "without one"),
        ("GET", "/api/v1/inventory/1", &[lock], None, "a read"),
        ("POST", "/api/v1/orders", &[key, lock], None, "of another consistency"),
        (
            "POST",
            "/api/v1/inventory/1",
            &[key, ("x-meshfence-lock", "forged")],
            None,
            "what only the mesh may say",
        ),
        (
            "POST",
            "/api/v1/inventory/1",
            &[key, lock, ("x-meshfence-lock", "forged")],
            Some("sku-1:7f3a"),
            "both",
        ),
    ] {
        let mut host = arrive(method, path, "TW", more);
        run(&guard(Role::Edge, "{}"), &mut host);
        assert_eq!(host.request_header("x-meshfence-lock").as_deref(), passed, "{why}");
    }
    // Where it arrives it stays as it came, and a client's own header counts for nothing.
    let fence = ("x-meshfence-fence", "inventory;e=1;h=taiwan");
    let via = ("x-meshfence-via", "tokyo");
    for (more, expected, why) in [
        (
            &[via, fence, ("x-meshfence-lock", "sku-1:7f3a")][..],
            Ok(Some("sku-1:7f3a")),
            "passed on",
        ),
        (&[via, fence, lock], Ok(None), "the client's"),
        (&[via, fence, ("x-meshfence-lock", "a b")], Err(400), "malformed"),
        (&[via, fence, ("x-meshfence-lock", "a"), ("x-meshfence-lock", "a")], Err(400), "twice"),
    ] {
        let mut host = from(Some(TOKYO), "POST", "/api/v1/inventory/1", more);
        run(&guard(Role::Peer, "{}"), &mut host);
        let found = match &host.replied {
            Some(answer) => Err(answer.status),
            None => Ok(host.request_header("x-meshfence-lock")),
        };
        assert_eq!(found.as_ref().map(Option::as_deref), expected.as_ref().copied(), "{why}");
    }
}

#[test]
fn a_write_without_a_key_is_counted_where_the_policy_says_so() {
    let mut config = shop(Role::Edge, "{}");
    for context in &mut config.policy.contexts {
        context.idempotency_key = serde_json::from_str("\"warn\"").unwrap();
    }
    let guard = configure(b"guard", Some(&serde_json::to_vec(&config).unwrap()));
    for (method, path, more, counted, why) in [
        ("POST", "/api/v1/inventory/1", &[][..], true, "no key"),
        ("PATCH", "/api/v1/inventory/1", &[], true, "no key"),
        ("POST", "/api/v1/inventory/1", &[("idempotency-key", "k1")], false, "a key"),
        ("PUT", "/api/v1/inventory/1", &[], false, "idempotent by definition"),
        ("GET", "/api/v1/orders/1", &[], false, "no write"),
        ("POST", "/api/v1/reviews/1", &[], false, "not leased"),
    ] {
        let mut host = arrive(method, path, "TW", more);
        let (flow, _) = run(&guard, &mut host);
        assert_eq!(flow, Flow::Continue, "{why}");
        let found = host.metrics.get("role=.=edge;.;meshfence_keyless_writes_total");
        assert_eq!(found, counted.then_some(&1), "{why}: {method} {path}");
    }
}

#[test]
fn a_stale_read_says_so_on_both_ways() {
    let behind = r#"{"lagMs":{"taiwan":9000,"tokyo":9000}}"#;
    let public = ("cache-control", "public, max-age=60");
    for (state, response, by, stale, why) in [
        ("{}", &[(":status", "200"), public][..], "", false, "fresh"),
        (behind, &[(":status", "200"), public], "", true, "too far behind"),
        (
            "{}",
            &[(":status", "200"), public, ("x-meshfence-stale", "1")],
            "",
            false,
            "an application says so",
        ),
        (
            "{}",
            &[(":status", "200"), public, ("x-meshfence-stale", "1")],
            TAIWAN,
            true,
            "the guard of a workload says so",
        ),
        (
            "{}",
            &[(":status", "200"), public, ("x-meshfence-stale", "yes")],
            TAIWAN,
            false,
            "in another form",
        ),
    ] {
        let guard = guard(Role::Edge, state);
        let mut host = arrive("GET", "/api/v1/products/1", "", &[("x-meshfence-stale", "1")]);
        respond(&guard, &mut host, response, by);
        let is_own = state == behind;
        let marked = host.request_header("x-meshfence-stale");
        assert_eq!(marked.as_deref(), is_own.then_some("1"), "{why}");
        let mark = header(&host, "x-meshfence-stale");
        assert_eq!(mark.as_deref(), stale.then_some("1"), "{why}");
        let kept = header(&host, "cache-control").unwrap();
        assert_eq!(kept, if stale { "private, no-store" } else { public.1 }, "{why}");
        let counted = host.metrics.get("role=.=edge;.;meshfence_stale_reads_total");
        assert_eq!(counted, is_own.then_some(&1), "{why}");
    }
}
