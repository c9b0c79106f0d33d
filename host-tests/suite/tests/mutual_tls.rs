//! Who gets through the handshake between gateways, and what a certificate is worth after it.

use local_mesh::client::{RawRequest, RawResponse};
use meshfence::{Identity, LocalCertificates, Validity};
use policy_core::Role;
use policy_doc::WorldState;
use serde_json::Value;
use std::fmt::Write as _;
use suite::{At, Check, Regions, Row, Trouble, send, stats, until, until_healthy};

const TAIWAN_PEER: &str = "spiffe://taiwan.shop/ns/gateways/sa/peer";
const TAIWAN_OTHER: &str = "spiffe://taiwan.shop/ns/shop/sa/reviews";
const TOKYO_PEER: &str = "spiffe://tokyo.shop/ns/gateways/sa/peer";
const TOKYO_OTHER: &str = "spiffe://tokyo.shop/ns/shop/sa/reviews";

/// Where a certificate is shown: both listeners that want one, in Tokyo.
const ROLES: [(Role, &str); 2] = [(Role::Peer, "east_west"), (Role::Inbound, "inbound")];

/// Shows a certificate to a listener in Tokyo, or none.
async fn show(
    regions: &Regions,
    role: Role,
    shown: Option<&Identity>,
    request: &RawRequest,
) -> Result<Result<RawResponse, local_mesh::Error>, Trouble> {
    regions.send_as(&at(role, shown.cloned()), request).await
}

fn at(role: Role, shown: Option<Identity>) -> At {
    At { region: "tokyo", role, shown }
}

/// What is wrong with a certificate, or with none, and at which listener that is wrong.
type Wrong = (&'static str, Role, Option<Identity>);

/// Certificates that nobody gets in with.
fn refused(made: &LocalCertificates) -> Result<Vec<Wrong>, Trouble> {
    let issue = |region, id, validity| made.issue(region, &[id], validity).map(Some);
    let mut cases = Vec::new();
    for (role, id, owner, stranger) in [
        (Role::Peer, TAIWAN_PEER, "taiwan", "tokyo"),
        (Role::Inbound, TOKYO_PEER, "tokyo", "taiwan"),
    ] {
        cases.push(("none", role, None));
        cases.push(("one that vouches for itself", role, Some(made.self_signed(&[id])?)));
        cases.push((
            "one by another region's authority",
            role,
            issue(stranger, id, Validity::Usual)?,
        ));
        cases.push(("an expired one", role, issue(owner, id, Validity::Over)?));
        let nowhere = "spiffe://osaka.shop/ns/gateways/sa/peer";
        cases.push((
            "one of an unknown trust domain",
            role,
            issue(owner, nowhere, Validity::Usual)?,
        ));
        cases.push(("one that names nobody", role, Some(made.issue(owner, &[], Validity::Usual)?)));
    }
    // Its own region has no business at an east-west gateway, and another one none at a workload.
    cases.push(("this region's", Role::Peer, issue("tokyo", TOKYO_PEER, Validity::Usual)?));
    cases.push(("another region's", Role::Inbound, issue("taiwan", TAIWAN_PEER, Validity::Usual)?));
    Ok(cases)
}

/// What a write counts whose sender is not believed: its headers are dropped, and so is the version
/// that it may have had.
const UNTRUSTED: &[&str] = &["tokyo stripped_requests", "tokyo unversioned_writes"];

#[tokio::test]
async fn nobody_gets_in_without_a_certificate_of_the_right_authority() -> Check {
    let regions = Regions::start(&WorldState::default()).await?;
    let admin = regions.admin("tokyo")?;
    let mut account = String::new();
    let request = RawRequest::new("GET", "/api/v1/products/1").header("x-meshfence-via", "taiwan");
    let cases = refused(regions.run.certificates())?;
    for (what, role, shown) in &cases {
        let addr = regions.run.address("tokyo", *role).ok_or_else(|| Trouble::new("no address"))?;
        let counted = async || {
            let expression = format!("^listener.{}_{}.ssl.fail_verify_", addr.ip(), addr.port());
            Ok::<u64, Trouble>(stats(admin, &expression).await?.values().sum())
        };
        let before = counted().await?;
        // Writing into a String cannot fail.
        match show(&regions, *role, shown.as_ref(), &request).await? {
            Ok(response) => {
                let _ = writeln!(account, "{role}: {what}: {}", response.status);
            }
            Err(local_mesh::Error::Connection { .. }) => {}
            Err(error) => {
                let _ = writeln!(account, "{role}: {what}: {error}");
            }
        }
        if counted().await? != before + 1 {
            let _ = writeln!(account, "{role}: {what}: not counted");
        }
    }
    // The same with what is right, so that it is not something else that keeps them out.
    for ((role, _), (region, id)) in
        ROLES.into_iter().zip([("taiwan", TAIWAN_PEER), ("tokyo", TOKYO_PEER)])
    {
        let right = regions.run.certificates().issue(region, &[id], Validity::Usual)?;
        let response = show(&regions, role, Some(&right), &request).await??;
        if response.status != 200 {
            let _ = writeln!(account, "{role}: the right one: {}", response.status);
        }
    }
    regions.stop().await;
    println!("{} certificates refused", cases.len());
    Trouble::unless_empty(&account)
}

/// Whether a header that only the mesh may set has reached the application.
fn is_believed(response: Option<&RawResponse>) -> bool {
    let body = response.map(|response| response.body.as_slice()).unwrap_or_default();
    let echo: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut headers = echo.get("headers").and_then(Value::as_array).into_iter().flatten();
    headers.any(|pair| {
        pair.get(0).and_then(Value::as_str) == Some("x-meshfence-version")
            && pair.get(1).and_then(Value::as_str) == Some(VERSION)
    })
}

/// A version as another entry has stamped it.
const VERSION: &str = "0190000000000001-tpe-00c0ffee";

#[tokio::test]
async fn a_certificate_speaks_for_whom_it_names_first_and_alone() -> Check {
    let regions = Regions::start(&WorldState::default()).await?;
    let made = regions.run.certificates();
    let mut account = String::new();
    let write = RawRequest::new("POST", "/api/v1/reviews/9")
        .header("x-meshfence-via", "taiwan")
        .header("x-meshfence-origin", "taiwan")
        .header("x-meshfence-version", VERSION)
        .body("x");
    for (ids, trusted) in [
        (&[TAIWAN_PEER][..], true),
        (&[TAIWAN_OTHER], false),
        (&[TAIWAN_PEER, TAIWAN_OTHER], false),
        (&[TAIWAN_OTHER, TAIWAN_PEER], false),
        (&[TAIWAN_PEER, TOKYO_PEER], false),
        (&[TAIWAN_PEER, TAIWAN_PEER], false),
    ] {
        let shown = at(Role::Peer, Some(made.issue("taiwan", ids, Validity::Usual)?));
        let row = Row::new(format!("peer: {ids:?}"), &shown, write.clone());
        let row = if trusted {
            row.answers("200 in tokyo")
                .decided(&["tokyo peer allow allowed", "tokyo inbound allow allowed"])
        } else {
            row.answers("403 peer_untrusted unprocessed")
                .decided(&["tokyo peer deny peer_untrusted"])
        };
        let (wrong, response) = regions.judge_one(&row).await?;
        account += &wrong;
        if is_believed(response.as_ref()) != trusted {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "peer: {ids:?}: believed or not, it is the wrong way round");
        }
    }
    // Before a workload everybody of the region may ask; what only the mesh may say is believed of
    // its gateways alone.
    for (ids, trusted) in [
        (&[TOKYO_PEER][..], true),
        (&[TOKYO_OTHER], false),
        (&[TOKYO_PEER, TOKYO_OTHER], false),
        (&[TOKYO_OTHER, TOKYO_PEER], false),
    ] {
        let shown = at(Role::Inbound, Some(made.issue("tokyo", ids, Validity::Usual)?));
        let row = Row::new(format!("inbound: {ids:?}"), &shown, write.clone());
        let row = row.answers("200 in tokyo").decided(&["tokyo inbound allow allowed"]);
        let row = if trusted { row } else { row.counted(UNTRUSTED) };
        let (wrong, response) = regions.judge_one(&row).await?;
        account += &wrong;
        if is_believed(response.as_ref()) != trusted {
            let _ =
                writeln!(account, "inbound: {ids:?}: believed or not, it is the wrong way round");
        }
    }
    regions.stop_untrapped("tokyo", account).await
}

/// How often Taiwan's Envoy has not believed what it was shown on the way to Tokyo.
async fn verified_in_vain(regions: &Regions) -> Result<u64, Trouble> {
    let expression = "^cluster.peer-tokyo.ssl.fail_verify_";
    Ok(stats(regions.admin("taiwan")?, expression).await?.values().sum())
}

#[tokio::test]
async fn a_region_that_cannot_show_who_it_is_gets_nothing() -> Check {
    let regions = Regions::start(&WorldState::default()).await?;
    let made = regions.run.certificates();
    let mut account = String::new();
    let profile = RawRequest::new("GET", "/api/v1/customers/me/profile")
        .header("authorization", suite::token(&regions.run, "hana", "JP")?);
    let own = made.gateway("tokyo").cloned().ok_or_else(|| Trouble::new("no certificate"))?;
    for (what, shown) in [
        ("expired", made.issue("tokyo", &[TOKYO_PEER], Validity::Over)?),
        ("another id of the region", made.issue("tokyo", &[TOKYO_OTHER], Validity::Usual)?),
        ("by the wrong authority", made.issue("taiwan", &[TOKYO_PEER], Validity::Usual)?),
        ("another region's", made.issue("taiwan", &[TAIWAN_PEER], Validity::Usual)?),
        ("nobody's", made.self_signed(&[TOKYO_PEER])?),
    ] {
        let before = verified_in_vain(&regions).await?;
        regions.run.show("tokyo", &shown)?;
        until_healthy(regions.admin("taiwan")?, "peer-tokyo", 0).await?;
        let row = Row::new(what, &At::edge("taiwan"), profile.clone())
            .answers("503 home_unavailable unprocessed later")
            .decided(&["taiwan edge route routed_residency, then hold home_unavailable"])
            .counted(&["taiwan unreachable home_unavailable"]);
        account += &judge_alone(&regions, row).await?;
        // The health checks of Envoy have met it too.
        if verified_in_vain(&regions).await? <= before {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{what}: the handshake is not counted");
        }
        regions.run.show("tokyo", &own)?;
        let edge = regions.edge("taiwan")?;
        until("Tokyo is back", async || {
            send(edge, &profile).await.ok().filter(|response| response.status == 200)
        })
        .await?;
    }
    regions.stop().await;
    Trouble::unless_empty(&account)
}

/// Judges a row in which no health check of Tokyo's fell: it shows the same certificate, and Taiwan
/// refuses that once a second. Nothing that a user asks of Taiwan's edge is refused there.
async fn judge_alone(regions: &Regions, row: Row) -> Result<String, Trouble> {
    const REFUSED_CHECK: &str = "taiwan peer deny peer_untrusted";
    const TRIES: usize = 5;
    let rows = [row];
    let mut account = regions.judge(&rows).await?;
    for _ in 1..TRIES {
        if !account.contains(REFUSED_CHECK) {
            break;
        }
        regions.quiet().await?;
        account = regions.judge(&rows).await?;
    }
    Ok(account)
}

/// The serial numbers of the certificates that an Envoy has in use.
async fn serials(regions: &Regions, region: &str) -> Result<Vec<String>, Trouble> {
    let response = send(regions.admin(region)?, &RawRequest::new("GET", "/certs")).await?;
    let certs: Value = serde_json::from_slice(&response.body)?;
    let listed = certs.get("certificates").and_then(Value::as_array).into_iter().flatten();
    let mut serials: Vec<String> = listed
        .filter_map(|entry| entry.pointer("/cert_chain/0/serial_number")?.as_str())
        .map(str::to_owned)
        .collect();
    serials.sort();
    serials.dedup();
    Ok(serials)
}

#[tokio::test]
async fn certificates_are_renewed_without_a_restart_or_a_lost_request() -> Check {
    let mut regions = Regions::start(&WorldState::default()).await?;
    let pids: Vec<u32> = regions.run.mesh().pids().iter().map(|(_, _, pid)| *pid).collect();
    let profile = RawRequest::new("GET", "/api/v1/customers/me/profile")
        .header("authorization", suite::token(&regions.run, "hana", "JP")?);
    let mut account = String::new();
    for round in 0..3 {
        let old = regions.run.certificates().gateway("taiwan").cloned();
        let before = [serials(&regions, "taiwan").await?, serials(&regions, "tokyo").await?];
        regions.run.renew_certificates()?;
        let edge = regions.edge("taiwan")?;
        until("both regions show their new certificates", async || {
            let response = send(edge, &profile).await.ok()?;
            if response.status != 200 {
                // Writing into a String cannot fail.
                let _ = writeln!(account, "round {round}: {}", response.status);
            }
            let now =
                [serials(&regions, "taiwan").await.ok()?, serials(&regions, "tokyo").await.ok()?];
            let is_new = |(now, before): (&Vec<String>, &Vec<String>)| {
                now.len() == 1 && now.iter().all(|serial| !before.contains(serial))
            };
            now.iter().zip(&before).all(is_new).then_some(())
        })
        .await?;
        // Somebody who has not read the new one yet is believed all the same.
        let health = RawRequest::new("GET", "/health");
        let response = show(&regions, Role::Peer, old.as_ref(), &health).await?;
        if !response.as_ref().is_ok_and(|response| response.status == 200) {
            let _ = writeln!(account, "round {round}, the old certificate: {response:?}");
        }
    }
    let same: Vec<u32> = regions.run.mesh().pids().iter().map(|(_, _, pid)| *pid).collect();
    if same != pids {
        let _ = writeln!(account, "something was started again");
    }
    regions.stop().await;
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn nobody_says_by_a_header_what_certificate_he_has() -> Check {
    let regions = Regions::start(&WorldState::default()).await?;
    let claim = format!("Hash=00;URI={TAIWAN_PEER}");
    let request = RawRequest::new("GET", "/api/v1/products/1")
        .header("x-meshfence-via", "taiwan")
        .header("x-forwarded-client-cert", claim.as_bytes());
    let made = regions.run.certificates();
    let taiwan = made.issue("taiwan", &[TAIWAN_PEER], Validity::Usual)?;
    let tokyo = made.issue("tokyo", &[TOKYO_PEER], Validity::Usual)?;
    let outbound = regions.run.address("tokyo", Role::Outbound);
    let outbound = outbound.ok_or_else(|| Trouble::new("no address"))?;
    let responses = [
        send(regions.edge("tokyo")?, &request).await?,
        show(&regions, Role::Peer, Some(&taiwan), &request).await??,
        show(&regions, Role::Inbound, Some(&tokyo), &request).await??,
        send(outbound, &request).await?,
    ];
    regions.stop().await;
    let mut account = String::new();
    for (number, response) in responses.iter().enumerate() {
        if response.status != 200 || response.text().contains("forwarded-client-cert") {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{number}: {} {}", response.status, response.text());
        }
    }
    Trouble::unless_empty(&account)
}
