//! The engine of real Envoys: the local mesh, and a client that sends what it is told to.

mod door;
mod held;
mod observe;
mod records;

use super::{Observation, Sent};
use crate::exit::{Exit, Failure};
use crate::issuer;
use crate::local::LocalRun;
use door::Door;
use held::Held;
use local_mesh::client::RawRequest;
use policy_doc::{Case, TestToken, WorldState};
use records::Records;
use std::time::{Duration, Instant};

/// For how long tokens are valid.
const TOKEN_MINUTES: u32 = 720;

/// What came of one case: what was seen, or why nothing was, and how long it took.
pub type Seen = (Result<Observation, String>, Duration);

/// Plays every case. Those of one state follow each other, whatever their order; what was seen is in
/// the order of the cases.
///
/// # Errors
/// What keeps cases from being played at all, such as an Envoy that does not start again.
pub async fn play(
    run: &mut LocalRun,
    cases: &[&Case],
    say: &mut dyn FnMut(&str),
) -> Result<Vec<Seen>, Failure> {
    let mut seen: Vec<(usize, Seen)> = Vec::with_capacity(cases.len());
    for number in by_state(cases, run.state()) {
        let Some(case) = cases.get(number) else { continue };
        run.enter(&case.state, say).await?;
        let played = seen.len().saturating_add(1);
        say(&format!("{played}/{} {}", cases.len(), case.name));
        let started = Instant::now();
        let one = match play_one(run, case).await {
            Ok(observation) => Ok(observation),
            // That one request had no answer says nothing of the next.
            Err(failure) if failure.exit == Exit::TestsFailed => Err(failure.message),
            Err(failure) => return Err(failure),
        };
        seen.push((number, (one, started.elapsed())));
    }
    seen.sort_by_key(|(number, _)| *number);
    Ok(seen.into_iter().map(|(_, one)| one).collect())
}

/// The numbers of the cases, so that the mesh changes as little as possible from one to the next:
/// those with the same region state together, among them those with the same regions lost, and among
/// them those with the same requests in flight. What is in force comes first.
fn by_state(cases: &[&Case], now: &WorldState) -> Vec<usize> {
    let mut documents = vec![(&now.document, &now.views)];
    let mut states = vec![now];
    let mut keyed: Vec<_> = (0..)
        .zip(cases)
        .map(|(number, case): (usize, _)| {
            let state = &case.state;
            let document = place(&mut documents, (&state.document, &state.views));
            ((document, state.lost(), place(&mut states, state)), number)
        })
        .collect();
    keyed.sort();
    keyed.into_iter().map(|(_, number)| number).collect()
}

/// Where something stands in a list, at its end if it was not there.
fn place<T: Copy + PartialEq>(list: &mut Vec<T>, wanted: T) -> usize {
    list.iter().position(|known| *known == wanted).unwrap_or_else(|| {
        list.push(wanted);
        list.len().saturating_sub(1)
    })
}

/// A token; none if the policy set has no such issuer.
pub fn token(run: &LocalRun, token: &TestToken) -> Option<String> {
    let TestToken { issuer, sub, claims: own } = token;
    let issuer = run.set().mesh.issuers.iter().find(|known| known.name == *issuer)?;
    let mut claims = issuer::claims(issuer, sub);
    claims.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    Some(run.issuer().token(claims, TOKEN_MINUTES))
}

async fn play_one(run: &LocalRun, case: &Case) -> Result<Observation, Failure> {
    let held = Held::start(run, case).await?;
    let sent = Sent::new(&case.request, case.caller.as_ref());
    let records = Records::begin(run);
    let door = Door::of(run, &case.region, case.role, sent.certificate_id(run.set()))?;
    let response = door.send(&raw(run, &sent), sent.http2).await;
    held.release(run).await?;
    observe::response(run, sent, &records, &response.map_err(|error| unanswered(&error))?).await
}

/// That a request has no answer is what is wrong with its case, not with the run.
fn unanswered(error: &local_mesh::Error) -> Failure {
    Failure::new(Exit::TestsFailed, error.to_string())
}

/// A request as bytes.
pub(crate) fn raw(run: &LocalRun, sent: &Sent) -> RawRequest {
    let mut raw = RawRequest {
        method: sent.method.clone(),
        target: sent.path.as_bytes().into(),
        headers: vec![(b"host".to_vec(), sent.host.as_bytes().into())],
        body: Vec::new(),
    };
    if let Some(token) = sent.token.as_ref().and_then(|own| token(run, own)) {
        raw = raw.header("authorization", format!("Bearer {token}"));
    }
    let own = run.keys().headers(run.set(), sent);
    for (name, value) in own.iter().chain(&sent.headers) {
        raw = raw.header(name.as_bytes(), value.as_bytes());
    }
    if sent.body.is_empty() { raw } else { raw.body(sent.body.as_bytes()) }
}
