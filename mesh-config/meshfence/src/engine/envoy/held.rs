//! Requests that an application is made to hold, so that they are in flight for as long as needed.

use super::door::{Door, REQUEST_LIMIT};
use super::{raw, unanswered};
use crate::engine::{Sent, not_in_flight};
use crate::exit::{Exit, Failure};
use crate::local::LocalRun;
use local_mesh::client::{self, RawRequest, Received};
use policy_doc::Case;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const CONTROL_LIMIT: Duration = Duration::from_secs(2);
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// The key under which the application holds them.
const KEY: &str = "policy-test";

/// Requests in flight.
pub(super) struct Held {
    requests: JoinSet<Result<Received, local_mesh::Error>>,
}

impl Held {
    /// Sends what the case's state has in flight, and waits until an application has all of it.
    pub(super) async fn start(run: &LocalRun, case: &Case) -> Result<Self, Failure> {
        let mut held = Self { requests: JoinSet::new() };
        for wanted in &case.state.in_flight {
            let sent = Sent::new(&wanted.request, wanted.caller.as_ref());
            for _ in 0..wanted.count {
                let request = raw(run, &sent).header("echo-hold", KEY);
                let id = sent.certificate_id(run.set());
                let door = Door::of(run, &case.region, case.role, id)?;
                let http2 = sent.http2;
                held.requests.spawn(async move { door.send(&request, http2).await });
            }
        }
        let deadline = Instant::now() + REQUEST_LIMIT;
        let wanted = held.requests.len();
        loop {
            let mut found = 0;
            for application in run.applications() {
                found = held_at(application).await?.saturating_add(found);
            }
            if found >= wanted {
                return Ok(held);
            }
            if let Some(ended) = held.requests.try_join_next() {
                let status = match ended {
                    Ok(Ok(received)) => received.response.status.to_string(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                held.release(run).await?;
                return Err(Failure::new(Exit::TestsFailed, not_in_flight(&status)));
            }
            if Instant::now() > deadline {
                let message = format!("of {wanted} requests only {found} are in flight");
                return Err(Failure::new(Exit::TestsFailed, message));
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    /// Lets them go, and waits until they are gone.
    pub(super) async fn release(mut self, run: &LocalRun) -> Result<(), Failure> {
        if self.requests.is_empty() {
            return Ok(());
        }
        for application in run.applications() {
            let release = RawRequest::new("POST", format!("/_echo/release?key={KEY}"));
            client::send(application, &release, CONTROL_LIMIT).await?;
        }
        while let Some(ended) = self.requests.join_next().await {
            if let Ok(ended) = ended {
                ended.map_err(|error| unanswered(&error))?;
            }
        }
        Ok(())
    }
}

async fn held_at(application: SocketAddr) -> Result<usize, Failure> {
    let request = RawRequest::new("GET", format!("/_echo/held?key={KEY}"));
    let response = client::send(application, &request, CONTROL_LIMIT).await?;
    let count: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let held = count.get("held").and_then(Value::as_u64).unwrap_or(0);
    Ok(usize::try_from(held).unwrap_or(usize::MAX))
}
