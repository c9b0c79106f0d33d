//! The whole module and an agent, in proxies of `wasm-host`: who asks, who knows, what a leased write
//! gets meanwhile, and what all of that costs a request. On a real Envoy: `region_state.rs`.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

use policy_core::Role;
use std::time::Duration;
use trial::{Agent, Conduct, HOST, Setting, told};
use wasm_host::{Proxy, UPSTREAM, get, post};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A proxy in Taiwan with so many workers, and its agent.
struct Region {
    proxy: Proxy,
    agent: Agent,
}

impl Region {
    fn new(workers: usize) -> Self {
        let setting = Setting::new("normal").unwrap().polling();
        let agent = Agent::new(&setting, "taiwan").unwrap();
        let plugin = setting.plugin("taiwan", Role::Edge).unwrap();
        let host = setting.host(plugin).workers(workers).cluster(UPSTREAM, wasm_host::ok);
        let proxy = host.cluster(Agent::cluster(), agent.service()).start().unwrap();
        Self { proxy, agent }
    }

    fn started(workers: usize) -> Self {
        let mut region = Self::new(workers);
        region.proxy.wait(MS(1_500));
        region
    }

    /// What a write to the inventory gets in a worker, counted from 1, which Taiwan holds the lease of.
    fn write(&mut self, worker: usize) -> String {
        let request = post("/api/v1/inventory/1")
            .header(":authority", HOST)
            .header("idempotency-key", "k1")
            .worker(worker);
        let outcome = self.proxy.send(request).unwrap();
        let fence = outcome.upstream.and_then(|sent| sent.headers.text("x-meshfence-fence"));
        assert_eq!(self.proxy.deaths(), Vec::<String>::new());
        fence.unwrap_or_else(|| outcome.status.to_string())
    }

    fn ready(&mut self) -> u16 {
        let request = get("/_meshfence/ready").header(":authority", "127.0.0.1");
        self.proxy.send(request).unwrap().status
    }

    fn polls(&self, outcome: &str) -> u64 {
        let name = format!("outcome=.={outcome};.;meshfence_region_state_polls_total");
        self.proxy.metric(&name).unwrap_or(0)
    }
}

const HELD: &str = "inventory;e=3;h=taiwan";

#[test]
fn one_vm_of_a_proxy_asks_and_every_one_knows() {
    let mut region = Region::new(4);
    assert_eq!((region.write(1), region.ready()), ("503".into(), 503));
    region.proxy.wait(MS(1_000));
    for worker in 1..=4 {
        assert_eq!(region.write(worker), HELD, "worker {worker}");
    }
    assert_eq!(region.ready(), 200);
    let asked = region.agent.asked();
    region.proxy.wait(MS(30_000));
    let asked = region.agent.asked() - asked;
    assert!((24..=38).contains(&asked), "{asked} times in 30 s, by one of five VMs");
    assert_eq!(region.polls("adopted"), u64::try_from(region.agent.asked()).unwrap());
}

#[test]
fn what_an_agent_does_has_an_outcome_and_an_end() {
    let body = br#"{"v":1}"#.to_vec();
    let unsigned = Conduct::Saying { body: body.clone(), is_signed: false };
    for (conduct, outcome) in [
        // The proxy itself answers for an agent that it cannot reach or that takes too long.
        (Conduct::Away, "bad_status"),
        (Conduct::Silent, "bad_status"),
        (Conduct::Refusing(500), "bad_status"),
        (Conduct::Saying { body: body.clone(), is_signed: true }, "malformed"),
        (unsigned, "bad_signature"),
        (Conduct::Saying { body: vec![b' '; 300 << 10], is_signed: true }, "oversized"),
        (Conduct::Repeating, "bad_signature"),
        (Conduct::Honest(MS(30_000)), "bad_status"),
    ] {
        let mut region = Region::started(2);
        assert_eq!(region.write(1), HELD);
        region.agent.behave(conduct.clone());
        region.proxy.wait(MS(10_000));
        assert_eq!(region.write(2), HELD, "for as long as it was promised: {conduct:?}");
        region.proxy.wait(MS(50_000));
        assert_eq!((region.write(1), region.write(2)), ("503".into(), "503".into()), "{conduct:?}");
        assert_eq!(region.ready(), 503);
        assert!(region.polls(outcome) > 2, "{conduct:?}: {:?}", region.proxy.metrics());
        region.agent.behave(Conduct::Honest(Duration::ZERO));
        region.proxy.wait(MS(12_000));
        assert_eq!((region.write(1), region.write(2)), (HELD.into(), HELD.into()), "{conduct:?}");
    }
}

#[test]
fn a_slow_answer_is_believed_for_what_is_left_of_it() {
    let mut region = Region::new(1);
    region.agent.behave(Conduct::Honest(MS(4_000)));
    region.proxy.wait(MS(4_300));
    assert_eq!(region.write(1), HELD);
    region.agent.behave(Conduct::Away);
    // What was promised was promised by the time of the question.
    region.proxy.wait(MS(15_000));
    assert_eq!(region.write(1), "503");
}

#[test]
fn an_epoch_never_goes_down() {
    let mut region = Region::started(2);
    region.agent.lease("inventory", |lease| lease.epoch = 4);
    region.proxy.wait(MS(2_000));
    assert_eq!(region.write(1), "inventory;e=4;h=taiwan");
    region.agent.lease("inventory", |lease| lease.epoch = 3);
    region.proxy.wait(MS(2_000));
    assert_eq!((region.write(1), region.write(2)), ("503".into(), "503".into()));
    assert!(region.polls("epoch_regressed") > 0);
    region.agent.lease("inventory", |lease| lease.epoch = 5);
    region.proxy.wait(MS(4_000));
    assert_eq!((region.write(1), region.write(2)), {
        let held = String::from("inventory;e=5;h=taiwan");
        (held.clone(), held)
    });
}

#[test]
fn a_lease_that_moves_takes_writes_with_it() {
    let mut region = Region::started(1);
    region.agent.lease("inventory", |lease| lease.state = policy_core::LeaseState::Draining);
    region.proxy.wait(MS(2_000));
    assert_eq!(region.write(1), "503");
    region.agent.lease("inventory", |lease| {
        (lease.state, lease.epoch) = (policy_core::LeaseState::Active, 4);
        lease.holder = Some("tokyo".into());
    });
    region.proxy.wait(MS(2_000));
    let request =
        post("/api/v1/inventory/1").header(":authority", HOST).header("idempotency-key", "k1");
    let outcome = region.proxy.send(request).unwrap();
    assert_eq!(told(&outcome), "200 from tokyo");
}

/// F3 and F6 hold by the clock that never steps: the calendar may do what it likes.
#[test]
fn the_wall_clock_decides_nothing() {
    let decisions = |step_ms: i64| {
        let mut region = Region::started(2);
        let mut seen = Vec::new();
        for round in 0..60 {
            if round == 20 {
                region.proxy.step_unix_ms(step_ms);
                region.agent.behave(Conduct::Away);
            }
            if round == 50 {
                region.proxy.step_unix_ms(-2 * step_ms);
                region.agent.behave(Conduct::Honest(Duration::ZERO));
            }
            region.proxy.wait(MS(500));
            seen.push(region.write(1 + round % 2));
        }
        seen
    };
    let steady = decisions(0);
    assert!(steady.contains(&String::from("503")) && steady.contains(&String::from(HELD)));
    for step_ms in [600_000, -600_000] {
        assert_eq!(decisions(step_ms), steady, "a step of {step_ms} ms");
    }
}

#[test]
fn what_others_write_into_shared_data_is_counted_and_changes_nothing() {
    for key in ["meshfence/v1/region-state/taiwan", "meshfence/v1/region-lead/taiwan"] {
        let mut region = Region::started(2);
        for _ in 0..20 {
            region.proxy.share("", key, b"not a word of ours, but long enough to have a seal");
            region.proxy.wait(MS(1_000));
            assert_eq!((region.write(1), region.write(2)), (HELD.into(), HELD.into()), "{key}");
        }
        assert!(region.proxy.metric("meshfence_foreign_shared_data_total") >= Some(10), "{key}");
    }
}

/// A poll costs requests nothing; nor does a lease that ends where the clock is read for the limit of
/// the pool already.
#[test]
fn requests_pay_nothing_for_region_state() {
    let plain = || get("/api/v1/products/1").header(":authority", HOST);
    let leased = || {
        let request = post("/api/v1/inventory/1").header(":authority", HOST);
        request.header("idempotency-key", "k1")
    };
    let fixed = Setting::new("normal").unwrap();
    let plugin = fixed.plugin("taiwan", Role::Edge).unwrap();
    let mut fixed = fixed.host(plugin).cluster(UPSTREAM, wasm_host::ok).start().unwrap();
    let mut polled = Region::started(1);
    for (request, why) in [(plain(), "no lease"), (leased(), "a lease that ends")] {
        let cost = |proxy: &mut Proxy| {
            // The first request of a VM defines its metrics.
            proxy.send(request.clone()).unwrap();
            let outcome = proxy.send(request.clone()).unwrap();
            assert_eq!(outcome.status, 200, "{why}");
            let calls = outcome.trace.cost().hostcalls;
            let shared = calls.keys().any(|name| name.contains("shared_data"));
            assert!(!shared, "shared data on the path of a request");
            calls.values().sum::<u64>()
        };
        let (before, after) = (cost(&mut fixed), cost(&mut polled.proxy));
        assert_eq!(after, before, "{why}");
    }
}
