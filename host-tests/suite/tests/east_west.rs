//! What another region's gateway may ask for at an east-west listener: the request is judged again
//! here, a leased write has to bring its token, and who has come too far goes no further.

use local_mesh::client::RawRequest;
use meshfence::Validity;
use policy_core::{LeaseState, Role};
use policy_doc::WorldState;
use suite::{At, Check, Regions, Row, Trouble, leases, stopped};

const ORDERS: &str = "/api/v1/orders";
const PAYMENTS: &str = "/api/v1/payments";
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/me/profile";
const REVIEW: &str = "/api/v1/reviews/9";
const STOCK: &str = "/api/v1/inventory/sku-1";
const WEBHOOK: &str = "/api/v1/webhooks/payments/taiwan~tokyo";

/// Tokyo holds the lease of Japanese orders, epoch 9; the others are where Tokyo cannot use them.
fn world() -> WorldState {
    let held = leases(&[("orders/tokyo", Some("tokyo")), ("inventory", Some("taiwan"))]);
    stopped(
        held,
        &[
            ("payments/tokyo", LeaseState::Vacant),
            ("payments/tokyo+taiwan", LeaseState::Frozen),
            ("payments/taiwan~tokyo", LeaseState::Unknown),
            ("orders/tokyo+taiwan", LeaseState::Draining),
        ],
    )
}

/// A request as Taiwan's edge sends it on: with the route that brought it here.
fn from_taiwan(method: &str, path: &str) -> RawRequest {
    RawRequest::new(method, path)
        .header("idempotency-key", "k-1")
        .header("x-meshfence-route", "tokyo")
        .header("x-meshfence-via", "taiwan")
}

fn order(country: &str, tokens: &[&str]) -> RawRequest {
    write(ORDERS, country, tokens)
}

fn write(path: &str, country: &str, tokens: &[&str]) -> RawRequest {
    let request = from_taiwan("POST", path).header("x-meshfence-subject", country);
    tokens.iter().fold(request, |request, token| request.header("x-meshfence-fence", *token))
}

/// An order with everything that is needed, but for the regions that it has passed.
fn passed(via: Option<&str>) -> RawRequest {
    let request = RawRequest::new("POST", ORDERS)
        .header("idempotency-key", "k-1")
        .header("x-meshfence-subject", "JP")
        .header("x-meshfence-fence", TOKEN);
    match via {
        Some(via) => request.header("x-meshfence-via", via),
        None => request,
    }
}

const TOKEN: &str = "orders;e=9;h=tokyo;s=tokyo";

const RUNS: &[&str] = &["tokyo peer allow allowed", "tokyo inbound allow allowed"];
const MISSING: &[&str] = &["tokyo peer deny fence_missing"];
const MALFORMED: &[&str] = &["tokyo peer deny malformed"];
const WRONG: &[&str] = &["tokyo peer deny wrong_region"];
const LOOP: &[&str] = &["tokyo peer deny loop"];

fn tokens(taiwan: &At) -> Vec<Row> {
    let row = |what, tokens: &[&str]| Row::new(what, taiwan, order("JP", tokens));
    let missing = |row: Row| row.answers("428 fence_missing unprocessed").decided(MISSING);
    let malformed = |row: Row| row.answers("400 malformed unprocessed").decided(MALFORMED);
    let wrong = |row: Row| row.answers("421 wrong_region unprocessed").decided(WRONG);
    let grpc = from_taiwan("POST", "/shop.inventory.v1.Inventory/Reserve")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    vec![
        row("the token of the lease", &[TOKEN]).answers("200 in tokyo").decided(RUNS),
        missing(row("no token", &[])),
        missing(row("of another shard", &["orders;e=9;h=tokyo;s=tokyo+taiwan"])),
        missing(row("of no shard", &["orders;e=9;h=tokyo"])),
        missing(row("of another lease", &["payments;e=9;h=tokyo;s=tokyo"])),
        row("one grant too old", &["orders;e=8;h=tokyo;s=tokyo"])
            .answers("412 fence_stale unprocessed")
            .decided(&["tokyo peer deny fence_stale"]),
        row("newer than anything known here", &["orders;e=10;h=tokyo;s=tokyo"])
            .answers("503 fence_ahead unprocessed later")
            .decided(&["tokyo peer hold fence_ahead"]),
        wrong(row("of another holder", &["orders;e=9;h=taiwan;s=tokyo"])),
        malformed(row("with a parameter nobody knows", &["orders;e=9;h=tokyo;s=tokyo;x=1"])),
        malformed(row("with an epoch that is none", &["orders;e=09;h=tokyo;s=tokyo"])),
        malformed(row("two at once", &["orders;e=8;h=tokyo;s=tokyo", TOKEN])),
        wrong(Row::new(
            "a lease held elsewhere",
            taiwan,
            write(STOCK, "JP", &["inventory;e=9;h=taiwan"]),
        )),
        wrong(Row::new("the same, forged", taiwan, write(STOCK, "JP", &["inventory;e=9;h=tokyo"]))),
        Row::new("a gRPC call of such a write", taiwan, grpc)
            .answers("200 grpc 9 wrong_region unprocessed")
            .decided(WRONG),
    ]
}

fn doubtful(taiwan: &At) -> Vec<Row> {
    let row =
        |what, path, country, token: &str| Row::new(what, taiwan, write(path, country, &[token]));
    vec![
        row("vacant", PAYMENTS, "JP", "payments;e=9;h=tokyo;s=tokyo")
            .answers("503 lease_vacant unprocessed later")
            .decided(&["tokyo peer hold lease_vacant"]),
        row("frozen", PAYMENTS, "KR", "payments;e=9;h=tokyo;s=tokyo+taiwan")
            .answers("503 lease_frozen unprocessed later")
            .decided(&["tokyo peer hold lease_frozen"]),
        row("draining", ORDERS, "KR", "orders;e=9;h=tokyo;s=tokyo+taiwan")
            .answers("503 lease_draining unprocessed later")
            .decided(&["tokyo peer hold lease_draining"]),
        row("unknown", WEBHOOK, "JP", "payments;e=9;h=tokyo;s=taiwan~tokyo")
            .answers("503 lease_unknown unprocessed later")
            .decided(&["tokyo peer hold lease_unknown"]),
    ]
}

fn hops(taiwan: &At) -> Vec<Row> {
    let looped = |via| {
        Row::new(format!("via {via}"), taiwan, passed(Some(via)))
            .answers("508 loop unprocessed")
            .decided(LOOP)
    };
    let untrusted = &["tokyo peer deny peer_untrusted"];
    vec![
        Row::new("via taiwan", taiwan, passed(Some("taiwan")))
            .answers("200 in tokyo")
            .decided(RUNS),
        looped("tokyo"),
        looped("tokyo, taiwan"),
        looped("taiwan, tokyo"),
        looped("taiwan, taiwan"),
        looped("taiwan,taiwan,taiwan"),
        Row::new("via nobody", taiwan, passed(None))
            .answers("403 peer_untrusted unprocessed")
            .decided(untrusted),
        Row::new("via a region that is none", taiwan, passed(Some("osaka, taiwan")))
            .answers("400 malformed unprocessed")
            .decided(MALFORMED),
        Row::new("via twice", taiwan, passed(Some("taiwan")).header("x-meshfence-via", "taiwan"))
            .answers("400 malformed unprocessed")
            .decided(MALFORMED),
    ]
}

fn subjects(taiwan: &At, tokyo: &At) -> Vec<Row> {
    let about = |country| from_taiwan("GET", PROFILE).header("x-meshfence-subject", country);
    let from_tokyo = RawRequest::new("GET", PROFILE)
        .header("x-meshfence-via", "tokyo")
        .header("x-meshfence-subject", "JP");
    vec![
        Row::new("a Japanese profile", taiwan, about("JP")).answers("200 in tokyo").decided(RUNS),
        Row::new("of nobody", taiwan, from_taiwan("GET", PROFILE))
            .answers("401 credentials_missing unprocessed")
            .decided(&["tokyo peer deny credentials_missing"]),
        Row::new("of a country that is none", taiwan, about("Japan"))
            .answers("400 malformed unprocessed")
            .decided(MALFORMED),
        Row::new("a Taiwanese one, and no failover is known here", taiwan, about("TW"))
            .answers("503 home_unavailable unprocessed later")
            .decided(&["tokyo peer hold home_unavailable"]),
        Row::new("a Japanese one in Taiwan", tokyo, from_tokyo)
            .answers("403 residency_denied unprocessed")
            .decided(&["taiwan peer deny residency_denied"]),
        Row::new("a read of what is leased needs no token", taiwan, {
            from_taiwan("GET", ORDERS).header("x-meshfence-subject", "JP")
        })
        .answers("200 in tokyo")
        .decided(RUNS),
        Row::new("more than a gateway may say", taiwan, {
            from_taiwan("GET", PRODUCT).header("x-meshfence-decision", "mine")
        })
        .answers("200 in tokyo")
        .decided(RUNS)
        .counted(&["tokyo stripped_requests"]),
        // Each guard on its way says so.
        Row::new("an eventual write without a version", taiwan, from_taiwan("POST", REVIEW))
            .answers("200 in tokyo")
            .decided(RUNS)
            .counted(&["tokyo unversioned_writes 2 times"]),
    ]
}

#[tokio::test]
async fn what_another_region_sends_is_judged_again() -> Check {
    let regions = Regions::start(&world()).await?;
    let result = judged(&regions).await;
    regions.stop_untrapped("tokyo", result?).await
}

async fn judged(regions: &Regions) -> Result<String, Trouble> {
    let made = regions.run.certificates();
    let gateway = |of: &str, to| {
        let id = format!("spiffe://{of}.shop/ns/gateways/sa/peer");
        let shown = Some(made.issue(of, &[&id], Validity::Usual)?);
        Ok::<At, Trouble>(At { region: to, role: Role::Peer, shown })
    };
    let (taiwan, tokyo) = (gateway("taiwan", "tokyo")?, gateway("tokyo", "taiwan")?);
    let rows = [tokens(&taiwan), doubtful(&taiwan), hops(&taiwan), subjects(&taiwan, &tokyo)];
    regions.judge(&rows.concat()).await
}
