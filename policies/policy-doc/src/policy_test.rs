//! `PolicyTest`: requests and what is expected of them, the one scenario format.

mod caller;
mod carried;
mod case;
pub(crate) mod decode;
mod expect;
mod extends;
mod matrix;
mod request;
mod row;
mod state;

pub use row::{ROWS, Row, Source as RowSource};

use policy_core::wire::StateDocument;
use policy_core::{Country, Health, PrincipalKind, Role};
use std::collections::{BTreeMap, BTreeSet};

/// One `PolicyTest` document with every name looked up and every `extends` applied.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// `metadata.name`.
    pub name: String,
    /// The file it came from, for messages.
    pub file: String,
    /// The cases, in the order of the file.
    pub cases: Vec<Case>,
    /// The named states, for `up --state`.
    pub states: BTreeMap<String, WorldState>,
}

/// One request and what is expected of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the case shows, unique in its document. One of a matrix says which at its end.
    pub name: String,
    /// Where it stands in its file, 1-based.
    pub line: usize,
    /// The region whose proxy the request is sent to.
    pub region: String,
    /// What that proxy is for it.
    pub role: Role,
    /// The name of the state, to group cases by.
    pub state_name: String,
    /// What is true when the request arrives.
    pub state: WorldState,
    /// Who sends it; nobody known when absent.
    pub caller: Option<TestCaller>,
    /// What is sent.
    pub request: TestRequest,
    /// What must come of it.
    pub expect: Expectation,
    /// The [`ROWS`] that it shows.
    pub covers: Vec<String>,
}

/// What is true of the world: what region state says, and what it does not say yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorldState {
    /// What region state says.
    pub document: StateDocument,
    /// What it says in the regions that see it otherwise, as after a poll that came late.
    pub views: BTreeMap<String, StateDocument>,
    /// Regions that are gone although region state may not say so.
    pub unreachable: Vec<String>,
    /// Requests that are being served when the case's request arrives: sent to the same proxy.
    pub in_flight: Vec<InFlight>,
}

impl WorldState {
    /// What region state says in one region.
    pub fn seen_by(&self, region: &str) -> &StateDocument {
        self.views.get(region).unwrap_or(&self.document)
    }

    /// The regions that are gone: those that region state says are down, and those it knows nothing
    /// of.
    pub fn lost(&self) -> BTreeSet<&str> {
        let health = self.document.health.iter();
        let down = health.filter(|(_, health)| **health == Health::Down);
        down.map(|(name, _)| name.as_str())
            .chain(self.unreachable.iter().map(String::as_str))
            .collect()
    }
}

/// Requests that are being served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// What they are.
    pub request: TestRequest,
    /// Who sent them.
    pub caller: Option<TestCaller>,
    /// How many.
    pub count: u32,
}

/// Who sends a request: whose certificate the connection has, and whose token the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCaller {
    /// The name in the document.
    pub name: String,
    /// The certificate of the connection; none where there is no TLS.
    pub certificate: Option<TestCertificate>,
    /// The token.
    pub token: Option<TestToken>,
    /// What else the caller is known by.
    pub own: OwnCredentials,
}

/// What a caller is known by to the mesh alone: headers that an engine fills in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnCredentials {
    /// A session, signed with a key of the mesh that the engine plays in.
    pub session: Option<TestSession>,
    /// An API key, in the header that the tenant map names.
    pub api_key: Option<String>,
    /// Where the client sits, in the header that `clientCountry` names.
    pub client_country: Option<String>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSession {
    /// For whom it stands.
    pub sub: String,
    /// Where the caller resides, if that is known.
    pub country: Option<Country>,
    /// What the caller is.
    pub kind: PrincipalKind,
    /// When it ends, in milliseconds from the request on; a negative one is over.
    pub expires_ms: i64,
    /// What its key is called, the first of the mesh unless said. One that the mesh does not have is
    /// somebody else's.
    pub key: Option<String>,
}

/// Whose certificate a connection has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestCertificate {
    /// That of another region's east-west gateway.
    Peer {
        /// The other region.
        region: String,
        /// What it says of the subject: a country, `unknown` or `other`.
        subject: Option<String>,
    },
    /// That of a gateway which the workloads of its region believe.
    Gateway {
        /// The region.
        region: String,
        /// What it says of the subject: a country, `unknown` or `other`.
        subject: Option<String>,
    },
    /// That of whatever has this SPIFFE id.
    Workload(String),
}

impl TestCertificate {
    /// What a trusted proxy says of the subject.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Peer { subject, .. } | Self::Gateway { subject, .. } => subject.as_deref(),
            Self::Workload(_) => None,
        }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestToken {
    /// The issuer's name in `Mesh`.
    pub issuer: String,
    /// The `sub` claim.
    pub sub: String,
    /// Further claims.
    pub claims: BTreeMap<String, serde_json::Value>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRequest {
    /// Its method, `GET` unless said.
    pub method: String,
    /// Its path and query, sent as written.
    pub path: String,
    /// The host, the first of `Mesh.hosts` unless said.
    pub host: String,
    /// Its headers; a header may have several values.
    pub headers: Vec<(String, String)>,
    /// What its client carries of versions: headers that an engine fills in.
    pub carried: TestCarried,
    /// Its body.
    pub body: String,
    /// Sent with HTTP/2, whose responses have trailers; with HTTP/1.1 unless said.
    pub http2: bool,
}

/// What a client carries of versions, signed with a key of the mesh that the engine plays in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestCarried {
    /// What it has read of what it writes: its `If-Match`.
    pub read: Option<TestRead>,
    /// The newest version that it has seen: its `meshfence-causal`.
    pub seen: Option<TestSeen>,
}

/// What a client has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRead {
    /// The version.
    pub version: String,
    /// The newest versions of other regions in it.
    pub others: Vec<String>,
    /// Where it was read, if that is another path than where it is sent.
    pub path: Option<String>,
    /// By whom it was read, if that is not who sends it.
    pub sub: Option<String>,
    /// What its key is called, the first of the mesh unless said. One that the mesh does not have is
    /// somebody else's.
    pub key: Option<String>,
}

/// What a client has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSeen {
    /// The newest version.
    pub version: String,
    /// When it is over, in milliseconds from the request on; a negative one is over.
    pub expires_ms: i64,
    /// What its key is called, as for [`TestRead`].
    pub key: Option<String>,
}

/// What must come of a request. What is not said is not compared.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// `allow`, `route`, `deny`, `hold` or `shed`.
    pub verdict: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The `grpc-status`.
    pub grpc_status: Option<u8>,
    /// The machine-readable reason.
    pub reason: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// Where it ran.
    pub region: Option<String>,
    /// Headers as the upstream saw them.
    pub upstream: Vec<(String, HeaderExpectation)>,
    /// Headers as the client saw them.
    pub response: Vec<(String, HeaderExpectation)>,
    /// Trailers as the client saw them.
    pub trailers: Vec<(String, HeaderExpectation)>,
    /// The body as the client saw it.
    pub body: Option<BodyExpectation>,
    /// Whether the response ended before its end.
    pub cut: Option<bool>,
    /// Fields of the first guard's decision record; those of a part of it by `part.field`.
    pub record: Vec<(String, HeaderExpectation)>,
    /// How many values the guards have redacted, by their records.
    pub redactions: Option<u64>,
}

/// What a body must be. What is not said is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BodyExpectation {
    /// This and nothing else.
    pub is: Option<String>,
    /// Each of these occurs in it.
    pub contains: Vec<String>,
    /// None of these occurs in it, nor in any header or trailer of the response.
    pub lacks: Vec<String>,
    /// JSON that says this, in whatever order and spelling.
    pub json: Option<serde_json::Value>,
}

/// What one header, trailer or field of a record must be.
#[derive(Debug, Clone)]
pub enum HeaderExpectation {
    /// There, with exactly this value.
    Is(String),
    /// There with whatever value, or not there.
    Present(bool),
    /// There, and the whole value matches.
    Matches(regex_lite::Regex),
}

/// What an engine saw, to be held against an [`Expectation`].
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// `allow`, `route`, `deny`, `hold` or `shed`; nothing where no decision was recorded.
    pub verdict: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The `grpc-status`.
    pub grpc_status: Option<u8>,
    /// The reason.
    pub reason: Option<String>,
    /// The rule.
    pub rule: Option<String>,
    /// The region whose upstream answered.
    pub region: Option<String>,
    /// Request headers at the upstream, names in lower case; none when it saw no request.
    pub upstream: Option<Vec<(String, String)>>,
    /// Response headers at the client, names in lower case.
    pub response: Vec<(String, String)>,
    /// Response trailers at the client, names in lower case.
    pub trailers: Vec<(String, String)>,
    /// The body at the client, without its coding; what is no text in it is replaced.
    pub body: String,
    /// Whether the response ended before its end.
    pub cut: bool,
    /// The first guard's decision record.
    pub record: Option<serde_json::Value>,
    /// How many values the guards have redacted, by their records; nothing without any record.
    pub redactions: Option<u64>,
}
