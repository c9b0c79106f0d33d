//! Regions that know different things of their leases, as after a poll that came late, and
//! applications that speak as if they were a region: what the one that chose makes of a refusal by
//! the other, and that it is no application's to say.

use local_mesh::client::RawRequest;
use policy_core::wire::LeaseDocument;
use policy_core::{Effect, LeaseState, Role, Situation};
use policy_doc::WorldState;
use std::fmt::Write as _;
use suite::{At, Check, Regions, Row, Trouble, leases, token};

const ORDERS: &str = "/api/v1/orders";
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/me/profile";
const STOCK: &str = "/api/v1/inventory/sku-1";

/// For Taiwan all of it is Tokyo's, epoch 9.
fn by_taiwan() -> WorldState {
    leases(&[("inventory", Some("tokyo")), ("orders/tokyo", Some("tokyo"))])
}

/// The same world, in which Tokyo has other news of a lease.
fn with_view(lease: LeaseDocument) -> WorldState {
    let mut world = by_taiwan();
    let mut view = world.document.clone();
    view.leases.insert(String::from("inventory"), lease);
    world.views.insert(String::from("tokyo"), view);
    world
}

fn held(holder: &str, epoch: &str) -> LeaseDocument {
    LeaseDocument { state: None, holder: Some(holder.to_owned()), epoch: Some(epoch.to_owned()) }
}

fn stopped(state: LeaseState) -> LeaseDocument {
    LeaseDocument { state: Some(state), holder: None, epoch: None }
}

fn stock() -> RawRequest {
    RawRequest::new("POST", STOCK).header("idempotency-key", "k-1")
}

#[tokio::test]
async fn what_is_between_regions_stays_between_them() -> Check {
    let mut regions = Regions::start(&by_taiwan()).await?;
    let result = between(&mut regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn between(regions: &mut Regions) -> Result<String, Trouble> {
    let mut account = String::new();
    let taiwan = At::edge("taiwan");
    let row = |what| Row::new(what, &taiwan, stock());
    // What Tokyo knows, and what comes of a write that Taiwan's edge sends there.
    let views = [
        (
            held("taiwan", "10"),
            row("Tokyo has heard that Taiwan is the holder")
                .answers("503 wrong_region unprocessed later")
                .decided(&[
                    "taiwan edge route routed_holder, then deny wrong_region",
                    "tokyo peer deny wrong_region",
                ])
                .counted(&["taiwan refused wrong_region"]),
        ),
        (
            held("tokyo", "10"),
            row("Tokyo has been granted it anew")
                .answers("503 fence_stale unprocessed later")
                .decided(&[
                    "taiwan edge route routed_holder, then deny fence_stale",
                    "tokyo peer deny fence_stale",
                ])
                .counted(&["taiwan refused fence_stale"]),
        ),
        (
            held("tokyo", "8"),
            row("Tokyo has not heard of the newest grant")
                .answers("503 fence_ahead unprocessed later")
                .decided(&[
                    "taiwan edge route routed_holder, then hold fence_ahead",
                    "tokyo peer hold fence_ahead",
                ])
                .counted(&["taiwan refused fence_ahead"]),
        ),
        (
            stopped(LeaseState::Unknown),
            row("Tokyo knows nothing")
                .answers("503 lease_unknown unprocessed later")
                .decided(&[
                    "taiwan edge route routed_holder, then hold lease_unknown",
                    "tokyo peer hold lease_unknown",
                ])
                .counted(&["taiwan refused lease_unknown"]),
        ),
        (
            stopped(LeaseState::Draining),
            row("Tokyo hands it over")
                .answers("503 lease_draining unprocessed later")
                .decided(&[
                    "taiwan edge route routed_holder, then hold lease_draining",
                    "tokyo peer hold lease_draining",
                ])
                .counted(&["taiwan refused lease_draining"]),
        ),
    ];
    for (lease, row) in views {
        regions.enter(&with_view(lease)).await?;
        account += &regions.judge(&[row]).await?;
    }

    // Taiwan knows of a failover, Tokyo does not yet.
    let mut world = by_taiwan();
    world.views.insert(String::from("tokyo"), world.document.clone());
    world.document.situation = Some(Situation::Failover);
    world.document.leases.insert(String::from("orders/taiwan~tokyo"), held("tokyo", "9"));
    regions.enter(&world).await?;
    let home = token(&regions.run, "mei", "TW")?;
    let order = RawRequest::new("POST", ORDERS)
        .header("idempotency-key", "k-1")
        .header("authorization", home);
    let row = Row::new("Tokyo knows of no failover", &taiwan, order)
        .answers("503 home_unavailable unprocessed later")
        .decided(&[
            "taiwan edge route routed_holder, then hold home_unavailable",
            "tokyo peer hold home_unavailable",
        ])
        .counted(&["taiwan refused home_unavailable"]);
    account += &regions.judge(&[row]).await?;
    account += &unlike_policies(regions).await?;
    Ok(account)
}

/// One policy set in two versions: what Taiwan takes for a read is a write in Tokyo, and comes
/// without a token. And a workload that is a grant ahead of its own edge.
async fn unlike_policies(regions: &mut Regions) -> Result<String, Trouble> {
    let world = by_taiwan();
    regions.enter(&world).await?;
    let set = regions.run.set().with_static_state(world.document.clone());
    let mut config = set.plugin_config("tokyo", Role::Peer);
    for context in config.policy.contexts.iter_mut().filter(|context| context.name == "orders") {
        context.matches.iter_mut().for_each(|found| found.effect = Some(Effect::Write));
    }
    regions.run.push("tokyo", Role::Peer, &serde_json::to_string(&config)?).await?;
    let mut ahead = world.document.clone();
    ahead.leases.insert(String::from("inventory"), held("tokyo", "10"));
    let ahead = regions.run.set().with_static_state(ahead).plugin_config("tokyo", Role::Inbound);
    regions.run.push("tokyo", Role::Inbound, &serde_json::to_string(&ahead)?).await?;
    let japan = token(&regions.run, "hana", "JP")?;
    let read = RawRequest::new("GET", ORDERS).header("authorization", japan);
    let rows = [
        Row::new("a write without a token", &At::edge("taiwan"), read)
            .answers("503 fence_missing unprocessed later")
            .decided(&[
                "taiwan edge route routed_holder, then deny fence_missing",
                "tokyo peer deny fence_missing",
            ])
            .counted(&["taiwan refused fence_missing"]),
        Row::new("a workload that is ahead of its edge", &At::edge("tokyo"), stock())
            .answers("503 fence_stale unprocessed later")
            .decided(&[
                "tokyo edge allow allowed, then deny fence_stale",
                "tokyo inbound deny fence_stale",
            ])
            .counted(&["tokyo refused fence_stale"]),
        // The east-west gateway chose nothing: it passes on what it was told.
        Row::new("a workload that is ahead of another region", &At::edge("taiwan"), stock())
            .answers("503 fence_stale unprocessed later")
            .decided(&[
                "taiwan edge route routed_holder, then deny fence_stale",
                "tokyo peer allow allowed, then deny fence_stale",
                "tokyo inbound deny fence_stale",
            ])
            .counted(&["taiwan refused fence_stale", "tokyo refused fence_stale"]),
    ];
    regions.judge(&rows).await
}

/// What the guards decide of a request that runs here, and of one that runs there.
const HERE: &[&str] = &["taiwan edge allow allowed", "taiwan inbound allow allowed"];
const THERE: &[&str] = &[
    "taiwan edge route routed_residency",
    "tokyo peer allow allowed",
    "tokyo inbound allow allowed",
];

#[tokio::test]
async fn an_application_does_not_speak_for_a_region() -> Check {
    let regions = Regions::start(&by_taiwan()).await?;
    let result = spoken(&regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn spoken(regions: &Regions) -> Result<String, Trouble> {
    let taiwan = At::edge("taiwan");
    let japan = token(&regions.run, "hana", "JP")?;
    let here = || RawRequest::new("GET", PRODUCT);
    let there = || RawRequest::new("GET", PROFILE).header("authorization", japan.as_str());
    let claims = |request: RawRequest, status: &str, claims: &[&str]| {
        let request = request.header("echo-status", status);
        claims.iter().fold(request, |request, claim| request.header("echo-header", *claim))
    };
    let refusal = &["x-meshfence-reason=wrong_region", "x-meshfence-processed=no"];
    let mut rows = Vec::new();
    for (status, at_home, abroad) in [
        ("421", "421 in taiwan", "421 in tokyo"),
        ("412", "412 in taiwan", "412 in tokyo"),
        ("428", "428 in taiwan", "428 in tokyo"),
        ("503", "503 in taiwan", "503 in tokyo"),
        ("200", "200 in taiwan", "200 in tokyo"),
    ] {
        let home = Row::new(format!("{status} here"), &taiwan, claims(here(), status, refusal));
        rows.push(home.answers(at_home).decided(HERE).counted(&["taiwan stripped_responses"]));
        let abroad_row =
            Row::new(format!("{status} there"), &taiwan, claims(there(), status, refusal));
        rows.push(abroad_row.answers(abroad).decided(THERE).counted(&["tokyo stripped_responses"]));
    }
    let all = [
        "x-meshfence-route=tokyo",
        "x-meshfence-decision=mine",
        "x-meshfence-epoch=99",
        "x-meshfence-stale=1",
        "x-meshfence-unheard-of=1",
        "x-meshfence-current=0190000000000001-tpe-00c0ffee",
    ];
    rows.push(
        Row::new("all that only the mesh may say", &taiwan, claims(there(), "200", &all))
            .answers("200 in tokyo")
            .decided(THERE)
            .counted(&["tokyo stripped_responses"]),
    );
    let theirs = ["x-meshfence-current=0190000000000001-tpe-00c0ffee", "x-meshfence-acks=tokyo"];
    rows.push(
        Row::new("what is an application's to say", &taiwan, claims(there(), "200", &theirs))
            .answers("200 in tokyo")
            .decided(THERE),
    );
    let mut account = regions.judge(&rows).await?;

    // What the client gets to see of it.
    let response = regions.send_as(&taiwan, &claims(there(), "200", &all)).await??;
    let ours = response.headers.iter().filter(|(name, _)| name.starts_with("x-meshfence-"));
    let mut names: Vec<&str> = ours.clone().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let is_own = ours.clone().all(|(_, value)| value != b"mine");
    if names != ["x-meshfence-current", "x-meshfence-decision"] || !is_own {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "the client sees {names:?}");
    }
    Ok(account)
}
