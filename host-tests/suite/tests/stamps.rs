//! Versions of two workers in each of two regions, on real Envoys. What VMs tell each other of their
//! clocks is in `clocks_in_vms.rs`.

use local_mesh::client::{RawRequest, RawResponse};
use meshfence::Settings;
use policy_doc::WorldState;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use suite::{Check, Regions, Trouble, metrics, send, settings, token};
use versions::Stamp;

const REVIEW: &str = "/api/v1/reviews/9";
/// Of a context whose pool has room for several lanes of writes at once.
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/me/profile";
const ADDRESS: &str = "/api/v1/customers/me/address";

/// How many connections are made, one after the other, until all workers have had one.
const WRITES: usize = 100;

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn parse(text: &str) -> Result<Stamp, Trouble> {
    Stamp::parse(text.as_bytes()).ok_or_else(|| Trouble::new(format!("`{text}` is no version")))
}

/// A version of Tokyo at this time.
fn at(ms: u64) -> String {
    format!("{ms:012x}0000-tyo-0000abcd")
}

/// What a response says in this header.
fn header(response: &RawResponse, name: &str) -> Result<String, Trouble> {
    let value = response.header(name).ok_or_else(|| Trouble::new(format!("no `{name}`")))?;
    Ok(String::from_utf8_lossy(value).into_owned())
}

/// The version that a write came to the application with.
fn version(response: &RawResponse) -> Result<Stamp, Trouble> {
    let told: Value = serde_json::from_slice(&response.body)?;
    let headers = told.get("headers").and_then(Value::as_array).into_iter().flatten();
    let mut is_it = headers.filter(|pair| pair[0] == "x-meshfence-version");
    let version = is_it.next().and_then(|pair| pair[1].as_str());
    parse(version.ok_or_else(|| Trouble::new(format!("no version in {told}")))?)
}

/// The versions of so many writes, each on a connection of its own.
async fn written(
    edge: SocketAddr,
    request: &RawRequest,
    count: usize,
) -> Result<Vec<Stamp>, Trouble> {
    let mut stamps = Vec::new();
    for _ in 0..count {
        stamps.push(version(&send(edge, request).await?)?);
    }
    Ok(stamps)
}

#[tokio::test]
async fn stamps_of_two_workers_in_two_regions() -> Check {
    let settings = Settings { workers: 2, ..settings().await? };
    let regions = Regions::start_by(&WorldState::default(), settings).await?;
    let mut account = String::new();
    let result = async {
        account += &unique(&regions).await?;
        account += &followed(&regions).await?;
        account += &told(&regions).await?;
        Ok::<(), Trouble>(())
    };
    let result = result.await;
    regions.stop().await;
    result?;
    Trouble::unless_empty(&account)
}

/// No two writes have one version, whichever workers stamp them at once; those of a VM are in the order
/// in which they were made, and those of two are as far as the clock of their machine tells.
async fn unique(regions: &Regions) -> Result<String, Trouble> {
    let mut account = String::new();
    let mut all = BTreeSet::new();
    let product = RawRequest::new("PUT", PRODUCT);
    for region in ["taiwan", "tokyo"] {
        let edge = regions.edge(region)?;
        let lane = || written(edge, &product, WRITES);
        let (first, second, third) = tokio::try_join!(lane(), lane(), lane())?;
        let mut vms = BTreeSet::new();
        for stamps in [first, second, third] {
            account += &in_order(&stamps);
            vms.extend(stamps.iter().map(Stamp::node));
            all.extend(stamps);
        }
        if vms.len() != 2 {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{region}: stamps of {} VMs on two workers", vms.len());
        }
    }
    if all.len() != 2 * 3 * WRITES {
        let _ = writeln!(account, "{} versions of {} writes", all.len(), 2 * 3 * WRITES);
    }
    Ok(account)
}

/// What is wrong with versions of two workers that were made one after the other.
fn in_order(stamps: &[Stamp]) -> String {
    let mut account = String::new();
    let mut last: BTreeMap<u32, Stamp> = BTreeMap::new();
    let pairs = stamps.iter().zip(stamps.iter().skip(1));
    for (before, stamp) in pairs.filter(|(before, stamp)| before.ms() > stamp.ms()) {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "{before} comes before {stamp}");
    }
    for stamp in stamps {
        let before = last.insert(stamp.node(), *stamp);
        if let Some(before) = before.filter(|before| before >= stamp) {
            let _ = writeln!(account, "VM {:08x}: {before} comes before {stamp}", stamp.node());
        }
    }
    account
}

/// What a user writes next is newer than what it has seen, on any worker and in any region, although
/// no clock is there yet.
async fn followed(regions: &Regions) -> Result<String, Trouble> {
    let mut account = String::new();
    for (first, second) in [("taiwan", "tokyo"), ("tokyo", "taiwan")] {
        let seen = at(now_ms() + 400);
        let holding = format!("x-meshfence-current={seen}");
        let read = RawRequest::new("GET", REVIEW).header("echo-header", holding.as_str());
        let response = send(regions.edge(first)?, &read).await?;
        let (causal, tag) = (header(&response, "meshfence-causal")?, header(&response, "etag")?);
        let seen = parse(&seen)?;
        let after = RawRequest::new("PUT", REVIEW).header("meshfence-causal", causal.as_str());
        let edit = RawRequest::new("PUT", REVIEW).header("if-match", tag.as_str());
        for (region, request) in [(second, &after), (second, &edit), (first, &after)] {
            for stamp in written(regions.edge(region)?, request, 10).await? {
                if stamp <= seen {
                    let _ = writeln!(account, "{first}, {region}: {stamp} after {seen}");
                }
            }
        }
    }
    Ok(account)
}

/// What writes meet is counted by what it is.
async fn told(regions: &Regions) -> Result<String, Trouble> {
    let edge = regions.edge("taiwan")?;
    let mei = token(&regions.run, "mei", "TW")?;
    let request = |method: &str, path: &str, held: &str| {
        let held = format!("x-meshfence-current={held}");
        let request = RawRequest::new(method, path).header("authorization", mei.as_str());
        request.header("echo-header", held.as_str())
    };
    let old = at(now_ms() - 60_000);
    // Without a base, just now; what was read and something else; and from far ahead.
    send(edge, &request("PUT", PROFILE, &at(now_ms() + 200))).await?;
    // What a worker remembers of the write before would be an update lost, if it were of the same path.
    let tag = header(&send(edge, &request("GET", ADDRESS, &old)).await?, "etag")?;
    let another = request("PUT", ADDRESS, &at(now_ms() - 30_000)).header("if-match", tag.as_str());
    send(edge, &another).await?;
    send(edge, &request("GET", ADDRESS, &at(now_ms() + 60_000))).await?;
    let found = metrics(regions.admin("taiwan")?).await?;
    let mut account = String::new();
    for (name, labels) in [
        ("meshfence_consistency_conflicts_total", "kind=\"suspected\""),
        ("meshfence_consistency_conflicts_total", "kind=\"ambiguous\""),
        ("meshfence_consistency_conflicts_total", "kind=\"concurrent\""),
        ("meshfence_conflict_resolutions_total", "outcome=\"write_wins\""),
        ("meshfence_future_versions_total", "source=\"response\""),
    ] {
        let is_it = |known: &&String| {
            let is_of_edge = !known.contains("role=") || known.contains("role=\"edge\"");
            let is_of_context = !known.contains("context=") || known.contains("=\"profiles\"");
            known.starts_with(name) && known.contains(labels) && is_of_edge && is_of_context
        };
        let count: u64 = found.iter().filter(|(known, _)| is_it(known)).map(|(_, n)| *n).sum();
        if count == 0 {
            let _ = writeln!(account, "{name} {labels}: nothing counted in {found:?}");
        }
    }
    Ok(account)
}
