//! What an operator can count and read: metrics in Prometheus' form, one JSON line a request.

use local_mesh::client::RawRequest;
use policy_doc::WorldState;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use suite::{Check, Regions, Trouble, access_log, leases, metrics, send, token, until};

/// A request and the decision that is to be counted for it.
type Row = (RawRequest, &'static str, &'static str);

fn requests(regions: &Regions) -> Result<Vec<Row>, Trouble> {
    let mei = token(&regions.run, "mei", "TW")?;
    let hana = token(&regions.run, "hana", "JP")?;
    let get = |path: &str| RawRequest::new("GET", path);
    let order = || RawRequest::new("POST", "/api/v1/orders").header("idempotency-key", "k");
    let profile = "/api/v1/customers/me/profile";
    Ok(vec![
        (get("/health"), "allow", "health_check"),
        (get("/api/v1/products/1"), "allow", "allowed"),
        (get("/api/v1/products/2"), "allow", "allowed"),
        (get("/api/v1/products/3").header("x-meshfence-route", "tokyo"), "allow", "allowed"),
        (get("/nothing").header("x-original-url", "/api/v1/products/1"), "deny", "unmatched"),
        (get(profile), "deny", "credentials_missing"),
        (get(profile).header("authorization", mei.as_str()), "allow", "allowed"),
        (get(profile).header("authorization", hana.as_str()), "route", "routed_residency"),
        (order().header("authorization", mei.as_str()), "hold", "lease_unknown"),
        (order().header("authorization", hana.as_str()), "route", "routed_holder"),
        (get("/api/v1/products/1;x"), "deny", "malformed"),
    ])
}

#[tokio::test]
async fn every_decision_is_counted_and_logged() -> Check {
    let world = leases(&[("orders/taiwan~tokyo", None)]);
    let mut regions = Regions::start(&world).await?;
    let result = counted(&mut regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn counted(regions: &mut Regions) -> Result<String, Trouble> {
    let mut account = String::new();
    let (edge, admin) = (regions.edge("taiwan")?, regions.admin("taiwan")?);
    let rows = requests(regions)?;
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut ids = Vec::new();
    for (request, verdict, reason) in &rows {
        let response = send(edge, request).await?;
        let id = response.header("x-meshfence-decision").unwrap_or_default();
        ids.push(String::from_utf8_lossy(id).into_owned());
        *expected.entry(decisions("edge", verdict, reason)).or_default() += 1;
    }
    // What ran here was judged once more before the application.
    expected.insert(decisions("inbound", "allow", "allowed"), 4);
    expected.insert(String::from("meshfence_stripped_requests_total{}"), 2);
    expected.insert(String::from("meshfence_config_rejected{}"), 0);
    let found = settled(admin).await?;
    if found != expected {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "metrics:\n  found {found:?}\n  expected {expected:?}");
    }
    let tokyo = settled(regions.admin("tokyo")?).await?;
    let routed = [
        (decisions("peer", "allow", "allowed"), 2),
        (decisions("inbound", "allow", "allowed"), 2),
        (String::from("meshfence_config_rejected{}"), 0),
    ];
    if tokyo != routed.clone().into() {
        let _ = writeln!(account, "Tokyo:\n  found {tokyo:?}\n  expected {routed:?}");
    }

    // A region that is gone is counted where it was missed; the decision stays what it was.
    let lost = WorldState {
        unreachable: vec![String::from("tokyo")],
        ..leases(&[("orders/taiwan~tokyo", None)])
    };
    regions.enter(&lost).await?;
    let hana = token(&regions.run, "hana", "JP")?;
    let missed =
        RawRequest::new("GET", "/api/v1/customers/me/profile").header("authorization", hana);
    let response = send(edge, &missed).await?;
    let id = response.header("x-meshfence-decision").unwrap_or_default();
    ids.push(String::from_utf8_lossy(id).into_owned());
    *expected.entry(decisions("edge", "route", "routed_residency")).or_default() += 1;
    let unreachable = "meshfence_unreachable_total{reason=\"home_unavailable\"}";
    expected.insert(String::from(unreachable), 1);
    let found = settled(admin).await?;
    if found != expected {
        let _ = writeln!(account, "lost:\n  found {found:?}\n  expected {expected:?}");
    }
    account += &logged(regions, &rows, &ids).await?;
    Ok(account)
}

fn decisions(role: &str, verdict: &str, reason: &str) -> String {
    format!(
        "meshfence_decisions_total{{role=\"{role}\",verdict=\"{verdict}\",reason=\"{reason}\"}}"
    )
}

/// The metrics without what goes on by itself: health checks, and since when which policy serves.
async fn settled(admin: SocketAddr) -> Result<BTreeMap<String, u64>, Trouble> {
    let mut found = metrics(admin).await?;
    let health = [
        "role=\"inbound\",verdict=\"allow\",reason=\"health",
        "role=\"peer\",verdict=\"allow\",reason=\"health",
    ];
    found.retain(|name, _| {
        let goes_on = health.iter().any(|part| name.contains(part));
        // What a configuration is, and not what was done by it; where a clock is, and how full pools are.
        let of_configuration = [
            "config_hash",
            "config_loaded",
            "candidate_rejected",
            "unsound_tenant_maps",
            "hlc_ahead",
            "shed_limit",
            "shed_ratio",
            "shed_in_flight",
            "shed_brownout",
        ];
        !goes_on && !of_configuration.iter().any(|part| name.contains(part))
    });
    Ok(found)
}

/// Every request has one line of the access log, with its decision.
async fn logged(regions: &Regions, rows: &[Row], ids: &[String]) -> Result<String, Trouble> {
    let mut account = String::new();
    let log = regions.access_log("taiwan");
    let lines = until("every decision is logged", async || {
        let lines = access_log(&log).ok()?;
        let known = |id: &String| lines.iter().any(|line| line.decided("id") == Some(id));
        ids.iter().all(known).then_some(lines)
    });
    let lines = lines.await?;
    let at_edge = lines.iter().filter(|line| line.decided("role") == Some("edge")).count();
    if at_edge != ids.len() {
        let _ = writeln!(account, "{at_edge} lines for {} requests", ids.len());
    }
    for (id, (request, verdict, reason)) in ids.iter().zip(rows) {
        let line = lines.iter().find(|line| line.decided("id") == Some(id));
        let Some(line) = line else { continue };
        let decided = (line.decided("verdict"), line.decided("reason"), line.decided("region"));
        let wanted = (Some(*verdict), Some(*reason), Some("taiwan"));
        let method = line.line.get("method").and_then(serde_json::Value::as_str);
        let state = line.decided("state");
        if decided != wanted || method != Some(&request.method) || state != Some("static") {
            let _ = writeln!(account, "expected {wanted:?}, found {}", line.line);
        }
    }
    let text = std::fs::read_to_string(&log)?;
    // A record has the path as the policy has it, with no part of a request's own.
    let own = ["/products/1", "/me/profile", "/nothing"];
    for secret in ["Bearer", "mei", "hana", "eyJ", "x-original"].iter().chain(&own) {
        if text.contains(secret) {
            let _ = writeln!(account, "`{secret}` is in the access log");
        }
    }
    Ok(account)
}
