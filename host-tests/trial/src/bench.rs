//! Proxies that are there already: starting one costs more than a hundred requests.

use crate::promise::{self, Exchanged};
use crate::script::{Exchange, Script};
use crate::seen::Seen;
use crate::setting::{HOST, Setting, peer};
use policy_core::Role;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use wasm_host::{Answer, Headers, Incoming, Outcome, Proxy, Request, Service, UPSTREAM, get, post};

/// After so many scripts a proxy is replaced: it remembers everything that it did.
const SCRIPTS_MAX: u32 = 200;

/// What answers behind a proxy: whatever the exchange at hand says.
#[derive(Clone)]
pub(crate) struct Behind(Rc<RefCell<Answer>>);

impl Behind {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(wasm_host::ok(Incoming::default()))))
    }

    pub(crate) fn service(&self) -> impl Service + use<> {
        let answer = Rc::clone(&self.0);
        move |_: Incoming| answer.borrow().clone()
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.0.borrow_mut() = answer;
    }
}

/// A proxy with one attachment.
struct Place {
    proxy: Proxy,
    behind: Behind,
    scripts: u32,
}

/// The proxies of a thread.
#[derive(Default)]
pub(crate) struct Bench {
    places: BTreeMap<(Role, &'static str), Place>,
}

impl Bench {
    /// Plays a script.
    ///
    /// # Errors
    /// What it broke.
    pub(crate) fn play(
        &mut self,
        setting: &Setting,
        script: &Script,
        base: Option<&Exchange>,
    ) -> Result<Seen, String> {
        let region = if script.in_tokyo { "tokyo" } else { "taiwan" };
        let key = (script.role, region);
        let mut place = match self.places.remove(&key) {
            Some(place) if place.scripts < SCRIPTS_MAX => place,
            _ => Place::new(setting, region, script.role)?,
        };
        let seen = place.play(setting, script, base, region);
        place.scripts = place.scripts.saturating_add(1);
        // A proxy that broke a promise is not used again.
        if seen.is_ok() {
            self.places.insert(key, place);
        }
        seen
    }
}

impl Place {
    fn new(setting: &Setting, region: &str, role: Role) -> Result<Self, String> {
        let behind = Behind::new();
        let host = [UPSTREAM, "taiwan", "tokyo"]
            .into_iter()
            .fold(setting.host(setting.plugin(region, role)?), |host, cluster| {
                host.cluster(cluster, behind.service())
            });
        let proxy = host.start().map_err(|error| error.to_string())?;
        Ok(Self { proxy, behind, scripts: 0 })
    }

    fn play(
        &mut self,
        setting: &Setting,
        script: &Script,
        base: Option<&Exchange>,
        region: &str,
    ) -> Result<Seen, String> {
        let mut seen = Seen::default();
        for exchange in &script.exchanges {
            for (callback, arguments) in &exchange.calls {
                let before = self.proxy.trace().callbacks.len();
                self.proxy.provoke(&format!("meshfence.{}", script.role), callback, arguments);
                let trace = self.proxy.trace();
                let mut new = trace.callbacks.iter().skip(before);
                if let Some(trap) = new.find_map(|callback| callback.trap.as_ref()) {
                    return Err(format!("{callback} {arguments:?} traps: {trap}"));
                }
            }
            self.behind.set(exchange.answer_or(base));
            let outcome = self.send(request(exchange, base))?;
            promise::keep(
                &outcome,
                &Exchanged { exchange, role: script.role, region, is_sampled: false },
            )?;
            seen.add(&outcome);
        }
        self.behind.set(wasm_host::ok(Incoming::default()));
        self.still_serves(setting, script.role, region)?;
        Ok(seen)
    }

    fn send(&mut self, request: Request) -> Result<Outcome, String> {
        self.proxy.send(request).map_err(|error| error.to_string())
    }

    /// Whatever came, the next request is served.
    fn still_serves(&mut self, setting: &Setting, role: Role, region: &str) -> Result<(), String> {
        let request = match role {
            // Of these few are in flight at a time, so a place that is not given back is missed.
            Role::Edge | Role::Outbound => post("/api/v1/reviews/9"),
            Role::Inbound => get("/api/v1/products/1"),
            Role::Peer => {
                let other = setting.regions().find(|known| *known != region);
                let id = other.and_then(|other| setting.peer_id(other)).unwrap_or_default();
                peer(get("/health"), id)
            }
        };
        let outcome = self.send(request.header(":authority", HOST))?;
        let is_served = outcome.status == 200 && outcome.upstream.is_some();
        if is_served {
            Ok(())
        } else {
            Err(format!("the next request is not served: \n{}", promise::shown(&outcome)))
        }
    }
}

/// The request of an exchange. One that says no header has those of another one.
pub(crate) fn request(exchange: &Exchange, base: Option<&Exchange>) -> Request {
    let headers = match base {
        Some(base) if exchange.headers.is_empty() => &base.headers,
        _ => &exchange.headers,
    };
    let mut headers = headers.clone();
    // Envoy's connection manager sees to it that there is one.
    if headers.get(":scheme").is_none() {
        headers.add(":scheme", "http");
    }
    let mut request = Request::of(headers);
    for part in &exchange.body {
        request = request.body(part.clone());
    }
    for (name, value) in exchange.trailers.iter().flat_map(Headers::iter) {
        request = request.trailer(name, value);
    }
    let base = base.into_iter().flat_map(|base| &base.attributes);
    for (path, value) in base.chain(&exchange.attributes) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        request = request.attribute(&path, value.clone());
    }
    request
}
