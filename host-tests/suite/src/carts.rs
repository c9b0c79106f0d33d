//! A small cart service on the reference merges, one for each region: what an application does with
//! the headers of the mesh, written as its author would.
//!
//! | request | what comes of it |
//! |---|---|
//! | `POST /api/v1/carts/<user>/items` with `{"item": "tea", "quantity": 2}` | puts in, under `x-meshfence-version` |
//! | `DELETE /api/v1/carts/<user>/items/<item>` | takes out what this region has seen of it |
//! | `POST /api/v1/checkout` with `{"user": "mei"}` | merges the carts of the regions that `x-meshfence-merge` names |
//! | `GET /health` | `200` |
//!
//! Its twin in the other region asks `GET /twin/<user>` for a copy of a cart, and brings one with
//! `POST /twin/<user>`; never through the mesh, always over a link that a test can cut. Beside every
//! cart the service has what it would have if the last whole cart won, under the same versions.

mod copy;
mod server;

pub use copy::{CartCopy, Items};
pub use server::{HttpRequest, HttpResponse};

use crate::{Gate, Trouble, Way};
use guard::header::{CURRENT, MERGE, VERSION};
use local_mesh::client::{self, RawRequest};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use versions::Stamp;

/// How long the twin may take: less than whoever checks out waits.
const TWIN_LIMIT: Duration = Duration::from_secs(2);

/// The cart services of two regions, and the link between them.
#[derive(Debug)]
pub struct Carts {
    services: [Service; 2],
    /// One for each direction: from the first region to the second, and back.
    links: [Gate; 2],
}

/// One region's.
#[derive(Debug)]
struct Service {
    addr: SocketAddr,
    state: Shared,
    _task: JoinSet<()>,
}

type Shared = Arc<Mutex<State>>;

#[derive(Debug)]
struct State {
    region: &'static str,
    carts: BTreeMap<String, CartCopy>,
    /// The other region, and where this one reaches it.
    twin: Option<(&'static str, SocketAddr)>,
    seen: Vec<Arrival>,
}

/// A request of a user as the service saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The region of the service.
    pub region: &'static str,
    /// Method and path.
    pub what: String,
    /// The value of `x-meshfence-version`.
    pub version: Option<String>,
    /// The value of `x-meshfence-merge`.
    pub merge: Option<String>,
}

#[derive(Deserialize)]
struct Put {
    item: String,
    quantity: u32,
}

#[derive(Deserialize)]
struct Checkout {
    user: String,
}

impl Carts {
    /// Starts the services of two regions, which see each other.
    ///
    /// # Errors
    /// No free port.
    pub async fn start(regions: [&'static str; 2]) -> Result<Self, Trouble> {
        let [first, second] = regions;
        let services = [Service::start(first).await?, Service::start(second).await?];
        let [one, other] = &services;
        let links = [Gate::to(other.addr).await?, Gate::to(one.addr).await?];
        let [there, back] = &links;
        lock(&one.state).twin = Some((second, there.addr()));
        lock(&other.state).twin = Some((first, back.addr()));
        Ok(Self { services, links })
    }

    /// Where a region's service listens.
    ///
    /// # Errors
    /// That there is no such region.
    pub fn addr(&self, region: &str) -> Result<SocketAddr, Trouble> {
        Ok(self.service(region)?.addr)
    }

    /// Cuts the link between the regions, one way or another, or heals it.
    ///
    /// # Errors
    /// That it does not happen.
    pub async fn link(&self, way: Way) -> Result<(), Trouble> {
        for link in &self.links {
            link.set(way).await?;
        }
        Ok(())
    }

    /// Every region brings the other one a copy of every cart that it has. Returns how many arrived.
    pub async fn replicate(&self) -> usize {
        let mut arrived = 0;
        for service in &self.services {
            let copies = lock(&service.state).carts.clone();
            for (user, copy) in copies {
                arrived += usize::from(bring(&service.state, &user, &copy).await.is_ok());
            }
        }
        arrived
    }

    /// Hands a region a copy of a cart, as its twin would: late, twice or out of order.
    ///
    /// # Errors
    /// That there is no such region.
    pub fn deliver(&self, region: &str, user: &str, copy: CartCopy) -> Result<(), Trouble> {
        lock(&self.service(region)?.state).cart(user).merge(copy);
        Ok(())
    }

    /// What a region has of a cart.
    ///
    /// # Errors
    /// That there is no such region.
    pub fn copy(&self, region: &str, user: &str) -> Result<CartCopy, Trouble> {
        let state = lock(&self.service(region)?.state);
        Ok(state.carts.get(user).cloned().unwrap_or_default())
    }

    /// What users have sent, region by region.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.services.iter().flat_map(|service| lock(&service.state).seen.clone()).collect()
    }

    fn service(&self, region: &str) -> Result<&Service, Trouble> {
        let found = self.services.iter().find(|service| lock(&service.state).region == region);
        found.ok_or_else(|| Trouble::new(format!("no carts are kept in `{region}`")))
    }
}

impl Service {
    async fn start(region: &'static str) -> Result<Self, Trouble> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let (carts, seen) = (BTreeMap::new(), Vec::new());
        let state = Arc::new(Mutex::new(State { region, carts, twin: None, seen }));
        let answering = Arc::clone(&state);
        let mut task = JoinSet::new();
        task.spawn(server::serve(listener, move |request| {
            let state = Arc::clone(&answering);
            async move {
                let response = answer(&state, &request).await;
                response.header("x-echo-region", region)
            }
        }));
        Ok(Self { addr, state, _task: task })
    }
}

impl State {
    fn cart(&mut self, user: &str) -> &mut CartCopy {
        self.carts.entry(user.to_owned()).or_default()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(state: &Shared, request: &HttpRequest) -> HttpResponse {
    let path: Vec<&str> = request.path.split('/').skip(1).collect();
    if let ["api", ..] = path.as_slice() {
        let text = |name: &str| request.header(name).map(str::to_owned);
        let mut state = lock(state);
        let region = state.region;
        state.seen.push(Arrival {
            region,
            what: format!("{} {}", request.method, request.path),
            version: text(VERSION),
            merge: text(MERGE),
        });
    }
    match (request.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => HttpResponse::new(200, &json!({})),
        ("POST", ["api", "v1", "carts", user, "items"]) => {
            let Some(Put { item, quantity }) = request.json() else {
                return HttpResponse::new(400, &json!({"wrong": "body"}));
            };
            write(state, request, user, |cart, version| cart.add(item, quantity, version))
        }
        ("DELETE", ["api", "v1", "carts", user, "items", item]) => {
            write(state, request, user, |cart, version| cart.remove(item, version))
        }
        ("POST", ["api", "v1", "checkout"]) => match request.json() {
            Some(Checkout { user }) => checkout(state, request, &user).await,
            None => HttpResponse::new(400, &json!({"wrong": "body"})),
        },
        ("GET", ["twin", user]) => HttpResponse::new(200, &json!(lock(state).cart(user))),
        ("POST", ["twin", user]) => match request.json() {
            Some(copy) => {
                lock(state).cart(user).merge(copy);
                HttpResponse::new(200, &json!({}))
            }
            None => HttpResponse::new(400, &json!({"wrong": "copy"})),
        },
        _ => HttpResponse::new(404, &json!({})),
    }
}

/// A write under the version that the mesh gave it; without one nobody could tell it from others.
fn write(
    state: &Shared,
    request: &HttpRequest,
    user: &str,
    change: impl FnOnce(&mut CartCopy, Stamp),
) -> HttpResponse {
    let version = request.header(VERSION).and_then(|text| Stamp::parse(text.as_bytes()));
    let Some(version) = version else {
        return HttpResponse::new(400, &json!({"wrong": VERSION}));
    };
    let mut state = lock(state);
    let cart = state.cart(user);
    // What was there when the write came.
    let held = cart.version();
    change(cart, version);
    let response = HttpResponse::new(200, &json!({"items": cart.items()}));
    match held {
        Some(held) => response.header(CURRENT, held),
        None => response,
    }
}

/// The carts of the regions that the mesh names, as one. If one of them cannot be asked, what was
/// put in there would be missing, so there is no checkout.
async fn checkout(state: &Shared, request: &HttpRequest, user: &str) -> HttpResponse {
    let Some(named) = request.header(MERGE).and_then(regions) else {
        return HttpResponse::new(400, &json!({"wrong": MERGE}));
    };
    let (here, twin) = {
        let state = lock(state);
        (state.region, state.twin)
    };
    let (mut copies, mut missing) = (Vec::new(), Vec::new());
    for region in named {
        let copy = match twin {
            _ if region == here => Some(lock(state).cart(user).clone()),
            Some((name, addr)) if region == name => ask(addr, user).await.ok(),
            _ => None,
        };
        match copy {
            Some(copy) => copies.push(copy),
            None => missing.push(region),
        }
    }
    if !missing.is_empty() {
        let response = HttpResponse::new(503, &json!({"missing": missing}));
        return response.header("retry-after", "1");
    }
    let merged = CartCopy::checkout(copies);
    let answer = json!({"items": merged.items(), "lastWriteWins": merged.last_whole()});
    HttpResponse::new(200, &answer)
}

/// `taiwan` and `tokyo` of `or-set; regions="taiwan tokyo"`; none for another strategy.
fn regions(merge: &str) -> Option<Vec<String>> {
    let named = merge.strip_prefix("or-set; regions=\"")?.strip_suffix('"')?;
    Some(named.split(' ').map(str::to_owned).collect())
}

async fn ask(twin: SocketAddr, user: &str) -> Result<CartCopy, Trouble> {
    let request = RawRequest::new("GET", format!("/twin/{user}"));
    let response = client::send(twin, &request, TWIN_LIMIT).await?;
    Ok(serde_json::from_slice(&response.body)?)
}

async fn bring(state: &Shared, user: &str, copy: &CartCopy) -> Result<(), Trouble> {
    let twin = lock(state).twin.ok_or_else(|| Trouble::new("there is no twin"))?.1;
    let request = RawRequest::new("POST", format!("/twin/{user}")).body(json!(copy).to_string());
    let response = client::send(twin, &request, TWIN_LIMIT).await?;
    if response.status == 200 { Ok(()) } else { Err(Trouble::new(response.status.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sets_are_merged_here() {
        for (merge, named) in [
            ("or-set; regions=\"taiwan tokyo\"", Some(vec!["taiwan", "tokyo"])),
            ("or-set; regions=\"tokyo\"", Some(vec!["tokyo"])),
            ("append-only; regions=\"taiwan tokyo\"", None),
            ("or-set", None),
        ] {
            let named = named.map(|all| all.into_iter().map(str::to_owned).collect());
            assert_eq!(regions(merge), named, "{merge}");
        }
    }
}
