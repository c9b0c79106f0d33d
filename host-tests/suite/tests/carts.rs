//! Carts that are kept in two regions, end to end: written at real edges during a partition, and
//! merged at checkout by a service that knows nothing but the headers of the mesh.

use local_mesh::client::{RawRequest, RawResponse};
use policy_core::Role;
use policy_doc::WorldState;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use suite::{
    Arrival, CartCopy, Carts, Check, Gate, Items, Regions, Trouble, Way, leases, send, token, until,
};

const REGIONS: [&str; 2] = ["taiwan", "tokyo"];

/// A write at a region's edge: so many of an item in, or all of it out.
#[derive(Debug, Clone, Copy)]
enum Write {
    In(&'static str, &'static str, u32),
    Out(&'static str, &'static str),
}

use Write::{In, Out};

/// What one customer does, and what must be in the cart at checkout.
struct Story {
    name: &'static str,
    /// Where the customer resides. It says where the checkout runs: in the region with the lease.
    country: &'static str,
    /// While the regions see each other; then their carts are exchanged.
    before: &'static [Write],
    /// During the partition.
    apart: &'static [Write],
    /// When the link is back, and nothing has been exchanged yet.
    after: &'static [Write],
    cart: &'static [(&'static str, u64)],
    /// What there would be if the last whole cart won.
    last_whole: &'static [(&'static str, u64)],
}

const STORIES: &[Story] = &[
    Story {
        name: "items of both regions are there",
        country: "KR",
        before: &[],
        apart: &[In("taiwan", "tea", 1), In("tokyo", "pot", 1)],
        after: &[],
        cart: &[("pot", 1), ("tea", 1)],
        last_whole: &[("pot", 1)],
    },
    Story {
        name: "so are quantities of one item",
        country: "TW",
        before: &[In("taiwan", "tea", 1)],
        apart: &[In("taiwan", "tea", 2), In("tokyo", "tea", 4)],
        after: &[],
        cart: &[("tea", 7)],
        last_whole: &[("tea", 5)],
    },
    Story {
        name: "what was removed stays removed",
        country: "JP",
        before: &[In("taiwan", "tea", 1), In("taiwan", "cup", 1)],
        apart: &[Out("taiwan", "cup"), In("tokyo", "pot", 1)],
        after: &[],
        cart: &[("pot", 1), ("tea", 1)],
        last_whole: &[("cup", 1), ("pot", 1), ("tea", 1)],
    },
    Story {
        name: "what was put in anew is there once",
        country: "KR",
        before: &[In("taiwan", "tea", 1)],
        apart: &[Out("taiwan", "tea"), In("taiwan", "tea", 3), In("tokyo", "pot", 1)],
        after: &[],
        cart: &[("pot", 1), ("tea", 3)],
        last_whole: &[("pot", 1), ("tea", 1)],
    },
    Story {
        name: "a removal removes what was seen, and no more",
        country: "TW",
        before: &[In("tokyo", "tea", 1)],
        apart: &[In("taiwan", "tea", 2), Out("tokyo", "tea")],
        after: &[],
        cart: &[("tea", 2)],
        last_whole: &[],
    },
    Story {
        name: "what both have removed is gone",
        country: "JP",
        before: &[In("tokyo", "tea", 1), In("taiwan", "cup", 1)],
        apart: &[Out("taiwan", "tea"), Out("tokyo", "tea")],
        after: &[],
        cart: &[("cup", 1)],
        last_whole: &[("cup", 1)],
    },
    Story {
        name: "a cart that is whole again before copies are exchanged",
        country: "KR",
        before: &[],
        apart: &[In("taiwan", "tea", 1)],
        after: &[In("tokyo", "cup", 1)],
        cart: &[("cup", 1), ("tea", 1)],
        last_whole: &[("cup", 1)],
    },
    Story {
        name: "one region alone is no conflict",
        country: "TW",
        before: &[In("taiwan", "tea", 1)],
        apart: &[In("taiwan", "pot", 1), Out("taiwan", "tea")],
        after: &[],
        cart: &[("pot", 1)],
        last_whole: &[("pot", 1)],
    },
];

/// Orders of Taiwanese customers are placed in Taiwan, all others in Tokyo.
fn world() -> WorldState {
    leases(&[
        ("orders/taiwan~tokyo", Some("taiwan")),
        ("orders/tokyo", Some("tokyo")),
        ("orders/tokyo+taiwan", Some("tokyo")),
    ])
}

/// Two regions with the cart services behind them.
struct Shop {
    regions: Regions,
    carts: Carts,
    /// From the Envoy of one region to that of the other, and back.
    ways: [Gate; 2],
}

impl Shop {
    async fn open() -> Result<Self, Trouble> {
        let carts = Carts::start(REGIONS).await?;
        let mut regions = Regions::start(&world()).await?;
        match behind(&mut regions, &carts).await {
            Ok(ways) => Ok(Self { regions, carts, ways }),
            Err(trouble) => {
                regions.stop().await;
                Err(trouble)
            }
        }
    }

    /// Cuts all that is between the regions, or heals it; then waits until they see each other.
    async fn between(&self, way: Way) -> Check {
        for gate in &self.ways {
            gate.set(way).await?;
        }
        self.carts.link(way).await?;
        if way != Way::Open {
            return Ok(());
        }
        for (number, story) in STORIES.iter().enumerate() {
            until("a checkout gets to the other region", async || {
                let (status, _) = self.checkout(far(story.country), number).await.ok()?;
                (status == 200).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        region: &str,
        customer: (usize, &str),
        request: RawRequest,
    ) -> Result<RawResponse, Trouble> {
        let (number, country) = customer;
        let token = token(&self.regions.run, &user(number), country)?;
        send(self.regions.edge(region)?, &request.header("authorization", token)).await
    }

    /// Plays writes of one customer. An account of those that were not made where they entered.
    async fn write(&self, number: usize, writes: &[Write]) -> Result<String, Trouble> {
        let mut account = String::new();
        for write in writes {
            let items = format!("/api/v1/carts/{}/items", user(number));
            let (entry, request) = match write {
                In(entry, item, quantity) => {
                    let body = json!({"item": item, "quantity": quantity}).to_string();
                    (*entry, RawRequest::new("POST", items).body(body))
                }
                Out(entry, item) => (*entry, RawRequest::new("DELETE", format!("{items}/{item}"))),
            };
            let country = STORIES.get(number).map_or("KR", |story| story.country);
            let held = self.carts.copy(entry, &user(number))?.version();
            let response = self.send(entry, (number, country), request).await?;
            let text = |name: &str| {
                response.header(name).map(|value| String::from_utf8_lossy(value).into_owned())
            };
            let is_here = text("x-echo-region").as_deref() == Some(entry);
            // What the service held when the write came, for the guards on the way back.
            let is_told = text("x-meshfence-current") == held.map(|version| version.to_string());
            if response.status != 200 || !is_here || !is_told {
                // Writing into a String cannot fail.
                let _ = writeln!(account, "{write:?}: {} {}", response.status, response.text());
            }
        }
        Ok(account)
    }

    /// Plays one phase of every story.
    async fn phase(&self, writes: impl Fn(&Story) -> &[Write]) -> Result<String, Trouble> {
        let mut account = String::new();
        for (number, story) in STORIES.iter().enumerate() {
            account += &self.write(number, writes(story)).await?;
        }
        Ok(account)
    }

    /// Checks out, and returns the status and what was answered.
    async fn checkout(&self, entry: &str, number: usize) -> Result<(u16, Value), Trouble> {
        let request = RawRequest::new("POST", "/api/v1/checkout")
            .header("idempotency-key", "k-1")
            .body(json!({"user": user(number)}).to_string());
        let country = STORIES.get(number).map_or("KR", |story| story.country);
        let response = self.send(entry, (number, country), request).await?;
        let answer = match response.header("x-meshfence-reason") {
            // Of what the mesh itself answers, why.
            Some(reason) => Value::from(String::from_utf8_lossy(reason)),
            None => serde_json::from_slice(&response.body).unwrap_or_default(),
        };
        Ok((response.status, answer))
    }

    /// Checks every customer out at an edge. An account of the carts that are not what they should be.
    async fn check_all_out(&self, entry: &str) -> Result<String, Trouble> {
        let mut account = String::new();
        for (number, story) in STORIES.iter().enumerate() {
            let wanted =
                json!({"items": items(story.cart), "lastWriteWins": items(story.last_whole)});
            let found = self.checkout(entry, number).await?;
            if found != (200, wanted.clone()) {
                let _ = writeln!(account, "{} at {entry}: {found:?}, not {wanted}", story.name);
            }
        }
        Ok(account)
    }

    /// Nobody is checked out at this edge: where checkouts run, the service cannot ask the other
    /// region; elsewhere the mesh does not get there.
    async fn check_nobody_out(
        &self,
        entry: &str,
        stories: impl Iterator<Item = (usize, &Story)>,
    ) -> Result<String, Trouble> {
        let mut account = String::new();
        for (number, story) in stories {
            let other = far(story.country);
            let wanted = if entry == other {
                json!("holder_unreachable")
            } else {
                json!({"missing": [other]})
            };
            let found = self.checkout(entry, number).await?;
            if found != (503, wanted) {
                let _ = writeln!(account, "{} at {entry}, cut: {found:?}", story.name);
            }
        }
        Ok(account)
    }

    /// The copies of all customers' carts in one region.
    fn copies(&self, region: &str) -> Result<Vec<CartCopy>, Trouble> {
        (0..STORIES.len()).map(|number| self.carts.copy(region, &user(number))).collect()
    }
}

/// The region where somebody from this country does not check out.
fn far(country: &str) -> &'static str {
    if country == "TW" { "tokyo" } else { "taiwan" }
}

/// Puts the cart services in the place of the applications, and gates between the regions.
async fn behind(regions: &mut Regions, carts: &Carts) -> Result<[Gate; 2], Trouble> {
    let [taiwan, tokyo] = REGIONS.map(|region| regions.run.address(region, Role::Peer));
    let (Some(taiwan), Some(tokyo)) = (taiwan, tokyo) else {
        return Err(Trouble::new("a region has no east-west listener"));
    };
    let ways = [Gate::to(tokyo).await?, Gate::to(taiwan).await?];
    let mut ports = Vec::new();
    for ((region, peer), way) in REGIONS.into_iter().zip([tokyo, taiwan]).zip(&ways) {
        ports.push((region, regions.application(region)?, carts.addr(region)?));
        ports.push((region, peer, way.addr()));
    }
    let port = |addr: &SocketAddr| format!("port_value: {}\n", addr.port());
    let alter = |name: &str, text: &str| {
        let own = ports.iter().filter(|(region, ..)| *region == name);
        Some(own.fold(text.to_owned(), |text, (_, old, new)| text.replace(&port(old), &port(new))))
    };
    regions.run.restart_with(alter, &mut |_| {}).await?;
    for region in REGIONS {
        // The echo upstream would answer to anything.
        let edge = regions.edge(region)?;
        until("the carts are behind the edge", async || {
            let none = RawRequest::new("GET", "/api/v1/carts/nobody");
            (send(edge, &none).await.ok()?.status == 404).then_some(())
        })
        .await?;
    }
    Ok(ways)
}

fn user(number: usize) -> String {
    format!("customer-{number}")
}

fn items(listed: &[(&str, u64)]) -> Items {
    listed.iter().map(|(item, quantity)| ((*item).to_owned(), *quantity)).collect()
}

// The services and the links go on while the test waits for an Envoy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carts_of_two_regions_are_one_at_checkout() -> Check {
    let shop = Shop::open().await?;
    let result = stories(&shop).await;
    shop.regions.stop().await;
    Trouble::unless_empty(&result?)
}

async fn stories(shop: &Shop) -> Result<String, Trouble> {
    let carts = &shop.carts;
    let mut account = shop.phase(|story| story.before).await?;
    let seen_early = shop.copies("tokyo")?;
    if carts.replicate().await == 0 {
        account += "nothing was exchanged before the partition\n";
    }
    let together = shop.copies("taiwan")?;
    if together != shop.copies("tokyo")? {
        account += "the regions have different carts before the partition\n";
    }

    shop.between(Way::Refusing).await?;
    account += &shop.phase(|story| story.apart).await?;
    let arrived = carts.replicate().await;
    if arrived != 0 {
        let _ = writeln!(account, "{arrived} copies got through a link that is cut");
    }
    // While it is cut there is no checkout, and never half a cart.
    for entry in REGIONS {
        account += &shop.check_nobody_out(entry, STORIES.iter().enumerate()).await?;
    }
    // A link that swallows everything is no better. One is enough: each waits for its limit.
    carts.link(Way::Silent).await?;
    account += &shop.check_nobody_out("tokyo", STORIES.iter().enumerate().take(1)).await?;

    shop.between(Way::Open).await?;
    account += &shop.phase(|story| story.after).await?;
    // A checkout asks the other region itself; it does not wait for the next exchange.
    for entry in REGIONS {
        account += &shop.check_all_out(entry).await?;
    }

    // Then copies arrive: all of them, twice, and among them those of before.
    let (taiwan, tokyo) = (shop.copies("taiwan")?, shop.copies("tokyo")?);
    carts.replicate().await;
    let converged = shop.copies("taiwan")?;
    for (copies, why) in [(&together, "old"), (&tokyo, "the other's"), (&taiwan, "its own")] {
        for (number, copy) in copies.iter().enumerate() {
            for region in REGIONS {
                carts.deliver(region, &user(number), copy.clone())?;
            }
        }
        for region in REGIONS {
            if shop.copies(region)? != converged {
                let _ = writeln!(account, "{region}: {why} copies make a difference");
            }
        }
    }
    for (number, copy) in seen_early.into_iter().enumerate().rev() {
        carts.deliver("taiwan", &user(number), copy)?;
    }
    carts.replicate().await;
    carts.replicate().await;
    for region in REGIONS {
        if shop.copies(region)? != converged {
            let _ = writeln!(account, "{region} has not converged");
        }
        account += &shop.check_all_out(region).await?;
    }
    account += &judge(&carts.arrivals());
    Ok(account)
}

/// What the mesh has said of each request: carts' writes have a version of the region where they
/// entered, and are not to be merged; a checkout has none, and is.
fn judge(arrivals: &[Arrival]) -> String {
    let mut account = String::new();
    let (mut writes, mut checkouts) = (0, 0);
    for arrival in arrivals {
        let Arrival { region, what, version, merge } = arrival;
        let is_checkout = what.ends_with("/checkout");
        let is_write = !is_checkout && !what.starts_with("GET ");
        let code = if *region == "taiwan" { "-tpe-" } else { "-tyo-" };
        let fine = if is_checkout {
            checkouts += 1;
            // In the order of the regions.
            version.is_none() && merge.as_deref() == Some("or-set; regions=\"taiwan tokyo\"")
        } else if is_write {
            writes += 1;
            merge.is_none() && version.as_ref().is_some_and(|version| version.contains(code))
        } else {
            merge.is_none() && version.is_none()
        };
        if !fine {
            let _ = writeln!(account, "{arrival:?}");
        }
    }
    let wanted: usize = STORIES
        .iter()
        .map(|story| story.before.len() + story.apart.len() + story.after.len())
        .sum();
    if writes != wanted || checkouts == 0 {
        let _ = writeln!(account, "{writes} writes of {wanted}, {checkouts} checkouts");
    }
    account
}

/// The table is about something: most of its carts lose or regain items where the last whole one wins.
#[test]
fn the_last_whole_cart_would_not_do() {
    let differ = STORIES.iter().filter(|story| story.cart != story.last_whole).count();
    assert_eq!((differ, STORIES.len()), (6, 8));
}
