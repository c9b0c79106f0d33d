//! Region state on a real Envoy with two workers, whose agent does what agents should not: each of it
//! shows in a metric, and no leased write runs at a time for which nothing certain was promised.
//!
//! Leased writes are sent all the time. When a test is over, the log of the application is held
//! against what the agent had promised until then.

use guard::TICK_MS;
use policy_core::Role;
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;
use suite::{
    Asking, Check, Conduct, HERE, Trouble, stalling_at, stats, trapping_at, until, until_healthy,
    writer,
};
use tokio::time::Instant;

/// What the application sees of a write that may run at first, and what one gets that may not.
const HELD: &str = "inventory;e=1;h=taiwan";
const UNKNOWN: &str = "503 lease_unknown";

/// For how long an agent is down, and how often somebody wants to write meanwhile.
const OUTAGE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

const INVENTORY: &str = "inventory";
const KNOWN: &str = "meshfence_lease_known{lease=\"inventory\"}";
const EPOCH: &str = "meshfence_lease_epoch{lease=\"inventory\"}";
const FOREIGN: &str = "meshfence_foreign_shared_data_total{}";

/// Holds what was seen against what should have been.
fn expect<T: Copy + PartialEq + std::fmt::Debug>(
    account: &mut String,
    what: &str,
    found: T,
    expected: T,
) {
    if found != expected {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "{what}: {found:?}, not {expected:?}");
    }
}

/// Ends a test: what it says, and what the application and Envoy have logged. `traps` is a callback
/// that was made to trap.
async fn finish(asking: Asking, result: Result<String, Trouble>, trapping: Option<&str>) -> Check {
    let ended = asking.stop().await?;
    let mut account = ended.account;
    match result {
        Ok(more) => account += &more,
        Err(trouble) => account += &trouble.to_string(),
    }
    let is_expected = |line: &&String| {
        trapping.is_some_and(|callback| !line.contains("Function: ") || line.contains(callback))
    };
    for line in ended.traps.iter().filter(|line| !is_expected(line)) {
        let _ = writeln!(account, "{line}");
    }
    println!("{} writes ran, {} did not", ended.ran, ended.refused);
    if ended.ran == 0 || ended.refused == 0 {
        let _ = writeln!(account, "writes did not see both: {} and {}", ended.ran, ended.refused);
    }
    Trouble::unless_empty(&account)
}

// === a start ===

#[tokio::test]
async fn a_proxy_that_has_just_started_knows_nothing_and_then_one_vm_asks_for_all() -> Check {
    let asking = Asking::start(Conduct::Down, module::WASM).await?;
    let result = started(&asking).await;
    finish(asking, result, None).await
}

async fn started(asking: &Asking) -> Result<String, Trouble> {
    let mut account = String::new();
    asking.settles(UNKNOWN).await?;
    expect(&mut account, "ready without an agent", asking.ready().await?, 503);
    expect(&mut account, "known without an agent", asking.metric(KNOWN).await?, Some(0));
    // Without a lease, but not without an application. No write has got that far.
    until_healthy(asking.admin(), "upstream", 1).await?;
    let read = local_mesh::client::RawRequest::new("GET", "/api/v1/products/1");
    expect(&mut account, "what needs no lease", asking.send(&read).await?.status, 200);

    asking.agent.behave(Conduct::Honest).await?;
    asking.settles(HELD).await?;
    expect(&mut account, "ready", asking.ready().await?, 200);
    expect(&mut account, "known", asking.metric(KNOWN).await?, Some(1));

    // One VM of three asks no more often than it looks. Another one may have taken over meanwhile,
    // if this one had to wait for the machine.
    let (before, since) = (asking.agent.asked(), Instant::now());
    asking
        .write_until("questions", async || (asking.agent.asked() >= before + 12).then_some(()))
        .await?;
    let least = Duration::from_millis(u64::from(TICK_MS)) * 9;
    let (asked, elapsed) = (asking.agent.asked() - before, since.elapsed());
    if elapsed < least {
        let _ = writeln!(account, "asked {asked} times within {elapsed:?}: not by one VM");
    }
    let workers = stats(asking.admin(), "worker_[01].downstream_cx_total$").await?;
    let workers: Vec<u64> = workers.into_values().filter(|count| *count > 0).collect();
    if workers.len() < 2 {
        let _ = writeln!(account, "not every worker had a connection: {workers:?}");
    }
    Ok(account)
}

// === answers ===

/// What an agent does, and what its proxy makes of it.
fn conducts() -> [(Conduct, &'static str); 12] {
    // No outcome follows itself: the last answer of one conduct must not count for the next.
    [
        (Conduct::Oversized, "oversized"),
        // The proxy itself answers for an agent that it cannot reach or that takes too long.
        (Conduct::Hanging, "bad_status"),
        (Conduct::Malformed, "malformed"),
        (Conduct::Late(Duration::from_secs(5)), "bad_status"),
        (Conduct::Unsigned, "bad_signature"),
        (Conduct::Failing(500), "bad_status"),
        (Conduct::WronglySigned, "bad_signature"),
        (Conduct::Repeating, "replayed"),
        (Conduct::Replaying, "bad_signature"),
        (Conduct::Elsewhere("tokyo"), "other_region"),
        (Conduct::Down, "bad_status"),
        (Conduct::Overlong, "overlong"),
    ]
}

#[tokio::test]
async fn nothing_runs_on_the_word_of_an_agent_that_is_none() -> Check {
    let asking = Asking::start(Conduct::Honest, module::WASM).await?;
    let result = misled(&asking).await;
    finish(asking, result, None).await
}

async fn misled(asking: &Asking) -> Result<String, Trouble> {
    let mut account = String::new();
    asking.settles(HELD).await?;
    // It is down for longer than it had promised anything.
    let (before, since) = (asking.polls("bad_status").await?, Instant::now());
    asking.agent.behave(Conduct::Down).await?;
    asking.settles(UNKNOWN).await?;
    while since.elapsed() < OUTAGE {
        expect(&mut account, "a write while it is down", &*asking.write().await, UNKNOWN);
        tokio::time::sleep(PAUSE).await;
    }
    let failed = asking.polls("bad_status").await? - before;
    if failed < 10 {
        let _ = writeln!(account, "{failed} polls failed in {OUTAGE:?}");
    }
    expect(&mut account, "known while it is down", asking.metric(KNOWN).await?, Some(0));
    for (conduct, outcome) in conducts() {
        let before = asking.polls(outcome).await?;
        asking.agent.behave(conduct.clone()).await?;
        let counted = async || (asking.polls(outcome).await.ok()? > before).then_some(());
        asking.write_until(&format!("{conduct:?} is {outcome}"), counted).await?;
        expect(&mut account, &format!("a write, {conduct:?}"), &*asking.write().await, UNKNOWN);
        expect(&mut account, &format!("ready, {conduct:?}"), asking.ready().await?, 503);
        expect(&mut account, &format!("known, {conduct:?}"), asking.metric(KNOWN).await?, Some(0));
    }
    asking.agent.behave(Conduct::Honest).await?;
    asking.settles(HELD).await?;
    expect(&mut account, "ready again", asking.ready().await?, 200);
    // Slow, and in time: what is left of it is believed.
    asking.agent.behave(Conduct::Slow(Duration::from_millis(200))).await?;
    let before = asking.polls("adopted").await?;
    let counted = async || (asking.polls("adopted").await.ok()? > before + 2).then_some(());
    asking.write_until("slow answers", counted).await?;
    asking.settles(HELD).await?;
    Ok(account)
}

// === contradictions ===

#[tokio::test]
async fn an_epoch_never_goes_down_and_has_one_holder() -> Check {
    let asking = Asking::start(Conduct::Honest, module::WASM).await?;
    let result = contradicted(&asking).await;
    finish(asking, result, None).await
}

async fn contradicted(asking: &Asking) -> Result<String, Trouble> {
    let (agent, mut account) = (&asking.agent, String::new());
    agent.lease(INVENTORY, |lease| lease.epoch = 5);
    asking.settles("inventory;e=5;h=taiwan").await?;

    // As if its store had been restored from a backup.
    agent.behave(Conduct::Lying).await?;
    agent.lease(INVENTORY, |lease| lease.epoch = 4);
    asking.settles(UNKNOWN).await?;
    expect(&mut account, "regressed", asking.polls("epoch_regressed").await? > 0, true);
    expect(&mut account, "the epoch", asking.metric(EPOCH).await?, Some(5));
    expect(&mut account, "known", asking.metric(KNOWN).await?, Some(0));
    expect(&mut account, "ready", asking.ready().await?, 503);
    agent.lease(INVENTORY, |lease| lease.epoch = 5);
    agent.behave(Conduct::Honest).await?;
    asking.settles("inventory;e=5;h=taiwan").await?;

    // As if two had been granted the same.
    agent.behave(Conduct::Lying).await?;
    agent.lease(INVENTORY, |lease| lease.holder = Some("tokyo".to_owned()));
    asking.settles(UNKNOWN).await?;
    expect(&mut account, "two holders", asking.polls("two_holders").await? > 0, true);
    agent.lease(INVENTORY, |lease| {
        (lease.epoch, lease.holder) = (6, Some(HERE.to_owned()));
    });
    agent.behave(Conduct::Honest).await?;
    asking.settles("inventory;e=6;h=taiwan").await?;
    Ok(account)
}

// === stalls ===

#[tokio::test]
async fn a_proxy_that_slept_through_its_lease_asks_first() -> Check {
    let asking = Asking::start(Conduct::Honest, module::WASM).await?;
    let result = slept(&asking).await;
    // Whatever came of it, it has to end.
    let _ = asking.wake();
    finish(asking, result, None).await
}

async fn slept(asking: &Asking) -> Result<String, Trouble> {
    let mut account = String::new();
    for (awake, runs) in [(Conduct::Down, false), (Conduct::Honest, true)] {
        asking.agent.behave(Conduct::Honest).await?;
        asking.settles(HELD).await?;
        asking.stall().await?;
        let waiting: Vec<_> = (0..8).map(|_| tokio::spawn(asking.sending().send())).collect();
        until("nothing is promised any more", async || {
            let now = Instant::now();
            (!asking.agent.promised(now, now)).then_some(())
        })
        .await?;
        asking.agent.behave(awake.clone()).await?;
        let woken = Instant::now();
        asking.wake()?;
        for write in waiting {
            let write = write.await.map_err(|error| Trouble::new(error.to_string()))?;
            if !runs {
                expect(&mut account, "a write that waited", write.answer(), UNKNOWN);
            }
            asking.keep(write.decided_after(woken));
        }
        asking.settles(if runs { HELD } else { UNKNOWN }).await?;
    }
    Ok(account)
}

/// A VM traps when it gets the answer to its call of this number or a later one, which only the one that
/// asks does. In Envoy their numbers rise by four.
const CALL: i32 = 6;
const ANSWER: &str = "proxy_on_http_call_response";

#[tokio::test]
async fn when_the_vm_that_asks_is_lost_another_one_does_and_no_epoch_is_forgotten() -> Check {
    let module = trapping_at(module::WASM, ANSWER, CALL)?;
    let asking = Asking::start(Conduct::Honest, &module).await?;
    let result = lost(&asking).await;
    finish(asking, result, Some(ANSWER)).await
}

async fn lost(asking: &Asking) -> Result<String, Trouble> {
    let (agent, mut account) = (&asking.agent, String::new());
    agent.lease(INVENTORY, |lease| lease.epoch = 7);
    asking
        .write_until("a first token", async || {
            (asking.write().await == "inventory;e=7;h=taiwan").then_some(())
        })
        .await?;
    // Both workers have lost a VM at least once: the one of the main thread never sees a request.
    let reloads = async || {
        let reloads = stats(asking.admin(), "vm_reload_success").await.ok()?;
        (reloads.values().sum::<u64>() >= 3).then_some(())
    };
    asking.write_until("VMs are lost", reloads).await?;
    let asked = agent.asked();
    asking
        .write_until("somebody asks, and writes run", async || {
            let runs = asking.write().await == "inventory;e=7;h=taiwan";
            (runs && agent.asked() > asked + 2).then_some(())
        })
        .await?;
    // What a new VM has never seen, the others have told it.
    agent.behave(Conduct::Lying).await?;
    agent.lease(INVENTORY, |lease| lease.epoch = 3);
    let counted = async || (asking.polls("epoch_regressed").await.ok()? > 0).then_some(());
    asking.write_until("the epoch is lower", counted).await?;
    let writes = async || (asking.write().await == UNKNOWN).then_some(());
    until("writes are refused", writes).await?;
    expect(&mut account, "the epoch", asking.metric(EPOCH).await?, Some(7));
    Ok(account)
}

#[tokio::test]
async fn when_the_vm_that_asks_stalls_another_one_does() -> Check {
    // Some ten questions each.
    let module = stalling_at(module::WASM, 40)?;
    let asking = Asking::start(Conduct::Honest, &module).await?;
    let result = stalled(&asking).await;
    finish(asking, result, None).await
}

async fn stalled(asking: &Asking) -> Result<String, Trouble> {
    let mut account = String::new();
    asking.settles(HELD).await?;
    // One that stalls leaves an answer lying; that there is a second means that another one asked.
    let left = async || {
        let taken = usize::try_from(asking.polls("adopted").await.ok()?).ok()?;
        asking.agent.asked().checked_sub(taken)
    };
    let another = async || (left().await? >= 2).then_some(());
    asking.write_until("another one asks", another).await?;
    asking.write_until("writes run", async || (asking.write().await == HELD).then_some(())).await?;
    // Each VM stalls in its turn, that of the main thread too, and what they knew runs out.
    // No question is under way for so long.
    let mut still = 0;
    let all = async || {
        still = if left().await? == 3 { still + 1 } else { 0 };
        (still == 20).then_some(())
    };
    asking.write_until("all have stalled", all).await?;
    asking.settles(UNKNOWN).await?;
    expect(&mut account, "answers that nobody took", left().await, Some(3));
    // Not at once: a VM of the edge that stalled later than the others may know of the lease for a moment
    // longer, and what it still passes is refused inbound.
    let unready = async || (asking.ready().await.ok()? == 503).then_some(());
    until("not ready with nobody who asks", unready).await?;
    Ok(account)
}

// === other plugins ===

#[tokio::test]
async fn what_another_plugin_writes_is_not_believed() -> Check {
    let asking = Asking::start(Conduct::Honest, module::WASM).await?;
    let result = forged(&asking).await;
    finish(asking, result, None).await
}

async fn forged(asking: &Asking) -> Result<String, Trouble> {
    let mut account = String::new();
    // What a guard would have shared if an agent had said so, under a seal of nobody.
    let lease = json!({
        "ctx": INVENTORY, "state": "active", "holder": HERE, "epoch": 99, "ttl_ms": 2_000,
    });
    let document = json!({
        "v": 1, "region": HERE, "gen": 9, "issued_seq": 999_999, "leases": [lease],
    });
    let shared = json!({
        "asked_ms": u32::MAX, "document": document,
        "grants": {INVENTORY: {"epoch": 99, "holder": HERE}}, "doubtful": [],
    });
    let forged = [vec![0; 32], shared.to_string().into_bytes()].concat();
    let state = format!("meshfence/v1/region-state/{HERE}");
    let lead = format!("meshfence/v1/region-lead/{HERE}");
    // For ever, as far as milliseconds go.
    let leader = [vec![0; 32], vec![0xff; 12]].concat();
    asking.settles(HELD).await?;
    let mut number = 0;
    let mut write = async |key: &str, value: &[u8]| {
        number += 1;
        let before = asking.metric(FOREIGN).await?.unwrap_or(0);
        let plugin = writer(key, value)?;
        asking.put_in_place_of(Role::Outbound, &plugin, &format!("somebody-{number}"))?;
        let counted = async || (asking.metric(FOREIGN).await.ok()?? > before).then_some(());
        asking.write_until(&format!("{key} is counted"), counted).await
    };
    write(&state, &forged).await?;
    asking.settles(HELD).await?;
    write(&lead, &leader).await?;
    let asked = asking.agent.asked();
    let asks = async || (asking.agent.asked() > asked + 3).then_some(());
    asking.write_until("somebody asks all the same", asks).await?;
    asking.settles(HELD).await?;

    // Where the agent says nothing more, nobody else can.
    asking.agent.behave(Conduct::Down).await?;
    asking.settles(UNKNOWN).await?;
    write(&state, &forged).await?;
    asking.settles(UNKNOWN).await?;
    expect(&mut account, "ready", asking.ready().await?, 503);
    asking.agent.behave(Conduct::Honest).await?;
    asking.settles(HELD).await?;
    Ok(account)
}
