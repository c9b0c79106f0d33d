//! The engine of the built module: in a host that keeps Envoy's rules, in the model of the local
//! mesh. Each region is a proxy of that host, attached and routed as the rendered Envoys are.

use super::Observation;
use super::mesh::Meshes;
use super::mesh::claims::{Claims, NAMESPACE};
use super::mesh::guards::{Arrival, Back, Guards, Judged, Proxy, Site};
use super::mesh::message::{Headers, Request, Response};
use super::mesh::routes::{NO_ROUTE, Route, To, When};
use policy_core::Role;
use policy_core::name::{FILTER_STATE_PEER_IDS, HEADER_ROUTE, PROPERTY_DECISION, ROOT_GUARD};
use policy_doc::{Case, PolicySet};
use render::{CLUSTER_APPLICATION, CLUSTER_UPSTREAM, PEER_CLUSTER_PREFIX};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};
use wasm_host::{
    Code, Ended, Failure, FailurePolicy, Host, LoadError, LogLevel, LogLine, Outcome, Plugin,
    StreamNumber,
};

/// The engine.
#[derive(Debug)]
pub struct Wasm(Meshes<Module>);

impl Wasm {
    /// An engine for a policy set. The first one of a process compiles the module.
    ///
    /// # Errors
    /// Why the module cannot be loaded.
    pub fn new(set: &PolicySet) -> Result<Self, String> {
        static CODE: OnceLock<Result<Code, LoadError>> = OnceLock::new();
        let code = CODE.get_or_init(|| Code::compile(module::WASM)).clone();
        Ok(Self(Meshes::new(set, Module(code.map_err(|error| error.to_string())?))))
    }

    /// Plays one case.
    ///
    /// # Errors
    /// Why it cannot be played: a request that should be in flight was refused, a policy that a
    /// guard refuses, a trap.
    pub fn play(&mut self, case: &Case) -> Result<Observation, String> {
        self.0.play(case)
    }
}

/// Guards that are the module.
#[derive(Debug)]
struct Module(Code);

/// One region's proxy.
#[derive(Debug)]
struct Region {
    name: String,
    proxy: wasm_host::Proxy,
    /// Where its clusters are.
    clusters: BTreeMap<String, To>,
}

/// A request at a guard.
#[derive(Debug)]
struct Visit {
    role: Role,
    stream: StreamNumber,
    is_over: bool,
    /// The decision record, once it is over.
    record: Option<Value>,
}

impl Guards for Module {
    type Proxy = Region;

    fn start(&self, site: &Site<'_>) -> Result<Region, String> {
        let mut clusters = BTreeMap::new();
        let mut host = None;
        for role in render::roles(site.set) {
            let plugin = plugin(&self.0, site, role)?;
            let mut with = match host.take() {
                None => Host::of(plugin),
                Some(host) => Host::plugin(host, plugin),
            };
            let name = render::plugin_name(role);
            with = with.listener(render::listener_name(role), &[&name]);
            for Route { when, to } in site.routes(role) {
                with = with.route(route(when, &to).at(render::listener_name(role)));
                if let Some(cluster) = cluster(&to) {
                    with = with.cluster(&cluster, wasm_host::ok);
                    clusters.insert(cluster, to);
                }
            }
            host = Some(with);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = site.region.to_owned();
        let host = host.ok_or_else(|| format!("{name} has no listener"))?;
        let host = host
            .seed(u64::from(site.node))
            .unix_ns(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        let proxy = host.start().map_err(|error| format!("the proxy of {name}: {error}"))?;
        // The module takes every configuration, and says what it thinks of it.
        if let Some(line) = complaint(&proxy.logs()) {
            return Err(format!("the proxy of {name}: {line}"));
        }
        Ok(Region { name, proxy, clusters })
    }
}

impl Proxy for Region {
    type Stream = Visit;

    fn judge(&mut self, arrival: Arrival) -> Result<(Visit, Judged), String> {
        let role = arrival.role;
        let stream = self.proxy.open(request(arrival));
        let mut visit = Visit { role, stream, is_over: false, record: None };
        let Some(passed) = self.proxy.waiting(stream) else {
            let response = self.close(&mut visit)?;
            return Ok((visit, Judged::Answered(response)));
        };
        let request = Request { headers: owned(&passed.headers), body: passed.body.clone() };
        let to = self.clusters.get(&passed.cluster).cloned().unwrap_or(To::Nowhere);
        Ok((visit, Judged::Passed(request, to)))
    }

    fn see(&mut self, visit: &mut Visit, back: Back) -> Result<Response, String> {
        if let Some(id) = back.from {
            let attribute = ["upstream", "uri_san_peer_certificate"];
            self.proxy.attribute(visit.stream, &attribute, id);
        }
        if let Some(region) = back.region {
            self.proxy.attribute(visit.stream, &["upstream", "locality", "region"], region);
        }
        match back.response {
            Some(Response { status, headers, body, trailers, is_cut }) => {
                let mut response = wasm_host::Response::new(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                for piece in body {
                    response = response.body(piece);
                }
                for (name, value) in trailers {
                    response = response.trailer(name, value);
                }
                if is_cut {
                    self.proxy.cut(visit.stream, response);
                } else {
                    self.proxy.respond(visit.stream, response);
                }
            }
            // Its health checks have told.
            None => self.proxy.fail(visit.stream, Failure::NoHealthyHost),
        }
        self.close(visit)
    }

    fn end(&mut self, mut visit: Visit) -> Option<Value> {
        if !visit.is_over {
            // It is in flight, and nobody waits for it any more.
            visit.record = record(&self.proxy.close(visit.stream));
        }
        visit.record
    }
}

impl Region {
    /// Takes what the client got of a stream.
    ///
    /// # Errors
    /// That nothing came, or that the module failed.
    fn close(&mut self, visit: &mut Visit) -> Result<Response, String> {
        let has_ended = self.proxy.has_ended(visit.stream);
        let outcome = self.proxy.close(visit.stream);
        visit.is_over = true;
        visit.record = record(&outcome);
        let (name, role) = (&self.name, visit.role);
        if let Some(line) = complaint(&outcome.logs) {
            return Err(format!("the module of {name} as {role}: {line}"));
        }
        if !has_ended {
            return Err(format!("the guard of {name} as {role} neither passes nor answers"));
        }
        // Reset before its headers, it is no response that Envoy would pass on.
        if outcome.status == 0 {
            return Err(format!("the guard of {name} as {role} lets nothing go on"));
        }
        Ok(Response {
            status: outcome.status,
            headers: owned(&outcome.headers),
            body: if outcome.body.is_empty() { Vec::new() } else { vec![outcome.body] },
            trailers: outcome.trailers.as_ref().map(owned).unwrap_or_default(),
            is_cut: outcome.ended == Ended::Reset,
        })
    }
}

fn owned(headers: &wasm_host::Headers) -> Headers {
    headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}

/// The attachment of a role.
fn plugin(code: &Code, site: &Site<'_>, role: Role) -> Result<Plugin, String> {
    let config = site.set.plugin_config(site.region, role);
    let config = serde_json::to_vec(&config).map_err(|error| error.to_string())?;
    let plugin = Plugin::new(render::plugin_name(role), code)
        .root_id(ROOT_GUARD)
        .configuration(config)
        .failure_policy(FailurePolicy::RELOAD)
        .allow_on_headers_stop_iteration(site.set.redacts());
    Ok(site.secrets().into_iter().fold(plugin, |plugin, (name, secret)| plugin.env(name, secret)))
}

fn route(when: When, to: &To) -> wasm_host::Route {
    let (status, body) = NO_ROUTE;
    let route =
        cluster(to).map_or_else(|| wasm_host::Route::direct(status, body), wasm_host::Route::to);
    match when {
        When::Always => route,
        When::Chosen(region) => route.header(HEADER_ROUTE, region),
        When::AnyChosen => route.header_present(HEADER_ROUTE),
    }
}

fn cluster(to: &To) -> Option<String> {
    match to {
        To::Proxy { region, role: Role::Peer } => Some(format!("{PEER_CLUSTER_PREFIX}{region}")),
        To::Proxy { .. } => Some(CLUSTER_UPSTREAM.to_owned()),
        To::Application => Some(CLUSTER_APPLICATION.to_owned()),
        To::Nowhere => None,
    }
}

/// A request with everything that the filters before the guard leave behind.
fn request(arrival: Arrival) -> wasm_host::Request {
    let Arrival { role, request, client, claims } = arrival;
    let mut sent = wasm_host::Request::of(request.headers.into_iter().collect())
        .listener(render::listener_name(role));
    if !request.body.is_empty() {
        sent = sent.body(request.body);
    }
    if let Some(Claims { issuer, payload }) = claims {
        let payload = value(&Value::Object(payload));
        sent = sent.metadata(NAMESPACE, wasm_host::Value::map([(issuer, payload)]));
    }
    if let Some(id) = client {
        sent = sent
            .attribute(&["connection", "mtls"], true)
            .attribute(&["connection", "uri_san_peer_certificate"], id.clone())
            .filter_state(FILTER_STATE_PEER_IDS, id);
    }
    sent
}

/// A claim as metadata has it.
fn value(claim: &Value) -> wasm_host::Value {
    match claim {
        Value::Null => wasm_host::Value::Null,
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN).into(),
        Value::String(text) => wasm_host::Value::text(text),
        Value::Array(items) => wasm_host::Value::List(items.iter().map(value).collect()),
        Value::Object(fields) => {
            wasm_host::Value::map(fields.iter().map(|(name, field)| (name, value(field))))
        }
    }
}

fn record(outcome: &Outcome) -> Option<Value> {
    serde_json::from_slice(&outcome.property(PROPERTY_DECISION)?.serialize().ok()?).ok()
}

/// What somebody should know of: the module logs an error where it cannot do its work, and its host
/// does where the module failed.
fn complaint(logs: &[LogLine]) -> Option<String> {
    let line = logs.iter().find(|line| line.level >= LogLevel::Error)?;
    Some(line.message.clone())
}
