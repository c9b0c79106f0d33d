//! A model of the local mesh, around whatever judges requests in it.
//!
//! ```text
//! edge, outbound ─► peer of the other region ─┐
//!        └────────────────────────────────────┴─► inbound ─► echo
//! ```
//!
//! Every `─►` is a connection with the properties that it would have; responses come back the same
//! way, through the guards that the request passed. What Envoy itself does around a guard is modelled
//! in `front` and `routes`; whether the model is right is shown by playing the same cases on Envoy.
//! Who the guards are is none of its business: see `guards`.

pub(crate) mod claims;
mod echo;
mod front;
pub(crate) mod guards;
pub(crate) mod message;
pub(crate) mod routes;

use super::{Hop, Observation, Sent};
use crate::keys::LocalKeys;
use crate::local::LOCAL_HOSTS;
use front::Token;
use guards::{Arrival, Back, Guards, Judged, Proxy, Site};
use message::{Headers, Request, Response, first};
use policy_core::Role;
use policy_doc::{Case, Observed, PolicySet, WorldState};
use routes::To;
use std::collections::{BTreeMap, BTreeSet};

/// How many meshes are kept. Another case of a state need not follow at once.
const MESHES_MAX: usize = 32;

/// The meshes of a policy set, one for each state that was played.
#[derive(Debug)]
pub(crate) struct Meshes<G: Guards> {
    set: PolicySet,
    guards: G,
    /// Those of the newest states, the newest last.
    kept: Vec<(WorldState, Mesh<G::Proxy>)>,
}

impl<G: Guards> Meshes<G> {
    /// Of a policy set as a local mesh has it: with hosts of its own, and everything recorded.
    pub(crate) fn new(set: &PolicySet, guards: G) -> Self {
        let set = set.with_hosts(LOCAL_HOSTS).with_all_recorded();
        Self { set, guards, kept: Vec::new() }
    }

    /// Plays one case.
    ///
    /// # Errors
    /// Why it cannot be played: a request that should be in flight was refused, a policy that a
    /// guard refuses.
    pub(crate) fn play(&mut self, case: &Case) -> Result<Observation, String> {
        let known = self.kept.iter().position(|(state, _)| *state == case.state);
        let mut mesh = match known {
            Some(place) => self.kept.remove(place).1,
            None => Mesh::new(&self.set, &self.guards, &case.state)?,
        };
        // One that did not do what it should is not played in again.
        let seen = mesh.play(case)?;
        if self.kept.len() >= MESHES_MAX {
            self.kept.remove(0);
        }
        self.kept.push((case.state.clone(), mesh));
        Ok(seen)
    }
}

/// The regions under one state.
#[derive(Debug)]
pub(crate) struct Mesh<P> {
    set: PolicySet,
    keys: LocalKeys,
    proxies: BTreeMap<String, P>,
    lost: BTreeSet<String>,
}

/// A request at one of the guards on its way.
#[derive(Debug)]
struct Passage<S> {
    region: String,
    stream: S,
    /// The id in the certificate of whoever it was passed on to.
    upstream: Option<String>,
    /// The region of what it went on to.
    next: Option<String>,
    /// What it was answered there goes to the proxy before.
    is_answered: bool,
}

/// A request that got as far as it does.
#[derive(Debug)]
struct Journey<S> {
    passages: Vec<Passage<S>>,
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

impl<P: Proxy> Mesh<P> {
    /// The regions of a policy set under a state.
    ///
    /// # Errors
    /// Why the guards do not start.
    pub(crate) fn new(
        set: &PolicySet,
        guards: &impl Guards<Proxy = P>,
        state: &WorldState,
    ) -> Result<Self, String> {
        let keys = LocalKeys::made_up(set);
        let set = &keys.sign_maps(set);
        let mut proxies = BTreeMap::new();
        for (node, region) in (1..).zip(&set.body.regions) {
            let region = region.name.as_str();
            let set = set.with_static_state(state.seen_by(region).clone());
            let proxy = guards.start(&Site { set: &set, keys: &keys, region, node })?;
            proxies.insert(region.to_owned(), proxy);
        }
        let lost = state.lost().into_iter().map(str::to_owned).collect();
        Ok(Self { set: set.clone(), keys, proxies, lost })
    }

    /// Shows the request of a case, as it arrives at its first guard, with what else is in flight.
    ///
    /// # Errors
    /// Why it does not arrive: Envoy answers it before, or the case cannot be played.
    pub(crate) fn show<T>(
        &mut self,
        case: &Case,
        look: impl FnOnce(&mut P, Arrival) -> Result<T, String>,
    ) -> Result<T, String> {
        let mut held = Vec::new();
        let shown = self.hold(case, &mut held).and_then(|()| {
            let sent = Sent::new(&case.request, case.caller.as_ref());
            let answered = |response: Response| {
                format!("Envoy answers it with {} before it reaches a guard", response.status)
            };
            let own = self.keys.headers(&self.set, &sent);
            let request = front::accept(&sent, &own, case.role).map_err(answered)?;
            let client = sent.certificate_id(&self.set).map(str::to_owned);
            let arrival = self.arrive(case.role, request, client, &sent).map_err(answered)?;
            look(self.proxy(&case.region)?, arrival)
        });
        self.release(held);
        shown
    }

    /// Plays a case while its other requests are in flight.
    fn play(&mut self, case: &Case) -> Result<Observation, String> {
        let mut held = Vec::new();
        let seen = self.hold(case, &mut held).and_then(|()| {
            let sent = Sent::new(&case.request, case.caller.as_ref());
            let journey = self.forward(case, &sent)?;
            self.back(sent, journey)
        });
        self.release(held);
        seen
    }

    /// Sends what is in flight. What got anywhere is kept, to be ended.
    fn hold(&mut self, case: &Case, held: &mut Vec<Journey<P::Stream>>) -> Result<(), String> {
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

    fn release(&mut self, held: Vec<Journey<P::Stream>>) {
        for journey in held {
            self.end(journey.passages);
        }
    }

    fn proxy(&mut self, region: &str) -> Result<&mut P, String> {
        let missing = || format!("the policy set has no region `{region}`");
        self.proxies.get_mut(region).ok_or_else(missing)
    }

    /// The id in the one certificate of a region's proxy.
    fn id(&self, region: &str) -> Option<String> {
        let region = self.set.body.regions.iter().find(|known| known.name == region)?;
        region.peer_ids.first().cloned()
    }

    /// Sends a request as far as it gets.
    fn forward(&mut self, case: &Case, sent: &Sent) -> Result<Journey<P::Stream>, String> {
        let mut passages = Vec::new();
        let own = self.keys.headers(&self.set, sent);
        let mut request = match front::accept(sent, &own, case.role) {
            Ok(request) => request,
            Err(response) => return Ok(Journey { passages, end: End::Answered(response) }),
        };
        let (mut region, mut role) = (case.region.clone(), case.role);
        let mut client = sent.certificate_id(&self.set).map(str::to_owned);
        let end = loop {
            let arrival = match self.arrive(role, request, client, sent) {
                Ok(arrival) => arrival,
                Err(response) => break End::Answered(response),
            };
            let (stream, judged) = self.proxy(&region)?.judge(arrival)?;
            let is_answered = matches!(judged, Judged::Answered(_));
            let here = region.clone();
            let passage = Passage { region: here, stream, upstream: None, next: None, is_answered };
            passages.push(passage);
            let to = match judged {
                Judged::Answered(response) => break End::Answered(response),
                Judged::Passed(passed, to) => {
                    request = front::routed(passed);
                    to
                }
            };
            client = self.id(&region);
            match to {
                To::Proxy { region: next, role: its } => (region, role) = (next, its),
                To::Application => {
                    if let Some(passage) = passages.last_mut() {
                        passage.next = Some(region.clone());
                    }
                    let (response, tells) = echo::answer(&region, &request, sent.http2);
                    break End::Ran(response, tells.then(|| readable(&request)));
                }
                To::Nowhere => {
                    let (status, body) = routes::NO_ROUTE;
                    break End::Answered(Response::of_envoy(status, false, body));
                }
            }
            if self.lost.contains(&region) {
                break End::Unreachable;
            }
            let upstream = self.id(&region);
            if let Some(passage) = passages.last_mut() {
                passage.upstream = upstream;
                passage.next = Some(region.clone());
            }
        };
        Ok(Journey { passages, end })
    }

    /// A request as it arrives at the guard of a role, unless Envoy answers it before.
    fn arrive(
        &self,
        role: Role,
        request: Request,
        client: Option<String>,
        sent: &Sent,
    ) -> Result<Arrival, Response> {
        let mut claims = None;
        // A peer passes on whom a request is about; its listener looks at no token.
        if role != Role::Peer {
            match front::verify(&request.headers, &self.set.body.health_paths) {
                Token::Refused(response) => return Err(response),
                Token::Verified => {
                    claims = sent.token.as_ref().and_then(|token| claims::of(&self.set, token));
                }
                Token::Absent => {}
            }
        }
        // The others take no certificate.
        let client = client.filter(|_| matches!(role, Role::Peer | Role::Inbound));
        Ok(Arrival { role, request, client, claims })
    }

    /// Brings a response back to the client.
    fn back(&mut self, sent: Sent, journey: Journey<P::Stream>) -> Result<Observation, String> {
        let Journey { mut passages, end } = journey;
        let (mut response, upstream) = match end {
            End::Answered(response) => (Some(response), None),
            End::Ran(response, upstream) => (Some(response), upstream),
            End::Unreachable => (None, None),
        };
        for passage in passages.iter_mut().rev().filter(|passage| !passage.is_answered) {
            let back =
                Back { from: passage.upstream.take(), region: passage.next.take(), response };
            response = Some(self.proxy(&passage.region)?.see(&mut passage.stream, back)?);
        }
        let hops = self.end(passages);
        let response = response.unwrap_or_else(|| Response::of_envoy(503, false, ""));
        Ok(observation(sent, hops, &response, upstream))
    }

    /// Ends the streams of a request. What was decided of it, in its order.
    fn end(&mut self, passages: Vec<Passage<P::Stream>>) -> Vec<Hop> {
        let mut hops = Vec::new();
        for Passage { region, stream, .. } in passages.into_iter().rev() {
            if let Some(proxy) = self.proxies.get_mut(&region) {
                hops.extend(proxy.end(stream).and_then(Hop::of));
            }
        }
        hops.reverse();
        hops
    }
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
    response: &Response,
    upstream: Option<Vec<(String, String)>>,
) -> Observation {
    let header = |name: &str| first(&response.headers, name).map(text);
    let fields = |fields: &Headers| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    // Nobody gets a body in answer to a HEAD.
    let body = if sent.method == "HEAD" { Vec::new() } else { response.body.concat() };
    let mut observed = Observed {
        status: response.status,
        grpc_status: header("grpc-status")
            .or_else(|| first(&response.trailers, "grpc-status").map(text))
            .and_then(|status| status.parse().ok()),
        region: header(echo::REGION),
        upstream: upstream.map(|headers| sent.named(headers)),
        body: super::readable_body(header("content-encoding").as_deref(), &body),
        cut: response.is_cut,
        response: fields(&response.headers),
        trailers: fields(&response.trailers),
        ..Observed::default()
    };
    super::decided(&mut observed, &hops);
    Observation { sent, observed, hops }
}
