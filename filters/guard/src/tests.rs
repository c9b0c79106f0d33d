//! Whole requests against the fake host: what goes on, what is answered, what it costs.

mod clocks;
mod committed;
mod records;
mod redaction;
mod regional;
mod remembered;
mod reroute;
mod roles;
mod shedding;
mod sources;
mod untrusted;
mod versions;

use crate::fake::{FakeHost, FakeVm};
use crate::keyring::KeyRing;
use crate::{Attached, Flow, Guard, LastGood, Stream, Worker};
use policy_core::wire::{Hmac, HmacKey, PluginConfig};
use policy_core::{Policy, Reason, Role};
use proptest::prelude::*;
use std::fmt::Write as _;

const SHOP: &str = include_str!("../../../policies/policy-core/fixtures/shop.json");
const CLAIMS: &str = "metadata.filter_metadata.envoy.filters.http.jwt_authn.shop";

/// A guard in a VM that has seen no other configuration and has no secret.
fn configure(root: &[u8], configuration: Option<&[u8]>) -> Guard {
    let at = Attached { plugin: b"meshfence.edge", root };
    Guard::configure(at, configuration, &mut FakeVm::default(), &mut LastGood::default())
}

fn guard() -> Guard {
    let guard = configure(b"guard", Some(SHOP.as_bytes()));
    assert_eq!(guard.fault(), None);
    guard
}

/// The keys with these ids, each with a secret of one byte over and over; the first one signs.
pub(crate) fn keys(all: &[(&str, u8)]) -> KeyRing {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    let env = |id: &str| format!("MESHFENCE_{id}").to_uppercase();
    let keys = all.iter().map(|(id, _)| HmacKey { id: (*id).into(), env: env(id) }).collect();
    config.policy.hmac = Some(Hmac { keys, replay_window_ms: 30_000 });
    let secrets: Vec<_> = all.iter().map(|(id, byte)| (env(id), vec![*byte; 32])).collect();
    KeyRing::new(&Policy::compile(&config).unwrap(), &secrets)
}

/// A request of a customer from this country, or of nobody.
fn arrive(method: &str, path: &str, country: &str, more: &[(&str, &str)]) -> FakeHost {
    let mut headers =
        vec![(":method", method), (":path", path), (":authority", "api.shop.example")];
    if !country.is_empty() {
        headers.push(("authorization", "Bearer token"));
    }
    headers.extend(more);
    let mut host = FakeHost::new(&headers);
    if !country.is_empty() {
        for (claim, value) in [("iss", "https://id"), ("residency", country)] {
            host.properties.insert(format!("{CLAIMS}.{claim}"), value.into());
        }
    }
    host
}

fn run(guard: &Guard, host: &mut FakeHost) -> (Flow, Stream) {
    run_in(&mut Worker::new(0x3fa2_9c1b), guard, host)
}

/// The same, in a VM that may have seen others before.
fn run_in(worker: &mut Worker, guard: &Guard, host: &mut FakeHost) -> (Flow, Stream) {
    let mut stream = Stream::default();
    let flow = guard.on_request_headers(worker, &mut stream, host, true);
    assert_eq!(flow == Flow::Continue, stream.is_open());
    assert_eq!(flow == Flow::Pause, host.replied.is_some());
    (flow, stream)
}

/// The end of its stream; what is recorded of it is in the host.
fn end(guard: &Guard, mut stream: Stream, host: &mut FakeHost) {
    guard.on_done(&mut Worker::new(0x3fa2_9c1b), &mut stream, host);
}

/// A record but for its place in the chain.
fn said(record: &str) -> &str {
    record.split_once(r#","node""#).unwrap().0
}

#[test]
fn a_passed_request_carries_what_its_policies_say() {
    let key = ("idempotency-key", "k1");
    for (method, path, country, more, expected) in [
        ("GET", "/api/v1/products/1", "", &[][..], &[][..]),
        (
            "POST",
            "/api/v1/orders",
            "TW",
            &[key],
            &[
                ("x-meshfence-subject", "TW"),
                ("x-meshfence-fence", "orders;e=1;h=taiwan;s=taiwan~tokyo"),
                ("x-meshfence-epoch", "1"),
                ("x-meshfence-consistency", "quorum"),
            ],
        ),
        (
            "POST",
            "/api/v1/payments/1",
            "JP",
            &[key],
            &[
                ("x-meshfence-route", "tokyo"),
                ("x-meshfence-via", "taiwan"),
                ("x-meshfence-subject", "JP"),
                ("x-meshfence-fence", "payments;e=1;h=tokyo;s=tokyo"),
                ("x-meshfence-epoch", "1"),
                ("x-meshfence-consistency", "synchronous"),
                ("x-envoy-max-retries", "0"),
            ],
        ),
        (
            "GET",
            "/api/v1/customers/7",
            "JP",
            &[],
            &[
                ("x-meshfence-route", "tokyo"),
                ("x-meshfence-via", "taiwan"),
                ("x-meshfence-subject", "JP"),
            ],
        ),
        (
            "POST",
            "/api/v1/reviews/9",
            "",
            &[],
            &[
                ("x-meshfence-origin", "taiwan"),
                ("x-meshfence-version", "018bcfe568000000-tpe-3fa29c1b"),
            ],
        ),
        (
            "GET",
            "//api/v1/%70roducts/1?q=%2f",
            "",
            &[("x-meshfence-route", "tokyo"), ("x_meshfence_epoch", "9")],
            &[(":path", "/api/v1/products/1?q=%2f")],
        ),
        (
            "POST",
            "/shop.inventory.v1.Inventory/GetStock",
            "",
            &[("content-type", "application/grpc"), ("grpc-timeout", "1S")],
            &[("x-meshfence-deadline-ms", "995")],
        ),
    ] {
        let mut host = arrive(method, path, country, more);
        let before = host.request.clone();
        let (flow, _) = run(&guard(), &mut host);
        assert_eq!(flow, Flow::Continue, "{method} {path}: {:?}", host.replied);
        let changed: Vec<(String, String)> = host
            .request
            .iter()
            .filter(|header| !before.contains(header))
            .map(|(name, value)| (name.clone(), String::from_utf8(value.clone()).unwrap()))
            .collect();
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(changed, expected, "{method} {path}");
        assert!(host.request.iter().all(|(name, _)| !name.starts_with("x_")), "{method} {path}");
    }
}

#[test]
fn spoofed_headers_change_nothing_and_go_nowhere() {
    let spoofed = [
        ("x-meshfence-route", "tokyo"),
        ("x-meshfence-via", "taiwan"),
        ("x-meshfence-fence", "orders;e=99;h=tokyo;s=tokyo"),
        ("x-meshfence-epoch", "99"),
        ("x-meshfence-version", "ffffffffffffffff-tyo-00000000"),
        ("x-meshfence-subject", "JP"),
        ("x-meshfence-deadline-ms", "1"),
        ("x-http-method-override", "GET"),
        ("x-original-url", "/admin"),
        ("x-envoy-retry-on", "5xx"),
        ("idempotency-key", "k1"),
    ];
    let mut plain = arrive("POST", "/api/v1/orders", "TW", &[("idempotency-key", "k1")]);
    let mut forged = arrive("POST", "/api/v1/orders", "TW", &spoofed);
    for host in [&mut plain, &mut forged] {
        let guard = guard();
        let (_, stream) = run(&guard, host);
        end(&guard, stream, host);
    }
    let mut sent = [plain.request, forged.request];
    for headers in &mut sent {
        headers.sort();
    }
    let [plain_sent, forged_sent] = sent;
    assert_eq!(plain_sent, forged_sent);
    assert_eq!(forged.metrics.get("meshfence_stripped_requests_total"), Some(&1));
    let [plain, forged] = [plain.recorded.unwrap(), forged.recorded.unwrap()];
    assert_eq!(said(&forged).replace(r#","stripped":10"#, ""), said(&plain));
}

#[test]
fn a_refusal_is_problem_json_or_a_grpc_status_and_says_no_more() {
    let guard = guard();
    let mut host = arrive("GET", "/api/v1/customers/7", "", &[]);
    let (_, stream) = run(&guard, &mut host);
    end(&guard, stream, &mut host);
    let answer = host.replied.unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-meshfence-reason"), Some("credentials_missing"));
    assert_eq!(answer.header("x-meshfence-processed"), Some("no"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.header("retry-after"), None);
    insta::assert_snapshot!(answer.body, @r#"{"type":"https://meshfence.dev/problems/credentials_missing","title":"credentials missing","status":401,"reason":"credentials_missing","decision":"3fa29c1b-1"}"#);
    insta::assert_snapshot!(said(&host.recorded.unwrap()), @r#"{"id":"3fa29c1b-1","ts":1700000000000,"mono":0,"policySet":"shop","policyHash":"0123456789ab","role":"edge","region":"taiwan","state":"static","situation":"normal","context":"profiles","route":"/api/v1/customers/{customer}/**","effect":"read","operation":"read","dataClasses":["personal"],"verdict":"deny","reason":"credentials_missing","status":401"#);

    let malformed = [("content-type", "application/grpc"), ("grpc-timeout", "soon")];
    let mut host = arrive("POST", "/shop.inventory.v1.Inventory/Reserve", "", &malformed);
    run(&guard, &mut host);
    let answer = host.replied.unwrap();
    assert_eq!((answer.grpc_status, answer.body.as_str()), (Some(3), "malformed: grpc-timeout"));

    let grpc = [("content-type", "application/grpc"), ("grpc-timeout", "1m")];
    let mut host = arrive("POST", "/shop.inventory.v1.Inventory/Reserve", "", &grpc);
    run(&guard, &mut host);
    let answer = host.replied.unwrap();
    assert_eq!((answer.status, answer.grpc_status), (504, Some(4)));
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(answer.body, "deadline");
}

#[test]
fn a_record_holds_no_bytes_of_the_client() {
    let mut host = arrive(
        "POST",
        "/api/v1/reviews/secret",
        "",
        &[("cookie", "secret"), ("x-meshfence-route", "secret")],
    );
    let guard = guard();
    let (_, stream) = run(&guard, &mut host);
    end(&guard, stream, &mut host);
    insta::assert_snapshot!(said(&host.recorded.unwrap()), @r#"{"id":"3fa29c1b-1","ts":1700000000000,"mono":0,"policySet":"shop","policyHash":"0123456789ab","role":"edge","region":"taiwan","state":"static","situation":"normal","context":"reviews","route":"/api/v1/reviews/**","effect":"write","operation":"write","dataClasses":["public"],"verdict":"allow","reason":"allowed","status":200,"to":"taiwan","version":"018bcfe568000000-tpe-3fa29c1b","stripped":1"#);
}

#[test]
fn what_is_in_flight_is_counted_until_its_stream_is_over() {
    let (guard, mut worker) = (guard(), Worker::new(0));
    let review = || arrive("POST", "/api/v1/reviews/9", "", &[]);
    // Of the pool's 4 a low priority may use 2.
    let mut one = review();
    let (_, mut first) = run_in(&mut worker, &guard, &mut one);
    let (_, _second) = run_in(&mut worker, &guard, &mut review());
    let mut shed = review();
    run_in(&mut worker, &guard, &mut shed);
    let answer = shed.replied.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("x-meshfence-reason"), Some("shed_guard"));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((15..=45).contains(&seconds), "half to one and a half of 30: {seconds}");
    assert!(shed.request.iter().all(|(name, _)| name != "x-meshfence-version"), "never stamped");
    run_in(&mut worker, &guard, &mut arrive("GET", "/api/v1/products/1", "", &[]));
    guard.release(&mut first);
    guard.on_done(&mut worker, &mut first, &mut one);
    guard.release(&mut first);
    assert!(one.recorded.is_some(), "what it took may be given back before it is recorded");
    let (flow, _third) = run_in(&mut worker, &guard, &mut review());
    assert_eq!(flow, Flow::Continue);
    let mut full_again = review();
    assert_eq!(
        run_in(&mut worker, &guard, &mut full_again).0,
        Flow::Pause,
        "given back once, not twice"
    );
}

/// How often the proxy has tried.
const ATTEMPTS: &str = "upstream.request_attempt_count";

#[test]
fn a_region_that_cannot_be_reached_turns_into_a_hold() {
    const PROFILE: &str = "/api/v1/customers/7";
    const ORDERS: &str = "/api/v1/orders";
    for (method, path, flags, attempts, reason, processed) in [
        ("GET", PROFILE, 1_u64 << 1, Some(0_u64), Some("home_unavailable"), Some("no")),
        ("GET", PROFILE, 1 << 1, Some(1), Some("home_unavailable"), Some("no")),
        ("GET", PROFILE, 1 << 5, Some(1), Some("home_unavailable"), Some("no")),
        ("POST", ORDERS, 1 << 5, Some(1), Some("holder_unreachable"), Some("no")),
        // The first try may have run, whatever the last one came to.
        ("POST", ORDERS, 1 << 5, Some(2), Some("holder_unreachable"), None),
        ("GET", PROFILE, 1 << 1, Some(4), Some("home_unavailable"), None),
        ("GET", PROFILE, 1 << 1, None, Some("home_unavailable"), None),
        ("POST", ORDERS, 1 << 6, Some(1), Some("holder_unreachable"), None),
        ("POST", ORDERS, (1 << 6) | (1 << 5), Some(1), Some("holder_unreachable"), None),
        ("GET", PROFILE, 1 << 7, Some(1), None, None),
        ("GET", PROFILE, 1 << 2, Some(1), Some("home_unavailable"), None), // routed, no answer
        ("GET", PROFILE, 0, Some(1), None, None),
    ] {
        let guard = guard();
        let mut host = arrive(method, path, "JP", &[("idempotency-key", "k1")]);
        let (_, mut stream) = run(&guard, &mut host);
        host.properties.insert("response.flags".into(), flags.to_le_bytes().into());
        if let Some(attempts) = attempts {
            host.properties.insert(ATTEMPTS.into(), attempts.to_le_bytes().into());
        }
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        let answer = host.replied.as_ref();
        let header = |name| answer.and_then(|answer| answer.header(name));
        assert_eq!(header("x-meshfence-reason"), reason, "{path} {flags:#x}");
        assert_eq!(header("x-meshfence-processed"), processed, "{path} {flags:#x}");
        assert_eq!(host.response.is_empty(), reason.is_some());
        host.replied = None;
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        assert_eq!(host.replied, None, "answered once");
        end(&guard, stream, &mut host);
        let record: serde_json::Value =
            serde_json::from_str(host.recorded.as_ref().unwrap()).unwrap();
        assert_eq!(record["outcome"]["reason"].as_str(), reason, "{path} {flags:#x}");
    }
}

#[test]
fn a_probe_is_no_request_that_missed_its_region() {
    for (path, counted) in [("/health", 0), ("/api/v1/customers/7", 1)] {
        let guard = guard();
        let mut host = arrive("GET", path, "TW", &[]);
        let (flow, mut stream) = run(&guard, &mut host);
        assert_eq!(flow, Flow::Continue, "{path}");
        host.properties.insert("response.flags".into(), (1_u64 << 5).to_le_bytes().into());
        host.properties.insert(ATTEMPTS.into(), 1_u64.to_le_bytes().into());
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        assert_eq!(host.replied.unwrap().status, 503, "{path}");
        let missed = host.metrics.iter().filter(|(name, _)| name.contains("unreachable"));
        assert_eq!(missed.map(|(_, count)| *count).sum::<u64>(), counted, "{path}");
    }
}

#[test]
fn a_refused_configuration_names_its_path_and_refuses_everything() {
    for (root, configuration, path) in [
        ("guard", None, "."),
        ("guard", Some(""), "."),
        ("guard", Some("{"), "."),
        ("guard", Some("\u{fffd}"), "."),
        ("guard", Some(r#"{"format": "one"}"#), "format"),
        ("residency", Some(SHOP), "pluginName"),
    ] {
        let guard = configure(root.as_bytes(), configuration.map(str::as_bytes));
        assert_eq!(guard.fault().unwrap().path, path, "{configuration:?}");
        for request in ["/health", "/api/v1/products/1"] {
            let mut host = arrive("GET", request, "", &[]);
            run(&guard, &mut host);
            let answer = host.replied.unwrap();
            assert_eq!(answer.status, 503);
            assert_eq!(answer.header("x-meshfence-reason"), Some("policy_unavailable"));
        }
    }
}

#[test]
fn a_host_that_fails_is_never_a_pass() {
    let guard = guard();
    let spoofed = [("idempotency-key", "k1"), ("x-meshfence-epoch", "9")];
    let of_kind = |kind: Option<&str>| {
        let mut host = arrive("POST", "//api/v1/payments/1", "JP", &spoofed);
        if let Some(kind) = kind {
            host.properties.insert(format!("{CLAIMS}.kind"), kind.into());
        }
        host
    };
    for kind in [None, Some("customer"), Some("staff")] {
        let mut complete = of_kind(kind);
        let flow = run(&guard, &mut complete).0;
        assert_eq!(flow == Flow::Continue, kind != Some("staff"));
        let calls: usize = complete.calls.values().sum();
        for failing in 0..calls {
            let mut host = of_kind(kind);
            host.failing_call = Some(failing);
            let mut stream = Stream::default();
            let mut worker = Worker::new(0x3fa2_9c1b);
            let flow = guard.on_request_headers(&mut worker, &mut stream, &mut host, true);
            let as_complete = host.request == complete.request && kind != Some("staff");
            assert!(flow == Flow::Pause || as_complete, "{kind:?}, call {failing}");
        }
    }
}

#[test]
fn an_upstream_does_not_speak_for_the_mesh() {
    let guard = guard();
    for (path, country, cache_control) in [
        ("/api/v1/products/1", "", "max-age=60"),
        ("/api/v1/customers/7", "TW", "private, no-store"),
    ] {
        let mut host = arrive("GET", path, country, &[]);
        let (_, mut stream) = run(&guard, &mut host);
        host.response = [
            ("x-meshfence-processed", "no"),
            ("x-meshfence-reason", "lease_unknown"),
            ("x-meshfence-epoch", "9"),
            ("x_meshfence_processed", "no"),
            ("x-meshfence-decision", "forged"),
            ("cache-control", "max-age=60"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        host.response.sort();
        let expected = [
            ("cache-control".to_owned(), cache_control.as_bytes().to_vec()),
            ("x-meshfence-decision".to_owned(), b"3fa29c1b-1".to_vec()),
        ];
        assert_eq!(host.response, expected, "{path}");
        assert_eq!(host.metrics.get("meshfence_stripped_responses_total"), Some(&1), "{path}");
    }
    // What an upstream has a word in passes.
    let mut host = arrive("GET", "/api/v1/products/1", "", &[]);
    let (_, mut stream) = run(&guard, &mut host);
    let said = |name| if name == crate::header::DATA_CLASS { "public" } else { "1" };
    let words = crate::header::FROM_UPSTREAMS;
    host.response = words.map(|name| (name.into(), said(name).into())).into();
    guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
    assert_eq!(host.response.len(), crate::header::FROM_UPSTREAMS.len() + 1);
}

#[test]
fn trailers_are_stripped_like_headers_and_wait_like_bodies() {
    let guard = guard();
    let trailers =
        [("x-meshfence-epoch", "9"), ("X_Meshfence_Route", "tokyo"), ("grpc-trace", "1")];
    let mut host = arrive("POST", "/api/v1/reviews/9", "", &[]);
    host.trailers = trailers.map(|(name, value)| (name.into(), value.into())).into();
    let (_, mut stream) = run(&guard, &mut host);
    assert_eq!(guard.on_request_trailers(&mut stream, &mut host), Flow::Continue);
    assert_eq!(host.trailers, [("grpc-trace".to_owned(), b"1".to_vec())]);

    let mut refused = arrive("GET", "/admin", "", &[]);
    let (_, mut stream) = run(&guard, &mut refused);
    assert_eq!(guard.on_request_trailers(&mut stream, &mut refused), Flow::Pause);
}

/// Of the pool's 4 a low priority may use 2: whoever keeps a place is missed.
#[test]
fn a_request_whose_trailers_cannot_be_cleaned_ends() {
    let guard = guard();
    for place in 0..3 {
        let mut host = arrive("POST", "/api/v1/reviews/9", "", &[]);
        host.trailers = vec![("x-meshfence-epoch".into(), b"9".to_vec()); 3];
        let (flow, mut stream) = run(&guard, &mut host);
        assert_eq!(flow, Flow::Continue);
        let calls: usize = host.calls.values().sum();
        host.failing_call = Some(calls + place);
        assert_eq!(guard.on_request_trailers(&mut stream, &mut host), Flow::Pause);
        let answer = host.replied.clone().unwrap();
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("x-meshfence-reason"), Some("host_failure"));
        assert_eq!(answer.header("x-meshfence-processed"), None, "what went on was seen");
        assert_eq!(guard.on_request_trailers(&mut stream, &mut host), Flow::Pause);
        assert_eq!(
            guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false),
            Flow::Continue
        );
        end(&guard, stream, &mut host);
        let record = host.recorded.clone().unwrap();
        let outcome = r#""outcome":{"verdict":"hold","reason":"host_failure"}"#;
        assert!(record.contains(outcome), "{record}");
    }
}

#[test]
fn a_clock_that_cannot_be_read_stamps_nothing() {
    let mut whole = arrive("POST", "/api/v1/reviews/9", "", &[]);
    run(&guard(), &mut whole);
    let mut host = arrive("POST", "/api/v1/reviews/9", "", &[]);
    host.failing_call = Some(1); // the headers are read first, then the clock
    run(&guard(), &mut host);
    let answer = host.replied.unwrap();
    assert_eq!(answer.header("x-meshfence-reason"), Some("clock_unsynced"));
}

#[test]
fn an_answer_of_another_filter_is_left_alone() {
    let guard = guard();
    let mut host = FakeHost::default();
    let mut stream = Stream::default();
    assert_eq!(
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false),
        Flow::Continue
    );
    end(&guard, stream, &mut host);
    assert_eq!(host, FakeHost::default());
}

/// What one request asks of the proxy. Read it in review: every line is paid for by every request.
#[test]
fn hostcalls_are_counted() {
    let key = ("idempotency-key", "k1");
    let mut report = String::new();
    for (name, method, path, country, more) in [
        ("public read", "GET", "/api/v1/products/1", "", &[][..]),
        ("public read, caller known", "GET", "/api/v1/inventory/1", "TW", &[]),
        ("health check", "GET", "/health", "", &[]),
        ("eventual write", "POST", "/api/v1/reviews/9", "", &[]),
        ("personal read, here", "GET", "/api/v1/customers/7", "TW", &[]),
        ("personal read, routed", "GET", "/api/v1/customers/7", "JP", &[]),
        ("leased write, here", "POST", "/api/v1/orders", "TW", &[key]),
        ("leased write, routed", "POST", "/api/v1/orders", "JP", &[key]),
        ("refused: no credentials", "GET", "/api/v1/customers/7", "", &[]),
        ("refused: unmatched", "GET", "/admin", "", &[]),
        ("one spoofed header", "GET", "/api/v1/products/1", "", &[("x-meshfence-route", "tokyo")]),
    ] {
        // Of plain passes none is drawn.
        let guard = records::sampling("taiwan", Role::Edge, 0);
        let mut host = arrive(method, path, country, more);
        let (_, mut stream) = run(&guard, &mut host);
        host.properties.insert("response.flags".into(), vec![0; 8]);
        let to = host.request_header("x-meshfence-route").unwrap_or("taiwan".into());
        host.properties.insert("upstream.locality.region".into(), to.into());
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        end(&guard, stream, &mut host);
        assert_eq!(host.calls.get("request_headers"), Some(&1), "one map read: {name}");
        let calls: Vec<String> =
            host.calls.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(report, "{name}: {}", calls.join(", ")).unwrap();
    }
    insta::assert_snapshot!(report);
}

#[test]
fn every_refusal_has_a_status_that_refuses() {
    for reason in Reason::ALL {
        let refuses = reason.status() >= 400;
        assert_eq!(refuses, reason.grpc_status() != 0, "{reason}");
        assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        assert!(reason.retry_after_s() == 0 || reason.status() >= 500, "{reason}");
    }
}

proptest! {
    #[test]
    fn any_headers_are_judged(
        headers in proptest::collection::vec(
            (
                prop_oneof![
                    "[ -~]{0,20}",
                    prop::sample::select(vec![
                        ":method", ":path", ":authority", "content-type", "authorization", "upgrade",
                        "idempotency-key", "grpc-timeout", "origin", "x-meshfence-route", "x-envoy-a",
                    ]).prop_map(String::from),
                ],
                proptest::collection::vec(any::<u8>(), 0..40),
            ),
            0..20,
        ),
        flags in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let guard = guard();
        let mut host = FakeHost { request: headers, ..FakeHost::default() };
        let (_, mut stream) = run(&guard, &mut host);
        host.properties.insert("response.flags".into(), flags);
        guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        end(&guard, stream, &mut host);
        let record = host.recorded.unwrap();
        prop_assert!(record.is_ascii());
        serde_json::from_str::<serde_json::Value>(&record).unwrap();
    }

    #[test]
    fn any_configuration_is_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = configure(b"guard", Some(&bytes));
    }
}
