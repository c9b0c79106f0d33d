//! Requests that try to get past the policy: what a real edge makes of each, and that the module
//! never traps.

mod edge;
mod protocols;
mod targets;
mod values;

use edge::{Edge, MARK, ORDERS, PRODUCT, REVIEW};
use local_mesh::client::RawRequest;
use std::fmt::Write as _;
use suite::{Check, Trouble, send, stats, token, until};

/// Every header of the design's table that a client could try to set.
const OURS: [&str; 28] = [
    "x-meshfence-route",
    "x-meshfence-via",
    "x-meshfence-subject",
    "x-meshfence-subject-sig",
    "x-meshfence-fence",
    "x-meshfence-epoch",
    "x-meshfence-origin",
    "x-meshfence-version",
    "x-meshfence-base",
    "x-meshfence-current",
    "x-meshfence-vv",
    "x-meshfence-conflict",
    "x-meshfence-consistency",
    "x-meshfence-lock",
    "x-meshfence-acks",
    "x-meshfence-merge",
    "x-meshfence-data-class",
    "x-meshfence-redacted",
    "x-meshfence-deadline-ms",
    "x-meshfence-degrade",
    "x-meshfence-stale",
    "x-meshfence-load",
    "x-meshfence-drill",
    "x-meshfence-unsynced",
    "x-meshfence-sig",
    "x-meshfence-decision",
    "x-meshfence-reason",
    "x-meshfence-processed",
];

/// Headers by which some servers let a client replace the method, the target or the proxy's rules.
const OVERRIDES: [(&str, &str); 12] = [
    ("x-http-method", "DELETE"),
    ("x-http-method-override", "DELETE"),
    ("x-method-override", "DELETE"),
    ("x-original-url", "/admin-h0stile"),
    ("x-rewrite-url", "/admin-h0stile"),
    ("x-envoy-original-path", "/admin-h0stile"),
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-max-retries", "3"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
    ("x-envoy-upstream-alt-stat-name", MARK),
    ("x-envoy-decorator-operation", MARK),
];

#[tokio::test]
async fn headers_of_the_mesh_and_of_envoy_change_nothing() -> Check {
    let edge = Edge::start().await?;
    let result = spoofed(&edge).await;
    edge.finish(result).await
}

async fn spoofed(edge: &Edge) -> Result<String, Trouble> {
    let mut account = String::new();
    let owner = token(&edge.regions.run, "mei", "TW")?;
    let far = token(&edge.regions.run, "hana", "JP")?;
    let order = || RawRequest::new("POST", ORDERS).header("idempotency-key", "k-1");
    let bases = [
        ("a public read", RawRequest::new("GET", PRODUCT)),
        ("an eventual write", RawRequest::new("POST", REVIEW)),
        ("a leased write here", order().header("authorization", owner)),
        ("a leased write there", order().header("authorization", far)),
        ("a refusal", order()),
    ];
    let mut stripped = 0;
    for (what, base) in bases {
        let plain = edge.observe(&base).await?;
        let plain_decision = edge.judgement(&plain.0).await?;
        let mut spoofs: Vec<(String, RawRequest)> = Vec::new();
        let mut all = base.clone();
        let ours = OURS.iter().map(|name| (*name, "tokyo-h0stile"));
        for (name, value) in ours.chain(OVERRIDES) {
            let mixed: String = name
                .char_indices()
                .map(|(at, letter)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter })
                .collect();
            spoofs.push((mixed.clone(), base.clone().header(mixed, value)));
            all = all.header(name, value).header(name, value);
        }
        // Values that would mean something if they were read.
        for (name, value) in [
            ("x-meshfence-route", "tokyo"),
            ("x-meshfence-route", "taiwan"),
            ("x-meshfence-route", "nowhere"),
            ("x-meshfence-via", "taiwan"),
            ("x-meshfence-via", "taiwan, tokyo, osaka"),
            ("x-meshfence-epoch", "18446744073709551615"),
            ("x-meshfence-fence", "orders;e=99;h=tokyo;s=tokyo"),
            ("x-meshfence-deadline-ms", "0"),
            ("x-meshfence-version", "ffffffffffffffff-tyo-00000000"),
            ("x-meshfence-unknown-h0stile", "1"),
            ("x-meshfence-", "1"),
        ] {
            spoofs.push((format!("{name}: {value}"), base.clone().header(name, value)));
        }
        spoofs.push((String::from("all of them twice"), all));
        let mut found = Vec::new();
        for (name, request) in spoofs {
            found.push((name, edge.observe(&request).await?));
            stripped += 1;
        }
        for (name, (id, seen)) in found {
            let decision = edge.judgement(&id).await?;
            if (&seen, &decision) != (&plain.1, &plain_decision) {
                // Writing into a String cannot fail.
                let _ = writeln!(
                    account,
                    "{what}, {name}:\n  with {seen:?} {decision}\n  without {:?} {plain_decision}",
                    plain.1
                );
            }
        }
    }
    let counted = stats(edge.admin, "meshfence_stripped_requests_total").await?;
    let counted: u64 = counted.values().sum();
    println!("{stripped} spoofed requests");
    // Envoy itself removes what is its own from outside requests, so those are not counted.
    let least = 5 * (OURS.len() + 11);
    if usize::try_from(counted).is_ok_and(|counted| counted < least) {
        let _ =
            writeln!(account, "only {counted} stripped requests counted, at least {least} sent");
    }
    for (name, value) in OURS.iter().map(|name| (*name, "tokyo")).chain(OVERRIDES) {
        let folded = name.replace('-', "_");
        let half = name.replacen('-', "_", 1);
        for name in [folded, half] {
            let request = RawRequest::new("GET", PRODUCT).header(name.as_str(), value);
            let response = send(edge.entry, &request).await?;
            if response.status != 400 || response.header("x-echo-region").is_some() {
                let _ = writeln!(account, "{name}: {}", response.status);
            }
        }
    }
    Ok(account)
}

/// Retries and timeouts that a client asks Envoy for are not what it gets.
#[tokio::test]
async fn clients_cannot_steer_envoy() -> Check {
    let edge = Edge::start().await?;
    let result = steered(&edge).await;
    edge.finish(result).await
}

async fn steered(edge: &Edge) -> Result<String, Trouble> {
    let mut account = String::new();
    let before = edge.arrived().await?;
    let failing = RawRequest::new("GET", PRODUCT)
        .header("echo-status", "503")
        .header("x-envoy-retry-on", "5xx,retriable-status-codes")
        .header("x-envoy-retriable-status-codes", "503")
        .header("x-envoy-max-retries", "5");
    let response = send(edge.entry, &failing).await?;
    let arrived = edge.arrived().await? - before;
    if (response.status, arrived) != (503, 1) {
        let _ = writeln!(account, "retries: {} after {arrived} attempts", response.status);
    }
    let slow = RawRequest::new("GET", PRODUCT)
        .header("echo-hold", "slow")
        .header("x-envoy-upstream-rq-timeout-ms", "1")
        .header("x-envoy-upstream-rq-per-try-timeout-ms", "1");
    let address = edge.entry;
    let slow = tokio::spawn(async move { send(address, &slow).await });
    let held = RawRequest::new("GET", "/_echo/held?key=slow");
    until("the slow request is held", async || {
        let response = send(edge.upstream, &held).await.ok()?;
        response.text().contains(":1").then_some(())
    })
    .await?;
    // A few exchanges take longer than the one millisecond that was asked for.
    for _ in 0..10 {
        send(edge.entry, &RawRequest::new("GET", PRODUCT)).await?;
    }
    send(edge.upstream, &RawRequest::new("POST", "/_echo/release?key=slow")).await?;
    let response = slow.await.map_err(|error| Trouble::new(error.to_string()))??;
    if response.status != 200 {
        let _ = writeln!(account, "the timeout of the client: {}", response.status);
    }
    Ok(account)
}

#[tokio::test]
async fn hostile_values_are_refused_or_mean_nothing() -> Check {
    let edge = Edge::start().await?;
    let rows = values::rows(&edge)?;
    let result = edge.all(rows).await;
    edge.finish(result).await
}

#[tokio::test]
async fn hostile_targets_are_refused_or_canonical() -> Check {
    let edge = Edge::start().await?;
    let rows = targets::rows(&edge)?;
    let result = edge.all(rows).await;
    edge.finish(result).await
}

#[tokio::test]
async fn odd_methods_and_protocols() -> Check {
    let edge = Edge::start().await?;
    let rows = protocols::rows(&edge)?;
    let result = edge.all(rows).await;
    edge.finish(result).await
}
