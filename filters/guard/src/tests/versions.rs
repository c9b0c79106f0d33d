//! Versions on their way: what a write carries, what its response says, what a client brings back.

use super::roles::{config, from};
use super::{arrive, end};
use crate::fake::{FakeHost, FakeVm};
use crate::{Attached, Flow, Guard, LastGood, Stream, Worker};
use origin_tag::Stamp;
use policy_core::wire::{Hmac, HmacKey, Merge, PluginConfig};
use policy_core::{HintCarrier, MergeStrategy, OnDrift, OnLostUpdate, Role};

pub(super) const NOW_MS: u64 = 1_700_000_000_000;
const TOKYO: &str = "spiffe://tokyo.shop/ns/gateways/sa/peer";
pub(super) const PATH: &str = "/api/v1/reviews/9";
/// Versions of Tokyo: a second ago, and a millisecond ago.
pub(super) const OLD: &str = "018bcfe564180000-tyo-00000001";
pub(super) const NEAR: &str = "018bcfe567ff0000-tyo-00000001";
/// From a clock that is a minute ahead.
const AHEAD: &str = "018bcfe652600000-tyo-00000001";

/// What is set otherwise than in the shop.
#[derive(Clone, Copy)]
pub(super) struct Shop {
    pub(super) role: Role,
    pub(super) on_lost_update: OnLostUpdate,
    pub(super) on_drift: OnDrift,
    pub(super) has_keys: bool,
    pub(super) hints: bool,
    pub(super) is_append_only: bool,
}

pub(super) const EDGE: Shop = Shop {
    role: Role::Edge,
    on_lost_update: OnLostUpdate::Pass,
    on_drift: OnDrift::Tag,
    has_keys: true,
    hints: false,
    is_append_only: false,
};

pub(super) fn secrets() -> Vec<(String, Vec<u8>)> {
    vec![(String::from("MESHFENCE_K1"), vec![1; 32])]
}

pub(super) fn guard(shop: Shop) -> Guard {
    guard_with(shop, |_| ())
}

/// The same, and what else is otherwise.
pub(super) fn guard_with(shop: Shop, change: impl FnOnce(&mut PluginConfig)) -> Guard {
    let mut config = config("taiwan", shop.role);
    let versioning = &mut config.policy.versioning;
    versioning.on_drift = shop.on_drift;
    if shop.has_keys {
        versioning.etag = vec!["reviews".into(), "profiles".into()];
        versioning.causal_lifetime_ms = Some(3_600_000);
        versioning.on_lost_update = shop.on_lost_update;
        let key = HmacKey { id: "k1".into(), env: "MESHFENCE_K1".into() };
        config.policy.hmac = Some(Hmac { keys: vec![key], replay_window_ms: 30_000 });
    }
    versioning.hints = shop.hints.then_some(HintCarrier::Baggage);
    for context in config.policy.contexts.iter_mut().filter(|context| *context.name == *"reviews") {
        context.merge = shop
            .is_append_only
            .then(|| Merge { strategy: MergeStrategy::AppendOnly, at: Vec::new() });
    }
    change(&mut config);
    let json = serde_json::to_vec(&config).unwrap();
    let at = Attached { plugin: b"meshfence", root: b"guard" };
    let mut vm = FakeVm { secrets: secrets(), ..FakeVm::default() };
    let guard = Guard::configure(at, Some(&json), &mut vm, &mut LastGood::default());
    assert_eq!(guard.fault(), None);
    guard
}

/// An edge with a key, or without one.
pub(super) fn keyed(has_keys: bool) -> Guard {
    guard(Shop { has_keys, ..EDGE })
}

/// A request through a guard and its response; the host as they leave it.
pub(super) fn visit(
    guard: &Guard,
    worker: &mut Worker,
    mut host: FakeHost,
    response: &[(&str, &str)],
) -> FakeHost {
    let mut stream = Stream::default();
    if guard.on_request_headers(worker, &mut stream, &mut host, true) == Flow::Continue {
        let status = [(":status", "200")];
        let has_status = response.iter().any(|(name, _)| *name == ":status");
        let response = status.iter().filter(|_| !has_status).chain(response);
        host.response = response.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        guard.on_response_headers(worker, &mut stream, &mut host, true);
    }
    end(guard, stream, &mut host);
    host
}

pub(super) fn answered(host: &FakeHost, name: &str) -> Option<String> {
    let found = host.response.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

pub(super) fn version(host: &FakeHost) -> Stamp {
    let version = host.request_header("x-meshfence-version").unwrap();
    Stamp::parse(version.as_bytes()).unwrap()
}

/// What was counted of versions.
fn counted(host: &FakeHost) -> Vec<&str> {
    let is_of_versions = |name: &&str| {
        ["conflict", "future", "causal", "tags"].iter().any(|word| name.contains(word))
    };
    let short = |name: &&'_ str| !name.is_empty();
    host.metrics.keys().map(String::as_str).filter(is_of_versions).filter(short).collect()
}

fn conflict(role: &str, kind: &str) -> String {
    format!(
        "role=.={role};.;context=.=reviews;.;kind=.={kind};.;meshfence_consistency_conflicts_total"
    )
}

pub(super) fn review(more: &[(&str, &str)]) -> FakeHost {
    arrive("PUT", PATH, "", more)
}

/// A tag and a causal value as an edge gives them to whoever reads this version.
fn read(guard: &Guard, current: &str, vector: Option<&str>) -> (String, String) {
    let vector = vector.map(|vector| ("x-meshfence-vv", vector));
    let said: Vec<_> = [("x-meshfence-current", current)].into_iter().chain(vector).collect();
    let host = visit(guard, &mut Worker::new(9), arrive("GET", PATH, "", &[]), &said);
    (answered(&host, "etag").unwrap(), answered(&host, "meshfence-causal").unwrap())
}

#[test]
fn what_a_client_has_read_comes_back_as_the_base_of_its_write() {
    let guard = guard(EDGE);
    let both = format!("taiwan=018bcfe560000000-tpe-00000007,tokyo={OLD}");
    let (tag, _) = read(&guard, OLD, None);
    let (of_both, _) = read(&guard, OLD, Some(&both));
    let forged = tag.replace("tyo", "tpe");
    let own = format!("tokyo={OLD}");
    for (path, value, base, vector, is_spent, counts, why) in [
        (PATH, &*tag, Some(OLD), Some(&*own), true, None, "what was read"),
        (
            PATH,
            &of_both,
            Some(OLD),
            Some(&*own),
            true,
            None,
            "with what was in it, but for its own",
        ),
        (PATH, "\"33a64df5\"", None, None, false, None, "the application's own"),
        (PATH, "*", None, None, false, None, "anything"),
        (PATH, &forged, None, None, false, Some("meshfence_entity_tags_refused_total"), "forged"),
        (
            "/api/v1/reviews/8",
            &tag,
            None,
            None,
            false,
            Some("meshfence_entity_tags_refused_total"),
            "of another path",
        ),
        ("/api/v1/suggestions/1", &tag, None, None, false, None, "a context without tags"),
    ] {
        let host = arrive("PUT", path, "", &[("if-match", value)]);
        let host = visit(&guard, &mut Worker::new(1), host, &[]);
        assert_eq!(host.request_header("x-meshfence-base").as_deref(), base, "{why}");
        let written = vector.map(|vector| format!("taiwan={},{vector}", version(&host)));
        assert_eq!(host.request_header("x-meshfence-vv"), written, "{why}");
        assert_eq!(host.request_header("if-match").is_none(), is_spent, "{why}");
        assert_eq!(counted(&host), Vec::from_iter(counts), "{why}");
        assert!(base.is_none_or(|base| version(&host) > Stamp::parse(base.as_bytes()).unwrap()));
    }
}

#[test]
fn a_tag_is_given_for_a_version_that_is_whole_and_the_applications_own_stays() {
    let guard = guard(EDGE);
    let current = ("x-meshfence-current", OLD);
    for (path, response, expected, why) in [
        (PATH, &[current][..], true, "a version"),
        (PATH, &[], false, "none"),
        (PATH, &[("x-meshfence-current", "later")], false, "no version"),
        (PATH, &[current, current], false, "two"),
        (PATH, &[current, ("etag", "\"a\"")], false, "the application's own tag"),
        ("/api/v1/suggestions/1", &[current], false, "a context without tags"),
    ] {
        let host = visit(&guard, &mut Worker::new(1), arrive("GET", path, "", &[]), response);
        let tag = answered(&host, "etag");
        assert_eq!(tag.is_some_and(|tag| tag.starts_with("\"v1.k1.")), expected, "{why}");
    }
    let keyless = self::guard(Shop { has_keys: false, ..EDGE });
    let host = visit(&keyless, &mut Worker::new(1), arrive("GET", PATH, "", &[]), &[current]);
    assert_eq!(answered(&host, "etag"), None);
    assert_eq!(answered(&host, "meshfence-causal"), None);
}

/// How a user comes to write after something has been seen.
type Path<'p> = &'p dyn Fn(&mut Worker) -> FakeHost;

#[test]
fn v3_what_a_user_writes_next_is_larger_on_any_worker_and_in_any_region() {
    let guard = guard(EDGE);
    // What has been seen is 400 ms ahead of the clock that stamps.
    let seen = "018bcfe569900000-tyo-00000001";
    let stamp = Stamp::parse(seen.as_bytes()).unwrap();
    let (tag, causal) = read(&guard, seen, None);
    let peer = self::guard(Shop { role: Role::Peer, ..EDGE });
    let crossed = [
        ("x-meshfence-via", "tokyo"),
        ("x-meshfence-origin", "tokyo"),
        ("x-meshfence-version", seen),
    ];
    let nothing: Path<'_> = &|worker| visit(&guard, worker, review(&[]), &[]);
    let by_tag: Path<'_> = &|worker| visit(&guard, worker, review(&[("if-match", &tag)]), &[]);
    let by_causal: Path<'_> =
        &|worker| visit(&guard, worker, review(&[("meshfence-causal", &causal)]), &[]);
    let by_read: Path<'_> = &|worker| {
        let said = [("x-meshfence-current", seen)];
        visit(&guard, worker, arrive("GET", PATH, "", &[]), &said);
        visit(&guard, worker, review(&[]), &[])
    };
    let by_peer: Path<'_> = &|worker| {
        visit(&peer, worker, from(Some(TOKYO), "PUT", PATH, &crossed), &[]);
        visit(&guard, worker, review(&[]), &[])
    };
    for (path, is_larger, why) in [
        (nothing, false, "nobody has told"),
        (by_tag, true, "what the client has read"),
        (by_causal, true, "what the client has seen"),
        (by_read, true, "what an upstream holds"),
        (by_peer, true, "what a peer has stamped"),
    ] {
        let host = path(&mut Worker::new(1));
        assert_eq!(version(&host) > stamp, is_larger, "{why}");
        assert_eq!(host.request_header("x-meshfence-unsynced"), None, "{why}");
    }
}

#[test]
fn v6_what_an_untrusted_caller_says_moves_no_clock() {
    let guard = guard(EDGE);
    let seen = "018bcfe569900000-tyo-00000001";
    let plain = version(&visit(&guard, &mut Worker::new(1), review(&[]), &[]));
    let (tag, causal) = read(&guard, seen, None);
    let (far_tag, far_causal) = (tag.replace(seen, AHEAD), causal.replace(seen, AHEAD));
    let vector = format!("tokyo={seen}");
    for (more, counts) in [
        (&[("x-meshfence-version", seen), ("x-meshfence-origin", "tokyo")][..], &[][..]),
        (&[("x-meshfence-base", seen)], &[]),
        (&[("x-meshfence-vv", &vector)], &[]),
        (&[("x-meshfence-current", seen)], &[]),
        (&[("baggage", &format!("meshfence-version={seen}"))], &[]),
        (&[("if-match", &far_tag)], &["meshfence_entity_tags_refused_total"]),
        (
            &[("meshfence-causal", &far_causal)],
            &["reason=.=forged;.;meshfence_causal_refused_total"],
        ),
        (&[("meshfence-causal", seen)], &["reason=.=malformed;.;meshfence_causal_refused_total"]),
    ] {
        let host = visit(&guard, &mut Worker::new(1), review(more), &[]);
        assert_eq!(version(&host), plain, "{more:?}");
        assert_eq!(counted(&host), counts, "{more:?}");
    }
}

#[test]
fn what_is_too_far_ahead_is_not_followed_and_the_write_is_marked() {
    let (ahead_tag, ahead_causal) = {
        // The edge of a region whose clock is a minute ahead.
        let guard = guard(EDGE);
        let mut host = arrive("GET", PATH, "", &[]);
        host.unix_ms = NOW_MS + 60_000;
        let host = visit(&guard, &mut Worker::new(9), host, &[("x-meshfence-current", AHEAD)]);
        (answered(&host, "etag").unwrap(), answered(&host, "meshfence-causal").unwrap())
    };
    for on_drift in [OnDrift::Tag, OnDrift::Deny] {
        let guard = guard(Shop { on_drift, ..EDGE });
        for (more, count) in [
            (("if-match", &*ahead_tag), "source=.=tag;.;meshfence_future_versions_total"),
            (
                ("meshfence-causal", &ahead_causal),
                "reason=.=ahead;.;meshfence_causal_refused_total",
            ),
        ] {
            let host = visit(&guard, &mut Worker::new(1), review(&[more]), &[]);
            assert_eq!(counted(&host).first(), Some(&count));
            if on_drift == OnDrift::Deny {
                let answer = host.replied.as_ref().unwrap();
                assert_eq!(answer.header("x-meshfence-reason"), Some("clock_unsynced"));
            } else {
                assert_eq!(version(&host).ms(), NOW_MS);
                assert_eq!(host.request_header("x-meshfence-unsynced").as_deref(), Some("1"));
            }
        }
    }
    let guard = guard(EDGE);
    let mut worker = Worker::new(1);
    let said = [("x-meshfence-current", AHEAD)];
    let host = visit(&guard, &mut worker, arrive("GET", PATH, "", &[]), &said);
    assert_eq!(counted(&host), ["source=.=response;.;meshfence_future_versions_total"]);
    assert_eq!(version(&visit(&guard, &mut worker, review(&[]), &[])).ms(), NOW_MS);
}

#[test]
fn a_write_and_what_it_meets() {
    let guard = guard(EDGE);
    let (tag, _) = read(&guard, OLD, None);
    let read = ("if-match", &*tag);
    let after = format!("taiwan={},tokyo={NEAR}", "018bcfe568000000-tpe-00000001");
    let held_wins = "role=.=edge;.;context=.=reviews;.;outcome=.=held_wins;.;meshfence_conflict_resolutions_total";
    let write_wins = "role=.=edge;.;context=.=reviews;.;outcome=.=write_wins;.;meshfence_conflict_resolutions_total";
    let [concurrent, lost, suspected, tie, ambiguous] =
        ["concurrent", "lost_update", "suspected", "tie", "ambiguous"]
            .map(|kind| conflict("edge", kind));
    // What the write brings, what the upstream says, what is counted.
    for (more, response, expected, why) in [
        (&[][..], &[][..], &[][..], "an application that knows nothing of versions"),
        (&[], &[("x-meshfence-current", OLD)], &[&*suspected], "a second apart"),
        (&[], &[("x-meshfence-current", NEAR)], &[&ambiguous, &suspected], "a millisecond apart"),
        (
            &[],
            &[("x-meshfence-current", "018bcfe568000000-tyo-00000001")],
            &[&ambiguous, &suspected, &tie],
            "the same time",
        ),
        (&[], &[("x-meshfence-current", "018bcfe564170000-tyo-00000001")], &[], "further apart"),
        (&[], &[("x-meshfence-current", "018bcfe567ff0000-tpe-00000009")], &[], "of one region"),
        (&[read], &[("x-meshfence-current", OLD)], &[], "what was read"),
        (
            &[read],
            &[("x-meshfence-current", NEAR)],
            &[&ambiguous, &concurrent, write_wins],
            "what was not",
        ),
        (
            &[read],
            &[("x-meshfence-current", "018bcfe568010000-tyo-00000001")],
            &[&ambiguous, &concurrent, held_wins],
            "something newer",
        ),
        (
            &[read],
            &[("x-meshfence-current", "018bcfe567ff0000-tpe-00000009")],
            &[&lost, write_wins],
            "a colleague's",
        ),
        (
            &[read],
            &[("x-meshfence-current", NEAR), ("x-meshfence-vv", &after)],
            &[],
            "something that has seen it",
        ),
        (&[], &[("x-meshfence-conflict", "concurrent")], &[&concurrent], "the upstream's word"),
        (&[], &[("x-meshfence-conflict", "maybe")], &[], "no word"),
        (
            &[read],
            &[("x-meshfence-current", NEAR), ("x-meshfence-conflict", "lost_update")],
            &[&ambiguous, &lost, write_wins],
            "who knows best",
        ),
    ] {
        let host = visit(&guard, &mut Worker::new(1), review(more), response);
        assert_eq!(counted(&host), *expected, "{why}");
    }
    let merged = self::guard(Shop { is_append_only: true, ..EDGE });
    let host = visit(&merged, &mut Worker::new(1), review(&[]), &[("x-meshfence-current", NEAR)]);
    assert_eq!(counted(&host), [] as [&str; 0], "nothing is lost where all are kept");
    assert_eq!(
        host.request_header("x-meshfence-merge").as_deref(),
        Some("append-only; regions=\"taiwan tokyo\"")
    );
}

#[test]
fn what_is_known_of_a_thing_is_told_to_its_upstream() {
    for (on_lost_update, seen, expected, why) in [
        (OnLostUpdate::Pass, false, "suspected", "without a base it is suspected"),
        (OnLostUpdate::Pass, true, "concurrent", "with one it is certain"),
        (OnLostUpdate::Deny, false, "suspected", "what is only suspected passes"),
        (OnLostUpdate::Deny, true, "412 lost_update", "what is certain does not"),
    ] {
        let guard = guard(Shop { on_lost_update, ..EDGE });
        let (tag, _) = read(&guard, OLD, None);
        let mut worker = Worker::new(1);
        let said = [("x-meshfence-current", NEAR)];
        visit(&guard, &mut worker, arrive("GET", PATH, "", &[]), &said);
        let more = [("if-match", &*tag)];
        let host = visit(&guard, &mut worker, review(if seen { &more } else { &[] }), &[]);
        let outcome = match &host.replied {
            Some(answer) => {
                assert_eq!(answer.header("x-meshfence-processed"), Some("no"));
                format!("{} {}", answer.status, answer.header("x-meshfence-reason").unwrap())
            }
            None => host.request_header("x-meshfence-conflict").unwrap_or_default(),
        };
        assert_eq!(outcome, expected, "{why}");
        let elsewhere = arrive("PUT", "/api/v1/reviews/8", "", &[]);
        let host = visit(&guard, &mut worker, elsewhere, &[]);
        assert_eq!(host.request_header("x-meshfence-conflict"), None, "of another path: {why}");
    }
    // A write that its upstream has refused is not there: who has read what is, may write.
    let guard = guard(Shop { on_lost_update: OnLostUpdate::Deny, ..EDGE });
    let (tag, _) = read(&guard, OLD, None);
    let mut worker = Worker::new(1);
    for status in ["500", "200"] {
        let host =
            visit(&guard, &mut worker, review(&[("if-match", &tag)]), &[(":status", status)]);
        assert_eq!(host.replied, None, "{status}");
    }
    let host = visit(&guard, &mut worker, review(&[("if-match", &tag)]), &[]);
    assert_eq!(host.replied.as_ref().map(|answer| answer.status), Some(412), "now it is another");
    // Where all writes are kept none is lost.
    let shop = Shop { on_lost_update: OnLostUpdate::Deny, is_append_only: true, ..EDGE };
    let guard = self::guard(shop);
    let (tag, _) = read(&guard, OLD, None);
    let mut worker = Worker::new(1);
    let said = [("x-meshfence-current", NEAR)];
    visit(&guard, &mut worker, arrive("GET", PATH, "", &[]), &said);
    let host = visit(&guard, &mut worker, review(&[("if-match", &tag)]), &[]);
    assert_eq!(
        (host.replied.is_some(), host.request_header("x-meshfence-conflict")),
        (false, None)
    );
    // A tag of ours that is none proves nothing of what its bearer has read.
    let guard = self::guard(Shop { on_lost_update: OnLostUpdate::Deny, ..EDGE });
    let (tag, _) = read(&guard, OLD, None);
    let forged = tag.replace("tyo", "tpe");
    let host = visit(&guard, &mut Worker::new(1), review(&[("if-match", &forged)]), &[]);
    assert_eq!(host.replied.as_ref().map(|answer| answer.status), Some(412));
}

#[test]
fn what_was_redacted_has_no_tag() {
    let guard = guard(EDGE);
    for (mark, has_tag) in [(None, true), (Some(("x-meshfence-redacted", "2")), false)] {
        let mut host = arrive("GET", PATH, "", &[]);
        let peer = "spiffe://taiwan.shop/ns/gateways/sa/peer";
        host.properties.insert("upstream.uri_san_peer_certificate".into(), peer.into());
        let said: Vec<_> = [("x-meshfence-current", OLD)].into_iter().chain(mark).collect();
        let host = visit(&guard, &mut Worker::new(1), host, &said);
        assert_eq!(answered(&host, "etag").is_some(), has_tag, "{mark:?}");
        assert_eq!(answered(&host, "x-meshfence-redacted").is_some(), !has_tag, "{mark:?}");
    }
}

#[test]
fn what_a_client_has_seen_it_has_seen_once_and_for_all() {
    let guard = guard(EDGE);
    let (_, causal) = read(&guard, NEAR, None);
    let older = visit(
        &guard,
        &mut Worker::new(1),
        arrive("GET", PATH, "", &[("meshfence-causal", &causal)]),
        &[("x-meshfence-current", OLD)],
    );
    let given = answered(&older, "meshfence-causal").unwrap();
    assert!(given.contains(NEAR), "{given}");
}

#[test]
fn a_header_of_the_clients_hides_no_conflict() {
    let guard = guard(EDGE);
    for more in [&[][..], &[("x-meshfence-conflict", "concurrent")]] {
        let host =
            visit(&guard, &mut Worker::new(1), review(more), &[("x-meshfence-current", NEAR)]);
        let expected = [conflict("edge", "ambiguous"), conflict("edge", "suspected")];
        assert_eq!(counted(&host), expected, "{more:?}");
    }
}

#[test]
fn what_is_older_than_what_was_read_is_no_news() {
    let guard = guard(Shop { on_lost_update: OnLostUpdate::Deny, ..EDGE });
    let (tag, _) = read(&guard, NEAR, None);
    let mut worker = Worker::new(1);
    // The VM has heard last of an older version, of its own region.
    let said = [("x-meshfence-current", "018bcfe564180000-tpe-00000009")];
    visit(&guard, &mut worker, arrive("GET", PATH, "", &[]), &said);
    let host = visit(&guard, &mut worker, review(&[("if-match", &tag)]), &[]);
    assert_eq!(host.replied, None);
    assert_eq!(host.request_header("x-meshfence-conflict"), None);
}

#[test]
fn one_path_is_another_thing_for_every_person() {
    let guard = guard(Shop { on_lost_update: OnLostUpdate::Deny, ..EDGE });
    let path = "/api/v1/customers/me/profile";
    let mut worker = Worker::new(1);
    let of = |sub: &str, method: &str, more: &[(&str, &str)]| {
        let mut host = arrive(method, path, "TW", more);
        host.properties.insert(format!("{}.sub", super::CLAIMS), sub.into());
        host
    };
    let held = [("x-meshfence-current", OLD)];
    let tag = answered(&visit(&guard, &mut worker, of("mei", "GET", &[]), &held), "etag").unwrap();
    for sub in ["hana", "mei", "mei"] {
        visit(&guard, &mut worker, of(sub, "PUT", &[]), &[]);
        let host = visit(&guard, &mut worker, of("mei", "PUT", &[("if-match", &tag)]), &[]);
        let status = host.replied.as_ref().map(|answer| answer.status);
        assert_eq!(status, (sub == "mei").then_some(412), "after a write of {sub}");
        if status.is_none() {
            // Her own write is there now; she reads what was there before once more.
            visit(&guard, &mut worker, of("mei", "GET", &[]), &held);
        }
    }
}

#[test]
fn a_tag_of_ours_in_a_list_is_no_protection() {
    for (on_lost_update, status) in [(OnLostUpdate::Pass, None), (OnLostUpdate::Deny, Some(412))] {
        let guard = guard(Shop { on_lost_update, ..EDGE });
        let (tag, _) = read(&guard, OLD, None);
        let list = format!("\"a\", {tag}");
        for more in [&[("if-match", &*list)][..], &[("if-match", &tag), ("if-match", &tag)]] {
            let host = visit(&guard, &mut Worker::new(1), review(more), &[]);
            assert_eq!(host.replied.as_ref().map(|answer| answer.status), status, "{more:?}");
        }
    }
}

#[test]
fn what_failed_or_is_elsewhere_has_no_tag_here() {
    let guard = guard(EDGE);
    let held = ("x-meshfence-current", OLD);
    for (response, has_tag, resolved, why) in [
        (&[held][..], true, Some("write_wins"), "it was written"),
        (&[held, (":status", "201")], false, Some("write_wins"), "it is at another path"),
        (&[held, (":status", "409")], false, Some("held_wins"), "the store has refused it"),
        (&[held, ("grpc-status", "10")], false, Some("held_wins"), "so it has, in its own way"),
    ] {
        let (tag, _) = read(&guard, "018bcfe564170000-tyo-00000009", None);
        let host = visit(&guard, &mut Worker::new(1), review(&[("if-match", &tag)]), response);
        assert_eq!(answered(&host, "etag").is_some(), has_tag, "{why}");
        let outcome = host.metrics.keys().find(|name| name.contains("resolutions"));
        let is_it = |word: &str| outcome.is_some_and(|name| name.contains(word));
        assert_eq!(resolved.map(is_it), resolved.map(|_| true), "{why}: {outcome:?}");
    }
}

#[test]
fn a_peer_passes_on_what_another_region_knows_of_a_write() {
    let guard = guard(Shop { role: Role::Peer, ..EDGE });
    let via = ("x-meshfence-via", "tokyo");
    let origin = ("x-meshfence-origin", "tokyo");
    let stamped = ("x-meshfence-version", NEAR);
    let base = ("x-meshfence-base", OLD);
    let vector = format!("tokyo={NEAR}");
    let vector = ("x-meshfence-vv", &*vector);
    let conflict = ("x-meshfence-conflict", "concurrent");
    for (more, expected, why) in [
        (&[via, origin, stamped, base, vector, conflict][..], None, "all of it"),
        (&[via, origin, stamped, base], None, "a base alone"),
        (
            &[via, origin, stamped, ("x-meshfence-base", "later")],
            Some("x-meshfence-base"),
            "no version",
        ),
        (&[via, origin, stamped, base, base], Some("x-meshfence-base"), "twice"),
        (&[via, base], Some("x-meshfence-base"), "of no write"),
        (&[via, origin, stamped, vector], Some("x-meshfence-vv"), "without a base"),
        (
            &[via, origin, stamped, base, ("x-meshfence-vv", "osaka=1")],
            Some("x-meshfence-vv"),
            "no vector",
        ),
        (
            &[via, origin, stamped, ("x-meshfence-conflict", "maybe")],
            Some("x-meshfence-conflict"),
            "no conflict",
        ),
    ] {
        let host = visit(&guard, &mut Worker::new(1), from(Some(TOKYO), "PUT", PATH, more), &[]);
        match (expected, &host.replied) {
            (Some(part), Some(answer)) => {
                assert_eq!(answer.status, 400, "{why}");
                assert!(answer.body.contains(part), "{why}: {}", answer.body);
            }
            (None, None) => {
                for (name, value) in more.iter().filter(|(name, _)| *name != "x-meshfence-via") {
                    assert_eq!(host.request_header(name).as_deref(), Some(*value), "{why}");
                }
            }
            (_, answer) => panic!("{why}: {answer:?}"),
        }
    }
}

#[test]
fn hints_are_given_in_baggage_and_never_read() {
    for (hints, came, expected) in [
        (false, &["a=1"][..], Some("a=1")),
        (false, &[], None),
        (true, &[], Some("V")),
        (true, &["a=1;p=2, b=2"], Some("a=1;p=2,b=2,V")),
        (true, &["a=1", "b=2"], Some("a=1,b=2,V")),
        (true, &["meshfence-origin=tokyo,a=1, Meshfence-Version=x"], Some("a=1,V")),
    ] {
        let guard = guard(Shop { hints, ..EDGE });
        let more: Vec<_> = came.iter().map(|value| ("baggage", *value)).collect();
        let host = visit(&guard, &mut Worker::new(1), review(&more), &[]);
        let hint = format!(
            "meshfence-origin=taiwan,meshfence-version={},meshfence-class=public",
            version(&host)
        );
        let expected = expected.map(|text| text.replace('V', &hint));
        assert_eq!(host.request_header("baggage"), expected, "{came:?}");
    }
    // Where there is no room for hints there are none, nor what somebody else says in their place.
    let guard = guard(Shop { hints: true, ..EDGE });
    let many: Vec<String> = (0..62).map(|number| format!("a{number}=1")).collect();
    let many = many.join(",");
    for (came, expected) in [(many.clone(), &many), (format!("meshfence-origin=x,{many}"), &many)] {
        let host = visit(&guard, &mut Worker::new(1), review(&[("baggage", &came)]), &[]);
        assert_eq!(host.request_header("baggage").as_ref(), Some(expected));
    }
    let long = format!("a={}", "1".repeat(2_000));
    let host = visit(&guard, &mut Worker::new(1), review(&[("baggage", &long)]), &[]);
    assert_eq!(host.request_header("baggage"), Some(long));
    // What cannot be written without it goes with it.
    for rest in ["1".repeat(2_100).into_bytes(), vec![0xff]] {
        let mut host = review(&[]);
        host.request.push(("baggage".into(), [b"meshfence-origin=x,a=", &*rest].concat()));
        let host = visit(&guard, &mut Worker::new(1), host, &[]);
        assert_eq!(host.request_header("baggage"), None);
    }
}
