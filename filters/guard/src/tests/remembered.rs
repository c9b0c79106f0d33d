//! What a VM remembers of versions between requests, what it does not, and what is written of a write
//! that versions refuse.

use super::arrive;
use super::versions::{EDGE, NEAR, NOW_MS, OLD, PATH, Shop, answered, guard, guard_with, keyed};
use super::versions::{review, visit};
use crate::Worker;
use crate::fake::FakeHost;
use policy_core::wire::{Conditions, Exception, MigrationDocument, PluginConfig, StateDocument};
use policy_core::{DataClass, OnDrift, OnLostUpdate, Pseudonym};
use serde_json::Value;
use std::collections::BTreeSet;

/// A version of Tokyo that a write of now does not replace.
const NEWER: &str = "018bcfe568010000-tyo-00000001";

#[test]
fn what_nobody_can_tell_whose_it_is_is_not_remembered() {
    let guard = guard(EDGE);
    for (sub, conflict) in [(Some("mei"), Some("suspected")), (None, None)] {
        let of = |method: &str| {
            let mut host = arrive(method, "/api/v1/customers/me/profile", "TW", &[]);
            let sub = sub.map(|sub| (format!("{}.sub", super::CLAIMS), sub.into()));
            host.properties.extend(sub);
            host
        };
        let mut worker = Worker::new(1);
        visit(&guard, &mut worker, of("GET"), &[("x-meshfence-current", NEAR)]);
        let host = visit(&guard, &mut worker, of("PUT"), &[]);
        assert_eq!(host.request_header("x-meshfence-conflict").as_deref(), conflict, "{sub:?}");
    }
}

#[test]
fn of_a_grpc_call_nothing_is_remembered_and_it_has_no_tag() {
    let guard = guard(EDGE);
    let (plain, grpc) = ("application/json", "application/grpc");
    let held = [("x-meshfence-current", NEWER)];
    for (first, second, conflict) in [
        (plain, plain, Some("suspected")),
        (plain, grpc, None),
        (grpc, plain, None),
        (grpc, grpc, None),
    ] {
        let mut worker = Worker::new(1);
        let call = |kind| arrive("POST", PATH, "", &[("content-type", kind)]);
        let host = visit(&guard, &mut worker, call(first), &held);
        assert_eq!(answered(&host, "etag").is_some(), first == plain, "{first}");
        let host = visit(&guard, &mut worker, call(second), &[]);
        let found = host.request_header("x-meshfence-conflict");
        assert_eq!(found.as_deref(), conflict, "{first}, {second}");
    }
    // What a call brings of a tag goes on, for all that it is worth.
    let read = visit(&guard, &mut Worker::new(9), arrive("GET", PATH, "", &[]), &held);
    let tag = answered(&read, "etag").unwrap();
    let host = arrive("POST", PATH, "", &[("content-type", grpc), ("if-match", &tag)]);
    let host = visit(&guard, &mut Worker::new(1), host, &[]);
    assert_eq!(host.request_header("if-match"), Some(tag));
    assert_eq!(host.request_header("x-meshfence-base"), None);
}

/// What falls together in one VM does not in another, with a key or without one.
#[test]
fn what_stands_for_a_thing_is_another_number_in_every_vm() {
    let somebody = Some(Pseudonym([7; 8]));
    let mut all = BTreeSet::new();
    for has_keys in [true, false] {
        let guard = keyed(has_keys);
        let force = guard.in_force().unwrap();
        for node in 0..64 {
            for (context, path, subject) in [
                ("reviews", PATH, None),
                ("reviews", PATH, somebody),
                ("reviews", "/api/v1/reviews/8", None),
                ("profiles", PATH, None),
            ] {
                let key = || force.key_of(node, context, path.as_bytes(), subject);
                assert_eq!(key(), key());
                all.insert(key());
            }
        }
    }
    assert_eq!(all.len(), 2 * 64 * 4);
}

/// A ledger that only an exception lets be here.
fn excepting(config: &mut PluginConfig) {
    config.policy.versioning.etag.push("ledger".into());
    let when = Conditions { data_classes: vec![DataClass::Internal], ..Conditions::default() };
    config.policy.residency.exceptions = vec![Exception {
        id: "x1".into(),
        approver: "dpo".into(),
        reason: "an audit".into(),
        when,
        regions: vec!["taiwan".into()],
        not_before: "2023-11-01".into(),
        expires: "2023-11-30".into(),
    }];
}

/// Everybody who may be is moved.
fn moving(config: &mut PluginConfig) {
    let (from, to) = ("taiwan".into(), "tokyo".into());
    let migration = Some(MigrationDocument { stage: 100, from, to, salt: "s".into() });
    let state = StateDocument { migration, ..StateDocument::default() };
    config.policy.fencing.static_state = Some(state);
}

type Change = fn(&mut PluginConfig);

fn record(host: &FakeHost) -> Value {
    serde_json::from_str(host.recorded.as_deref().unwrap()).unwrap()
}

#[test]
fn what_versions_refuse_has_made_use_of_nothing() {
    let shop = Shop { on_lost_update: OnLostUpdate::Deny, on_drift: OnDrift::Deny, ..EDGE };
    let forged = format!("\"v1.k1.{OLD}.{}\"", "0".repeat(32));
    let read = [("if-match", &*forged)];
    let (excepting, moving): (Change, Change) = (excepting, moving);
    for (change, path, country, field) in [
        (excepting, "/api/v1/ledger/1", "", "exception"),
        (moving, "/api/v1/customers/7/profile", "FR", "migration"),
    ] {
        let guard = guard_with(shop, change);
        for (more, wall_ms, reason) in [
            (&[][..], NOW_MS, None),
            (&read, NOW_MS, Some("lost_update")),
            (&[], NOW_MS - 10_000, Some("clock_unsynced")),
        ] {
            let mut worker = Worker::new(1);
            visit(&guard, &mut worker, review(&[]), &[]);
            let mut host = arrive("PUT", path, country, more);
            host.unix_ms = wall_ms;
            let host = visit(&guard, &mut worker, host, &[]);
            let answer = host.replied.as_ref();
            let found = answer.and_then(|answer| answer.header("x-meshfence-reason"));
            assert_eq!(found, reason, "{path}");
            let record = record(&host);
            assert_eq!(record[field].is_null(), reason.is_some(), "{path}: {record}");
        }
    }
}
