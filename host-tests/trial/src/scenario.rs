//! What requests of the example cost and come to: the paths of the guard, one by one.

use crate::agent::Agent;
use crate::setting::{HOST, SECRET, Setting, caller, peer};
use guard::issue::{self, Stamp};
use policy_core::Role;
use std::fmt::Write as _;
use std::time::Duration;
use wasm_host::{
    Answer, ClusterInfo, Ended, Failure, FaultPlan, Headers, Outcome, Proxy, Request, Response,
    UPSTREAM, get, post,
};

const TAIWAN: &[(&str, &str)] = &[("residency", "TW")];
const JAPAN: &[(&str, &str)] = &[("residency", "JP")];
const KEY: (&str, &str) = ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
const TAIWAN_GATEWAY: &str = "spiffe://taiwan.shop/ns/gateways/sa/public";
const TAIWAN_PEER: &str = "spiffe://taiwan.shop/ns/gateways/sa/peer";
const TOKYO_PEER: &str = "spiffe://tokyo.shop/ns/gateways/sa/peer";

/// How long it takes until every VM of a proxy knows what an agent says.
pub(crate) const TO_KNOW: Duration = Duration::from_millis(750);

/// A version that an application holds: of Tokyo, long ago.
const HELD: &str = "0000000000010000-tyo-01234567";

/// One path through the guard.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is.
    pub name: &'static str,
    /// The role of the attachment.
    pub role: Role,
    /// The region that it is in.
    pub region: &'static str,
    /// The state of the example's tour.
    pub state: &'static str,
    /// Whether an agent is asked for that state; else the configuration has it.
    pub is_polled: bool,
    /// How often the same request is already being served.
    pub in_flight: usize,
    request: fn(&Setting) -> Result<Request, String>,
    upstream: fn() -> Answer,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Played {
    /// The request, or the last of them.
    pub outcome: Outcome,
    /// The proxy, with everything that it did since its start.
    pub proxy: Proxy,
}

fn served() -> Answer {
    Response::new(200).header("content-type", "application/json").body("{}").into()
}

/// What an application answers that says which version it holds.
fn holding() -> Answer {
    Response::new(200).header("x-meshfence-current", HELD).body("{}").into()
}

/// What a client sends that has read that version a while ago.
fn after_a_read(request: Request) -> Result<Request, String> {
    let version = Stamp::parse(HELD.as_bytes()).ok_or("no version")?;
    let read = issue::Read { version, others: &[] };
    let secret = SECRET.as_bytes();
    let tag = issue::entity_tag("k1", secret, &read, b"/api/v1/reviews/9", None);
    // Until the year 2100: the clock of the host stands long before.
    let causal = issue::causal("k1", secret, version, 4_102_444_800);
    let causal = causal.ok_or("nothing seen")?;
    Ok(request.header("if-match", tag.ok_or("no tag")?).header("meshfence-causal", causal))
}

fn at_home(request: Request) -> Request {
    request.header(":authority", HOST)
}

fn order(claims: &[(&str, &str)]) -> Request {
    caller(at_home(post("/api/v1/orders")), claims).header(KEY.0, KEY.1)
}

/// What the edge of a region makes of a request: how it arrives at the next guard.
fn after(setting: &Setting, region: &str, role: Role, request: Request) -> Result<Headers, String> {
    let host = setting.host(setting.plugin(region, role)?);
    let mut proxy = host.start().map_err(|error| error.to_string())?;
    let outcome = proxy.send(request).map_err(|error| error.to_string())?;
    let sent = outcome.upstream.ok_or_else(|| format!("refused: {}", outcome.status))?;
    Ok(sent.headers)
}

impl Scenario {
    const EDGE: Self = Self {
        name: "",
        role: Role::Edge,
        region: "taiwan",
        state: "normal",
        is_polled: false,
        in_flight: 0,
        request: |_| Ok(at_home(get("/api/v1/products/1"))),
        upstream: served,
    };

    /// The setting that it needs.
    ///
    /// # Errors
    /// Those of [`Setting::new`].
    pub fn setting(&self) -> Result<Setting, String> {
        let setting = Setting::new(self.state)?;
        Ok(if self.is_polled { setting.polling() } else { setting })
    }

    /// Plays it on a new proxy, so many times after what is in flight; the last one counts.
    ///
    /// # Errors
    /// What keeps it from being played.
    pub fn play(
        &self,
        setting: &Setting,
        times: usize,
        faults: FaultPlan,
    ) -> Result<Played, String> {
        let request = (self.request)(setting)?;
        let host = setting.host(setting.plugin(self.region, self.role)?).faults(faults);
        let upstream = self.upstream;
        let host = [UPSTREAM, "taiwan", "tokyo"]
            .into_iter()
            .fold(host, |host, cluster| host.cluster(cluster, move |_| upstream()));
        // Everything is where it says that it is.
        let places = [(UPSTREAM, self.region), ("taiwan", "taiwan"), ("tokyo", "tokyo")];
        let host = places.into_iter().fold(host, |host, (cluster, region)| {
            host.cluster_info(cluster, ClusterInfo::default().locality(region, ""))
        });
        let agent = Agent::new(setting, self.region)?;
        let host = host.cluster(Agent::cluster(), agent.service());
        let mut proxy = host.start().map_err(|error| error.to_string())?;
        if self.is_polled {
            proxy.wait(TO_KNOW);
        }
        for _ in 0..self.in_flight {
            proxy.open(request.clone());
        }
        let mut last = None;
        for _ in 0..times.max(1) {
            last = Some(proxy.send(request.clone()).map_err(|error| error.to_string())?);
        }
        let outcome = last.ok_or("nothing was sent")?;
        Ok(Played { outcome, proxy })
    }
}

/// What came of a request, in a few words.
pub fn told(outcome: &Outcome) -> String {
    let mut text = outcome.status.to_string();
    let reason = outcome.header("x-meshfence-reason");
    if let Some(reason) = &reason {
        // Writing to a string cannot fail.
        let _ = write!(text, " {reason}");
    } else if let Some(cluster) = &outcome.cluster {
        let place = if cluster == UPSTREAM { "here" } else { cluster };
        let _ = write!(text, " from {place}");
    }
    if outcome.ended != Ended::Complete {
        let _ = write!(text, " ({:?})", outcome.ended);
    }
    text
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let groups = [passed(), refused(), failing(), in_the_mesh()];
    groups.into_iter().flatten().collect()
}

fn passed() -> Vec<Scenario> {
    let edge = Scenario::EDGE;
    vec![
        Scenario { name: "public read", ..edge },
        Scenario {
            name: "public read, spoofed",
            request: |_| {
                let request = at_home(get("/api/v1/products/1"));
                Ok(request
                    .header("x-meshfence-route", "tokyo")
                    .header("x-meshfence-epoch", "99")
                    .header("x-http-method-override", "DELETE"))
            },
            ..edge
        },
        Scenario { name: "health path", request: |_| Ok(at_home(get("/health"))), ..edge },
        Scenario {
            name: "personal read",
            request: |_| Ok(caller(at_home(get("/api/v1/customers/me/profile")), TAIWAN)),
            ..edge
        },
        Scenario {
            name: "personal read, routed",
            request: |_| Ok(caller(at_home(get("/api/v1/customers/me/profile")), JAPAN)),
            ..edge
        },
        Scenario { name: "leased write", request: |_| Ok(order(TAIWAN)), ..edge },
        Scenario { name: "leased write, routed", request: |_| Ok(order(JAPAN)), ..edge },
        Scenario {
            name: "leased write, by an agent",
            is_polled: true,
            request: |_| Ok(order(TAIWAN)),
            ..edge
        },
        Scenario {
            name: "readiness, by an agent",
            is_polled: true,
            request: |_| Ok(at_home(get("/_meshfence/ready"))),
            ..edge
        },
        Scenario {
            name: "eventual write",
            request: |_| Ok(at_home(post("/api/v1/reviews/9")).body("good")),
            ..edge
        },
        Scenario {
            name: "eventual write, after a read",
            request: |_| after_a_read(at_home(post("/api/v1/reviews/9")).body("better")),
            upstream: holding,
            ..edge
        },
        Scenario {
            name: "read of a version",
            request: |_| Ok(at_home(get("/api/v1/reviews/9"))),
            upstream: holding,
            ..edge
        },
        Scenario {
            name: "write with body and trailers",
            request: |_| {
                let request = at_home(post("/api/v1/reviews/9")).body("very").body(" good");
                Ok(request.trailer("x-checksum", "1").trailer("x-meshfence-epoch", "9"))
            },
            ..edge
        },
    ]
}

fn refused() -> Vec<Scenario> {
    let edge = Scenario::EDGE;
    vec![
        Scenario { name: "refused: unmatched", request: |_| Ok(at_home(get("/admin"))), ..edge },
        Scenario {
            name: "refused: malformed",
            request: |_| Ok(at_home(get("/api/v1/products/1;v=2"))),
            ..edge
        },
        Scenario {
            name: "refused: nobody known",
            request: |_| Ok(at_home(get("/api/v1/customers/me/profile"))),
            ..edge
        },
        Scenario {
            name: "refused: subject unknown",
            request: |_| Ok(caller(at_home(get("/api/v1/customers/me/profile")), &[])),
            ..edge
        },
        Scenario {
            name: "refused: staff",
            request: |_| {
                let claims = &[("residency", "TW"), ("kind", "staff")];
                Ok(caller(at_home(get("/api/v1/customers/me/profile")), claims))
            },
            ..edge
        },
        Scenario {
            name: "refused: lease unknown",
            state: "lease-in-doubt",
            request: |_| Ok(order(TAIWAN)),
            ..edge
        },
    ]
}

fn failing() -> Vec<Scenario> {
    let edge = Scenario::EDGE;
    vec![
        Scenario {
            name: "shed",
            in_flight: 2,
            request: |_| Ok(at_home(post("/api/v1/reviews/9"))),
            ..edge
        },
        Scenario {
            name: "region not reached",
            request: |_| Ok(order(JAPAN)),
            upstream: || Failure::Refused.into(),
            ..edge
        },
        Scenario {
            name: "region refuses",
            request: |_| {
                let path = &["upstream", "uri_san_peer_certificate"];
                Ok(order(JAPAN).attribute(path, TOKYO_PEER))
            },
            upstream: || {
                let refused = Response::new(421).header("x-meshfence-reason", "wrong_region");
                refused.header("x-meshfence-processed", "no").into()
            },
            ..edge
        },
    ]
}

fn in_the_mesh() -> Vec<Scenario> {
    let edge = Scenario::EDGE;
    vec![
        Scenario {
            name: "peer arrival",
            role: Role::Peer,
            region: "tokyo",
            request: |setting| {
                let sent = after(setting, "taiwan", Role::Edge, order(JAPAN))?;
                Ok(peer(Request::of(sent), TAIWAN_PEER))
            },
            ..edge
        },
        Scenario {
            name: "peer arrival, a stranger",
            role: Role::Peer,
            region: "tokyo",
            request: |setting| {
                let sent = after(setting, "taiwan", Role::Edge, order(JAPAN))?;
                Ok(peer(Request::of(sent), "spiffe://elsewhere/ns/a/sa/b"))
            },
            ..edge
        },
        Scenario {
            name: "inbound, signs",
            role: Role::Inbound,
            request: |setting| {
                let sent = after(setting, "taiwan", Role::Edge, order(TAIWAN))?;
                Ok(peer(Request::of(sent), TAIWAN_GATEWAY))
            },
            ..edge
        },
        Scenario {
            name: "outbound, signature",
            role: Role::Outbound,
            request: |setting| {
                let sent = after(setting, "taiwan", Role::Edge, order(TAIWAN))?;
                let sent = peer(Request::of(sent), TAIWAN_GATEWAY);
                let arrived = after(setting, "taiwan", Role::Inbound, sent)?;
                // What the workload passes on.
                let call = at_home(post("/api/v1/orders")).header(KEY.0, KEY.1);
                Ok(["x-meshfence-subject", "x-meshfence-sig"].into_iter().fold(
                    call,
                    |call, name| match arrived.get(name) {
                        Some(value) => call.header(name, value),
                        None => call,
                    },
                ))
            },
            ..edge
        },
        Scenario {
            name: "outbound, no signature",
            role: Role::Outbound,
            request: |_| Ok(order(TAIWAN)),
            ..edge
        },
    ]
}
