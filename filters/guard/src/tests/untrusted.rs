//! V6: whatever somebody says whom a guard does not trust, no clock is moved by it. It holds by trust
//! alone: of somebody who is believed, or who signs with a key of ours, it does not.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::keys;
use super::roles::from;
use super::versions::{EDGE, NOW_MS, PATH, Shop, guard, visit};
use crate::carriers::{Binding, causal_by, tag_by};
use crate::facts::Claimed;
use crate::signature::{Signed, Version, sign};
use crate::{Guard, Worker};
use origin_tag::{Seen, Stamp};
use policy_core::Role;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};

const TAIWAN: &str = "spiffe://taiwan.shop/ns/gateways/sa/peer";
const TOKYO: &str = "spiffe://tokyo.shop/ns/gateways/sa/peer";
const WORKLOAD: &str = "spiffe://taiwan.shop/ns/shop/sa/reviews";

/// The secret of the shop, and one that is not: each the same byte over and over.
const OURS: u8 = 1;
const SOMEBODYS: u8 = 9;

/// What may say something of versions.
const NAMES: [&str; 12] = [
    "x-meshfence-via",
    "x-meshfence-origin",
    "x-meshfence-version",
    "x-meshfence-base",
    "x-meshfence-vv",
    "x-meshfence-current",
    "x-meshfence-conflict",
    "x-meshfence-unsynced",
    "x-meshfence-sig",
    "meshfence-causal",
    "if-match",
    "baggage",
];

/// Who sends a request, to a guard of which role.
#[derive(Debug, Clone, Copy)]
struct Sender {
    role: Role,
    /// The names in its certificate, if it has one.
    ids: Option<&'static str>,
    /// What it signs with.
    secret: u8,
}

/// Some headers, each with how far the version in it is ahead of the clock: within the bound, so that
/// whoever believed it would follow it.
type Said = Vec<(&'static str, u64)>;

fn said() -> impl Strategy<Value = Said> {
    let names = prop::sample::subsequence(NAMES.to_vec(), 1..=NAMES.len());
    (names, prop::collection::vec(1..500_u64, NAMES.len()))
        .prop_map(|(names, ahead_ms)| names.into_iter().zip(ahead_ms).collect())
}

fn version(ahead_ms: u64) -> String {
    format!("{:012x}0000-tyo-0000abcd", NOW_MS + ahead_ms)
}

/// The value of a header that says this version.
fn value(name: &str, ahead_ms: u64, said: &Said, secret: u8) -> String {
    let version = version(ahead_ms);
    let stamp = Stamp::parse(version.as_bytes()).unwrap();
    match name {
        "x-meshfence-via" | "x-meshfence-origin" => String::from("tokyo"),
        "x-meshfence-vv" => format!("tokyo={version}"),
        "x-meshfence-conflict" => String::from("concurrent"),
        "x-meshfence-unsynced" => String::from("1"),
        "x-meshfence-sig" => signature(said, secret),
        "meshfence-causal" => {
            let expiry_s = NOW_MS / 1_000 + 60;
            causal_by("k1", &[secret; 32], stamp, expiry_s).unwrap().to_string()
        }
        "if-match" => {
            let binding = Binding::new(PATH.as_bytes(), None);
            tag_by("k1", &[secret; 32], Seen::of(stamp), binding).unwrap().to_string()
        }
        "baggage" => format!("meshfence-version={version}"),
        _ => version,
    }
}

/// A signature of the version that is said beside it.
fn signature(said: &Said, secret: u8) -> String {
    let find = |name: &str| said.iter().find(|(known, _)| *known == name);
    let stamp = find("x-meshfence-version").map(|(_, ahead_ms)| version(*ahead_ms));
    let claimed = Claimed {
        origin: Some(b"tokyo"),
        version: stamp.as_ref().map(String::as_bytes),
        unsynced: find("x-meshfence-unsynced").map(|_| &b"1"[..]),
        ..Claimed::default()
    };
    let what = Signed { subject: None, version: Version::of(&claimed) };
    sign(&keys(&[("k1", secret)]), "taiwan", what, NOW_MS).unwrap()
}

/// Whether a clock is where it was: not ahead of the wall clock.
fn stays(guard: &Guard, sender: Sender, said: &Said) -> bool {
    let value = |name, ahead_ms| value(name, ahead_ms, said, sender.secret);
    let said: Vec<_> =
        said.iter().map(|(name, ahead_ms)| (*name, value(name, *ahead_ms))).collect();
    let said: Vec<(&str, &str)> = said.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut worker = Worker::new(1);
    visit(guard, &mut worker, from(sender.ids, "PUT", PATH, &said), &[]);
    worker.stamper.time().ms() <= NOW_MS
}

fn run(sender: Sender) -> Result<(), TestError<Said>> {
    let guard = guard(Shop { role: sender.role, ..EDGE });
    let config = Config { failure_persistence: None, cases: 500, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    TestRunner::new_with_rng(config, rng).run(&said(), |said| {
        let stays = stays(&guard, sender, &said);
        if stays { Ok(()) } else { Err(TestCaseError::fail("a clock is ahead")) }
    })
}

#[test]
fn v6_nobody_moves_a_clock_whom_a_guard_does_not_trust() {
    for (role, ids, why) in [
        (Role::Edge, None, "a client"),
        (Role::Edge, Some(TOKYO), "at an edge nobody is asked who it is"),
        (Role::Outbound, None, "a workload, without the word of the guard before it"),
        (Role::Inbound, None, "anybody in the region"),
        (Role::Inbound, Some(WORKLOAD), "somebody else's workload"),
        (Role::Inbound, Some(TOKYO), "another region, past its gateway"),
        (Role::Peer, None, "anybody"),
        (Role::Peer, Some(WORKLOAD), "a workload"),
        (Role::Peer, Some(TAIWAN), "this region itself"),
    ] {
        let found = run(Sender { role, ids, secret: SOMEBODYS });
        assert_eq!(found.err().map(|error| error.to_string()), None, "{why}");
    }
}

#[test]
fn v6_notices_whom_a_guard_trusts() {
    for (role, ids, secret, why) in [
        (Role::Peer, Some(TOKYO), SOMEBODYS, "another region"),
        (Role::Inbound, Some(TAIWAN), SOMEBODYS, "a gateway"),
        (Role::Edge, None, OURS, "a client, with what an edge has signed"),
        (Role::Outbound, None, OURS, "a workload, with what the guard before it has signed"),
    ] {
        let found = run(Sender { role, ids, secret });
        assert!(matches!(found, Err(TestError::Fail(..))), "{why}: nothing was noticed");
    }
}
