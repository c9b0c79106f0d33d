//! Who is let in, by what the VMs of one proxy see together, and what becomes of the places.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::{CLAIMS, FakeHost, FakeVm, SHOP, arrive, run_in};
use crate::fake::FakeAnswer;
use crate::{Attached, Flow, Guard, LastGood, Question, Regional, Stream, Worker};
use serde_json::{Value, json};
use std::cell::Cell;

const NOW_MS: u64 = 1_700_000_000_000;
const SECRET: [u8; 32] = [7; 32];
const SIG: &str = "x-meshfence-sig";
const IN_FLIGHT: &str = "role=.=edge;.;pool=.=default;.;meshfence_shed_in_flight";
const REVIEWS: &str = "role=.=edge;.;pool=.=reviews;.;meshfence_shed_in_flight";

/// The VMs of one proxy, with what they share.
struct Proxy {
    guard: Guard,
    vms: Vec<(Worker, Regional)>,
    vm: FakeVm,
    /// How many documents the agent has given.
    said: u64,
    /// Whether it has 400 requests a second, of which each is served in 20 ms.
    is_busy: bool,
}

impl Proxy {
    /// With this said of load shedding beside what the shop has: every limit follows the latency.
    fn new(vms: u32, has_keys: bool, said: &Value) -> Self {
        Self::with(vms, has_keys, !has_keys, said)
    }

    /// The same; an agent without keys is believed on its word.
    fn with(vms: u32, has_keys: bool, has_agent: bool, said: &Value) -> Self {
        let mut config: Value = serde_json::from_str(SHOP).unwrap();
        config["policy"]["loadShedding"]["latency"] = json!({"default": "auto"});
        for (key, value) in said.as_object().unwrap() {
            config["policy"]["loadShedding"][key] = value.clone();
        }
        let mut vm = FakeVm { unix_ms: NOW_MS, monotonic_ms: 60_000, ..FakeVm::default() };
        if has_keys {
            let keys = json!([{"id": "k1", "env": "MESHFENCE_K1"}]);
            config["policy"]["hmac"] = json!({"keys": keys, "replayWindowMs": 30_000});
            vm.secrets = vec![("MESHFENCE_K1".into(), SECRET.to_vec())];
        }
        if has_agent {
            config["attachment"]["agent"] = json!({"cluster": "agent", "authority": "agent:7070"});
            config["policy"]["fencing"].as_object_mut().unwrap().remove("static");
        }
        let at = Attached { plugin: b"meshfence.edge", root: b"guard" };
        let text = config.to_string();
        let guard = Guard::configure(at, Some(text.as_bytes()), &mut vm, &mut LastGood::default());
        assert_eq!(guard.fault(), None);
        let vms = (1..=vms).map(|node| (Worker::new(node), Regional::new(node)));
        let mut proxy = Self { guard, vms: vms.collect(), vm, said: 0, is_busy: false };
        for (worker, regional) in &mut proxy.vms {
            proxy.guard.on_start(worker, regional, &mut proxy.vm);
        }
        proxy
    }

    /// A quarter of a second passes in every VM.
    fn tick(&mut self) {
        if self.is_busy {
            self.serve(100);
        }
        self.vm.monotonic_ms += 250;
        self.vm.unix_ms += 250;
        for (worker, regional) in &mut self.vms {
            self.guard.on_tick(worker, regional, &mut self.vm);
        }
    }

    /// The agent says this of the load of this region.
    fn say(&mut self, of_load: &Value) {
        self.said += 1;
        let mut document = json!({"v": 1, "region": "taiwan", "gen": 1, "issued_seq": self.said,
            "leases": []});
        for (key, value) in of_load.as_object().unwrap() {
            document[key] = value.clone();
        }
        let body = document.to_string().into_bytes();
        let adopted = |proxy: &Self| {
            let polls = "outcome=.=adopted;.;meshfence_region_state_polls_total";
            proxy.vm.metrics.get(polls).copied()
        };
        let before = adopted(self);
        for _ in 0..7 {
            self.tick();
        }
        // An agent that was silent for long is not asked at every tick.
        for _ in 0..40 {
            self.tick();
            for call in 0..self.vm.asked.len() {
                let question = Question::at(&self.vm.asked[call]).unwrap();
                let sig = question.sign("k1", &SECRET, &body).unwrap();
                let headers = vec![(":status".into(), "200".into()), (SIG.into(), sig)];
                self.vm.answer = Some(FakeAnswer { headers, body: body.clone() });
                for (_, regional) in &mut self.vms {
                    let call = u32::try_from(call).unwrap();
                    self.guard.on_answer(regional, call, body.len(), &mut self.vm);
                }
            }
            self.vm.answer = None;
            if adopted(self) > before {
                self.tick();
                return;
            }
        }
        panic!("nobody asked");
    }

    /// Half of what comes is important, and half is not.
    fn warm_up(&mut self) {
        self.send(0, &mut login(&[]));
        self.tick();
        for _ in 0..200 {
            self.send(0, &mut suggestion());
            self.send(0, &mut login(&[]));
        }
    }

    fn send(&mut self, place: usize, host: &mut FakeHost) -> Stream {
        host.monotonic_ms = self.vm.monotonic_ms;
        host.unix_ms = self.vm.unix_ms;
        let (worker, _) = &mut self.vms[place];
        run_in(worker, &self.guard, host).1
    }

    fn serve(&mut self, count: usize) {
        for _ in 0..count {
            let mut host = suggestion();
            let mut stream = self.send(0, &mut host);
            if host.replied.is_none() {
                host.monotonic_ms += 20;
                host.response = vec![(":status".into(), b"200".to_vec())];
                let (worker, _) = &mut self.vms[0];
                self.guard.on_response_headers(worker, &mut stream, &mut host, true);
            }
        }
    }

    fn gauge(&self, name: &str) -> Option<u64> {
        self.vm.gauges.get(name).copied()
    }

    fn places(&self) -> usize {
        self.vm.shared.keys().filter(|key| key.starts_with("meshfence/v1/shed/")).count()
    }
}

fn login(more: &[(&str, &str)]) -> FakeHost {
    arrive("POST", "/api/v1/login", "", more)
}

fn suggestion() -> FakeHost {
    arrive("GET", "/api/v1/suggestions/1", "", &[])
}

fn outcome(host: &FakeHost) -> String {
    let reason = host.replied.as_ref().and_then(|reply| reply.header("x-meshfence-reason"));
    let status = host.replied.as_ref().map_or(200, |reply| reply.status);
    format!("{status} {}", reason.unwrap_or("allowed"))
}

#[test]
fn limits_that_follow_a_latency_are_looked_at_more_often() {
    for (latency, versioning, tick_ms) in [
        ("auto", "disabled", Some(100)),
        ("auto", "enforce", Some(100)),
        ("fixed", "enforce", Some(250)),
        ("fixed", "disabled", None),
    ] {
        let mut config: Value = serde_json::from_str(SHOP).unwrap();
        config["policy"]["loadShedding"]["latency"] = json!({"default": latency});
        config["policy"]["versioning"]["mode"] = json!(versioning);
        let at = Attached { plugin: b"meshfence.edge", root: b"guard" };
        let text = config.to_string();
        let mut vm = FakeVm::default();
        let guard = Guard::configure(at, Some(text.as_bytes()), &mut vm, &mut LastGood::default());
        assert_eq!(guard.fault(), None);
        assert_eq!(guard.tick_ms(), tick_ms, "{latency}, {versioning}");
    }
}

#[test]
fn vms_tell_each_other_what_they_have_in_flight() {
    for (has_keys, in_flight, places) in [(true, 3, 2), (false, 1, 0)] {
        let mut proxy = Proxy::new(3, has_keys, &json!({}));
        let _streams = [
            proxy.send(0, &mut login(&[])),
            proxy.send(1, &mut login(&[])),
            proxy.send(1, &mut login(&[])),
        ];
        assert_eq!(proxy.gauge(IN_FLIGHT), None, "nothing is told before a tick");
        for _ in 0..3 {
            proxy.tick();
        }
        // Without a key the last VM that served tells of itself alone: of its two.
        let expected = if has_keys { in_flight } else { 2 };
        assert_eq!(proxy.gauge(IN_FLIGHT), Some(expected), "{has_keys}");
        assert_eq!(proxy.places(), places, "a VM that serves nobody has no place: {has_keys}");
    }
}

#[test]
fn what_is_told_of_a_pool_ends_with_it() {
    let change = |proxy: &mut Proxy, said: &Value| {
        let mut other = Proxy::new(1, true, said);
        std::mem::swap(&mut proxy.guard, &mut other.guard);
        let (worker, regional) = &mut proxy.vms[0];
        proxy.guard.on_start(worker, regional, &mut proxy.vm);
    };
    for (said, reviews, default, why) in [
        (json!({"concurrency": {"default": 10}}), 0, 1, "one pool is gone"),
        (json!({"concurrency": {"default": 10, "reviews": 5}}), 1, 1, "it is there, as it was"),
        (json!({"latency": {"default": "fixed"}}), 0, 0, "no limit follows anything"),
        (json!({"mode": "disabled"}), 0, 0, "nothing is shed"),
    ] {
        let mut proxy = Proxy::new(1, true, &json!({"concurrency": {"default": 10, "reviews": 5}}));
        let _streams = [
            proxy.send(0, &mut login(&[])),
            proxy.send(0, &mut arrive("GET", "/api/v1/reviews/9", "", &[])),
        ];
        proxy.tick();
        assert_eq!((proxy.gauge(REVIEWS), proxy.gauge(IN_FLIGHT)), (Some(1), Some(1)), "{why}");
        change(&mut proxy, &said);
        let told = (proxy.gauge(REVIEWS), proxy.gauge(IN_FLIGHT));
        assert_eq!(told, (Some(reviews), Some(default)), "{why}");
    }
}

#[test]
fn what_others_have_in_flight_takes_room() {
    let mut proxy = Proxy::new(2, true, &json!({"concurrency": {"default": 2, "reviews": 4}}));
    proxy.send(1, &mut login(&[]));
    // Two VMs of two places each at first, of which work of high priority may use all.
    let held: Vec<Stream> = (0..4).map(|_| proxy.send(0, &mut login(&[]))).collect();
    assert_eq!(held.iter().filter(|stream| stream.is_open()).count(), 2, "one VM alone");
    for _ in 0..2 {
        proxy.tick();
    }
    let mut there = login(&[]);
    let third = proxy.send(1, &mut there);
    let fourth = proxy.send(1, &mut login(&[]));
    let mut fifth = login(&[]);
    proxy.send(1, &mut fifth);
    assert!(third.is_open() && fourth.is_open(), "{}", outcome(&there));
    assert_eq!(outcome(&fifth), "503 shed_guard");
}

#[test]
fn what_runs_elsewhere_takes_no_place_here() {
    let mut proxy = Proxy::new(1, true, &json!({}));
    let routed = || arrive("GET", "/api/v1/customers/me/profile", "JP", &[]);
    let streams: Vec<Stream> = (0..50)
        .map(|_| {
            let mut host = routed();
            let stream = proxy.send(0, &mut host);
            assert_eq!(host.request_header("x-meshfence-route").as_deref(), Some("tokyo"));
            stream
        })
        .collect();
    let mut host = login(&[]);
    let _here = proxy.send(0, &mut host);
    assert_eq!(outcome(&host), "200 allowed", "of ten places none is taken");
    proxy.tick();
    assert_eq!(proxy.gauge(IN_FLIGHT), Some(1));
    assert_eq!(streams.len(), 50);
}

#[test]
fn a_place_that_somebody_else_has_written_is_taken_and_counted() {
    let mut proxy = Proxy::new(1, true, &json!({}));
    let _held = proxy.send(0, &mut login(&[]));
    proxy.tick();
    let key = proxy.vm.shared.keys().find(|key| key.contains("/shed/")).unwrap().clone();
    let sealed = proxy.vm.shared[&key].0.clone();
    proxy.vm.shared.insert(key.clone(), (b"foreign".to_vec(), 9));
    proxy.tick();
    assert_eq!(proxy.vm.metrics["meshfence_foreign_shared_data_total"], 1);
    assert_ne!(proxy.vm.shared[&key].0, b"foreign");
    // An old report of its own is no harm either.
    proxy.vm.shared.insert(key, (sealed, 11));
    proxy.tick();
    assert_eq!(proxy.gauge(IN_FLIGHT), Some(1));
    assert_eq!(proxy.vm.metrics["meshfence_foreign_shared_data_total"], 1);
}

#[test]
fn a_place_is_given_back_once_however_its_stream_ends() {
    type End = fn(&mut Proxy, Stream, &mut FakeHost);
    let ends: [(&str, End); 6] = [
        ("it is logged", |proxy, mut stream, host| {
            let (worker, _) = &mut proxy.vms[0];
            proxy.guard.on_done(worker, &mut stream, host);
            proxy.guard.on_done(worker, &mut stream, host);
            proxy.guard.release(&mut stream);
        }),
        ("it is gone without a word", |_, stream, _| drop(stream)),
        ("it has had its response", |proxy, mut stream, host| {
            host.response = vec![(":status".into(), b"200".to_vec())];
            let (worker, _) = &mut proxy.vms[0];
            proxy.guard.on_response_headers(worker, &mut stream, host, true);
            proxy.guard.on_done(worker, &mut stream, host);
        }),
        ("its upstream was reset", |proxy, mut stream, host| {
            let reset = (1_u64 << 4).to_le_bytes();
            host.properties.insert("response.flags".into(), reset.into());
            host.response = vec![(":status".into(), b"503".to_vec())];
            let (worker, _) = &mut proxy.vms[0];
            proxy.guard.on_response_headers(worker, &mut stream, host, true);
            proxy.guard.on_done(worker, &mut stream, host);
        }),
        ("its trailers cannot be read", |proxy, mut stream, host| {
            host.failing_call = Some(host.calls.values().sum());
            assert_eq!(proxy.guard.on_request_trailers(&mut stream, host), Flow::Pause);
            proxy.guard.release(&mut stream);
        }),
        ("another configuration is in force", |proxy, stream, _| {
            let (worker, regional) = &mut proxy.vms[0];
            proxy.guard.on_start(worker, regional, &mut proxy.vm);
            drop(stream);
        }),
    ];
    for (why, end) in ends {
        let mut proxy = Proxy::new(1, true, &json!({}));
        let _other = proxy.send(0, &mut login(&[]));
        let mut host = login(&[]);
        let stream = proxy.send(0, &mut host);
        proxy.tick();
        assert_eq!(proxy.gauge(IN_FLIGHT), Some(2), "{why}");
        end(&mut proxy, stream, &mut host);
        proxy.tick();
        assert_eq!(proxy.gauge(IN_FLIGHT), Some(1), "{why}");
    }
}

#[test]
fn a_request_that_the_proxy_fails_holds_no_place() {
    let whole = {
        let mut proxy = Proxy::new(1, true, &json!({}));
        let mut host = login(&[]);
        proxy.send(0, &mut host);
        host.calls.values().sum::<usize>()
    };
    let mut placeless = 0;
    for call in 0..whole {
        let mut proxy = Proxy::new(1, true, &json!({}));
        let _one = proxy.send(0, &mut login(&[]));
        let mut host = FakeHost { failing_call: Some(call), ..login(&[]) };
        let mut stream = Stream::default();
        let (worker, _) = &mut proxy.vms[0];
        let flow = proxy.guard.on_request_headers(worker, &mut stream, &mut host, true);
        let is_open = flow == Flow::Continue;
        proxy.tick();
        let in_flight = proxy.gauge(IN_FLIGHT).unwrap() - 1;
        assert!(in_flight <= u64::from(is_open), "call {call}");
        placeless += u64::from(is_open) - in_flight;
    }
    assert_eq!(placeless, 1, "without a clock it is let in, and counted nowhere");
}

#[test]
fn the_least_important_work_goes_when_region_state_says_so() {
    let mut proxy = Proxy::new(1, false, &json!({}));
    proxy.warm_up();
    proxy.say(&json!({"shed_floor": {"taiwan": 50}}));
    assert_eq!(
        proxy.gauge("role=.=edge;.;pool=.=default;.;meshfence_shed_ratio_permille"),
        Some(500)
    );
    let (mut low, mut high) = (0, 0);
    let mut last = None;
    for _ in 0..100 {
        let mut suggestion = suggestion();
        proxy.send(0, &mut suggestion);
        low += u32::from(suggestion.replied.is_none());
        last = suggestion.replied.or(last);
        let mut login = login(&[("x-meshfence-degrade", "4")]);
        proxy.send(0, &mut login);
        high += u32::from(login.replied.is_none());
        let degrade = login.request_header("x-meshfence-degrade");
        assert_eq!(degrade.as_deref(), Some("3"), "half of it goes: level 3");
    }
    assert_eq!(high, 100, "what is important stays");
    assert!(low < 5, "{low}: half of what comes is what is not important");
    let answer = last.unwrap();
    assert_eq!((answer.status, answer.header("x-meshfence-reason")), (503, Some("shed_threshold")));
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((60..=120).contains(&seconds), "30 s, twice doubled, spread, 120 at most: {seconds}");
    let mut host = suggestion();
    proxy.send(0, &mut host);
    let counted = "role=.=edge;.;context=.=suggestions;.;priority=.=low;.;\
                   reason=.=shed_threshold;.;meshfence_shed_total";
    assert_eq!(host.metrics.get(counted), Some(&1), "{:?}", host.metrics);
}

/// Half of what is not important is let go: by who asks, in whichever VM of whichever proxy of a mesh.
#[test]
fn who_asks_has_one_fate_for_an_hour() {
    let proxy = || {
        let mut proxy = Proxy::with(2, true, true, &json!({}));
        proxy.warm_up();
        proxy.say(&json!({"shed_floor": {"taiwan": 25}}));
        proxy
    };
    let mut proxies = [proxy(), proxy()];
    let mut fates = |caller: &dyn Fn(&mut FakeHost)| -> Vec<bool> {
        let places = [(0, 0, "a=1"), (0, 1, "a=2"), (1, 0, ""), (1, 1, "a=3"), (0, 0, "b=4")];
        let fate = |(proxy, vm, cookie): (usize, usize, &str)| {
            let mut host = arrive("GET", "/api/v1/suggestions/1", "TW", &[("cookie", cookie)]);
            caller(&mut host);
            proxies[proxy].send(vm, &mut host);
            host.replied.is_none()
        };
        places.map(fate).to_vec()
    };
    let (address, asked) = ("source.address".to_owned(), Cell::new(0_u32));
    let count = || asked.replace(asked.get().wrapping_add(1));
    let by_subject = |number: u32, host: &mut FakeHost| {
        host.properties.insert(format!("{CLAIMS}.sub"), format!("user {number}").into());
        // Where somebody is known, his address does not count.
        let network = count() % 250;
        host.properties.insert(address.clone(), format!("203.0.{network}.1:4711").into());
    };
    let by_address = |number: u32, host: &mut FakeHost| {
        // Neither the host in its network counts, nor the port.
        let client = count() % 250;
        let from = format!("203.{number}.7.{client}:{}", 4_711 + client);
        host.properties.insert(address.clone(), from.into());
    };
    let by_nothing = |_: u32, _: &mut FakeHost| {};
    for (name, caller, alike) in [
        ("subject", &by_subject as &dyn Fn(u32, &mut FakeHost), 90..=100),
        ("address", &by_address, 90..=100),
        ("nothing", &by_nothing, 0..=25),
    ] {
        let all: Vec<Vec<bool>> =
            (0..100).map(|number| fates(&|host: &mut FakeHost| caller(number, host))).collect();
        let same = all.iter().filter(|fates| fates.iter().all(|fate| *fate == fates[0])).count();
        assert!(alike.contains(&same), "{name}: {same} of 100 have one fate");
        let passed = all.iter().filter(|fates| fates[0]).count();
        assert!((30..=70).contains(&passed), "{name}: {passed} of 100 pass");
    }
}

/// What was announced and has come to pass is no reason to expect it once more: an agent that was gone
/// says what it said before, and the load is what it was said to be.
#[test]
fn what_is_announced_is_expected_once() {
    const RATIO: &str = "role=.=edge;.;pool=.=default;.;meshfence_shed_ratio_permille";
    let announced = json!({"expected_multiplier": {"taiwan": 800}});
    for (first, told_before, expected, why) in [
        (json!({}), true, true, "a rise"),
        (announced.clone(), true, false, "the same again"),
        (json!({}), false, false, "nobody knows what it was before"),
    ] {
        let mut proxy = Proxy::new(1, false, &json!({}));
        proxy.is_busy = true;
        if told_before {
            proxy.say(&first);
        }
        // Nothing is believed any more by then.
        for _ in 0..120 {
            proxy.tick();
        }
        assert_eq!(proxy.gauge(RATIO), Some(0), "{why}");
        proxy.say(&announced);
        assert_eq!(proxy.gauge(RATIO) > Some(0), expected, "{why}: {:?}", proxy.gauge(RATIO));
    }
}

#[test]
fn a_policy_in_shadow_sheds_nobody_and_says_whom_it_would_have() {
    let said = json!({"mode": "shadow", "brownout": "disabled"});
    let mut proxy = Proxy::new(1, false, &said);
    proxy.warm_up();
    proxy.say(&json!({"shed_floor": {"taiwan": 98}}));
    let mut host = suggestion();
    let mut stream = proxy.send(0, &mut host);
    assert_eq!(outcome(&host), "200 allowed");
    assert_eq!(host.request_header("x-meshfence-degrade"), None);
    let (worker, _) = &mut proxy.vms[0];
    proxy.guard.on_done(worker, &mut stream, &mut host);
    let counted = "reason=.=shed_threshold;.;meshfence_shadow_differences_total";
    assert_eq!(host.metrics.get(counted), Some(&1), "{:?}", host.metrics);
}

#[test]
fn tries_beyond_the_budget_go_first() {
    for (method, key, more, expected, why) in [
        ("GET", "", ("grpc-previous-rpc-attempts", "1"), "200 allowed", "within the floor"),
        ("POST", "", ("grpc-previous-rpc-attempts", "1"), "503 shed_retry", "may run twice"),
        ("POST", "k1", ("grpc-previous-rpc-attempts", "1"), "200 allowed", "has a key"),
        ("POST", "", ("grpc-previous-rpc-attempts", "0"), "200 allowed", "the first"),
        ("POST", "", ("x-envoy-attempt-count", "2"), "200 allowed", "a client's word"),
    ] {
        let mut proxy = Proxy::new(1, false, &json!({}));
        proxy.warm_up();
        proxy.say(&json!({"shed_floor": {"taiwan": 40}}));
        let mut headers = vec![more];
        if !key.is_empty() {
            headers.push(("idempotency-key", key));
        }
        let path = if method == "GET" { "/api/v1/products/1" } else { "/api/v1/login" };
        let mut host = arrive(method, path, "", &headers);
        proxy.send(0, &mut host);
        assert_eq!(outcome(&host), expected, "{method} {why}");
    }
}

#[test]
fn a_policy_may_allow_no_other_try() {
    let said = json!({"retries": {"budget": 0, "floor": 0}});
    let mut proxy = Proxy::new(1, false, &said);
    proxy.warm_up();
    proxy.say(&json!({"shed_floor": {"taiwan": 40}}));
    let more = [("grpc-previous-rpc-attempts", "1"), ("idempotency-key", "k1")];
    let mut host = login(&more);
    proxy.send(0, &mut host);
    assert_eq!(outcome(&host), "503 shed_retry");
}

#[test]
fn a_client_may_only_take_its_own_request_back() {
    for (more, let_in) in [
        (("priority", "u=7"), 6),
        (("priority", "u=5"), 8),
        (("priority", "u=0"), 10),
        (("sec-purpose", "prefetch"), 6),
        (("x-meshfence-priority", "critical"), 10),
    ] {
        // A limit of ten that follows nothing: of low work six, of normal eight, of high all.
        let mut proxy = Proxy::new(1, true, &json!({"latency": {"default": "fixed"}}));
        let streams: Vec<Stream> = (0..20).map(|_| proxy.send(0, &mut login(&[more]))).collect();
        let open = streams.iter().filter(|stream| stream.is_open()).count();
        assert_eq!(open, let_in, "{more:?}");
    }
}
