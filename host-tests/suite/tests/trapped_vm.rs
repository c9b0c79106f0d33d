//! A VM that traps on purpose, at the edge: the request gets an error and no other region's answer,
//! Envoy makes a new VM, and that one decides as the one before did, with all of its places free.

use local_mesh::client::{RawRequest, RawResponse};
use meshfence::Push;
use policy_core::Role;
use policy_doc::WorldState;
use serde_json::Value;
use std::fmt::Write as _;
use suite::{
    At, Check, Regions, Row, Trouble, leases, send, stats, token, trapping_at, traps, until,
};
use tokio::task::JoinHandle;

const ORDERS: &str = "/api/v1/orders";
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/me/profile";
const REVIEW: &str = "/api/v1/reviews/9";

/// A message with so many headers is fatal. No other has.
const FATAL: usize = 60;

/// Of the pool of reviews, which has four places, work of low priority may take so many.
const REVIEWS: usize = 2;
/// They are so many requests of Envoy's: at the edge and before the application.
const UNDER_WAY: u64 = 4;

fn world() -> WorldState {
    leases(&[
        ("orders/tokyo", Some("tokyo")),
        ("orders/tokyo+taiwan", None),
        ("orders/taiwan~tokyo", Some("taiwan")),
    ])
}

/// Regions whose module traps in a callback that gets too many headers.
async fn fragile(callback: &str) -> Result<Regions, Trouble> {
    let least = i32::try_from(FATAL).unwrap_or(i32::MAX);
    Regions::start_with(&world(), trapping_at(module::WASM, callback, least)?).await
}

/// A few requests of which each is decided in another way.
fn decisions(regions: &Regions) -> Result<Vec<Row>, Trouble> {
    let taiwan = At::edge("taiwan");
    let bearer = |country| token(&regions.run, "somebody", country);
    let order = || RawRequest::new("POST", ORDERS).header("idempotency-key", "k-1");
    Ok(vec![
        Row::new("here", &taiwan, RawRequest::new("GET", PRODUCT))
            .answers("200 in taiwan")
            .decided(&["taiwan edge allow allowed", "taiwan inbound allow allowed"]),
        Row::new("there", &taiwan, {
            RawRequest::new("GET", PROFILE).header("authorization", bearer("JP")?)
        })
        .answers("200 in tokyo")
        .decided(&[
            "taiwan edge route routed_residency",
            "tokyo peer allow allowed",
            "tokyo inbound allow allowed",
        ]),
        Row::new("by a lease", &taiwan, order().header("authorization", bearer("TW")?))
            .answers("200 in taiwan")
            .decided(&["taiwan edge allow allowed", "taiwan inbound allow allowed"]),
        Row::new("in doubt", &taiwan, order().header("authorization", bearer("KR")?))
            .answers("503 lease_unknown unprocessed later")
            .decided(&["taiwan edge hold lease_unknown"]),
        Row::new("unknown", &taiwan, RawRequest::new("GET", PROFILE))
            .answers("401 credentials_missing unprocessed")
            .decided(&["taiwan edge deny credentials_missing"]),
    ])
}

#[tokio::test]
async fn a_request_that_traps_the_edge_runs_nowhere() -> Check {
    let regions = fragile("proxy_on_request_headers").await?;
    let result = trapped_by_requests(&regions).await;
    finish(regions, result, "proxy_on_request_headers").await
}

async fn trapped_by_requests(regions: &Regions) -> Result<String, Trouble> {
    let mut account = regions.judge(&decisions(regions)?).await?;
    let full =
        Row::new("one review too many", &At::edge("taiwan"), RawRequest::new("POST", REVIEW))
            .answers("503 shed_guard unprocessed later")
            .decided(&["taiwan edge shed shed_guard"])
            .counted(&["taiwan shed edge shed_guard reviews low"]);
    let fatal = with_headers(RawRequest::new("GET", PRODUCT), FATAL);

    let old = hold(regions, "old").await?;
    account += &regions.judge(std::slice::from_ref(&full)).await?;
    let (before, reloads) = (arrived(regions).await?, reloads(regions, "taiwan").await?);
    let response = send(regions.edge("taiwan")?, &fatal).await;
    account += &is_error("the fatal request", response.as_ref().ok());
    if arrived(regions).await? != before {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "an application has seen the fatal request");
    }
    another_vm(regions, &RawRequest::new("GET", PRODUCT), "taiwan", &account).await?;
    regions.quiet_but("taiwan", UNDER_WAY).await?;
    if self::reloads(regions, "taiwan").await? == reloads {
        let _ = writeln!(account, "Envoy tells of no new VM");
    }

    // The new VM has all places: what was under way in the old one takes none of them, and gives
    // none back when it ends.
    let new = hold(regions, "new").await?;
    account += &regions.judge(std::slice::from_ref(&full)).await?;
    release(regions, "old").await?;
    for answer in old {
        let answer = answer.await.map_err(|error| Trouble::new(error.to_string()))?;
        // Nobody has looked at their responses.
        account += &is_error("under way in the old VM", answer.as_ref().ok());
    }
    regions.quiet_but("taiwan", UNDER_WAY).await?;
    account += &regions.judge(std::slice::from_ref(&full)).await?;
    release(regions, "new").await?;
    for answer in new {
        let answer = answer.await.map_err(|error| Trouble::new(error.to_string()))??;
        if answer.status != 200 {
            let _ = writeln!(account, "under way in the new VM: {answer:?}");
        }
    }
    regions.quiet().await?;
    account += &regions.judge(&decisions(regions)?).await?;
    Ok(account)
}

#[tokio::test]
async fn a_response_that_traps_the_edge_is_nobody_s() -> Check {
    let mut regions = fragile("proxy_on_response_headers").await?;
    let result = trapped_by_responses(&mut regions).await;
    finish(regions, result, "proxy_on_response_headers").await
}

async fn trapped_by_responses(regions: &mut Regions) -> Result<String, Trouble> {
    let japan = token(&regions.run, "somebody", "JP")?;
    let here = RawRequest::new("GET", PRODUCT);
    let there = RawRequest::new("GET", PROFILE).header("authorization", japan);
    let mut account = regions.judge(&decisions(regions)?).await?;
    let all = [(here, "taiwan"), (there, "tokyo")];
    let [here, there] = &all;
    account += &fatal_response(regions, here, "taiwan", &all).await?;
    account += &regions.judge(&decisions(regions)?).await?;
    // Tokyo's gateway is the first to see so many headers.
    account += &fatal_response(regions, there, "tokyo", &all).await?;
    account += &regions.judge(&decisions(regions)?).await?;
    make_sound(regions, "tokyo").await?;
    account += &fatal_response(regions, there, "taiwan", &all).await?;
    account += &regions.judge(&decisions(regions)?).await?;
    Ok(account)
}

/// Asks at Taiwan's edge for a response with more and more headers, which an application of one
/// region makes, until the VM of a region traps. Every proxy on the way back adds some: the first
/// number that is fatal is so for the last guard on the way.
async fn fatal_response(
    regions: &Regions,
    (request, runs): &(RawRequest, &str),
    traps: &str,
    all: &[(RawRequest, &str)],
) -> Result<String, Trouble> {
    let mut account = String::new();
    for count in FATAL - 20..=FATAL {
        let what = format!("{count} headers from {runs}");
        let reloads = [reloads(regions, "taiwan").await?, reloads(regions, "tokyo").await?];
        let before = arrived(regions).await?;
        let sent = (0..count).fold(request.clone(), |sent, number| {
            sent.header("echo-header", format!("x-filler-{number}=1"))
        });
        let response = send(regions.edge("taiwan")?, &sent).await;
        let expected = match *runs {
            "taiwan" => [before[0] + 1, before[1]],
            _ => [before[0], before[1] + 1],
        };
        let after = arrived(regions).await?;
        if after != expected {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{what}: run elsewhere: {before:?}, then {after:?}");
        }
        if let Ok(response) = &response
            && response.status == 200
        {
            if response.header("x-echo-region") != Some(runs.as_bytes()) {
                let _ = writeln!(account, "{what}: {response:?}");
            }
            continue;
        }
        account += &is_error(&what, response.as_ref().ok());
        for (request, runs) in all {
            another_vm(regions, request, runs, &account).await?;
        }
        for (region, before) in ["taiwan", "tokyo"].into_iter().zip(reloads) {
            let grown = self::reloads(regions, region).await? - before;
            if (grown > 0) != (region == traps) {
                let _ = writeln!(account, "{what}: {region} has had {grown} new VMs");
            }
        }
        regions.quiet().await?;
        return Ok(account);
    }
    Err(Trouble::new(format!("no response from {runs} has trapped")))
}

/// Gives all guards of a region the module without a trap.
async fn make_sound(regions: &mut Regions, region: &str) -> Check {
    let run_dir = regions.run.mesh().run_dir();
    let (plugin, fragile) = (run_dir.path().join("plugin"), run_dir.path().join("meshfence.wasm"));
    let sound = run_dir.write("sound.wasm", module::WASM)?;
    for role in Role::ALL {
        let text = std::fs::read_to_string(plugin.join(render::plugin_file(region, *role)))?;
        let other = text.replace(&*fragile.to_string_lossy(), &sound.to_string_lossy());
        if other == text || regions.run.push_file(region, *role, other).await? != Push::Taken {
            return Err(Trouble::new(format!("{role} of {region} does not change its module")));
        }
    }
    Ok(())
}

/// That there was a trap in this callback and none in another.
async fn finish(regions: Regions, result: Result<String, Trouble>, callback: &str) -> Check {
    let log = regions.envoy_log("taiwan");
    regions.stop().await;
    let (mut account, found) = (result?, traps(&log?));
    let is_expected = |line: &&String| !line.contains("Function: ") || line.contains(callback);
    for line in found.iter().filter(|line| !is_expected(line)) {
        let _ = writeln!(account, "{line}");
    }
    if !found.iter().any(|line| line.contains(callback)) {
        let _ = writeln!(account, "no trap is logged: {found:?}");
    }
    Trouble::unless_empty(&account)
}

/// What a client must get whose request was lost with a VM.
fn is_error(what: &str, response: Option<&RawResponse>) -> String {
    match response {
        Some(response) if response.status < 500 || response.header("x-echo-region").is_some() => {
            format!("{what}: {response:?}\n")
        }
        _ => String::new(),
    }
}

/// Waits until a request runs again where it should: Envoy makes a new VM with a request, after a
/// pause, and each guard goes over to it by itself. Until then nothing passes undecided.
async fn another_vm(regions: &Regions, request: &RawRequest, region: &str, account: &str) -> Check {
    let edge = regions.edge("taiwan")?;
    let passed = until("another VM", async || {
        let response = send(edge, request).await.ok()?;
        let decided = response.header("x-meshfence-decision").is_some();
        let runs = response.header("x-echo-region");
        let is_wrong = runs.is_some_and(|runs| runs != region.as_bytes() || !decided);
        (is_wrong || runs.is_some()).then_some((is_wrong, response))
    });
    match passed.await {
        Ok((false, _)) => Ok(()),
        Ok((true, response)) => {
            Err(Trouble::new(format!("{account}passed without a VM: {}", response.text())))
        }
        // What has been seen until then is the reason.
        Err(trouble) => Err(Trouble::new(format!("{account}{trouble}"))),
    }
}

async fn reloads(regions: &Regions, region: &str) -> Result<u64, Trouble> {
    Ok(stats(regions.admin(region)?, "vm_reload_success").await?.values().sum())
}

/// How many requests the applications have had, in the order of the regions.
async fn arrived(regions: &Regions) -> Result<[u64; 2], Trouble> {
    let mut counts = [0; 2];
    for (count, region) in counts.iter_mut().zip(["taiwan", "tokyo"]) {
        let response =
            send(regions.application(region)?, &RawRequest::new("GET", "/_echo/count")).await?;
        let body: Value = serde_json::from_slice(&response.body)?;
        *count = body.get("count").and_then(Value::as_u64).unwrap_or_default();
    }
    Ok(counts)
}

fn with_headers(request: RawRequest, count: usize) -> RawRequest {
    (0..count).fold(request, |request, number| request.header(format!("x-filler-{number}"), "1"))
}

type Answers = Vec<JoinHandle<Result<RawResponse, Trouble>>>;

/// As many reviews as may be under way, in Taiwan.
async fn hold(regions: &Regions, key: &str) -> Result<Answers, Trouble> {
    let edge = regions.edge("taiwan")?;
    let request = RawRequest::new("POST", REVIEW).header("echo-hold", key);
    let held = RawRequest::new("GET", format!("/_echo/held?key={key}"));
    let mut answers = Vec::new();
    for _ in 0..REVIEWS {
        let request = request.clone();
        answers.push(tokio::spawn(async move { send(edge, &request).await }));
    }
    until("reviews are under way", async || {
        let response = send(regions.application("taiwan").ok()?, &held).await.ok()?;
        response.text().contains(&format!(":{REVIEWS}")).then_some(())
    })
    .await?;
    Ok(answers)
}

async fn release(regions: &Regions, key: &str) -> Check {
    let release = RawRequest::new("POST", format!("/_echo/release?key={key}"));
    send(regions.application("taiwan")?, &release).await?;
    Ok(())
}
