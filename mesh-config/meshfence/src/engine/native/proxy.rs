//! One region's proxy: a guard for each role, in one VM.

use super::message::{Request, Response};
use guard::fake::{FakeHost, FakeVm};
use guard::{Attached, Flow, Guard, LastGood, ROOT, Stream, Worker};
use policy_core::Role;
use policy_core::name::FILTER_STATE_PEER_IDS;
use policy_core::wire::PluginConfig;
use policy_doc::PolicySet;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Envoy's flag for a region that no connection can be made to.
const UPSTREAM_CONNECTION_FAILURE: u64 = 1 << 5;

/// What a proxy signs with; its length is that of a real one.
const SECRET: &[u8] = b"the secret of a mesh that exists in one process only";

/// One region's proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    /// The configuration of its guards, but for the role.
    config: PluginConfig,
    /// Those that a request has been at.
    guards: BTreeMap<Role, Guard>,
    worker: Worker,
    vm: FakeVm,
    /// The id in the one certificate of the proxy.
    pub(super) id: Option<String>,
}

/// A request at a proxy, from its headers to the end of its stream.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) region: String,
    pub(super) role: Role,
    /// The id in the certificate of whoever it was passed on to.
    pub(super) upstream: Option<String>,
    host: FakeHost,
    stream: Stream,
}

/// What a guard did with a request.
pub(super) enum Judged {
    /// It goes on like this.
    Passed(Request),
    /// It was answered.
    Answered(Response),
    /// Neither: it waits until it times out.
    Stuck,
}

impl Proxy {
    /// The proxy of a region, the number of its VM, under a policy set with its region state.
    pub(super) fn new(set: &PolicySet, region: &str, node: u32) -> Self {
        let keys = set.body.hmac.iter().flat_map(|hmac| &hmac.keys);
        let vm = FakeVm {
            secrets: keys.map(|key| (key.env.clone(), SECRET.to_vec())).collect(),
            unix_ms: unix_ms(),
            ..FakeVm::default()
        };
        let known = set.body.regions.iter().find(|known| known.name == region);
        let id = known.and_then(|region| region.peer_ids.first().cloned());
        let config = set.plugin_config(region, Role::Edge);
        Self { config, guards: BTreeMap::new(), worker: Worker::new(node), vm, id }
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
        let plugin = format!("meshfence.{role}");
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

    /// The guard of a role judges a request.
    ///
    /// # Errors
    /// That there is no such guard.
    pub(super) fn judge(
        &mut self,
        passage: &mut Passage,
        end_of_stream: bool,
    ) -> Result<Judged, String> {
        self.configure(passage.role)?;
        let Passage { role, host, stream, .. } = passage;
        let Some(guard) = self.guards.get(role) else { return Ok(Judged::Stuck) };
        let flow = guard.on_request_headers(&mut self.worker, stream, host, end_of_stream);
        Ok(match (host.replied.take(), flow) {
            (Some(answer), _) => Judged::Answered(Response::local(&answer)),
            (None, Flow::Continue) => {
                let headers = host.request.iter().filter(|(name, _)| !is_for_the_router(name));
                Judged::Passed(Request {
                    headers: headers.cloned().collect(),
                    has_body: !end_of_stream,
                })
            }
            (None, Flow::Pause) => Judged::Stuck,
        })
    }

    /// The guard sees what came back, which may be that nothing did.
    pub(super) fn see(&self, passage: &mut Passage, response: Option<Response>) -> Response {
        let Passage { role, host, stream, upstream, .. } = passage;
        let flags = if response.is_some() { 0 } else { UPSTREAM_CONNECTION_FAILURE };
        let mut response =
            response.unwrap_or_else(|| Response::of_envoy(503, false, "no healthy upstream"));
        host.properties.insert("response.flags".into(), flags.to_le_bytes().to_vec());
        // Rendered routes try once.
        let attempts = String::from("upstream.request_attempt_count");
        host.properties.insert(attempts, 1_u64.to_le_bytes().to_vec());
        if let Some(id) = upstream {
            let name = String::from("upstream.uri_san_peer_certificate");
            host.properties.insert(name, id.clone().into_bytes());
        }
        let status = response.status.to_string().into_bytes();
        host.response = vec![(":status".into(), status)];
        host.response.append(&mut response.headers);
        if let Some(guard) = self.guards.get(role) {
            guard.on_response_headers(stream, host);
        }
        if let Some(answer) = host.replied.take() {
            return Response::local(&answer);
        }
        response.headers = std::mem::take(&mut host.response);
        response.headers.retain(|(name, _)| !name.starts_with(':'));
        response
    }

    /// The stream is over.
    pub(super) fn end(&self, passage: &mut Passage) {
        if let Some(guard) = self.guards.get(&passage.role) {
            guard.on_done(&mut passage.stream);
        }
    }
}

impl Passage {
    /// A request at a proxy, from a client with this id in its certificate.
    pub(super) fn new(region: &str, role: Role, request: Request, client: Option<&str>) -> Self {
        let mut host =
            FakeHost { request: request.headers, unix_ms: unix_ms(), ..FakeHost::default() };
        if let Some(id) = client.filter(|_| matches!(role, Role::Peer | Role::Inbound)) {
            let all = format!("filter_state.{FILTER_STATE_PEER_IDS}");
            for property in [all, String::from("connection.uri_san_peer_certificate")] {
                host.properties.insert(property, id.as_bytes().to_vec());
            }
        }
        Self { region: region.to_owned(), role, upstream: None, host, stream: Stream::default() }
    }

    /// The stream as its guard sees it.
    pub(super) fn host(&self) -> &FakeHost {
        &self.host
    }

    /// Adds attributes of the stream.
    pub(super) fn attributes(&mut self, attributes: Vec<(String, Vec<u8>)>) {
        self.host.properties.extend(attributes);
    }

    /// The newest decision record.
    pub(super) fn record(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.host.recorded.as_deref()?).ok()
    }
}

/// Headers that Envoy's router reads and does not pass on.
fn is_for_the_router(name: &str) -> bool {
    name == guard::header::ENVOY_MAX_RETRIES
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
