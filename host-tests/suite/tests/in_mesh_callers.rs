//! A caller inside the mesh that goes straight to a workload: the guard before it has the same rules
//! as everywhere, and believes only what is proven.

use local_mesh::client::{self, RawRequest};
use meshfence::Validity;
use policy_core::Role;
use policy_doc::WorldState;
use std::fmt::Write as _;
use suite::{At, Check, LIMIT, Regions, Row, Trouble, leases, stats, token};

const ORDERS: &str = "/api/v1/orders";
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/me/profile";
const REVIEW: &str = "/api/v1/reviews/9";
const STOCK: &str = "/api/v1/inventory/sku-1";

const STRIPPED: &[&str] = &["tokyo stripped_requests"];
const RUNS: &[&str] = &["tokyo inbound allow allowed"];

fn world() -> WorldState {
    leases(&[
        ("orders/tokyo", Some("tokyo")),
        ("orders/tokyo+taiwan", Some("taiwan")),
        ("inventory", None),
    ])
}

fn rows(
    regions: &Regions,
    shown: impl Fn(&'static str) -> Result<At, Trouble>,
) -> Result<Vec<Row>, Trouble> {
    let (tokyo, taiwan) = (shown("tokyo")?, shown("taiwan")?);
    let bearer = |country| token(&regions.run, "somebody", country);
    let (japan, korea, home) = (bearer("JP")?, bearer("KR")?, bearer("TW")?);
    let get = |path: &str| RawRequest::new("GET", path);
    let post = |path: &str| RawRequest::new("POST", path).header("idempotency-key", "k-1");
    // What a gateway would say.
    let as_gateway = |request: RawRequest| {
        request
            .header("x-meshfence-via", "taiwan")
            .header("x-meshfence-subject", "JP")
            .header("x-meshfence-fence", "orders;e=9;h=tokyo;s=tokyo")
            .header("x-meshfence-epoch", "9")
    };
    let row = |what, request| Row::new(what, &tokyo, request);
    let auth = |request: RawRequest, token: &str| request.header("authorization", token);
    Ok(vec![
        row("a public read", get(PRODUCT)).answers("200 in tokyo").decided(RUNS),
        row("with headers of the mesh", as_gateway(get(PRODUCT)))
            .answers("200 in tokyo")
            .decided(RUNS)
            .counted(STRIPPED),
        row("an eventual write with another's version", {
            post(REVIEW)
                .header("x-meshfence-origin", "taiwan")
                .header("x-meshfence-version", "0190000000000001-tpe-00c0ffee")
        })
        .answers("200 in tokyo")
        .decided(RUNS)
        .counted(&["tokyo stripped_requests", "tokyo unversioned_writes"]),
        row("a profile without a token", get(PROFILE))
            .answers("401 credentials_missing unprocessed")
            .decided(&["tokyo inbound deny credentials_missing"]),
        row("a profile by a header", as_gateway(get(PROFILE)))
            .answers("401 credentials_missing unprocessed")
            .decided(&["tokyo inbound deny credentials_missing"])
            .counted(STRIPPED),
        row(
            "a profile with a token that nobody signed",
            auth(get(PROFILE), "Bearer eyJhbGciOiJFUzI1NiJ9.e30.AA"),
        )
        .answers("401")
        .decided(&["tokyo inbound undecided 401"]),
        row("a profile with a token", auth(get(PROFILE), &japan))
            .answers("200 in tokyo")
            .decided(RUNS),
        row("a leased write", auth(post(ORDERS), &japan))
            .answers("428 fence_missing unprocessed")
            .decided(&["tokyo inbound deny fence_missing"]),
        row(
            "a leased write with a token of its own making",
            auth(as_gateway(post(ORDERS)), &japan),
        )
        .answers("428 fence_missing unprocessed")
        .decided(&["tokyo inbound deny fence_missing"])
        .counted(STRIPPED),
        row("a leased write without a key", auth(RawRequest::new("POST", ORDERS), &japan))
            .answers("400 idempotency_key_missing unprocessed")
            .decided(&["tokyo inbound deny idempotency_key_missing"]),
        row("a leased write of another holder", auth(as_gateway(post(ORDERS)), &korea))
            .answers("421 wrong_region unprocessed")
            .decided(&["tokyo inbound deny wrong_region"])
            .counted(STRIPPED),
        row("a leased write under a lease in doubt", post(STOCK))
            .answers("503 lease_unknown unprocessed later")
            .decided(&["tokyo inbound hold lease_unknown"]),
        row("a leased read here", auth(get(ORDERS), &japan)).answers("200 in tokyo").decided(RUNS),
        row("data that may come here in a failover", auth(get(PROFILE), &home))
            .answers("503 home_unavailable unprocessed later")
            .decided(&["tokyo inbound hold home_unavailable"]),
        Row::new("data that may never be here", &taiwan, auth(get(PROFILE), &japan))
            .answers("403 residency_denied unprocessed")
            .decided(&["taiwan inbound deny residency_denied"]),
        row("what no context knows", get("/admin"))
            .answers("404 unmatched unprocessed")
            .decided(&["tokyo inbound deny unmatched"]),
        row("another method than it says", get("/admin").header("x-http-method-override", "PUT"))
            .answers("404 unmatched unprocessed")
            .decided(&["tokyo inbound deny unmatched"])
            .counted(STRIPPED),
    ])
}

#[tokio::test]
async fn a_workload_s_own_guard_has_the_same_rules() -> Check {
    let regions = Regions::start(&world()).await?;
    let result = judged(&regions).await;
    regions.stop_untrapped("tokyo", result?).await
}

async fn judged(regions: &Regions) -> Result<String, Trouble> {
    let made = regions.run.certificates();
    let rows = rows(regions, |region| {
        let id = format!("spiffe://{region}.shop/ns/shop/sa/reviews");
        let shown = Some(made.issue(region, &[&id], Validity::Usual)?);
        Ok(At { region, role: Role::Inbound, shown })
    });
    let mut account = regions.judge(&rows?).await?;

    // Without a certificate nobody gets as far as the guard: both are counted where TLS ends.
    let inbound = regions.run.address("tokyo", Role::Inbound);
    let inbound = inbound.ok_or_else(|| Trouble::new("there is no inbound listener"))?;
    let ssl = format!("^listener.{}_{}.ssl.", inbound.ip(), inbound.port());
    let read = RawRequest::new("GET", PRODUCT);
    let nobody = At { region: "tokyo", role: Role::Inbound, shown: None };
    let admin = regions.admin("tokyo")?;
    for (what, stat) in [("no certificate", "fail_verify_no_cert"), ("no TLS", "connection_error")]
    {
        let counted = async || {
            let found = stats(admin, &format!("{ssl}{stat}$")).await?;
            Ok::<u64, Trouble>(found.values().sum())
        };
        let before = counted().await?;
        let answer = if stat == "connection_error" {
            client::send(inbound, &read, LIMIT).await
        } else {
            regions.send_as(&nobody, &read).await?
        };
        let grown = counted().await? - before;
        if answer.is_ok() || grown != 1 {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{what}: {answer:?}, {stat} grew by {grown}");
        }
    }
    Ok(account)
}
