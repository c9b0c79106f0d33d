//! One region's proxy: a guard for each role, in one VM that is none.

use super::properties;
use crate::engine::mesh::guards::{self, Arrival, Back, Judged, Site};
use crate::engine::mesh::message::{Request, Response};
use crate::engine::mesh::routes::{self, Route, To};
use guard::fake::{FakeHost, FakeVm};
use guard::{Attached, Flow, Guard, LastGood, ROOT, Stream, Worker};
use policy_core::Role;
use policy_core::name::FILTER_STATE_PEER_IDS;
use policy_core::wire::PluginConfig;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Envoy's flag for a cluster that has no healthy host.
const NO_HEALTHY_UPSTREAM: u64 = 1 << 1;

/// One region's proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    /// The configuration of its guards, but for the role.
    config: PluginConfig,
    /// Those that a request has been at.
    guards: BTreeMap<Role, Guard>,
    routes: BTreeMap<Role, Vec<Route>>,
    worker: Worker,
    vm: FakeVm,
}

/// A request at a guard, from its headers to the end of its stream.
#[derive(Debug)]
pub(super) struct Visit {
    role: Role,
    host: FakeHost,
    stream: Stream,
}

impl Proxy {
    pub(super) fn new(site: &Site<'_>) -> Self {
        let secrets = site.secrets().into_iter();
        let secrets = secrets.map(|(name, secret)| (name.to_owned(), secret.into()));
        Self {
            config: site.set.plugin_config(site.region, Role::Edge),
            guards: BTreeMap::new(),
            routes: Role::ALL.iter().map(|role| (*role, site.routes(*role))).collect(),
            worker: Worker::new(site.node),
            vm: FakeVm { secrets: secrets.collect(), unix_ms: unix_ms(), ..FakeVm::default() },
        }
    }

    /// Configures the guard of a role, unless it is there.
    ///
    /// # Errors
    /// That the guard refuses its configuration.
    fn configure(&mut self, role: Role) -> Result<(), String> {
        if self.guards.contains_key(&role) {
            return Ok(());
        }
        self.config.attachment.role = role;
        let plugin = render::plugin_name(role);
        let at = Attached { plugin: plugin.as_bytes(), root: ROOT.as_bytes() };
        let config = serde_json::to_vec(&self.config).map_err(|error| error.to_string())?;
        let guard = Guard::configure(at, Some(&config), &mut self.vm, &mut LastGood::default());
        if let Some(fault) = guard.fault() {
            let region = &self.config.attachment.region;
            return Err(format!("the guard of {region} as {role} refuses: {fault}"));
        }
        self.guards.insert(role, guard);
        Ok(())
    }

    /// The guard of a role, and the VM that it is in.
    ///
    /// # Errors
    /// That it refuses its configuration.
    pub(super) fn guard(&mut self, role: Role) -> Result<(&Guard, &mut Worker), String> {
        self.configure(role)?;
        let guard = self.guards.get(&role);
        let guard = guard.ok_or_else(|| format!("there is no guard of role {role}"))?;
        Ok((guard, &mut self.worker))
    }
}

impl guards::Proxy for Proxy {
    type Stream = Visit;

    fn judge(&mut self, arrival: Arrival) -> Result<(Visit, Judged), String> {
        let role = arrival.role;
        self.configure(role)?;
        let missing = || format!("there is no guard of role {role}");
        let guard = self.guards.get(&role).ok_or_else(missing)?;
        let body = arrival.request.body.clone();
        let mut visit = Visit { role, host: host(arrival), stream: Stream::default() };
        let Visit { host, stream, .. } = &mut visit;
        let flow = guard.on_request_headers(&mut self.worker, stream, host, body.is_empty());
        let judged = match (host.replied.take(), flow) {
            (Some(answer), _) => Judged::Answered(Response::local(&answer)),
            (None, Flow::Continue) => {
                let headers = host.request.clone();
                let to =
                    self.routes.get(&role).map_or(To::Nowhere, |all| routes::find(all, &headers));
                Judged::Passed(Request { headers, body }, to)
            }
            (None, Flow::Pause) => {
                let region = &self.config.attachment.region;
                return Err(format!("the guard of {region} as {role} neither passes nor answers"));
            }
        };
        Ok((visit, judged))
    }

    fn see(&mut self, visit: &mut Visit, back: Back) -> Result<Response, String> {
        let Visit { role, host, stream } = visit;
        let flags = if back.response.is_some() { 0 } else { NO_HEALTHY_UPSTREAM };
        let mut response =
            back.response.unwrap_or_else(|| Response::of_envoy(503, false, "no healthy upstream"));
        host.properties.insert("response.flags".into(), flags.to_le_bytes().to_vec());
        // Rendered routes try once.
        let attempts = String::from("upstream.request_attempt_count");
        host.properties.insert(attempts, 1_u64.to_le_bytes().to_vec());
        if let Some(id) = back.from {
            let name = String::from("upstream.uri_san_peer_certificate");
            host.properties.insert(name, id.into_bytes());
        }
        if let Some(region) = back.region {
            host.properties.insert("upstream.locality.region".into(), region.into_bytes());
        }
        let status = response.status.to_string().into_bytes();
        host.response = vec![(":status".into(), status)];
        host.response.append(&mut response.headers);
        let missing = || format!("there is no guard of role {role}");
        let guard = self.guards.get(role).ok_or_else(missing)?;
        answer(guard, &mut self.worker, stream, host, response)
    }

    fn end(&mut self, mut visit: Visit) -> Option<Value> {
        let guard = self.guards.get(&visit.role)?;
        guard.on_done(&mut self.worker, &mut visit.stream, &mut visit.host);
        serde_json::from_str(visit.host.recorded.as_deref()?).ok()
    }
}

/// What a guard makes of a response whose headers are at the host: what a callback holds back waits
/// for what comes next, and an answer of the guard takes the place of headers that have not left.
///
/// # Errors
/// That it lets nothing go on.
fn answer(
    guard: &Guard,
    worker: &mut Worker,
    stream: &mut Stream,
    host: &mut FakeHost,
    response: Response,
) -> Result<Response, String> {
    let Response { status, body, trailers, is_cut, .. } = response;
    let has_trailers = !trailers.is_empty();
    let is_whole = body.is_empty() && !has_trailers && !is_cut;
    let mut is_held = guard.on_response_headers(worker, stream, host, is_whole) == Flow::Pause;
    let mut sent = Vec::new();
    // The end of a body comes by itself.
    let end = (!is_whole && !has_trailers && !is_cut).then(|| (Vec::new(), true));
    for (piece, is_last) in body.into_iter().map(|piece| (piece, false)).chain(end) {
        if is_over(host) {
            break;
        }
        host.body.extend(piece);
        let size = host.body.len();
        if guard.on_response_body(stream, host, size, is_last) == Flow::Continue {
            is_held = false;
            sent.push(std::mem::take(&mut host.body));
        }
    }
    host.response_trailers = trailers;
    if has_trailers && !is_over(host) && guard.on_response_trailers(stream, host) == Flow::Continue
    {
        is_held = false;
        sent.push(std::mem::take(&mut host.body));
    }
    let answered = host.replied.take();
    if is_held {
        let nothing = || String::from("a guard lets nothing go on");
        return answered.map(|answer| Response::local(&answer)).ok_or_else(nothing);
    }
    let mut headers = std::mem::take(&mut host.response);
    headers.retain(|(name, _)| !name.starts_with(':'));
    let is_cut = is_cut || answered.is_some() || host.closed;
    let trailers = if is_cut { Vec::new() } else { std::mem::take(&mut host.response_trailers) };
    sent.retain(|piece| !piece.is_empty());
    Ok(Response { status, headers, body: sent, trailers, is_cut })
}

fn is_over(host: &FakeHost) -> bool {
    host.replied.is_some() || host.closed
}

/// A request at a proxy, as its guard sees it.
pub(super) fn host(arrival: Arrival) -> FakeHost {
    let Arrival { role: _, request, client, claims } = arrival;
    let mut host = FakeHost { request: request.headers, unix_ms: unix_ms(), ..FakeHost::default() };
    host.properties.extend(claims.iter().flat_map(properties::of));
    if let Some(id) = client {
        let all = format!("filter_state.{FILTER_STATE_PEER_IDS}");
        for property in [all, String::from("connection.uri_san_peer_certificate")] {
            host.properties.insert(property, id.as_bytes().to_vec());
        }
    }
    host
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
