//! What the VMs of one proxy tell each other of their clocks, in a proxy of `wasm-host`, whose own clock
//! stands still meanwhile.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

use policy_core::Role;
use std::time::Duration;
use trial::{Agent, HOST, Setting};
use versions::Stamp;
use wasm_host::{Incoming, Proxy, Request, Response, UPSTREAM, get, post};

const REVIEW: &str = "/api/v1/reviews/9";

/// A write in a worker, counted from 1.
fn write(worker: usize) -> Request {
    post(REVIEW).header(":authority", HOST).worker(worker)
}

fn stamped(proxy: &mut Proxy, request: Request) -> Stamp {
    let sent = proxy.send(request).unwrap().upstream.unwrap();
    let version = sent.headers.text("x-meshfence-version").unwrap();
    Stamp::parse(version.as_bytes()).unwrap()
}

/// A proxy with four workers, whose application holds this version of what is read.
fn proxy(held: Option<Stamp>) -> Proxy {
    let setting = Setting::new("normal").unwrap();
    let host = setting.host(setting.plugin("taiwan", Role::Edge).unwrap()).workers(4);
    let holding = move |request: Incoming| {
        let is_read = request.headers.text(":method").is_some_and(|method| method == "GET");
        let held = held.filter(|_| is_read).map(|held| held.to_string());
        let response = Response::new(200);
        match held {
            Some(held) => response.header("x-meshfence-current", held),
            None => response,
        }
    };
    host.cluster(UPSTREAM, holding).start().unwrap()
}

#[test]
fn vms_of_a_proxy_follow_each_other_at_a_tick() {
    // The clock of every proxy starts at the same time.
    let now = stamped(&mut proxy(None), write(1));
    let seen = format!("{:012x}0000-tyo-0000abcd", now.ms() + 450);
    let seen = Stamp::parse(seen.as_bytes()).unwrap();
    let mut proxy = proxy(Some(seen));
    proxy.send(get(REVIEW).header(":authority", HOST).worker(1)).unwrap();
    let before = stamped(&mut proxy, write(2));
    assert!(before < seen, "nobody has told the second VM: {before}");
    // One tick, and not so long that the clock itself gets there.
    proxy.wait(Duration::from_millis(260));
    for worker in 1..=4 {
        let after = stamped(&mut proxy, write(worker));
        assert!(
            after > seen && after.ms() <= seen.ms() + 1,
            "worker {worker}: {after} after {seen}"
        );
    }
    assert_eq!(proxy.deaths(), Vec::<String>::new());
}

/// A proxy that starts when the clock of its machine is behind what the one before it has stamped.
#[test]
fn a_proxy_that_starts_anew_follows_what_was_stamped_before() {
    const MARK: &str = "x-meshfence-unsynced";
    let setting = Setting::new("normal").unwrap().polling();
    let agent = Agent::new(&setting, "taiwan").unwrap();
    let start = || {
        let host = setting.host(setting.plugin("taiwan", Role::Edge).unwrap());
        let host = host.cluster(UPSTREAM, wasm_host::ok);
        host.cluster(Agent::cluster(), agent.service()).start().unwrap()
    };
    let wait = |proxy: &mut Proxy, ms: u64| proxy.wait(Duration::from_millis(ms));
    let mut first = start();
    wait(&mut first, 1_500);
    let last = stamped(&mut first, write(1));
    // The agent hears of it with the next question.
    wait(&mut first, 1_500);
    let known = agent.document().hlc_floor.unwrap();
    assert!(known.get(..16) >= last.to_string().get(..16), "{known} of {last}");
    drop(first);

    let mut second = start();
    wait(&mut second, 500);
    let marked = |proxy: &mut Proxy| {
        let sent = proxy.send(write(1)).unwrap().upstream.unwrap();
        let version = sent.headers.text("x-meshfence-version").unwrap();
        (version > known, sent.headers.text(MARK).is_some())
    };
    assert_eq!(marked(&mut second), (false, true), "smaller, and it says so");
    // From where the clock is near enough it is followed, before it is there.
    wait(&mut second, 700);
    let (is_larger, is_marked) = marked(&mut second);
    assert_eq!((is_larger, is_marked), (true, false));
    assert_eq!(second.deaths(), Vec::<String>::new());
}
