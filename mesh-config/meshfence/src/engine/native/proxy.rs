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

    /// The guard of a role.
    ///
    /// # Errors
    /// That it refuses its configuration.
    pub(super) fn guard(&mut self, role: Role) -> Result<&Guard, String> {
        self.configure(role)?;
        self.guards.get(&role).ok_or_else(|| format!("there is no guard of role {role}"))
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
        let status = response.status.to_string().into_bytes();
        host.response = vec![(":status".into(), status)];
        host.response.append(&mut response.headers);
        if let Some(guard) = self.guards.get(role) {
            guard.on_response_headers(stream, host);
        }
        if let Some(answer) = host.replied.take() {
            return Ok(Response::local(&answer));
        }
        response.headers = std::mem::take(&mut host.response);
        response.headers.retain(|(name, _)| !name.starts_with(':'));
        Ok(response)
    }

    fn end(&mut self, mut visit: Visit) -> Option<Value> {
        let guard = self.guards.get(&visit.role)?;
        guard.on_done(&mut self.worker, &mut visit.stream, &mut visit.host);
        serde_json::from_str(visit.host.recorded.as_deref()?).ok()
    }
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
