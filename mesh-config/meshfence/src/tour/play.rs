//! One case after the other, under the state that each asks for.

use super::observe;
use crate::exit::{Exit, Failure};
use crate::issuer;
use crate::local::LocalRun;
use local_mesh::client::{self, RawRequest, RawResponse};
use policy_doc::{
    Case, InFlight, Mismatch, Observed, PolicyTest, TestCaller, TestRequest, TestToken,
};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long one request may take, held ones included.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);
const CONTROL_LIMIT: Duration = Duration::from_secs(2);
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// For how long the tokens of a tour are valid.
const TOKEN_MINUTES: u32 = 720;

/// What came of a case.
#[derive(Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// What was seen.
    pub observed: Observed,
    /// The decision record as it was logged; Envoy's own answers have none.
    pub record: Option<String>,
    /// What was not as expected.
    pub mismatches: Vec<Mismatch>,
}

impl Outcome {
    /// Whether all was as expected.
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// Plays every case in its order.
///
/// # Errors
/// What keeps a case from being played at all; a case that fails is an outcome.
pub async fn play(
    run: &mut LocalRun,
    test: &PolicyTest,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>, Failure> {
    let total = test.cases.len();
    let mut outcomes = Vec::with_capacity(total);
    for (number, case) in test.cases.iter().enumerate() {
        run.enter(&case.state, say).await?;
        say(&format!("{}/{total} {}", number.saturating_add(1), case.name));
        let (observed, record) = play_one(run, case).await?;
        let mismatches = case.expect.compare(&observed);
        outcomes.push(Outcome { case: case.clone(), observed, record, mismatches });
    }
    Ok(outcomes)
}

/// The token of a test's caller; none if it has none, or the policy set no such issuer.
pub fn token(run: &LocalRun, caller: &TestCaller) -> Option<String> {
    let TestToken { issuer, sub, claims: own } = caller.token.as_ref()?;
    let issuer = run.set().mesh.issuers.iter().find(|known| known.name == *issuer)?;
    let mut claims = issuer::claims(issuer, sub);
    claims.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    Some(run.issuer().token(claims, TOKEN_MINUTES))
}

async fn play_one(run: &LocalRun, case: &Case) -> Result<(Observed, Option<String>), Failure> {
    let edge = run
        .edge(&case.region)
        .ok_or_else(|| Failure::new(Exit::Internal, format!("`{}` has no edge", case.region)))?;
    let held = Held::start(run, edge, &case.state.in_flight).await?;
    let request = request(run, &case.request, case.caller.as_ref());
    let response = send(edge, &request).await;
    held.release(run).await?;
    observe::response(run, &case.region, &response?).await
}

async fn send(edge: SocketAddr, request: &RawRequest) -> Result<RawResponse, Failure> {
    Ok(client::send(edge, request, REQUEST_LIMIT).await?)
}

fn request(run: &LocalRun, request: &TestRequest, caller: Option<&TestCaller>) -> RawRequest {
    let mut raw = RawRequest {
        method: request.method.clone(),
        target: request.path.as_bytes().into(),
        headers: vec![(b"host".to_vec(), request.host.as_bytes().into())],
        body: Vec::new(),
    };
    if let Some(token) = caller.and_then(|caller| token(run, caller)) {
        raw = raw.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in &request.headers {
        raw = raw.header(name.as_bytes(), value.as_bytes());
    }
    if request.body.is_empty() { raw } else { raw.body(request.body.as_bytes()) }
}

/// Requests that an upstream is made to hold, so that they are in flight for as long as needed.
struct Held {
    requests: JoinSet<Result<RawResponse, Failure>>,
}

impl Held {
    const KEY: &str = "tour";

    async fn start(
        run: &LocalRun,
        edge: SocketAddr,
        in_flight: &[InFlight],
    ) -> Result<Self, Failure> {
        let mut requests = JoinSet::new();
        for wanted in in_flight {
            for _ in 0..wanted.count {
                let request = request(run, &wanted.request, wanted.caller.as_ref())
                    .header("echo-hold", Self::KEY);
                requests.spawn(async move { send(edge, &request).await });
            }
        }
        let mut held = Self { requests };
        let deadline = Instant::now() + REQUEST_LIMIT;
        let wanted = held.requests.len();
        loop {
            let mut found = 0;
            for upstream in run.upstreams() {
                found = held_at(upstream).await?.saturating_add(found);
            }
            if found >= wanted {
                return Ok(held);
            }
            if let Some(ended) = held.requests.try_join_next() {
                let status = match ended {
                    Ok(Ok(response)) => response.status.to_string(),
                    Ok(Err(failure)) => failure.message,
                    Err(error) => error.to_string(),
                };
                let message = format!("a request that should be in flight was answered: {status}");
                return Err(Failure::new(Exit::TestsFailed, message));
            }
            if Instant::now() > deadline {
                let message = format!("of {wanted} requests only {found} are in flight");
                return Err(Failure::new(Exit::TestsFailed, message));
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    async fn release(mut self, run: &LocalRun) -> Result<(), Failure> {
        if self.requests.is_empty() {
            return Ok(());
        }
        for upstream in run.upstreams() {
            let release = RawRequest::new("POST", format!("/_echo/release?key={}", Self::KEY));
            client::send(upstream, &release, CONTROL_LIMIT).await?;
        }
        while let Some(ended) = self.requests.join_next().await {
            if let Ok(ended) = ended {
                ended?;
            }
        }
        Ok(())
    }
}

async fn held_at(upstream: SocketAddr) -> Result<usize, Failure> {
    let request = RawRequest::new("GET", format!("/_echo/held?key={}", Held::KEY));
    let response = client::send(upstream, &request, CONTROL_LIMIT).await?;
    let count: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let held = count.get("held").and_then(Value::as_u64).unwrap_or(0);
    Ok(usize::try_from(held).unwrap_or(usize::MAX))
}
