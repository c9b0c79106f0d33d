//! Every hostcall returns every status that there is, at every call: no trap, and never a pass that
//! would not have been one.
//!
//! A scenario is played without a fault; then once more for each call that was made and each status,
//! with that call alone answering so.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

use policy_core::{Reason, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use trial::{Played, Scenario, Setting, scenarios, told};
use wasm_host::{Ended, FaultPlan, HostCall, Outcome, Status};

/// What the host says by a status that is no failure: there is no such thing, or it has no bytes.
/// Nobody can tell that from the truth.
fn is_an_answer(call: &HostCall, status: Status) -> bool {
    match call.name {
        "proxy_get_property" => {
            matches!(status, Status::Ok | Status::NotFound | Status::SerializationFailure)
        }
        "proxy_get_shared_data" => matches!(status, Status::Ok | Status::NotFound),
        "proxy_get_header_map_pairs" | "proxy_get_buffer_bytes" => status == Status::Ok,
        _ => false,
    }
}

/// The statuses to return in the place of a call. Where nothing is asked for, OK without doing it
/// would be a lie that no host tells.
fn statuses(call: &HostCall) -> impl Iterator<Item = Status> {
    let asks = is_an_answer(call, Status::Ok);
    Status::ALL.into_iter().filter(move |status| *status != Status::Ok || asks)
}

/// The call without which a request can be neither answered nor passed on: it waits until the proxy
/// gives it up.
fn may_hang(call: &HostCall) -> bool {
    call.name == "proxy_send_local_response"
}

/// The same call once a response has come: what cannot be refused any more is cut off.
fn may_be_cut(call: &HostCall) -> bool {
    call.name == "proxy_send_local_response" && call.during.callback.contains("_response_")
}

/// What the upstream is told by the mesh. Without random bytes a VM's number in its versions is
/// another one.
fn told_by_the_mesh(outcome: &Outcome, struck: &HostCall) -> Vec<String> {
    let headers = outcome.upstream.iter().flat_map(|sent| sent.headers.iter());
    let ours = headers.filter(|(name, _)| name.starts_with("x-meshfence-"));
    let mut ours: Vec<String> = ours
        .map(|(name, value)| {
            let is_numbered = struck.name == "random_get" && name == "x-meshfence-version";
            let shown = if is_numbered { value.get(..20).unwrap_or(value) } else { value };
            format!("{name}: {}", shown.escape_ascii())
        })
        .collect();
    ours.sort();
    ours
}

/// What is wrong with what came of a scenario with a fault.
fn wrong(whole: &Played, struck: &Played, call: &HostCall, status: Status) -> Option<String> {
    let (was, is) = (&whole.outcome, &struck.outcome);
    if let Some(trap) = struck.proxy.trace().traps().next() {
        return Some(format!("a trap: {trap:?}"));
    }
    let is_over = match is.ended {
        Ended::Complete => true,
        Ended::Hung => may_hang(call),
        Ended::Reset => may_be_cut(call),
    };
    if !is_over {
        return Some(format!("it is {:?}", is.ended));
    }
    if let Some(reason) = is.header("x-meshfence-reason") {
        let known = Reason::parse(&reason).filter(|reason| !reason.verdict().is_pass());
        if known.is_none() {
            return Some(format!("refused for `{reason}`"));
        }
    }
    is.upstream.as_ref()?;
    // An attribute that says something else is another request, but none that may pass where this
    // one may not: apart from the claim that says what kind a caller is, without which one is a
    // customer, as the policy has it.
    if is_an_answer(call, status) && call.name == "proxy_get_property" {
        let is_kind = call.about.rsplit('.').next() == Some("kind");
        let passes = was.upstream.is_none() && !is_kind;
        return passes.then(|| format!("it passes without {}", call.about));
    }
    if was.upstream.is_none() {
        return Some(String::from("it passes"));
    }
    if was.cluster != is.cluster {
        return Some(format!("it goes to {:?} instead of {:?}", is.cluster, was.cluster));
    }
    let (before, after) = (told_by_the_mesh(was, call), told_by_the_mesh(is, call));
    // Without a secret of its environment, or without a clock, a guard signs nothing.
    let signs_nothing =
        call.name.starts_with("environ") || call.name == "proxy_get_current_time_nanoseconds";
    let may_miss = |told: &&String| signs_nothing && told.starts_with("x-meshfence-sig: ");
    let is_same =
        after.iter().eq(before.iter().filter(|told| after.contains(told) || !may_miss(told)));
    (!is_same).then(|| format!("the upstream is told {after:?} instead of {before:?}"))
}

/// When a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    /// While the proxy starts, in the canary, in the main thread's VM and in the worker's, and while
    /// an agent is asked.
    Start,
    /// While the request is served that the scenario is about.
    Request,
}

/// Plays a scenario with every fault in the calls of a time.
fn sweep(scenario: &Scenario, time: Time, account: &mut String) -> BTreeMap<String, u64> {
    let setting = scenario.setting().unwrap();
    let whole = scenario.play(&setting, 1, FaultPlan::none()).unwrap();
    let mut ends = BTreeMap::new();
    let requests = whole.outcome.trace.hostcalls.len();
    let calls = whole.proxy.trace().hostcalls;
    let started = calls.iter().position(|call| call.during.callback == "proxy_on_request_headers");
    let chosen = match time {
        Time::Start => 0..started.unwrap(),
        Time::Request => calls.len() - requests..calls.len(),
    };
    for (number, call) in (0..).zip(&calls).skip(chosen.start).take(chosen.len()) {
        for status in statuses(call) {
            let result = scenario.play(&setting, 1, FaultPlan::at(number, status));
            let found = match &result {
                Ok(struck) => wrong(&whole, struck, call, status),
                Err(why) => Some(format!("the proxy does not start: {why}")),
            };
            if let Some(wrong) = found {
                writeln!(account, "{}: {call}, now {status}: {wrong}", scenario.name).unwrap();
            }
            let end = result.map_or_else(|_| String::from("no start"), |it| told(&it.outcome));
            *ends.entry(end).or_default() += 1;
        }
    }
    ends
}

fn shown(ends: &BTreeMap<String, u64>) -> String {
    let ends: Vec<_> = ends.iter().map(|(end, count)| format!("{count} × {end}")).collect();
    ends.join(", ")
}

#[test]
fn a_request_with_a_fault_is_refused_or_passes_as_it_would_have() {
    let (mut account, mut runs) = (String::new(), 0);
    for scenario in scenarios() {
        let ends = sweep(&scenario, Time::Request, &mut account);
        runs += ends.values().sum::<u64>();
        println!("{}: {}", scenario.name, shown(&ends));
    }
    println!("{runs} runs");
    assert!(account.is_empty(), "{account}");
}

#[test]
fn a_configuration_with_a_fault_never_stops_a_proxy_nor_opens_it() {
    let (mut account, mut runs) = (String::new(), 0);
    let first = |role| scenarios().into_iter().find(|scenario| scenario.role == role);
    let all = Role::ALL.iter().filter_map(|role| first(*role));
    let refused = scenarios().into_iter().filter(|scenario| {
        let polled = "leased write, by an agent";
        ["refused: nobody known", "peer arrival, a stranger", polled].contains(&scenario.name)
    });
    for scenario in all.chain(refused) {
        let ends = sweep(&scenario, Time::Start, &mut account);
        runs += ends.values().sum::<u64>();
        println!("{}: {}", scenario.name, shown(&ends));
    }
    println!("{runs} runs");
    assert!(account.is_empty(), "{account}");
}

/// Some of the ways to fail: a call tells them apart or it does not, one by one above.
const SOME: [Status; 3] = [Status::BadArgument, Status::InternalFailure, Status::Unimplemented];

/// A host that fails for good in one way: whatever it is that always fails.
#[test]
fn a_hostcall_that_always_fails_opens_nothing() {
    let mut account = String::new();
    let mut runs = 0_u64;
    for scenario in scenarios() {
        let setting: Setting = scenario.setting().unwrap();
        let whole = scenario.play(&setting, 1, FaultPlan::none()).unwrap();
        let trace = whole.proxy.trace();
        let names: BTreeSet<&str> = trace.hostcalls.iter().map(|call| call.name).collect();
        for name in names {
            for status in SOME {
                runs += 1;
                let found = match scenario.play(&setting, 1, FaultPlan::always(name, status)) {
                    Ok(struck) => {
                        let trap = struck.proxy.trace().traps().next().cloned();
                        let passes = struck.outcome.upstream.is_some();
                        let may_pass = whole.outcome.upstream.is_some();
                        match trap {
                            Some(trap) => Some(format!("a trap: {trap:?}")),
                            None if passes && !may_pass => Some(String::from("it passes")),
                            None => None,
                        }
                    }
                    Err(why) => Some(format!("the proxy does not start: {why}")),
                };
                if let Some(wrong) = found {
                    writeln!(account, "{}: {name}, {status}: {wrong}", scenario.name).unwrap();
                }
            }
        }
    }
    println!("{runs} runs");
    assert!(account.is_empty(), "{account}");
}
