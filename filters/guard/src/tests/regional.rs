//! Region state in the VMs of one proxy: who asks, what is believed of the answer, and what becomes of
//! a leased write meanwhile.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::{FakeHost, FakeVm, SHOP, arrive, run};
use crate::fake::FakeAnswer;
use crate::{Attached, Guard, LastGood, Question, Regional, Stream, TICK_MS, Worker};
use policy_core::LeaseState;
use policy_core::wire::{LiveDocument, LiveLease};
use serde_json::{Value, json};

const SECRET: [u8; 32] = [1; 32];

fn configuration(has_keys: bool) -> String {
    let mut config: Value = serde_json::from_str(SHOP).unwrap();
    config["attachment"]["agent"] = json!({"cluster": "region-agent", "authority": "agent:7070"});
    config["policy"]["fencing"].as_object_mut().unwrap().remove("static");
    if has_keys {
        let keys = json!({"keys": [{"id": "k1", "env": "MESHFENCE_K1"}], "replayWindowMs": 30_000});
        config["policy"]["hmac"] = keys;
    }
    config.to_string()
}

/// A document of Taiwan's agent by which Taiwan holds the lease of the inventory.
fn document(issued_seq: u64, epoch: u64) -> LiveDocument {
    let lease = LiveLease {
        ctx: "inventory".into(),
        shard: None,
        state: LeaseState::Active,
        holder: Some("taiwan".into()),
        epoch,
        ttl_ms: 14_000,
        prev: None,
    };
    LiveDocument::new("taiwan", issued_seq, vec![lease])
}

/// The VMs of one proxy, with what they share, and the agent that they ask.
struct Proxy {
    vm: FakeVm,
    guards: Vec<(Guard, Regional)>,
    answered: usize,
}

impl Proxy {
    fn new(vms: u32, has_keys: bool) -> Self {
        let secrets = vec![("MESHFENCE_K1".into(), SECRET.to_vec())];
        let mut vm = FakeVm { secrets, monotonic_ms: 5_000, ..FakeVm::default() };
        let guards = (0..vms).map(|node| one(node, has_keys, &mut vm)).collect();
        Self { vm, guards, answered: 0 }
    }

    /// A tick of each VM; questions stay open.
    fn tick(&mut self) {
        self.vm.monotonic_ms += u64::from(TICK_MS);
        for (guard, regional) in &mut self.guards {
            guard.on_tick(&mut Worker::new(1), regional, &mut self.vm);
        }
    }

    /// Lets this VM have an answer to the newest question: whatever `change` makes of a right one.
    fn answer(
        &mut self,
        place: usize,
        document: &LiveDocument,
        change: impl FnOnce(&mut Vec<(String, String)>, &mut Vec<u8>),
    ) {
        let call = self.vm.asked.len().checked_sub(1).unwrap();
        assert!(self.answered <= call, "nothing new was asked");
        self.answered = call + 1;
        self.answer_to(call, place, document, change);
    }

    /// The same for any question.
    fn answer_to(
        &mut self,
        call: usize,
        place: usize,
        document: &LiveDocument,
        change: impl FnOnce(&mut Vec<(String, String)>, &mut Vec<u8>),
    ) {
        let question = Question::at(&self.vm.asked[call]).unwrap();
        let body = serde_json::to_vec(document).unwrap();
        let sig = question.sign("k1", &SECRET, &body).unwrap();
        let mut headers = vec![(":status".into(), "200".into()), ("x-meshfence-sig".into(), sig)];
        let mut body = body;
        change(&mut headers, &mut body);
        let size = body.len();
        self.vm.answer = (!headers.is_empty()).then_some(FakeAnswer { headers, body });
        let (guard, regional) = &mut self.guards[place];
        let call = u32::try_from(call).unwrap();
        guard.on_answer(regional, call, size, &mut self.vm);
        self.vm.answer = None;
    }

    /// Why a write to the inventory gets what it gets in a VM, with the epoch of its token.
    fn write(&self, place: usize) -> (String, Option<String>) {
        let (guard, _) = &self.guards[place];
        let key = ("idempotency-key", "k1");
        let mut host: FakeHost = arrive("POST", "/api/v1/inventory/1", "TW", &[key]);
        host.monotonic_ms = self.vm.monotonic_ms;
        run(guard, &mut host);
        let reason = host.replied.as_ref().and_then(|reply| reply.header("x-meshfence-reason"));
        (reason.unwrap_or("allowed").to_owned(), host.request_header("x-meshfence-epoch"))
    }

    fn polls(&self, outcome: &str) -> u64 {
        let name = format!("outcome=.={outcome};.;meshfence_region_state_polls_total");
        self.vm.metrics.get(&name).copied().unwrap_or(0)
    }

    fn foreign(&self) -> u64 {
        self.vm.metrics.get("meshfence_foreign_shared_data_total").copied().unwrap_or(0)
    }
}

fn one(node: u32, has_keys: bool, vm: &mut FakeVm) -> (Guard, Regional) {
    let at = Attached { plugin: b"meshfence.edge", root: b"guard" };
    let configuration = configuration(has_keys);
    let guard = Guard::configure(at, Some(configuration.as_bytes()), vm, &mut LastGood::default());
    assert_eq!(guard.fault(), None);
    let mut regional = Regional::new(node);
    guard.on_start(&mut Worker::new(node), &mut regional, vm);
    (guard, regional)
}

fn unchanged(_: &mut Vec<(String, String)>, _: &mut Vec<u8>) {}

fn allowed(epoch: &str) -> (String, Option<String>) {
    ("allowed".into(), Some(epoch.into()))
}

fn unknown() -> (String, Option<String>) {
    ("lease_unknown".into(), None)
}

#[test]
fn one_vm_asks_and_all_of_them_know() {
    let mut proxy = Proxy::new(3, true);
    assert_eq!(proxy.write(0), unknown(), "nobody has asked yet");
    proxy.tick();
    assert_eq!(proxy.vm.asked.len(), 1, "one of three");
    assert!(proxy.vm.asked[0].starts_with("/v1/region-state?nonce="));
    proxy.answer(0, &document(1, 7), unchanged);
    assert_eq!(proxy.write(0), allowed("7"));
    assert_eq!(proxy.write(2), unknown(), "it has not looked yet");
    proxy.tick();
    assert_eq!(proxy.write(1), allowed("7"));
    assert_eq!(proxy.write(2), allowed("7"));
    assert_eq!((proxy.vm.asked.len(), proxy.polls("adopted")), (1, 1), "not due again");
    assert_eq!(proxy.vm.gauges["lease=.=inventory;.;meshfence_lease_epoch"], 7);
}

#[test]
fn another_vm_takes_over_from_one_that_does_not_tick_any_more() {
    let mut proxy = Proxy::new(2, true);
    proxy.tick();
    proxy.answer(0, &document(1, 7), unchanged);
    let stalled = proxy.guards.remove(0);
    let before = proxy.vm.monotonic_ms;
    while proxy.vm.asked.len() == 1 {
        proxy.tick();
        assert!(proxy.vm.monotonic_ms - before <= 3_250, "the lead lasts for three polls");
    }
    proxy.answer(0, &document(2, 8), unchanged);
    assert_eq!(proxy.write(0), allowed("8"));
    proxy.guards.push(stalled);
    assert_eq!(proxy.write(1), allowed("7"), "it believes what it knew");
    proxy.tick();
    assert_eq!(proxy.write(1), allowed("8"));
}

#[test]
fn nothing_is_believed_past_its_time() {
    let mut proxy = Proxy::new(1, true);
    proxy.tick();
    let asked = proxy.vm.monotonic_ms;
    proxy.vm.monotonic_ms += 3_000;
    proxy.answer(0, &document(1, 7), unchanged);
    // 14 s less a thousandth less half a second, from when it was asked.
    for (after_ms, expected) in [(13_485, allowed("7")), (13_486, unknown()), (60_000, unknown())] {
        proxy.vm.monotonic_ms = asked + after_ms;
        assert_eq!(proxy.write(0), expected, "{after_ms} ms after the question");
    }
}

#[test]
fn a_vm_that_is_loaded_anew_knows_what_the_others_know() {
    let mut proxy = Proxy::new(1, true);
    proxy.tick();
    proxy.answer(0, &document(1, 7), unchanged);
    proxy.guards[0] = one(9, true, &mut proxy.vm);
    assert_eq!(proxy.write(0), allowed("7"), "by what is shared");
    while proxy.vm.asked.len() == 1 {
        proxy.tick();
    }
    proxy.answer(0, &document(2, 6), unchanged);
    assert_eq!(proxy.polls("epoch_regressed"), 1, "also across VMs no epoch goes down");
    assert_eq!(proxy.write(0), unknown());
}

#[test]
fn without_a_key_every_vm_asks_for_itself() {
    let mut proxy = Proxy::new(2, false);
    proxy.tick();
    assert_eq!(proxy.vm.asked.len(), 2);
    proxy.answer(1, &document(1, 7), |headers, _| headers.truncate(1));
    assert_eq!((proxy.write(0), proxy.write(1)), (unknown(), allowed("7")));
    assert!(proxy.vm.shared.keys().all(|key| !key.contains("region")), "nothing is shared");
}

#[test]
fn an_answer_that_is_not_right_changes_nothing() {
    type Change = fn(&mut Vec<(String, String)>, &mut Vec<u8>);
    let cases: [(&str, Change); 9] = [
        ("no_answer", |headers, _| headers.clear()),
        ("bad_status", |headers, _| headers[0].1 = "500".into()),
        ("bad_status", |headers, _| headers[0].1 = "204".into()),
        ("oversized", |_, body| body.resize(policy_core::wire::LIVE_LEN_MAX + 1, b' ')),
        ("bad_signature", |headers, _| headers.truncate(1)),
        ("bad_signature", |headers, _| headers.push(headers[1].clone())),
        ("bad_signature", |headers, _| headers[1].1 = headers[1].1.replace("k1;", "k2;")),
        ("bad_signature", |_, body| body.push(b' ')),
        ("bad_signature", |headers, _| headers[1].1.truncate(40)),
    ];
    for (outcome, change) in cases {
        let mut proxy = Proxy::new(1, true);
        proxy.tick();
        proxy.answer(0, &document(1, 7), change);
        assert_eq!((proxy.polls(outcome), proxy.write(0)), (1, unknown()), "{outcome}");
        assert_eq!(proxy.vm.lines, [format!("meshfence: region state of taiwan: {outcome}")]);
    }
}

#[test]
fn a_document_that_cannot_be_so_is_not_adopted() {
    let with = |change: fn(&mut LiveDocument)| {
        let mut changed = document(3, 7);
        change(&mut changed);
        changed
    };
    for (outcome, second, expected, why) in [
        ("adopted", with(|_| {}), allowed("7"), "newer, and as before"),
        ("adopted", with(|it| it.leases[0].epoch = 9), allowed("9"), "a new grant"),
        ("replayed", with(|it| it.issued_seq = 2), allowed("7"), "the same again"),
        ("replayed", with(|it| it.issued_seq = 1), allowed("7"), "an older one"),
        ("other_region", with(|it| it.region = "tokyo".into()), allowed("7"), "of another agent"),
        (
            "overlong",
            with(|it| it.leases[0].ttl_ms = 15_001),
            allowed("7"),
            "longer than leases last",
        ),
        ("malformed", with(|it| it.v = 2), allowed("7"), "of another release"),
        ("epoch_regressed", with(|it| it.leases[0].epoch = 6), unknown(), "an epoch went down"),
        (
            "two_holders",
            with(|it| it.leases[0].holder = Some("tokyo".into())),
            unknown(),
            "two holders of one epoch",
        ),
        ("adopted", with(|it| it.leases.clear()), unknown(), "a lease of which nothing is said"),
        (
            "adopted",
            with(|it| (it.leases[0].holder, it.leases[0].epoch) = (Some("osaka".into()), 8)),
            unknown(),
            "a holder that no policy knows",
        ),
    ] {
        let mut proxy = Proxy::new(2, true);
        proxy.tick();
        proxy.answer(0, &document(2, 7), unchanged);
        while proxy.vm.asked.len() == 1 {
            proxy.tick();
        }
        let before = proxy.polls(outcome);
        proxy.answer(0, &second, unchanged);
        assert_eq!(proxy.polls(outcome) - before, 1, "{why}");
        assert_eq!(proxy.write(0), expected, "{why}");
        proxy.tick();
        assert_eq!(proxy.write(1), expected, "{why}, in the other VM");
    }
}

#[test]
fn a_doubt_ends_with_a_document_that_contradicts_nothing() {
    let mut proxy = Proxy::new(1, true);
    for (seq, epoch, expected) in
        [(1, 7, allowed("7")), (2, 6, unknown()), (3, 7, allowed("7")), (4, 8, allowed("8"))]
    {
        let asked = proxy.vm.asked.len();
        while proxy.vm.asked.len() == asked {
            proxy.tick();
        }
        proxy.answer(0, &document(seq, epoch), unchanged);
        assert_eq!(proxy.write(0), expected, "document {seq}, epoch {epoch}");
    }
}

#[test]
fn what_others_share_in_our_name_is_counted_and_overwritten() {
    for key in ["meshfence/v1/region-state/taiwan", "meshfence/v1/region-lead/taiwan"] {
        let mut proxy = Proxy::new(1, true);
        proxy.tick();
        proxy.answer(0, &document(1, 7), unchanged);
        proxy.vm.shared.insert(key.into(), (vec![b'x'; 100], 99));
        let asked = proxy.vm.asked.len();
        while proxy.vm.asked.len() == asked {
            proxy.tick();
        }
        assert!(proxy.foreign() >= 1, "{key}");
        assert_ne!(proxy.vm.shared[key].0, vec![b'x'; 100], "{key}");
        assert_eq!(proxy.write(0), allowed("7"), "{key}");
    }
}

/// A VM that is loaded anew would believe an older epoch again.
#[test]
fn what_was_shared_long_ago_and_is_put_back_is_overwritten() {
    let key = "meshfence/v1/region-state/taiwan";
    let mut proxy = Proxy::new(2, true);
    proxy.tick();
    proxy.answer(0, &document(1, 7), unchanged);
    let (old, _) = proxy.vm.shared[key].clone();
    let asked = proxy.vm.asked.len();
    while proxy.vm.asked.len() == asked {
        proxy.tick();
    }
    proxy.answer(0, &document(2, 8), unchanged);
    proxy.tick();
    let new = proxy.vm.shared[key].clone();
    proxy.vm.shared.insert(key.into(), (old, new.1 + 1));
    proxy.tick();
    assert_eq!(proxy.vm.shared[key].0, new.0);
    // All know the same: nobody writes any more.
    let cas = proxy.vm.shared[key].1;
    proxy.tick();
    assert_eq!(proxy.vm.shared[key].1, cas);
    assert_eq!((proxy.write(0), proxy.foreign()), (allowed("8"), 0));
}

/// Two VMs that asked at different times may have got one document: neither knows more of it.
#[test]
fn what_was_only_asked_for_at_another_time_is_not_written_again() {
    let key = "meshfence/v1/region-state/taiwan";
    let mut proxy = Proxy::new(2, true);
    proxy.tick();
    // Somebody has taken the lead away: the other VM asks too.
    proxy.vm.shared.remove("meshfence/v1/region-lead/taiwan");
    proxy.tick();
    assert_eq!(proxy.vm.asked.len(), 2);
    proxy.answer_to(1, 1, &document(1, 7), unchanged);
    proxy.answer_to(0, 0, &document(1, 7), unchanged);
    for _ in 0..2 {
        proxy.tick();
    }
    let cas = proxy.vm.shared[key].1;
    for _ in 0..2 {
        proxy.tick();
    }
    assert_eq!(proxy.vm.shared[key].1, cas, "nobody has heard anything new");
    assert_eq!((proxy.write(0), proxy.write(1)), (allowed("7"), allowed("7")));
}

/// Two proxies may have the same keys, and a plugin may see the shared data of both.
#[test]
fn what_a_proxy_that_has_been_up_for_longer_has_sealed_is_not_believed() {
    let mut older = Proxy::new(1, true);
    older.vm.monotonic_ms = 30 * 24 * 3_600_000;
    older.tick();
    older.answer(0, &document(9, 7), unchanged);
    assert_eq!(older.write(0), allowed("7"));
    let key = "meshfence/v1/region-state/taiwan";
    let mut proxy = Proxy::new(1, true);
    proxy.vm.shared.insert(key.into(), older.vm.shared[key].clone());
    proxy.tick();
    assert_eq!((proxy.write(0), proxy.foreign()), (unknown(), 1));
    proxy.answer(0, &document(1, 7), unchanged);
    assert_eq!(proxy.write(0), allowed("7"));
}

#[test]
fn a_question_that_gets_no_answer_is_asked_again() {
    let mut proxy = Proxy::new(2, true);
    proxy.tick();
    let mut questions = 0;
    for _ in 0..80 {
        proxy.tick();
        questions = proxy.vm.asked.len();
    }
    assert!((3..=8).contains(&questions), "{questions} in 20 s: an answer may take 5 s");
    assert!(proxy.polls("no_answer") >= 2);
    proxy.vm.is_cut_off = true;
    for _ in 0..40 {
        proxy.tick();
    }
    assert!((2..=16).contains(&proxy.polls("not_sent")), "{}", proxy.polls("not_sent"));
}

#[test]
fn a_refusal_of_a_peer_makes_us_ask_at_once() {
    let mut proxy = Proxy::new(2, true);
    proxy.tick();
    let mut held_there = document(1, 7);
    held_there.leases[0].holder = Some("tokyo".into());
    proxy.answer(0, &held_there, unchanged);
    proxy.tick();
    let asked = proxy.vm.asked.len();
    let (guard, _) = &proxy.guards[1];
    let mut host = arrive("POST", "/api/v1/inventory/1", "TW", &[("idempotency-key", "k1")]);
    host.monotonic_ms = proxy.vm.monotonic_ms;
    let (flow, mut stream) = run(guard, &mut host);
    assert_eq!(flow, crate::Flow::Continue);
    host.response = [(":status", "421"), ("x-meshfence-reason", "wrong_region")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let peer = b"spiffe://tokyo.shop/ns/gateways/sa/peer".to_vec();
    host.properties.insert("upstream.uri_san_peer_certificate".into(), peer);
    guard.on_response_headers(&mut Worker::new(0), &mut stream, &mut host, true);
    assert_eq!(host.replied.as_ref().map(|reply| reply.status), Some(503));
    proxy.tick();
    assert_eq!(proxy.vm.asked.len(), asked + 1, "by the VM that saw it, whoever leads");
    proxy.tick();
    assert_eq!(proxy.vm.asked.len(), asked + 1, "once");
}

#[test]
fn an_attachment_is_ready_when_every_lease_is_known() {
    let mut proxy = Proxy::new(1, true);
    let ready = |proxy: &Proxy| {
        let mut host = FakeHost::new(&[
            (":method", "GET"),
            (":path", "/_meshfence/ready"),
            (":authority", "10.0.0.1:15021"),
        ]);
        host.monotonic_ms = proxy.vm.monotonic_ms;
        run(&proxy.guards[0].0, &mut host);
        let reply = host.replied.unwrap();
        (reply.status, reply.body)
    };
    assert_eq!(ready(&proxy).0, 503, "before the first poll");
    proxy.tick();
    let mut whole = document(1, 7);
    proxy.answer(0, &whole, unchanged);
    assert_eq!(ready(&proxy).0, 503, "the leases of orders and payments are not known");
    let policy = proxy.guards[0].0.policy().unwrap();
    let names: Vec<(String, Option<String>)> = policy
        .leases()
        .iter()
        .flat_map(|lease| {
            let shards = lease.shards.iter();
            shards.map(|shard| (lease.name.to_string(), shard.name.as_deref().map(str::to_owned)))
        })
        .collect();
    whole.issued_seq = 2;
    whole.leases = names
        .into_iter()
        .map(|(ctx, shard)| LiveLease { ctx, shard, epoch: 7, ..whole.leases[0].clone() })
        .collect();
    while proxy.vm.asked.len() == 1 {
        proxy.tick();
    }
    proxy.answer(0, &whole, unchanged);
    let (status, body) = ready(&proxy);
    assert_eq!(status, 200);
    assert!(body.contains(r#""ready":true"#) && body.contains(r#""leases":"known""#), "{body}");
    proxy.vm.monotonic_ms += 20_000;
    assert_eq!(ready(&proxy).0, 503, "what was known is too old");
}

const NOW_MS: u64 = 1_700_000_000_000;
/// Counts what an agent knows of versions and is too far ahead to follow.
const FAR_FLOORS: &str = "source=.=floor;.;meshfence_future_versions_total";

#[test]
fn a_floor_that_is_too_far_ahead_is_counted_once() {
    let mut proxy = Proxy::new(1, true);
    proxy.vm.unix_ms = NOW_MS;
    let mut worker = Worker::new(7);
    let mut tick = |proxy: &mut Proxy| {
        proxy.vm.monotonic_ms += u64::from(TICK_MS);
        let (guard, regional) = &mut proxy.guards[0];
        guard.on_tick(&mut worker, regional, &mut proxy.vm);
    };
    let mut asked = 0;
    for (seq, ahead_ms, count) in
        [(1, 60_000, Some(1)), (2, 60_000, Some(1)), (3, 70_000, Some(2)), (4, 100, Some(2))]
    {
        while proxy.vm.asked.len() == asked {
            tick(&mut proxy);
        }
        asked = proxy.vm.asked.len();
        let floor = format!("{:012x}0000-tpe-0000abcd", NOW_MS + ahead_ms);
        let known = LiveDocument { hlc_floor: Some(floor), ..document(seq, 3) };
        proxy.answer(0, &known, unchanged);
        for _ in 0..2 {
            tick(&mut proxy);
        }
        let counted = proxy.vm.metrics.get(FAR_FLOORS).copied();
        assert_eq!(counted, count, "{ahead_ms}");
    }
}

#[test]
fn what_the_agent_knows_of_versions_is_followed_and_what_was_stamped_is_told() {
    // How far the region has stamped before this VM started, by its clock.
    for (ahead_ms, follows, is_marked) in [(400, true, false), (60_000, false, true)] {
        let mut proxy = Proxy::new(1, true);
        proxy.vm.unix_ms = NOW_MS;
        proxy.tick();
        let floor = format!("{:012x}0007-tpe-0000abcd", NOW_MS + ahead_ms);
        let known = LiveDocument { hlc_floor: Some(floor.clone()), ..document(1, 3) };
        proxy.answer(0, &known, |_, _| ());
        let mut worker = Worker::new(7);
        let Proxy { vm, guards, .. } = &mut proxy;
        let (guard, regional) = &mut guards[0];
        guard.on_tick(&mut worker, regional, vm);
        let mut host: FakeHost = arrive("POST", "/api/v1/reviews/9", "", &[]);
        host.unix_ms = NOW_MS;
        guard.on_request_headers(&mut worker, &mut Stream::default(), &mut host, true);
        let version = host.request_header("x-meshfence-version").unwrap();
        assert_eq!(version > floor, follows, "{ahead_ms}");
        let mark = host.request_header("x-meshfence-unsynced");
        assert_eq!(mark.is_some(), is_marked, "{ahead_ms}");
        assert_eq!(vm.metrics.contains_key(FAR_FLOORS), is_marked, "{ahead_ms}");
        // The next question tells the agent.
        vm.monotonic_ms += 1_250;
        guard.on_tick(&mut worker, regional, vm);
        let asked = Question::at(vm.asked.last().unwrap()).unwrap();
        let issued = asked.issued().map(|time| format!("{:012x}{:04x}", time.ms(), time.counter()));
        assert_eq!(issued.as_deref(), version.get(..16), "{ahead_ms}");
    }
}
