//! The roles other than edge: who is believed, what is judged again, what a peer's refusal becomes.

use super::{ATTEMPTS, CLAIMS, SHOP, configure, run, run_in};
use crate::fake::{FakeHost, FakeVm};
use crate::{Attached, Flow, Guard, LastGood, Worker};
use policy_core::Role;
use policy_core::wire::{Hmac, HmacKey, PluginConfig};

const TAIWAN: &str = "spiffe://taiwan.shop/ns/gateways/sa/peer";
const TOKYO: &str = "spiffe://tokyo.shop/ns/gateways/sa/peer";
const TOKYO_PUBLIC: &str = "spiffe://tokyo.shop/ns/gateways/sa/public";
const ALL_IDS: &str = "filter_state.meshfence.peer_uri_sans";
const FIRST_ID: &str = "connection.uri_san_peer_certificate";

const ORDER: &str = "/api/v1/orders";
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/7";
const REVIEW: &str = "/api/v1/reviews/9";

pub(super) fn config(region: &str, role: Role) -> PluginConfig {
    let mut config = PluginConfig::from_json(SHOP.as_bytes()).unwrap();
    config.attachment.region = region.into();
    config.attachment.role = role;
    config
}

fn guard(region: &str, role: Role) -> Guard {
    let json = serde_json::to_vec(&config(region, role)).unwrap();
    let guard = configure(b"guard", Some(&json));
    assert_eq!(guard.fault(), None);
    guard
}

/// A request of somebody with these names in a client certificate.
pub(super) fn from(ids: Option<&str>, method: &str, path: &str, more: &[(&str, &str)]) -> FakeHost {
    let mut headers =
        vec![(":method", method), (":path", path), (":authority", "api.shop.example")];
    headers.extend([("idempotency-key", "k1")]);
    headers.extend(more);
    let mut host = FakeHost::new(&headers);
    if let Some(ids) = ids {
        host.properties.insert(ALL_IDS.into(), ids.into());
    }
    host
}

/// `status reason`, or `pass` with the headers of the mesh that went on.
fn outcome(host: &FakeHost) -> String {
    if let Some(answer) = &host.replied {
        let reason = answer.header("x-meshfence-reason").unwrap_or("-");
        return format!("{} {reason}", answer.status);
    }
    let ours = host.request.iter().filter(|(name, _)| name.starts_with("x-"));
    let mut ours: Vec<String> = ours
        .map(|(name, value)| {
            let name = name.trim_start_matches("x-meshfence-");
            format!(" {name}={}", String::from_utf8_lossy(value))
        })
        .collect();
    ours.sort();
    format!("pass{}", ours.concat())
}

const FENCE: (&str, &str) = ("x-meshfence-fence", "orders;e=1;h=tokyo;s=tokyo");
const JAPAN: (&str, &str) = ("x-meshfence-subject", "JP");
const VIA: (&str, &str) = ("x-meshfence-via", "taiwan");

#[test]
fn a_peer_is_a_region_by_its_certificate_alone() {
    for (ids, first, more, expected, why) in [
        (Some(TAIWAN), None, &[VIA][..], "pass via=taiwan", "the other region"),
        (None, Some(TAIWAN), &[VIA], "pass via=taiwan", "a listener that we did not render"),
        (None, None, &[VIA], "403 peer_untrusted", "no certificate"),
        (Some(""), None, &[VIA], "403 peer_untrusted", "no name"),
        (Some("-"), None, &[VIA], "403 peer_untrusted", "no name, as Envoy writes it"),
        (Some(TOKYO), None, &[VIA], "403 peer_untrusted", "this region"),
        (
            Some("spiffe://taiwan.shop/ns/shop/sa/orders"),
            None,
            &[VIA],
            "403 peer_untrusted",
            "a workload",
        ),
        (
            Some("spiffe://evil/x,spiffe://taiwan.shop/ns/gateways/sa/peer"),
            Some("spiffe://evil/x"),
            &[VIA],
            "403 peer_untrusted",
            "two names",
        ),
        (
            Some("spiffe://taiwan.shop/ns/gateways/sa/peer,spiffe://evil/x"),
            Some(TAIWAN),
            &[VIA],
            "403 peer_untrusted",
            "two names, the first allowed",
        ),
        (Some(TAIWAN), None, &[], "403 peer_untrusted", "it passed no region"),
        (Some(TAIWAN), None, &[("x-meshfence-via", "tokyo")], "508 loop", "this region"),
        (
            Some(TAIWAN),
            None,
            &[("x-meshfence-via", "tokyo, taiwan")],
            "508 loop",
            "this region before",
        ),
        (Some(TAIWAN), None, &[("x-meshfence-via", "taiwan, taiwan")], "508 loop", "in one twice"),
        (Some(TAIWAN), None, &[("x-meshfence-via", "paris")], "400 malformed", "no region"),
        (Some(TAIWAN), None, &[VIA, VIA], "400 malformed", "two values"),
    ] {
        let mut host = from(ids, "GET", PRODUCT, more);
        if let Some(first) = first {
            host.properties.insert(FIRST_ID.into(), first.into());
        }
        run(&guard("tokyo", Role::Peer), &mut host);
        assert_eq!(outcome(&host), expected, "{why}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_receiving_side_judges_again() {
    let passed =
        "pass consistency=quorum epoch=1 fence=orders;e=1;h=tokyo;s=tokyo subject=JP via=taiwan";
    for (method, path, more, expected, why) in [
        ("POST", ORDER, &[VIA, JAPAN, FENCE][..], passed, "the token of its lease"),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, FENCE, ("x-meshfence-epoch", "9")],
            passed,
            "an epoch that is not the token's",
        ),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, FENCE, ("x-meshfence-route", "taiwan")],
            passed,
            "a route is no peer's to choose",
        ),
        ("POST", ORDER, &[VIA, JAPAN], "428 fence_missing", "no token"),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, ("x-meshfence-fence", "payments;e=1;h=tokyo;s=tokyo")],
            "428 fence_missing",
            "of another lease",
        ),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, ("x-meshfence-fence", "orders;e=1;h=tokyo;s=tokyo+taiwan")],
            "428 fence_missing",
            "of another shard",
        ),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, ("x-meshfence-fence", "orders;e=2;h=tokyo;s=tokyo")],
            "503 fence_ahead",
            "newer",
        ),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, ("x-meshfence-fence", "orders;e=1;h=taiwan;s=tokyo")],
            "421 wrong_region",
            "for another region",
        ),
        (
            "POST",
            ORDER,
            &[VIA, JAPAN, ("x-meshfence-fence", "orders;e=1")],
            "400 malformed",
            "no token at all",
        ),
        (
            "POST",
            ORDER,
            &[
                VIA,
                ("x-meshfence-subject", "KR"),
                ("x-meshfence-fence", "orders;e=1;h=tokyo;s=tokyo+taiwan"),
            ],
            "pass consistency=quorum epoch=1 fence=orders;e=1;h=tokyo;s=tokyo+taiwan subject=KR via=taiwan",
            "another lease of this region",
        ),
        (
            "POST",
            ORDER,
            &[VIA, ("x-meshfence-subject", "TW"), FENCE],
            "503 home_unavailable",
            "a situation that is not seen here",
        ),
        ("POST", ORDER, &[VIA, FENCE], "401 credentials_missing", "no subject"),
        (
            "POST",
            ORDER,
            &[VIA, ("x-meshfence-subject", "other"), FENCE],
            "403 subject_unproven",
            "staff",
        ),
        (
            "POST",
            ORDER,
            &[VIA, ("x-meshfence-subject", "unknown"), FENCE],
            "403 subject_unknown",
            "no country",
        ),
        (
            "POST",
            ORDER,
            &[VIA, ("x-meshfence-subject", "Japan"), FENCE],
            "400 malformed",
            "no subject at all",
        ),
        ("GET", PROFILE, &[VIA, JAPAN], "pass subject=JP via=taiwan", "allowed here"),
        ("GET", PROFILE, &[VIA, JAPAN, FENCE], "pass subject=JP via=taiwan", "a token for nothing"),
        ("GET", "/api/v1/secrets/1", &[VIA, JAPAN], "403 residency_denied", "allowed nowhere"),
        ("GET", "/admin", &[VIA], "404 unmatched", "no context"),
        (
            "POST",
            REVIEW,
            &[
                VIA,
                ("x-meshfence-origin", "taiwan"),
                ("x-meshfence-version", "018bcfe568000000-tpe-3fa29c1b"),
            ],
            "pass origin=taiwan version=018bcfe568000000-tpe-3fa29c1b via=taiwan",
            "never stamped again",
        ),
        ("POST", REVIEW, &[VIA, ("x-meshfence-version", "later")], "400 malformed", "no version"),
        (
            "GET",
            PRODUCT,
            &[VIA, ("x-meshfence-deadline-ms", "100")],
            "pass deadline-ms=95 via=taiwan",
            "time left",
        ),
        ("GET", PRODUCT, &[VIA, ("x-meshfence-deadline-ms", "3")], "504 deadline", "no time left"),
        ("GET", "/health", &[], "pass", "a probe has passed nothing"),
    ] {
        let mut host = from(Some(TAIWAN), method, path, more);
        run(&guard("tokyo", Role::Peer), &mut host);
        assert_eq!(outcome(&host), expected, "{why}");
    }
}

#[test]
fn the_route_that_a_peer_followed_is_spent_and_not_counted() {
    for (name, counted) in [("x-meshfence-route", None), ("x-meshfence-drill", Some(&1))] {
        let mut host = from(Some(TAIWAN), "GET", PRODUCT, &[VIA, (name, "tokyo")]);
        run(&guard("tokyo", Role::Peer), &mut host);
        assert_eq!(outcome(&host), "pass via=taiwan");
        assert_eq!(host.metrics.get("meshfence_stripped_requests_total"), counted, "{name}");
    }
}

#[test]
fn what_a_peer_says_of_a_version_is_whole_or_malformed() {
    let version = ("x-meshfence-version", "018bcfe568000000-tpe-3fa29c1b");
    let origin = ("x-meshfence-origin", "taiwan");
    let unsynced = ("x-meshfence-unsynced", "1");
    for (more, expected, unversioned) in [
        (
            &[VIA, origin, version][..],
            "pass origin=taiwan version=018bcfe568000000-tpe-3fa29c1b via=taiwan",
            false,
        ),
        (
            &[VIA, origin, version, unsynced],
            "pass origin=taiwan unsynced=1 version=018bcfe568000000-tpe-3fa29c1b via=taiwan",
            false,
        ),
        (&[VIA], "pass via=taiwan", true),
        (&[VIA, version], "400 malformed", false),
        (&[VIA, origin], "400 malformed", false),
        (&[VIA, version, ("x-meshfence-origin", "paris")], "400 malformed", false),
        (&[VIA, origin, version, ("x-meshfence-unsynced", "maybe")], "400 malformed", false),
        (&[VIA, version, ("x-meshfence-origin", "tokyo")], "400 malformed", false),
        // The clock is at 018bcfe56800; the bound is half a second.
        (
            &[VIA, origin, ("x-meshfence-version", "018bcfe569f40000-tpe-3fa29c1b")],
            "pass origin=taiwan version=018bcfe569f40000-tpe-3fa29c1b via=taiwan",
            false,
        ),
        (
            &[VIA, origin, ("x-meshfence-version", "ffffffffffff0001-tpe-3fa29c1b")],
            "pass origin=taiwan unsynced=1 version=ffffffffffff0001-tpe-3fa29c1b via=taiwan",
            false,
        ),
    ] {
        let mut host = from(Some(TAIWAN), "POST", REVIEW, more);
        run(&guard("tokyo", Role::Peer), &mut host);
        assert_eq!(outcome(&host), expected, "{more:?}");
        let counted = host.metrics.contains_key("meshfence_unversioned_writes_total");
        assert_eq!(counted, unversioned, "{more:?}");
    }
}

#[test]
fn a_proxy_that_does_not_say_who_it_is_makes_nobody_an_intruder() {
    for role in [Role::Peer, Role::Inbound] {
        let mut host = from(Some(TAIWAN), "GET", PRODUCT, &[VIA]);
        host.failing_call = Some(1); // the headers are read first, then the certificate's names
        run(&guard("tokyo", role), &mut host);
        assert_eq!(outcome(&host), "503 host_failure", "{role}");
    }
}

#[test]
fn a_lease_that_is_elsewhere_is_misdirected() {
    // The lease of Japanese orders is in Tokyo, and this is Taiwan.
    let more = [("x-meshfence-via", "tokyo"), JAPAN, FENCE];
    let mut host = from(Some(TOKYO), "POST", ORDER, &more);
    run(&guard("taiwan", Role::Peer), &mut host);
    assert_eq!(outcome(&host), "403 residency_denied", "residency comes first");
    let inventory = ("x-meshfence-fence", "inventory;e=1;h=tokyo");
    let more = [("x-meshfence-via", "taiwan"), inventory];
    let mut host = from(Some(TAIWAN), "POST", "/api/v1/inventory/1", &more);
    run(&guard("tokyo", Role::Peer), &mut host);
    assert_eq!(outcome(&host), "421 wrong_region");
}

#[test]
fn a_token_older_than_the_lease_is_stale() {
    let mut config = config("tokyo", Role::Peer);
    let state = r#"{"leases":{"orders/tokyo":{"holder":"tokyo","epoch":"7"}}}"#;
    config.policy.fencing.static_state = Some(serde_json::from_str(state).unwrap());
    let guard = configure(b"guard", Some(&serde_json::to_vec(&config).unwrap()));
    for (epoch, expected) in [(6, "412 fence_stale"), (8, "503 fence_ahead")] {
        let fence = format!("orders;e={epoch};h=tokyo;s=tokyo");
        let more = [VIA, JAPAN, ("x-meshfence-fence", fence.as_str())];
        let mut host = from(Some(TAIWAN), "POST", ORDER, &more);
        run(&guard, &mut host);
        assert_eq!(outcome(&host), expected);
    }
}

#[test]
fn a_workload_believes_its_gateways_and_nobody_else() {
    let believed = "pass consistency=quorum epoch=1 fence=orders;e=1;h=tokyo;s=tokyo subject=JP";
    for (id, more, expected, why) in [
        (Some(TOKYO_PUBLIC), &[JAPAN, FENCE][..], believed, "its gateway"),
        (Some(TOKYO), &[JAPAN, FENCE], believed, "its other gateway"),
        (Some(TAIWAN), &[JAPAN, FENCE], "401 credentials_missing", "another region's"),
        (
            Some("spiffe://tokyo.shop/ns/shop/sa/batch"),
            &[JAPAN, FENCE],
            "401 credentials_missing",
            "a workload",
        ),
        (None, &[JAPAN, FENCE], "401 credentials_missing", "nobody known"),
    ] {
        let mut host = from(id, "POST", ORDER, more);
        run(&guard("tokyo", Role::Inbound), &mut host);
        assert_eq!(outcome(&host), expected, "{why}");
    }
    // With a token of its own it is known, and still has no fence.
    let mut host = from(None, "POST", ORDER, &[FENCE, ("authorization", "Bearer t")]);
    for (claim, value) in [("iss", "https://id"), ("residency", "JP")] {
        host.properties.insert(format!("{CLAIMS}.{claim}"), value.into());
    }
    run(&guard("tokyo", Role::Inbound), &mut host);
    assert_eq!(outcome(&host), "428 fence_missing");
    assert_eq!(host.metrics.get("meshfence_stripped_requests_total"), Some(&1));
}

/// The guards before and behind a workload of a region, which have a secret in common.
fn sidecar(region: &str) -> [Guard; 2] {
    [Role::Inbound, Role::Outbound].map(|role| {
        let mut config = config(region, role);
        let key = HmacKey { id: "k1".into(), env: "MESHFENCE_HMAC_K1".into() };
        config.policy.hmac = Some(Hmac { keys: vec![key], replay_window_ms: 30_000 });
        let json = serde_json::to_vec(&config).unwrap();
        let secrets = vec![("MESHFENCE_HMAC_K1".into(), vec![1; 32])];
        let mut vm = FakeVm { secrets, ..FakeVm::default() };
        let at = Attached { plugin: role.as_str().as_bytes(), root: b"guard" };
        Guard::configure(at, Some(&json), &mut vm, &mut LastGood::default())
    })
}

#[test]
fn what_was_signed_before_a_workload_is_believed_behind_it() {
    let [before, behind] = sidecar("taiwan");
    let gateway = "spiffe://taiwan.shop/ns/gateways/sa/public";
    let version = ("x-meshfence-version", "018bcfe568000000-tyo-00000001");
    let origin = ("x-meshfence-origin", "tokyo");
    let mut arrived = from(Some(gateway), "POST", REVIEW, &[JAPAN, version, origin]);
    run(&before, &mut arrived);
    assert_eq!(arrived.replied, None);
    let sig = arrived.request_header("x-meshfence-sig").unwrap();
    let sig = ("x-meshfence-sig", sig.as_str());
    let own = "version=018bcfe568000000-tpe-3fa29c1b";
    for (method, path, more, later_ms, expected, why) in [
        (
            "GET",
            PROFILE,
            &[JAPAN, sig][..],
            0,
            "pass route=tokyo subject=JP via=taiwan",
            "passed on",
        ),
        ("GET", PROFILE, &[JAPAN], 0, "401 credentials_missing", "without the signature"),
        (
            "GET",
            PROFILE,
            &[("x-meshfence-subject", "TW"), sig],
            0,
            "401 credentials_missing",
            "another subject",
        ),
        ("GET", PROFILE, &[JAPAN, sig], 30_001, "401 credentials_missing", "too late"),
        (
            "POST",
            REVIEW,
            &[version, origin, sig],
            0,
            "pass origin=tokyo version=018bcfe568000000-tyo-00000001",
            "a version that is there",
        ),
        (
            "POST",
            REVIEW,
            &[version, origin],
            0,
            &format!("pass origin=taiwan {own}"),
            "a version made up",
        ),
        (
            "POST",
            REVIEW,
            &[version, sig],
            0,
            &format!("pass origin=taiwan {own}"),
            "a version of nowhere",
        ),
        (
            "POST",
            REVIEW,
            &[version, version, origin, sig],
            0,
            &format!("pass origin=taiwan {own}"),
            "two versions",
        ),
    ] {
        let mut sent = from(None, method, path, more);
        sent.unix_ms += later_ms;
        run(&behind, &mut sent);
        assert_eq!(outcome(&sent), expected, "{why}");
        // A signature that did its work is no header that somebody made up.
        let made_up = sent.metrics.contains_key("meshfence_stripped_requests_total");
        let honest = ["passed on", "a version that is there"].contains(&why);
        assert_eq!(made_up, !honest, "{why}");
    }
}

#[test]
fn a_refusal_of_a_peer_is_answered_for_where_the_request_entered() {
    let edge = guard("taiwan", Role::Edge);
    for (by, status, reason, seen, why) in [
        (TOKYO, "421", "wrong_region", "503 wrong_region", "between regions"),
        (TOKYO, "428", "fence_missing", "503 fence_missing", "between regions"),
        (TOKYO, "412", "fence_stale", "503 fence_stale", "between regions"),
        (TOKYO, "503", "fence_ahead", "passes with reason and processed", "its own 503"),
        (TOKYO, "403", "residency_denied", "passes with reason and processed", "the last word"),
        (TOKYO, "200", "allowed", "passes without", "no refusal"),
        (TOKYO, "421", "whatever", "passes without", "no reason of ours"),
        (TOKYO, "200", "wrong_region", "passes without", "no refusal"),
        (TOKYO, "403", "wrong_region", "passes without", "not the status of its reason"),
        (TOKYO, "421", "wrong_region, fence_stale", "passes without", "two reasons"),
        (TAIWAN, "421", "wrong_region", "passes without", "another region's name"),
        ("", "421", "wrong_region", "passes without", "no certificate"),
    ] {
        let mut host = from(None, "POST", ORDER, &[("authorization", "Bearer t")]);
        for (claim, value) in [("iss", "https://id"), ("residency", "JP")] {
            host.properties.insert(format!("{CLAIMS}.{claim}"), value.into());
        }
        let (flow, mut stream) = run(&edge, &mut host);
        assert_eq!(flow, Flow::Continue);
        if !by.is_empty() {
            host.properties.insert("upstream.uri_san_peer_certificate".into(), by.into());
        }
        host.properties.insert(ATTEMPTS.into(), 1_u64.to_le_bytes().into());
        host.response =
            [(":status", status), ("x-meshfence-reason", reason), ("x-meshfence-processed", "no")]
                .map(|(name, value)| (name.into(), value.into()))
                .into();
        edge.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        let has = |name: &str| host.response.iter().any(|(known, _)| known == name);
        let found = match &host.replied {
            Some(answer) => {
                assert_eq!(answer.header("x-meshfence-processed"), Some("no"), "{why}");
                let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
                assert!((2..=5).contains(&seconds), "{why}");
                outcome(&host)
            }
            None if has("x-meshfence-reason") && has("x-meshfence-processed") => {
                String::from("passes with reason and processed")
            }
            None => {
                assert!(!has("x-meshfence-reason") && !has("x-meshfence-processed"), "{why}");
                String::from("passes without")
            }
        };
        assert_eq!(found, seen, "{why}");
        let told = host.metrics.get(&format!("reason=.={reason};.;meshfence_refused_total"));
        assert_eq!(told.is_some(), !seen.ends_with("without"), "{why}");
    }
}

#[test]
fn what_a_refusal_says_of_one_try_it_says_of_no_other() {
    let edge = guard("taiwan", Role::Edge);
    for (reason, attempts, told, unprocessed, why) in [
        ("fence_stale", Some(1_u64), true, true, "the one try"),
        ("fence_stale", Some(2), true, false, "an earlier one may have run"),
        ("fence_stale", None, true, false, "nobody knows how many there were"),
        ("fence_stale", Some(1), false, false, "the other region may have tried more often"),
        ("fence_ahead", Some(1), true, true, "the one try"),
        ("fence_ahead", Some(2), true, false, "an earlier one may have run"),
        ("fence_ahead", Some(1), false, false, "the other region may have tried more often"),
    ] {
        let mut host = from(None, "POST", ORDER, &[("authorization", "Bearer t")]);
        for (claim, value) in [("iss", "https://id"), ("residency", "JP")] {
            host.properties.insert(format!("{CLAIMS}.{claim}"), value.into());
        }
        let (_, mut stream) = run(&edge, &mut host);
        host.properties.insert("upstream.uri_san_peer_certificate".into(), TOKYO.into());
        if let Some(attempts) = attempts {
            host.properties.insert(ATTEMPTS.into(), attempts.to_le_bytes().into());
        }
        let processed = told.then_some(("x-meshfence-processed", "no"));
        let status = if reason == "fence_stale" { "412" } else { "503" };
        host.response = [(":status", status), ("x-meshfence-reason", reason)]
            .into_iter()
            .chain(processed)
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        edge.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        let found = match &host.replied {
            Some(answer) => answer.header("x-meshfence-processed").is_some(),
            None => host.response.iter().any(|(name, _)| name == "x-meshfence-processed"),
        };
        assert_eq!(found, unprocessed, "{reason}: {why}");
    }
}

#[test]
fn a_peer_passes_on_the_refusal_of_its_own_workloads() {
    let peer = guard("tokyo", Role::Peer);
    for (by, kept) in [(TOKYO, true), (TAIWAN, false)] {
        let mut host = from(Some(TAIWAN), "POST", ORDER, &[VIA, JAPAN, FENCE]);
        let (_, mut stream) = run(&peer, &mut host);
        host.properties.insert("upstream.uri_san_peer_certificate".into(), by.into());
        host.response = [(":status", "412"), ("x-meshfence-reason", "fence_stale")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        peer.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, false);
        assert_eq!(host.replied, None, "the entry answers for it");
        assert_eq!(host.response.iter().any(|(name, _)| name == "x-meshfence-reason"), kept);
    }
}

#[test]
fn a_request_is_counted_once_in_the_region_it_runs_in() {
    for (shed_at, counting) in
        [("edge", [Role::Edge, Role::Peer]), ("inbound", [Role::Inbound, Role::Inbound])]
    {
        for role in Role::ALL {
            let mut config = serde_json::to_value(config("tokyo", *role)).unwrap();
            config["policy"]["loadShedding"]["shedAt"] = shed_at.into();
            config["policy"]["loadShedding"]["concurrency"]["reviews"] = 1.into();
            let guard = configure(b"guard", Some(config.to_string().as_bytes()));
            let arrive = || from(Some(TAIWAN), "GET", REVIEW, &[VIA]);
            let mut worker = Worker::new(0);
            let (_, _first) = run_in(&mut worker, &guard, &mut arrive());
            let mut second = arrive();
            run_in(&mut worker, &guard, &mut second);
            let is_shed = outcome(&second) == "503 shed_guard";
            assert_eq!(is_shed, counting.contains(role), "{shed_at} {role}");
        }
    }
}
