//! Responses that may not be seen whole: what leaves, in which form, and what never does.

use super::{SHOP, arrive, configure, end, run, said};
use crate::fake::{FakeHost, FakeVm};
use crate::stream::Phase;
use crate::{Attached, Flow, Guard, LastGood, Stream, Worker};
use policy_core::ProfileSet;
use serde_json::{Value, json};

const PROFILE: &str = "/api/v1/customers/7";
const SECRET: &str = "taro@example.jp";
const BODY: &str =
    r#"{"id": 7, "email": "taro@example.jp", "orders": [{"phone": "090", "total": 1.50}]}"#;
const REDACTED: &str = r#"{"id":7,"email":"***","orders":[{"total":1.50}]}"#;
const JSON: (&str, &str) = ("content-type", "application/json");
const IMPOSSIBLE: &str = r#","outcome":{"verdict":"deny","reason":"redaction_impossible"}"#;
const OK: (&str, &str) = (":status", "200");

fn config(holds: bool, body_max: u32) -> Value {
    let mut config: Value = serde_json::from_str(SHOP).unwrap();
    config["attachment"]["holdsResponseHeaders"] = holds.into();
    config["policy"]["residency"]["redaction"] = json!({"maxBodyBytes": body_max});
    config["policy"]["residency"]["redactionProfiles"] = json!([{
        "name": "abroad",
        "fields": [
            {"path": "/email", "action": "mask"},
            {"path": "/**/phone", "action": "drop"},
            {"path": "/name", "action": "hash"},
        ],
        "headers": ["set-cookie", "x-user-*"],
    }]);
    config
}

fn guard(holds: bool) -> Guard {
    let guard = configure(b"guard", Some(config(holds, 2_048).to_string().as_bytes()));
    assert_eq!(guard.fault(), None);
    guard
}

/// A request that has passed and whose response is to be redacted.
fn passed(guard: &Guard) -> (FakeHost, Stream) {
    let mut host = arrive("GET", PROFILE, "TW", &[]);
    let (flow, mut stream) = run(guard, &mut host);
    assert_eq!(flow, Flow::Continue);
    let Phase::Passed(passed) = &mut stream.phase else { panic!("{stream:?}") };
    passed.redact = ProfileSet::EMPTY.with(0);
    (host, stream)
}

/// What an upstream sends.
#[derive(Clone, Copy)]
struct Sent<'s> {
    headers: &'s [(&'s str, &'s str)],
    body: &'s [&'s str],
    trailers: Option<&'s [(&'s str, &'s str)]>,
}

/// What the caller gets of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Got {
    /// Headers have left.
    begun: bool,
    body: String,
    ended: bool,
}

/// Plays the proxy: what a callback holds back waits with what comes next.
fn respond(guard: &Guard, stream: &mut Stream, host: &mut FakeHost, sent: Sent<'_>) -> Got {
    let owned = |list: &[(&str, &str)]| -> Vec<(String, Vec<u8>)> {
        list.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect()
    };
    let is_over = |host: &FakeHost| host.replied.is_some() || host.closed;
    let mut got = Got::default();
    host.response = owned(sent.headers);
    let has_body = !sent.body.is_empty() || sent.trailers.is_some();
    let mut flow = guard.on_response_headers(&mut Worker::new(0), stream, host, !has_body);
    if is_over(host) {
        return got;
    }
    let held = flow == Flow::Pause;
    got.begun = !held;
    // The end of a body comes by itself, as most upstreams send it.
    let pieces = sent.body.iter().map(|piece| (*piece, false));
    let end = (has_body && sent.trailers.is_none()).then_some(("", true));
    for (piece, end_of_stream) in pieces.chain(end) {
        host.body.extend_from_slice(piece.as_bytes());
        let size = host.body.len();
        flow = guard.on_response_body(stream, host, size, end_of_stream);
        if is_over(host) {
            return got;
        }
        if flow == Flow::Continue {
            got.begun = true;
            got.body.push_str(&String::from_utf8(std::mem::take(&mut host.body)).unwrap());
        }
    }
    if let Some(trailers) = sent.trailers {
        host.response_trailers = owned(trailers);
        flow = guard.on_response_trailers(stream, host);
        if is_over(host) {
            return got;
        }
        if flow == Flow::Continue {
            got.begun = true;
            got.body.push_str(&String::from_utf8(std::mem::take(&mut host.body)).unwrap());
        }
    }
    got.ended = flow == Flow::Continue;
    got
}

fn header<'h>(host: &'h FakeHost, name: &str) -> Option<&'h str> {
    let found = host.response.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

#[test]
fn a_body_leaves_redacted_however_it_comes() {
    let halves = BODY.split_at(31);
    let bytes: Vec<&str> = BODY.split_inclusive(|_: char| true).collect();
    for (body, why) in [
        (&[BODY][..], "in one piece"),
        (&[halves.0, halves.1], "a value cut in two"),
        (&bytes, "byte by byte"),
        (&["", BODY, " \n", ""], "with nothing in between"),
    ] {
        for trailers in [None, Some(&[("x-checked", "1")][..])] {
            for holds in [true, false] {
                let guard = guard(holds);
                let (mut host, mut stream) = passed(&guard);
                let headers = &[OK, JSON, ("x-page", "1")];
                let got = respond(&guard, &mut stream, &mut host, Sent { headers, body, trailers });
                let whole = Got { begun: true, body: REDACTED.into(), ended: true };
                assert_eq!(got, whole, "{why}, {trailers:?}, {holds}");
                let count = if holds { "2" } else { "yes" };
                assert_eq!(header(&host, "x-meshfence-redacted"), Some(count), "{why}");
                assert_eq!(header(&host, "cache-control"), Some("private, no-store"));
                assert_eq!(header(&host, "x-page"), Some("1"));
                end(&guard, stream, &mut host);
                let record = host.recorded.unwrap();
                let redacted = r#","redactions":[{"profile":"abroad","count":2}]"#;
                assert!(said(&record).ends_with(redacted), "{record}");
            }
        }
    }
}

#[test]
fn headers_that_tell_of_the_body_do_not_leave() {
    let of_the_body = [
        ("content-length", "84"),
        ("etag", "\"1\""),
        ("last-modified", "Sat, 28 Nov 2026 00:00:00 GMT"),
        ("accept-ranges", "bytes"),
        ("digest", "sha-256=x"),
        ("content-digest", "sha-256=:x:"),
        ("repr-digest", "sha-256=:x:"),
        ("content-md5", "x"),
        ("signature", "sig=:x:"),
        ("signature-input", "sig=()"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-user-id", "7"),
        ("x_user_name", "taro"),
    ];
    let kept = [("x-request-id", "1"), ("x-user", "x"), ("x-meshfence-load", "1")];
    for end in [true, false] {
        let guard = guard(true);
        let (mut host, mut stream) = passed(&guard);
        let headers =
            [&[OK, JSON, ("cache-control", "max-age=60")], &of_the_body[..], &kept].concat();
        let body: &[&str] = if end { &[] } else { &[BODY] };
        let sent = Sent { headers: &headers, body, trailers: None };
        let got = respond(&guard, &mut stream, &mut host, sent);
        assert!(got.ended, "{end}");
        let mut names: Vec<&str> = host.response.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                ":status",
                "cache-control",
                "content-type",
                "x-meshfence-decision",
                "x-meshfence-load",
                "x-meshfence-redacted",
                "x-request-id",
                "x-user",
            ]
        );
        assert_eq!(header(&host, "x-meshfence-redacted"), Some(if end { "0" } else { "2" }));
    }
}

#[test]
fn trailers_are_cleaned_as_headers_are() {
    let guard = guard(false);
    let (mut host, mut stream) = passed(&guard);
    let trailers = [
        ("x-user-id", "7"),
        ("x-user-id", "8"),
        ("x-meshfence-redacted", "0"),
        ("x-meshfence-data-class", "public"),
        ("X_Meshfence_Reason", "x"),
        ("content-digest", "sha-256=:x:"),
        ("server-timing", "db;dur=1"),
    ];
    let sent = Sent { headers: &[OK, JSON], body: &[BODY], trailers: Some(&trailers) };
    assert!(respond(&guard, &mut stream, &mut host, sent).ended);
    assert_eq!(host.response_trailers, [("server-timing".to_owned(), b"db;dur=1".to_vec())]);
}

#[test]
fn what_the_headers_rule_out_is_refused_there() {
    for (headers, why) in [
        (&[OK][..], "no media type"),
        (&[OK, ("content-type", "text/html")], "no JSON"),
        (&[OK, ("content-type", "application/grpc")], "gRPC"),
        (&[OK, ("content-type", "application/json; charset=shift_jis")], "no UTF-8"),
        (&[OK, JSON, JSON], "two media types"),
        (&[OK, JSON, ("content-encoding", "gzip")], "compressed"),
        (&[OK, JSON, ("content-encoding", "identity"), ("content-encoding", "br")], "compressed"),
        (&[OK, JSON, ("content-encoding", "identity, gzip")], "compressed"),
        (&[(":status", "206"), JSON], "a part"),
        (&[OK, JSON, ("content-range", "bytes 0-1/9")], "a part"),
        (&[OK, JSON, ("content-length", "2049")], "too long"),
        (&[OK, JSON, ("content-length", "-1")], "a length that is none"),
        (&[OK, JSON, ("content-length", "9"), ("content-length", "10")], "two lengths"),
        (&[(":status", "101"), ("upgrade", "websocket")], "no response at all"),
    ] {
        for holds in [true, false] {
            let guard = guard(holds);
            let (mut host, mut stream) = passed(&guard);
            let sent = Sent { headers, body: &[BODY], trailers: None };
            let got = respond(&guard, &mut stream, &mut host, sent);
            assert_eq!(got, Got::default(), "{why}");
            let answer = host.replied.as_ref().unwrap();
            assert_eq!(answer.status, 502, "{why}");
            assert_eq!(answer.header("x-meshfence-reason"), Some("redaction_impossible"), "{why}");
            assert_eq!(answer.header("x-meshfence-processed"), None, "it was processed");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(host.metrics.get("meshfence_unredacted_responses_total"), Some(&1));
            assert_eq!(guard.on_response_body(&mut stream, &mut host, 9, true), Flow::Pause);
            assert_eq!(guard.on_response_trailers(&mut stream, &mut host), Flow::Pause);
            end(&guard, stream, &mut host);
            let record = host.recorded.unwrap();
            assert!(said(&record).ends_with(IMPOSSIBLE), "{record}");
        }
    }
}

#[test]
fn what_shows_later_is_refused_or_cut_off_with_no_byte_of_it() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    let long = format!(r#"["{SECRET}", "{}"]"#, "a".repeat(2_048));
    for (body, why) in [
        (&[r#"{"email": "taro@example.jp""#][..], "it breaks off"),
        (&[BODY, "x"], "something follows"),
        (&[BODY, BODY], "two documents"),
        (&[r#"{"a": "taro@example.jp", "email": 1,"#, r#" "email": 2}"#], "a key twice"),
        (&["[\"taro@example.jp\", ", "\u{1f}\u{8b}"], "no JSON"),
        (&["[\"taro@example.jp\"]", &deep], "too deep"),
        (&[&deep], "too deep"),
        (&[&long], "too long, in one piece"),
        (&[long.split_at(1_500).0, long.split_at(1_500).1], "too long, in two"),
    ] {
        for trailers in [None, Some(&[("x-user-id", "7")][..])] {
            for holds in [true, false] {
                let guard = guard(holds);
                let (mut host, mut stream) = passed(&guard);
                let sent = Sent { headers: &[OK, JSON], body, trailers };
                let got = respond(&guard, &mut stream, &mut host, sent);
                let nothing = Got { begun: !holds, body: String::new(), ended: false };
                assert_eq!(got, nothing, "{why}, {trailers:?}, {holds}");
                // The proxy gives the answer, or cuts the response off if it has begun.
                assert_eq!(host.replied.as_ref().unwrap().status, 502, "{why}");
                assert_eq!(guard.on_response_body(&mut stream, &mut host, 9, true), Flow::Pause);
                end(&guard, stream, &mut host);
                let record = host.recorded.unwrap();
                assert!(said(&record).ends_with(IMPOSSIBLE), "{record}");
                assert!(!record.contains(SECRET));
            }
        }
    }
}

/// More would run over the buffer of a stream with the smallest window, which Envoy does not survive.
#[test]
fn what_waits_for_trailers_has_less_room() {
    let guard = configure(b"guard", Some(config(true, 262_144).to_string().as_bytes()));
    for (length, trailers, fits) in [
        (65_531, Some(&[("a", "b")][..]), true),
        (65_532, Some(&[("a", "b")]), false),
        (200_000, None, true),
    ] {
        let body = format!("[\"{}\"]", "a".repeat(length));
        let (mut host, mut stream) = passed(&guard);
        let sent = Sent { headers: &[OK, JSON], body: &[&body], trailers };
        let got = respond(&guard, &mut stream, &mut host, sent);
        assert_eq!((got.ended, host.replied.is_none()), (fits, fits), "{length}");
        assert_eq!(got.body, if fits { body.as_str() } else { "" });
    }
}

#[test]
fn a_response_without_a_body_passes() {
    for (status, headers) in [
        ("200", &[JSON, ("content-length", "99999")][..]), // to HEAD
        ("204", &[]),
        ("304", &[("etag", "\"1\"")]),
        ("404", &[("content-type", "text/html")]),
    ] {
        // With its headers, or with an empty piece behind them, as HTTP/2 may have it.
        let ends: &[&[&str]] =
            if status < "300" || status == "304" { &[&[], &[""]] } else { &[&[]] };
        for body in ends.iter().filter(|body| status != "200" || body.is_empty()) {
            let guard = guard(false);
            let (mut host, mut stream) = passed(&guard);
            let headers = [&[(":status", status)], headers].concat();
            let sent = Sent { headers: &headers, body, trailers: None };
            let got = respond(&guard, &mut stream, &mut host, sent);
            assert_eq!(got, Got { begun: true, body: String::new(), ended: true }, "{status}");
            assert_eq!(header(&host, "etag"), None, "{status}");
            assert_eq!(header(&host, "content-length"), None, "{status}");
        }
    }
    // What has no body by its status and comes with one is read as any other.
    let guard = guard(false);
    let (mut host, mut stream) = passed(&guard);
    let sent = Sent { headers: &[(":status", "304")], body: &[SECRET], trailers: None };
    assert_eq!(respond(&guard, &mut stream, &mut host, sent).body, "");
    assert!(host.replied.is_some());
}

#[test]
fn a_proxy_that_fails_lets_no_byte_pass() {
    let trailers = Some(&[("x-user-id", "7"), ("server-timing", "db")][..]);
    let headers = &[OK, JSON, ("content-length", "84"), ("set-cookie", "a"), ("etag", "\"1\"")];
    for (holds, trailers) in [(true, None), (false, None), (true, trailers), (false, trailers)] {
        let guard = guard(holds);
        let sent = Sent { headers, body: &[BODY.split_at(20).0, BODY.split_at(20).1], trailers };
        let (mut complete, mut stream) = passed(&guard);
        let before: usize = complete.calls.values().sum();
        respond(&guard, &mut stream, &mut complete, sent);
        let after: usize = complete.calls.values().sum();
        for failing in before..after {
            let (mut host, mut stream) = passed(&guard);
            host.failing_call = Some(failing);
            let got = respond(&guard, &mut stream, &mut host, sent);
            assert!(got.body.is_empty() || got.body == REDACTED, "call {failing}: {got:?}");
            if got.ended {
                assert_eq!(got.body, REDACTED, "call {failing}");
                for name in ["content-length", "set-cookie", "etag"] {
                    assert_eq!(header(&host, name), None, "call {failing}: {name}");
                }
                assert!(host.response_trailers.iter().all(|(name, _)| name != "x-user-id"));
            } else {
                assert!(host.replied.is_some() || host.closed, "call {failing}");
            }
            end(&guard, stream, &mut host);
        }
    }
}

#[test]
fn a_response_whose_refusal_fails_is_closed_or_waits() {
    let guard = guard(false);
    let sent = Sent { headers: &[OK, JSON], body: &["no JSON"], trailers: None };
    let (mut complete, mut stream) = passed(&guard);
    respond(&guard, &mut stream, &mut complete, sent);
    let reply = complete.calls.values().sum::<usize>() - 1;
    let (mut host, mut stream) = passed(&guard);
    host.failing_call = Some(reply);
    let got = respond(&guard, &mut stream, &mut host, sent);
    assert_eq!((host.replied.is_some(), host.closed, got.body.as_str()), (false, true, ""));
}

#[test]
fn a_response_that_is_not_redacted_costs_no_call() {
    let guard = guard(true);
    let mut host = arrive("GET", PROFILE, "TW", &[]);
    let (_, mut stream) = run(&guard, &mut host);
    let sent = Sent {
        headers: &[OK, ("content-type", "text/html"), ("content-length", "99999")],
        body: &["<p>", "</p>"],
        trailers: Some(&[("x-user-id", "7")]),
    };
    let got = respond(&guard, &mut stream, &mut host, sent);
    assert_eq!(got, Got { begun: true, body: "<p></p>".into(), ended: true });
    for call in ["response_body", "replace_response_body", "response_trailers"] {
        assert_eq!(host.calls.get(call), None, "{call}");
    }
    assert_eq!(header(&host, "x-meshfence-redacted"), None);
}

#[test]
fn what_another_guard_has_redacted_is_believed_by_its_certificate() {
    const WORKLOAD: &str = "spiffe://taiwan.shop/ns/gateways/sa/peer";
    const MARK: &str = "x-meshfence-redacted";
    let refused: &[(&str, &str)] =
        &[(":status", "403"), ("x-meshfence-reason", "residency_denied")];
    for (by, headers, untouched, why) in [
        (WORKLOAD, &[OK, (MARK, "3")][..], true, "a guard"),
        (WORKLOAD, &[OK, (MARK, "yes")], true, "a guard that did not know in time"),
        (WORKLOAD, refused, true, "its own answer"),
        (WORKLOAD, &[OK, (MARK, "no")], false, "no mark"),
        (WORKLOAD, &[OK, (MARK, "3"), (MARK, "3")], false, "two marks"),
        ("spiffe://taiwan.shop/ns/shop/sa/else", &[OK, (MARK, "3")], false, "anybody"),
        ("", &[OK, (MARK, "3")], false, "an application"),
        ("", refused, false, "an application that refuses"),
    ] {
        let guard = guard(true);
        let (mut host, mut stream) = passed(&guard);
        host.properties.insert("upstream.uri_san_peer_certificate".into(), by.into());
        let headers = [headers, &[JSON, ("content-length", "84")]].concat();
        let sent = Sent { headers: &headers, body: &[BODY], trailers: None };
        let got = respond(&guard, &mut stream, &mut host, sent);
        let body = if untouched { BODY } else { REDACTED };
        assert_eq!(got, Got { begun: true, body: body.into(), ended: true }, "{why}");
        let mark = headers.iter().find(|(name, _)| *name == MARK).map(|(_, value)| *value);
        let expected = if untouched { mark } else { Some("2") };
        assert_eq!(header(&host, MARK), expected, "{why}");
    }
}

#[test]
fn a_hash_is_keyed_and_without_a_key_it_is_a_mask() {
    let mut config = config(false, 2_048);
    config["policy"]["hmac"] =
        json!({"keys": [{"id": "k1", "env": "MESHFENCE_K1"}], "replayWindowMs": 30_000});
    let redact = |secret: Option<[u8; 32]>| {
        let secrets = secret.map(|secret| ("MESHFENCE_K1".to_owned(), secret.to_vec()));
        let mut vm = FakeVm { secrets: secrets.into_iter().collect(), ..FakeVm::default() };
        let at = Attached { plugin: b"meshfence.edge", root: b"guard" };
        let json = config.to_string();
        let guard = Guard::configure(at, Some(json.as_bytes()), &mut vm, &mut LastGood::default());
        assert_eq!(guard.fault(), None);
        let (mut host, mut stream) = passed(&guard);
        let sent = Sent { headers: &[OK, JSON], body: &[r#"{"name": "taro"}"#], trailers: None };
        respond(&guard, &mut stream, &mut host, sent).body
    };
    assert_eq!(redact(None), r#"{"name":"***"}"#);
    let (one, other) = (redact(Some([1; 32])), redact(Some([2; 32])));
    insta::assert_snapshot!(one);
    assert_ne!(one, other);
}

#[test]
fn a_request_asks_for_what_can_be_redacted() {
    let mut headers = crate::Headers::default();
    for (name, value) in [
        ("accept-encoding", "gzip, br"),
        ("range", "bytes=0-9"),
        ("range", "bytes=10-"),
        ("if-range", "\"1\""),
        ("if-none-match", "\"1\""),
        ("if-modified-since", "Sat, 28 Nov 2026 00:00:00 GMT"),
        ("if-match", "\"1\""),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut host = FakeHost::default();
    for (name, value) in headers.iter() {
        host.request.push((String::from_utf8(name.to_vec()).unwrap(), value.to_vec()));
    }
    crate::redaction::prepare(ProfileSet::EMPTY, &headers, &mut host).unwrap();
    assert_eq!(host.calls.len(), 0);
    crate::redaction::prepare(ProfileSet::EMPTY.with(0), &headers, &mut host).unwrap();
    let expected = [("if-match", "\"1\""), ("accept-encoding", "identity")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    assert_eq!(host.request, expected);
}
