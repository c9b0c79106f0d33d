//! Decision records: which are written, what they say of where a request went, and their chain.

use super::roles::{config, from};
use super::{arrive, configure, end, guard, run, run_in};
use crate::chain;
use crate::fake::FakeHost;
use crate::{Flow, Guard, RECORD_FIELDS, Stream, Worker};
use policy_core::Role;
use serde_json::{Value, json};

const LOCALITY: &str = "upstream.locality.region";
const METADATA: &str = "xds.upstream_host_metadata.filter_metadata.meshfence.region";
const ADDRESS: &str = "upstream.address";
const VIOLATIONS: &str = "meshfence_residency_violation_total";
const UNKNOWN: &str = "meshfence_actual_region_unknown_total";

/// A guard that records so many of a thousand plain requests.
pub(super) fn sampling(region: &str, role: Role, per_mille: u32) -> Guard {
    let mut config = config(region, role);
    config.policy.records.sample_per_mille = per_mille;
    let guard = configure(b"guard", Some(&serde_json::to_vec(&config).unwrap()));
    assert_eq!(guard.fault(), None);
    guard
}

/// The record of a whole request, if there is one.
fn recorded(guard: &Guard, host: &mut FakeHost, flags: u64) -> Option<Value> {
    let (_, mut stream) = run(guard, host);
    let fields_of = |record: &Value| {
        let fields = record.as_object().unwrap().keys();
        assert!(fields.clone().all(|field| RECORD_FIELDS.contains(&field.as_str())), "{record}");
    };
    host.properties.insert("response.flags".into(), flags.to_le_bytes().into());
    guard.on_response_headers(&mut Worker::new(0), &mut stream, host, false);
    end(guard, stream, host);
    let record = host.recorded.as_deref().map(|json| serde_json::from_str(json).unwrap());
    record.inspect(fields_of)
}

#[test]
fn what_matters_is_recorded_whatever_the_sample() {
    const PROFILE: &str = "/api/v1/customers/7";
    const PRODUCT: &str = "/api/v1/products/1";
    const UNHEALTHY: u64 = 1 << 1;
    let taiwan = Some("spiffe://taiwan.shop/ns/gateways/sa/peer");
    let gateway = Some("spiffe://tokyo.shop/ns/gateways/sa/peer");
    let via = [("x-meshfence-via", "taiwan")];
    let probe = [("user-agent", "Envoy/HC")];
    let edge = ("taiwan", Role::Edge);
    for (at, host, flags, expected, why) in [
        (edge, arrive("GET", PRODUCT, "", &[]), 0, false, "a plain pass"),
        (edge, arrive("GET", PROFILE, "TW", &[]), 0, false, "a plain pass about a person"),
        (edge, arrive("GET", "/health", "", &[]), 0, false, "a health check"),
        (edge, arrive("GET", PROFILE, "JP", &[]), 0, true, "another region"),
        (edge, arrive("GET", PROFILE, "", &[]), 0, true, "a refusal"),
        (edge, arrive("GET", "/admin", "", &[]), 0, true, "no context"),
        (edge, arrive("GET", PRODUCT, "", &[]), UNHEALTHY, true, "what came of it"),
        (
            edge,
            arrive("GET", "/health", "", &probe),
            UNHEALTHY,
            true,
            "Envoy, told that all is lost",
        ),
        (("tokyo", Role::Peer), from(taiwan, "GET", PRODUCT, &via), 0, true, "from another region"),
        (("tokyo", Role::Peer), from(taiwan, "GET", "/health", &[]), 0, true, "a probe from there"),
        (
            ("tokyo", Role::Peer),
            from(taiwan, "GET", "/health", &probe),
            0,
            false,
            "Envoy from there",
        ),
        (
            ("tokyo", Role::Inbound),
            from(gateway, "GET", PRODUCT, &via),
            0,
            true,
            "entered elsewhere",
        ),
        (("tokyo", Role::Inbound), from(gateway, "GET", PRODUCT, &[]), 0, false, "entered here"),
        (("tokyo", Role::Inbound), from(None, "GET", PRODUCT, &via), 0, false, "said by anybody"),
    ] {
        let guard = sampling(at.0, at.1, 0);
        let mut none = host.clone();
        assert_eq!(recorded(&guard, &mut none, flags).is_some(), expected, "{why}");
        assert_eq!(none.calls.contains_key("record"), expected, "{why}: asked in vain");
    }
    let refused = configure(b"guard", None);
    assert!(recorded(&refused, &mut arrive("GET", PRODUCT, "", &[]), 0).is_some(), "no policy");
}

#[test]
fn what_is_shed_is_sampled() {
    for per_mille in [0, 1000] {
        let guard = sampling("taiwan", Role::Edge, per_mille);
        let review = || arrive("POST", "/api/v1/reviews/9", "", &[]);
        let mut worker = Worker::new(0x3fa2_9c1b);
        let _in_flight = [(); 2].map(|()| run_in(&mut worker, &guard, &mut review()));
        let mut host = review();
        let (_, mut stream) = run_in(&mut worker, &guard, &mut host);
        guard.on_done(&mut worker, &mut stream, &mut host);
        let record = host.recorded.map(|record| serde_json::from_str::<Value>(&record).unwrap());
        assert_eq!(record.is_some(), per_mille > 0);
        assert!(record.is_none_or(|record| record["verdict"] == "shed"));
    }
}

#[test]
fn a_sample_is_drawn_by_the_id_alone() {
    let ids = |per_mille| {
        let guard = sampling("taiwan", Role::Edge, per_mille);
        let mut worker = Worker::new(0x3fa2_9c1b);
        let drawn = (0..4000).filter_map(|_| {
            let mut host = arrive("GET", "/api/v1/products/1", "", &[]);
            let mut stream = Stream::default();
            guard.on_request_headers(&mut worker, &mut stream, &mut host, true);
            guard.on_done(&mut worker, &mut stream, &mut host);
            let record: Value = serde_json::from_str(&host.recorded?).unwrap();
            Some(record["id"].as_str().unwrap().to_owned())
        });
        drawn.collect::<Vec<_>>()
    };
    let few = ids(10);
    assert!((20..=60).contains(&few.len()), "about 40: {}", few.len());
    assert_eq!(few, ids(10), "the same ones again");
    let more = ids(100);
    assert!(few.iter().all(|id| more.contains(id)), "a larger sample has those of a smaller one");
    assert!((300..=500).contains(&more.len()), "about 400: {}", more.len());
    assert_eq!(ids(1000).len(), 4000);
}

#[test]
fn where_a_request_went_is_held_against_what_was_decided() {
    let taiwan = Some("spiffe://taiwan.shop/ns/gateways/sa/peer");
    let via = [("x-meshfence-via", "taiwan")];
    let edge = |country| arrive("GET", "/api/v1/customers/7", country, &[]);
    let peer = || from(taiwan, "GET", "/api/v1/products/1", &via);
    let at_edge = ("taiwan", Role::Edge);
    let at_peer = ("tokyo", Role::Peer);
    for (at, host, properties, actual, counted, why) in [
        (at_edge, edge("JP"), &[(LOCALITY, "ap-northeast-1")][..], Some("tokyo"), None, "there"),
        (at_edge, edge("JP"), &[(LOCALITY, "tokyo")], Some("tokyo"), None, "by its name"),
        (at_edge, edge("TW"), &[(LOCALITY, "ap-east-2")], Some("taiwan"), None, "here"),
        (at_edge, edge("JP"), &[(METADATA, "tokyo")], Some("tokyo"), None, "by its metadata"),
        (
            at_edge,
            edge("JP"),
            &[(LOCALITY, ""), (METADATA, "tokyo")],
            Some("tokyo"),
            None,
            "no locality",
        ),
        (
            at_edge,
            edge("JP"),
            &[(LOCALITY, "rack-7"), (METADATA, "tokyo")],
            Some("tokyo"),
            None,
            "another name",
        ),
        (
            at_edge,
            edge("JP"),
            &[(LOCALITY, "ap-east-2")],
            Some("taiwan"),
            Some(VIOLATIONS),
            "not there",
        ),
        (
            at_edge,
            edge("TW"),
            &[(LOCALITY, "ap-northeast-1")],
            Some("tokyo"),
            Some(VIOLATIONS),
            "not here",
        ),
        (at_edge, edge("TW"), &[(METADATA, "tokyo")], Some("tokyo"), Some(VIOLATIONS), "not here"),
        (at_edge, edge("TW"), &[], None, None, "an answer of the proxy"),
        (at_edge, edge("TW"), &[(ADDRESS, "10.0.0.1:80")], None, Some(UNKNOWN), "nobody knows"),
        (
            at_edge,
            edge("TW"),
            &[(ADDRESS, "10.0.0.1:80"), (LOCALITY, "rack-7")],
            None,
            Some(UNKNOWN),
            "nowhere",
        ),
        (at_edge, edge(""), &[(LOCALITY, "ap-northeast-1")], None, None, "it was refused"),
        (at_peer, peer(), &[(LOCALITY, "ap-northeast-1")], Some("tokyo"), None, "here"),
        (at_peer, peer(), &[(LOCALITY, "taiwan")], Some("taiwan"), Some(VIOLATIONS), "sent back"),
        (
            at_peer,
            peer(),
            &[(ADDRESS, "10.0.0.1:80")],
            None,
            None,
            "who does not choose need not know",
        ),
    ] {
        let guard = sampling(at.0, at.1, 0);
        let mut host = host;
        let (_, stream) = run(&guard, &mut host);
        let of_response = properties.iter().chain(&[("response.total_size", "12345678")]);
        host.properties.extend(of_response.map(|(name, value)| ((*name).into(), (*value).into())));
        end(&guard, stream, &mut host);
        let record = host.recorded.as_deref().map(|json| serde_json::from_str(json).unwrap());
        let record: Value = record.unwrap_or_default();
        let is_violation = counted == Some(VIOLATIONS);
        assert_eq!(
            record["violation"],
            if is_violation { json!(true) } else { Value::Null },
            "{why}"
        );
        if !record.is_null() {
            assert_eq!(record["actual"].as_str(), actual, "{why}");
            let is_of_upstream = !properties.is_empty() && record["verdict"] != "deny";
            let size = is_of_upstream.then_some(u64::from_le_bytes(*b"12345678"));
            assert_eq!(record["bytes"].as_u64(), size, "{why}");
        }
        for metric in [VIOLATIONS, UNKNOWN] {
            let count = host.metrics.get(metric).copied().unwrap_or_default();
            assert_eq!(count, u64::from(counted == Some(metric)), "{why}: {metric}");
        }
    }
}

#[test]
fn a_sender_is_named_if_the_policy_names_it() {
    let public = "spiffe://tokyo.shop/ns/gateways/sa/public";
    for (role, id, principal, why) in [
        (Role::Inbound, Some(public), Some(public), "a gateway"),
        (Role::Inbound, Some("spiffe://tokyo.shop/ns/x/sa/secret"), None, "anybody"),
        (Role::Inbound, None, None, "nobody"),
        (Role::Edge, Some(public), None, "nobody is asked at an edge"),
    ] {
        let guard = sampling("tokyo", role, 1000);
        let mut host = from(id, "GET", "/api/v1/products/1", &[]);
        let record = recorded(&guard, &mut host, 0).unwrap();
        assert_eq!(record["principal"].as_str(), principal, "{why}");
    }
}

#[test]
fn the_records_of_a_vm_are_a_chain() {
    let guard = guard();
    let mut worker = Worker::new(0x3fa2_9c1b);
    let mut newest = chain::Hash::NOTHING.to_string();
    let mut lost = 0;
    for seq in [1, 2, 3, 4] {
        let mut host = arrive("GET", "/admin", "", &[]);
        // One between the second and the third is not taken.
        for fails in [seq == 3, false] {
            let mut stream = Stream::default();
            guard.on_request_headers(&mut worker, &mut stream, &mut host, true);
            let calls: usize = host.calls.values().sum();
            host.failing_call = fails.then_some(calls + 2); // after both clocks
            guard.on_done(&mut worker, &mut stream, &mut host);
            if fails {
                assert_eq!(host.recorded, None);
                assert_eq!(host.metrics.get("meshfence_lost_records_total"), Some(&1));
                lost = 1;
                continue;
            }
            let json = host.recorded.take().unwrap();
            assert!(chain::is_sealed(&json, None), "{json}");
            let record: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(record["seq"], seq);
            assert_eq!(record["prev"], newest.as_str());
            assert_eq!(record["lost"].as_u64().unwrap_or_default(), lost, "{json}");
            newest = record["hash"].as_str().unwrap().to_owned();
            lost = 0;
            break;
        }
    }
}

#[test]
fn what_never_ends_leaves_no_record_and_keeps_no_place() {
    let guard = guard();
    for _ in 0..5 {
        let mut host = arrive("POST", "/api/v1/reviews/9", "", &[]);
        let (flow, mut stream) = run(&guard, &mut host);
        assert_eq!(flow, Flow::Continue);
        guard.release(&mut stream);
        assert_eq!(host.recorded, None);
    }
}
