//! The other region is there and cannot be reached, or is gone: what each kind of request comes to,
//! what is recorded of it and what is counted. Region state says nothing of it, but where it does.

use local_mesh::client::{RawRequest, RawResponse};
use policy_core::wire::StateDocument;
use policy_core::{Health, LeaseState, Role};
use policy_doc::WorldState;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use suite::{
    At, Check, Gate, Regions, Row, Trouble, Way, leases, send, stats, stopped, token, until,
    until_healthy,
};
use tokio::task::JoinHandle;

const ORDERS: &str = "/api/v1/orders";
const PRODUCT: &str = "/api/v1/products/1";
const PROFILE: &str = "/api/v1/customers/me/profile";
const REVIEW: &str = "/api/v1/reviews/9";
const STOCK: &str = "/api/v1/inventory/sku-1";

/// What the guards decide for data that belongs into Tokyo.
const REACHED: &[&str] = &[
    "taiwan edge route routed_residency",
    "tokyo peer allow allowed",
    "tokyo inbound allow allowed",
];

/// What the guards decide of an order and a profile whose way to Tokyo is cut when they are there.
const UNDER_WAY: &[&str] = &[
    "taiwan edge route routed_holder, then hold holder_unreachable",
    "taiwan edge route routed_residency, then hold home_unavailable",
    "tokyo peer allow allowed",
    "tokyo peer allow allowed",
    "tokyo inbound allow allowed",
    "tokyo inbound allow allowed",
];

/// How long Taiwan's Envoy waits for an answer, a connection and a health check here: the first
/// would be half a minute, and the others a second, which is short on a machine with much to do.
const TIMES: [(&str, &str); 3] = [
    (" timeout: \"30s\"", " timeout: \"4s\""),
    (" connect_timeout: \"1s\"", " connect_timeout: \"2s\""),
    ("- timeout: \"1s\"", "- timeout: \"5s\""),
];

/// Tokyo holds what Taiwan's edge is asked for.
fn world() -> WorldState {
    leases(&[
        ("orders/tokyo", Some("tokyo")),
        ("orders/tokyo+taiwan", Some("tokyo")),
        ("inventory", Some("tokyo")),
    ])
}

fn gone() -> WorldState {
    WorldState { unreachable: vec![String::from("tokyo")], ..world() }
}

fn known() -> WorldState {
    let health = [(String::from("tokyo"), Health::Down)].into();
    WorldState { document: StateDocument { health, ..world().document }, ..WorldState::default() }
}

/// What is asked of Taiwan's edge.
struct Requests {
    order: RawRequest,
    order_read: RawRequest,
    stock: RawRequest,
    profile: RawRequest,
    profile_write: RawRequest,
    own_profile: RawRequest,
    review: RawRequest,
    product: RawRequest,
}

impl Requests {
    fn new(regions: &Regions) -> Result<Self, Trouble> {
        let japan = token(&regions.run, "hana", "JP")?;
        let taiwan = token(&regions.run, "mei", "TW")?;
        let request = |method, path, token: &str| {
            RawRequest::new(method, path)
                .header("idempotency-key", "k-1")
                .header("authorization", token)
        };
        Ok(Self {
            order: request("POST", ORDERS, &japan),
            order_read: request("GET", ORDERS, &japan),
            stock: RawRequest::new("POST", STOCK).header("idempotency-key", "k-1"),
            profile: request("GET", PROFILE, &japan),
            profile_write: request("PUT", PROFILE, &japan),
            own_profile: request("GET", PROFILE, &taiwan),
            review: RawRequest::new("POST", REVIEW),
            product: RawRequest::new("GET", PRODUCT),
        })
    }

    /// What goes on whatever happens to Tokyo.
    fn at_home(&self, what: &str) -> Vec<Row> {
        let row = |which, request: &RawRequest| {
            Row::new(format!("{what}: {which}"), &At::edge("taiwan"), request.clone())
                .answers("200 in taiwan")
                .decided(&["taiwan edge allow allowed", "taiwan inbound allow allowed"])
        };
        vec![
            row("a Taiwanese profile", &self.own_profile),
            row("a review", &self.review),
            row("a product", &self.product),
        ]
    }

    /// All of it, by what comes of an order, of stock and of a profile.
    fn all(
        &self,
        what: &str,
        order: impl Fn(&str, &RawRequest) -> Row,
        stock: impl Fn(&str, &RawRequest) -> Row,
        profile: impl Fn(&str, &RawRequest) -> Row,
    ) -> Vec<Row> {
        let mut rows = self.at_home(what);
        rows.push(order("an order", &self.order));
        rows.push(order("the reading of orders", &self.order_read));
        rows.push(stock("a change of stock", &self.stock));
        rows.push(profile("a Japanese profile", &self.profile));
        rows.push(profile("a change of it", &self.profile_write));
        rows
    }

    /// All of it, Tokyo being there.
    fn reached(&self, what: &str) -> Vec<Row> {
        let leased = |which: &str, request: &RawRequest| {
            Row::new(format!("{what}: {which}"), &At::edge("taiwan"), request.clone())
                .answers("200 in tokyo")
                .decided(&[
                    "taiwan edge route routed_holder",
                    "tokyo peer allow allowed",
                    "tokyo inbound allow allowed",
                ])
        };
        let bound = |which: &str, request: &RawRequest| leased(which, request).decided(REACHED);
        self.all(what, leased, leased, bound)
    }

    /// What shows that Tokyo is there again.
    fn back(&self) -> Row {
        Row::new("back", &At::edge("taiwan"), self.profile.clone())
            .answers("200 in tokyo")
            .decided(REACHED)
    }

    /// All of it, nothing of which gets through to Tokyo.
    fn missed(&self, what: &str) -> Vec<Row> {
        let leased = |which: &str, request: &RawRequest| {
            Row::new(format!("{what}: {which}"), &At::edge("taiwan"), request.clone())
                .answers("503 holder_unreachable unprocessed later")
                .decided(&["taiwan edge route routed_holder, then hold holder_unreachable"])
                .counted(&["taiwan unreachable holder_unreachable"])
        };
        let bound = |which: &str, request: &RawRequest| {
            Row::new(format!("{what}: {which}"), &At::edge("taiwan"), request.clone())
                .answers("503 home_unavailable unprocessed later")
                .decided(&["taiwan edge route routed_residency, then hold home_unavailable"])
                .counted(&["taiwan unreachable home_unavailable"])
        };
        self.all(what, leased, leased, bound)
    }

    /// All of it, Taiwan knowing that Tokyo is down: nothing is even tried.
    fn known(&self) -> Vec<Row> {
        let leased = |which: &str, request: &RawRequest| {
            Row::new(format!("known to be down: {which}"), &At::edge("taiwan"), request.clone())
                .answers("503 holder_unreachable unprocessed later")
                .decided(&["taiwan edge hold holder_unreachable"])
        };
        let bound = |which: &str, request: &RawRequest| {
            leased(which, request)
                .answers("503 home_unavailable unprocessed later")
                .decided(&["taiwan edge hold home_unavailable"])
        };
        // Where the data may be comes first: without a region for it the lease does not matter.
        self.all("known to be down", bound, leased, bound)
    }
}

/// Leads Taiwan's way to Tokyo through a gate.
async fn through_a_gate(regions: &mut Regions) -> Result<Gate, Trouble> {
    let tokyo = regions.run.address("tokyo", Role::Peer);
    let tokyo = tokyo.ok_or_else(|| Trouble::new("Tokyo has no east-west listener"))?;
    let gate = Gate::to(tokyo).await?;
    let port = |addr: SocketAddr| format!("port_value: {}\n", addr.port());
    let missing = RefCell::new(Vec::new());
    let alter = |region: &str, text: &str| {
        let replaced = |text: String, (old, new): &(&str, &str)| {
            if !text.contains(old) {
                missing.borrow_mut().push((*old).to_owned());
            }
            text.replace(old, new)
        };
        let to_gate = (&*port(tokyo), &*port(gate.addr()));
        let altered = || [to_gate].iter().chain(&TIMES).fold(text.to_owned(), replaced);
        (region == "taiwan").then(altered)
    };
    regions.run.restart_with(alter, &mut |_| {}).await?;
    match missing.into_inner().as_slice() {
        [] => Ok(gate),
        missing => Err(Trouble::new(format!("the rendered bootstrap has no {missing:?}"))),
    }
}

// The gate goes on while the test reads files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_cannot_be_reached_is_missed_with_a_reason() -> Check {
    let mut regions = Regions::start(&world()).await?;
    let result = cut_off(&mut regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn cut_off(regions: &mut Regions) -> Result<String, Trouble> {
    let gate = through_a_gate(regions).await?;
    let requests = Requests::new(regions)?;
    let mut account = regions.judge(&requests.reached("there")).await?;

    // The first request meets a closed port, later ones what the health checks have found.
    gate.set(Way::Refusing).await?;
    account += &regions.judge(&requests.missed("refused")).await?;
    tokyo_is_gone(regions).await?;
    account += &regions.judge(&requests.missed("refused, and seen to be")).await?;
    gate.set(Way::Open).await?;
    regions.until_answered(&requests.back()).await?;

    // Requests that are under way when the connection breaks, or falls silent: whether they ran is
    // not known, so nobody says that they did not.
    for (what, way) in [("cut", Way::Refusing), ("silent", Way::Silent)] {
        let (mark, before) = (regions.mark(), unreachable(regions).await?);
        let mut answers = Vec::new();
        for request in [&requests.order, &requests.profile] {
            answers.push(held(regions, request).await?);
        }
        gate.set(way).await?;
        for (answer, reason) in answers.into_iter().zip(["holder_unreachable", "home_unavailable"])
        {
            let response = answer.await.map_err(|error| Trouble::new(error.to_string()))??;
            let text =
                |name| String::from_utf8_lossy(response.header(name).unwrap_or(b"")).into_owned();
            let fine = response.status == 503
                && text("x-meshfence-reason") == reason
                && response.header("retry-after").is_some()
                && response.header("x-meshfence-processed").is_none()
                && response.header("x-echo-region").is_none();
            if !fine {
                // Writing into a String cannot fail.
                let _ = writeln!(
                    account,
                    "{what} under way: {} {reason}: {response:?}",
                    response.status
                );
            }
        }
        if unreachable(regions).await? != before + 2 {
            let _ = writeln!(account, "{what} under way: not counted");
        }
        release(regions).await?;
        let recorded = regions.recorded_since(&mark, UNDER_WAY.len()).await?;
        if recorded != UNDER_WAY {
            let _ = writeln!(account, "{what} under way: {recorded:?}");
        }
        // From here on nothing gets as far as Tokyo.
        account += &regions.judge(&requests.missed(what)).await?;
        gate.set(Way::Open).await?;
        regions.until_answered(&requests.back()).await?;
        account += &regions.judge(&requests.reached(&format!("{what}, and back"))).await?;
    }

    regions.enter(&gone()).await?;
    account += &regions.judge(&requests.missed("killed")).await?;
    regions.enter(&known()).await?;
    account += &regions.judge(&requests.known()).await?;
    Ok(account)
}

/// A request that is under way in Tokyo: its application has it.
async fn held(
    regions: &Regions,
    request: &RawRequest,
) -> Result<JoinHandle<Result<RawResponse, Trouble>>, Trouble> {
    let (edge, request) = (regions.edge("taiwan")?, request.clone().header("echo-hold", "held"));
    let count = in_flight(regions).await?;
    let answer = tokio::spawn(async move { send(edge, &request).await });
    let arrives = until("Tokyo's application has it", async || {
        (answer.is_finished() || in_flight(regions).await.ok()? > count).then_some(())
    });
    arrives.await?;
    if answer.is_finished() {
        let answer = answer.await.map_err(|error| Trouble::new(error.to_string()))??;
        return Err(Trouble::new(format!("not under way: {answer:?}")));
    }
    Ok(answer)
}

async fn in_flight(regions: &Regions) -> Result<u64, Trouble> {
    let held = RawRequest::new("GET", "/_echo/held?key=held");
    let response = send(regions.application("tokyo")?, &held).await?;
    let count: serde_json::Value = serde_json::from_slice(&response.body)?;
    Ok(count.get("held").and_then(serde_json::Value::as_u64).unwrap_or(0))
}

async fn release(regions: &Regions) -> Check {
    let release = RawRequest::new("POST", "/_echo/release?key=held");
    send(regions.application("tokyo")?, &release).await?;
    Ok(())
}

/// Waits until Taiwan's health checks have found that Tokyo is gone.
async fn tokyo_is_gone(regions: &Regions) -> Check {
    until_healthy(regions.admin("taiwan")?, "peer-tokyo", 0).await
}

async fn unreachable(regions: &Regions) -> Result<u64, Trouble> {
    Ok(stats(regions.admin("taiwan")?, "meshfence_unreachable_total").await?.values().sum())
}

/// Leases in every state, from both edges.
#[tokio::test]
async fn a_lease_in_doubt_is_a_reason_and_a_count() -> Check {
    let held = leases(&[("payments/tokyo+taiwan", Some("taiwan"))]);
    let world = stopped(
        held,
        &[
            ("orders/tokyo", LeaseState::Unknown),
            ("orders/tokyo+taiwan", LeaseState::Draining),
            ("payments/tokyo", LeaseState::Vacant),
            ("inventory", LeaseState::Frozen),
        ],
    );
    let regions = Regions::start(&world).await?;
    let result = in_doubt(&regions).await;
    regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn in_doubt(regions: &Regions) -> Result<String, Trouble> {
    let (japan, korea) = (token(&regions.run, "hana", "JP")?, token(&regions.run, "minjun", "KR")?);
    let write = |path: &str, token: Option<&str>| {
        let request = RawRequest::new("POST", path).header("idempotency-key", "k-1");
        token.into_iter().fold(request, |request, token| request.header("authorization", token))
    };
    let payments = "/api/v1/payments";
    let mut rows = Vec::new();
    for (region, path, token, answer, decided) in [
        (
            "taiwan",
            ORDERS,
            Some(&japan),
            "503 lease_unknown unprocessed later",
            &["taiwan edge hold lease_unknown"],
        ),
        (
            "tokyo",
            ORDERS,
            Some(&japan),
            "503 lease_unknown unprocessed later",
            &["tokyo edge hold lease_unknown"],
        ),
        (
            "taiwan",
            ORDERS,
            Some(&korea),
            "503 lease_draining unprocessed later",
            &["taiwan edge hold lease_draining"],
        ),
        (
            "tokyo",
            ORDERS,
            Some(&korea),
            "503 lease_draining unprocessed later",
            &["tokyo edge hold lease_draining"],
        ),
        (
            "taiwan",
            payments,
            Some(&japan),
            "503 lease_vacant unprocessed later",
            &["taiwan edge hold lease_vacant"],
        ),
        (
            "tokyo",
            payments,
            Some(&japan),
            "503 lease_vacant unprocessed later",
            &["tokyo edge hold lease_vacant"],
        ),
        (
            "taiwan",
            STOCK,
            None,
            "503 lease_frozen unprocessed later",
            &["taiwan edge hold lease_frozen"],
        ),
        (
            "tokyo",
            STOCK,
            None,
            "503 lease_frozen unprocessed later",
            &["tokyo edge hold lease_frozen"],
        ),
    ] {
        let request = write(path, token.map(String::as_str));
        let row = Row::new(format!("{path} in {region}"), &At::edge(region), request);
        rows.push(row.answers(answer).decided(decided));
    }
    rows.push(
        Row::new("held here", &At::edge("taiwan"), write(payments, Some(&korea)))
            .answers("200 in taiwan")
            .decided(&["taiwan edge allow allowed", "taiwan inbound allow allowed"]),
    );
    rows.push(
        Row::new("held there", &At::edge("tokyo"), write(payments, Some(&korea)))
            .answers("200 in taiwan")
            .decided(&[
                "tokyo edge route routed_holder",
                "taiwan peer allow allowed",
                "taiwan inbound allow allowed",
            ]),
    );
    regions.judge(&rows).await
}
