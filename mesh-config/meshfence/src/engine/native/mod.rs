//! The engine that needs nothing: the real guard in this process, in a model of the local mesh.
//!
//! ```text
//! edge, outbound ─► peer of the other region ─┐
//!        └────────────────────────────────────┴─► inbound ─► echo
//! ```
//!
//! Every `─►` is a connection with the properties that it would have; responses come back the same
//! way, through the guards that the request passed. What Envoy itself does before the guard is
//! modelled in `front`; whether the model is right is shown by playing the same cases on Envoy.

mod claims;
mod echo;
mod front;
mod message;
mod proxy;

use super::{Hop, Observation, Sent};
use crate::local::LOCAL_HOSTS;
use front::Token;
use guard::Guard;
use guard::fake::FakeHost;
use message::{Request, Response, first};
use policy_core::Role;
use policy_core::name::{HEADER_DECISION, HEADER_ROUTE};
use policy_doc::{Case, Observed, PolicySet, WorldState};
use proxy::{Judged, Passage, Proxy};
use std::collections::{BTreeMap, BTreeSet};

/// How many meshes are kept. Another case of a state need not follow at once.
const MESHES_MAX: usize = 32;

/// The engine.
#[derive(Debug)]
pub struct Native {
    set: PolicySet,
    /// The meshes of the newest states, the newest last.
    meshes: Vec<(WorldState, Mesh)>,
}

impl Native {
    /// An engine for a policy set, whose hosts are those of a local mesh.
    pub fn new(set: &PolicySet) -> Self {
        Self { set: set.with_hosts(LOCAL_HOSTS), meshes: Vec::new() }
    }

    /// Plays one case.
    ///
    /// # Errors
    /// Why it cannot be played: a request that should be in flight was refused, a policy that a
    /// guard refuses.
    pub fn play(&mut self, case: &Case) -> Result<Observation, String> {
        let known = self.meshes.iter().position(|(state, _)| *state == case.state);
        let mut mesh = match known {
            Some(place) => self.meshes.remove(place).1,
            None => Mesh::new(&self.set, &case.state),
        };
        let seen = mesh.play(case);
        if self.meshes.len() >= MESHES_MAX {
            self.meshes.remove(0);
        }
        self.meshes.push((case.state.clone(), mesh));
        seen
    }
}

/// Shows the request of a case, as it arrives at its first guard, with what else is in flight.
///
/// # Errors
/// Why it does not arrive: Envoy answers it before, or the case cannot be played.
pub(crate) fn watch<T>(
    set: &PolicySet,
    case: &Case,
    look: impl FnOnce(&Guard, &FakeHost) -> T,
) -> Result<T, String> {
    let mut mesh = Mesh::new(set, &case.state);
    mesh.hold(case, &mut Vec::new())?;
    let request = Sent::new(&case.request, case.caller.as_ref());
    let answered = |response: Response| {
        format!("Envoy answers it with {} before it reaches a guard", response.status)
    };
    let accepted = front::accept(&request, case.role).map_err(answered)?;
    let client = request.certificate_id(set);
    let passage =
        mesh.arrive(&case.region, case.role, accepted, client, &request).map_err(answered)?;
    let proxy = mesh.proxies.get_mut(&case.region);
    let proxy = proxy.ok_or_else(|| format!("there is no region `{}`", case.region))?;
    Ok(look(proxy.guard(case.role)?, passage.host()))
}

/// The regions under one state.
#[derive(Debug)]
struct Mesh {
    set: PolicySet,
    proxies: BTreeMap<String, Proxy>,
    lost: BTreeSet<String>,
}

/// A request that got as far as it does.
#[derive(Debug)]
struct Journey {
    passages: Vec<Passage>,
    end: End,
}

/// How far a request gets.
#[derive(Debug)]
enum End {
    /// Something answered instead of passing it on.
    Answered(Response),
    /// It ran; the headers that the application tells.
    Ran(Response, Option<Vec<(String, String)>>),
    /// The next region is gone.
    Unreachable,
}

impl Mesh {
    fn new(set: &PolicySet, state: &WorldState) -> Self {
        let mut proxies = BTreeMap::new();
        for (node, region) in (1..).zip(&set.body.regions) {
            let set = set.with_static_state(state.seen_by(&region.name).clone());
            proxies.insert(region.name.clone(), Proxy::new(&set, &region.name, node));
        }
        let lost = state.lost().into_iter().map(str::to_owned).collect();
        Self { set: set.clone(), proxies, lost }
    }

    /// Plays a case while its other requests are in flight.
    fn play(&mut self, case: &Case) -> Result<Observation, String> {
        let mut held = Vec::new();
        let seen = self.hold(case, &mut held).and_then(|()| {
            let sent = Sent::new(&case.request, case.caller.as_ref());
            let journey = self.forward(case, &sent)?;
            Ok(self.back(sent, journey))
        });
        for mut journey in held {
            self.end(&mut journey.passages);
        }
        seen
    }

    /// Sends what is in flight. What got anywhere is kept, to be ended.
    fn hold(&mut self, case: &Case, held: &mut Vec<Journey>) -> Result<(), String> {
        for wanted in &case.state.in_flight {
            let sent = Sent::new(&wanted.request, wanted.caller.as_ref());
            for _ in 0..wanted.count {
                let journey = self.forward(case, &sent)?;
                let status = match &journey.end {
                    End::Ran(..) => None,
                    End::Answered(response) => Some(response.status),
                    End::Unreachable => Some(503),
                };
                held.push(journey);
                if let Some(status) = status {
                    return Err(super::not_in_flight(&status.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Sends a request as far as it gets.
    fn forward(&mut self, case: &Case, sent: &Sent) -> Result<Journey, String> {
        let mut passages = Vec::new();
        let mut request = match front::accept(sent, case.role) {
            Ok(request) => request,
            Err(response) => return Ok(Journey { passages, end: End::Answered(response) }),
        };
        let (mut region, mut role) = (case.region.clone(), case.role);
        let mut client = sent.certificate_id(&self.set).map(str::to_owned);
        loop {
            let has_body = request.has_body;
            let mut passage = match self.arrive(&region, role, request, client.as_deref(), sent) {
                Ok(passage) => passage,
                Err(response) => return Ok(Journey { passages, end: End::Answered(response) }),
            };
            let missing = || format!("the policy set has no region `{region}`");
            let proxy = self.proxies.get_mut(&region).ok_or_else(missing)?;
            let judged = proxy.judge(&mut passage, !has_body)?;
            client.clone_from(&proxy.id);
            request = match judged {
                Judged::Passed(request) => request,
                Judged::Answered(response) => {
                    passages.push(passage);
                    return Ok(Journey { passages, end: End::Answered(response) });
                }
                Judged::Stuck => {
                    return Err(format!(
                        "the guard of {region} as {role} neither passes nor answers"
                    ));
                }
            };
            let next = match self.next(&region, role, &request) {
                Next::Proxy(region, role) => (region, role),
                Next::Application => {
                    let (response, tells) = echo::answer(&region, &request);
                    passages.push(passage);
                    let end = End::Ran(response, tells.then(|| readable(&request)));
                    return Ok(Journey { passages, end });
                }
                Next::Nowhere => {
                    passages.push(passage);
                    let end = End::Answered(Response::of_envoy(503, false, ""));
                    return Ok(Journey { passages, end });
                }
            };
            (region, role) = next;
            if self.lost.contains(&region) {
                passages.push(passage);
                return Ok(Journey { passages, end: End::Unreachable });
            }
            passage.upstream = self.proxies.get(&region).and_then(|proxy| proxy.id.clone());
            passages.push(passage);
        }
    }

    /// A request as it arrives at the guard of a role, unless Envoy answers it before.
    fn arrive(
        &self,
        region: &str,
        role: Role,
        request: Request,
        client: Option<&str>,
        sent: &Sent,
    ) -> Result<Passage, Response> {
        let mut attributes = Vec::new();
        // A peer passes on whom a request is about; its listener looks at no token.
        if role != Role::Peer {
            match front::verify(&request.headers, &self.set.body.health_paths) {
                Token::Refused(response) => return Err(response),
                Token::Verified => {
                    let token = sent.token.iter();
                    attributes =
                        token.flat_map(|token| claims::properties(&self.set, token)).collect();
                }
                Token::Absent => {}
            }
        }
        let mut passage = Passage::new(region, role, request, client);
        passage.attributes(attributes);
        Ok(passage)
    }

    /// Where the route table of a listener sends a request.
    fn next(&self, here: &str, role: Role, request: &Request) -> Next {
        match role {
            Role::Inbound => Next::Application,
            Role::Peer => Next::Proxy(here.to_owned(), Role::Inbound),
            Role::Edge | Role::Outbound => match first(&request.headers, HEADER_ROUTE) {
                None => Next::Proxy(here.to_owned(), Role::Inbound),
                Some(route) => {
                    let mut others = self.proxies.keys().filter(|region| *region != here);
                    match others.find(|region| region.as_bytes() == route) {
                        Some(region) => Next::Proxy(region.clone(), Role::Peer),
                        None => Next::Nowhere,
                    }
                }
            },
        }
    }

    /// Brings a response back to the client.
    fn back(&mut self, sent: Sent, journey: Journey) -> Observation {
        let Journey { mut passages, end } = journey;
        let (mut response, upstream) = match end {
            End::Answered(response) => (Some(response), None),
            End::Ran(response, upstream) => (Some(response), upstream),
            End::Unreachable => (None, None),
        };
        for passage in passages.iter_mut().rev() {
            if let Some(proxy) = self.proxies.get(&passage.region) {
                response = Some(proxy.see(passage, response));
            }
        }
        self.end(&mut passages);
        let hops: Vec<Hop> =
            passages.iter().filter_map(|passage| Hop::of(passage.record()?)).collect();
        let response = response.unwrap_or_else(|| Response::of_envoy(503, false, ""));
        observation(sent, hops, response, upstream)
    }

    fn end(&self, passages: &mut [Passage]) {
        for passage in passages.iter_mut().rev() {
            if let Some(proxy) = self.proxies.get(&passage.region) {
                proxy.end(passage);
            }
        }
    }
}

/// Where a request goes from a listener.
enum Next {
    Proxy(String, Role),
    Application,
    Nowhere,
}

/// The headers of a request as the application tells them.
fn readable(request: &Request) -> Vec<(String, String)> {
    let headers = request.headers.iter().filter(|(name, _)| !name.starts_with(':'));
    headers.map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn observation(
    sent: Sent,
    hops: Vec<Hop>,
    response: Response,
    upstream: Option<Vec<(String, String)>>,
) -> Observation {
    let header = |name: &str| first(&response.headers, name).map(text);
    let region = header(echo::REGION);
    let mut observed = Observed {
        status: response.status,
        grpc_status: header("grpc-status").and_then(|status| status.parse().ok()),
        upstream: upstream.filter(|_| region.is_some()),
        ..Observed::default()
    };
    let decided = header(HEADER_DECISION).is_some();
    let body = (decided && region.is_none() && sent.method != "HEAD").then(|| text(&response.body));
    observed.region = region;
    observed.response =
        response.headers.into_iter().map(|(name, value)| (name, text(&value))).collect();
    super::decided(&mut observed, hops.first());
    Observation { sent, observed, hops, body: body.filter(|body| !body.is_empty()) }
}
