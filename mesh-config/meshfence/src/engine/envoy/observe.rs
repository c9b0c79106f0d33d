//! What a request came to: the response, what the application says it saw, and the decisions.

use super::records::{Found, Records};
use crate::engine::{Observation, Sent, decided, readable_body};
use crate::exit::Failure;
use crate::local::LocalRun;
use local_mesh::client::{self, RawRequest, Received};
use policy_core::name::HEADER_DECISION;
use policy_doc::Observed;
use serde_json::Value;
use std::time::Duration;

const CONTROL_LIMIT: Duration = Duration::from_secs(2);

/// The response header by which the application tells its region.
const REGION: &str = "x-echo-region";

/// Puts together what is known of a response.
pub(super) async fn response(
    run: &LocalRun,
    sent: Sent,
    records: &Records,
    received: &Received,
) -> Result<Observation, Failure> {
    let Received { response, is_cut, wire: _ } = received;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = |fields: &[(String, Vec<u8>)]| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let header = |name: &str| response.header(name).map(text);
    let mut observed = Observed {
        status: response.status,
        grpc_status: header("grpc-status")
            .or_else(|| response.trailer("grpc-status").map(text))
            .and_then(|code| code.parse().ok()),
        region: header(REGION),
        body: readable_body(header("content-encoding").as_deref(), &response.body),
        cut: *is_cut,
        response: fields(&response.headers),
        trailers: fields(&response.trailers),
        ..Observed::default()
    };
    let mut hops = Vec::new();
    if let Some(id) = header(HEADER_DECISION) {
        let found = records.find(run, &id).await?;
        observed.upstream = upstream(run, &found).await?.map(|headers| sent.named(headers));
        hops = found.hops;
    }
    decided(&mut observed, &hops);
    Ok(Observation { sent, observed, hops })
}

/// The headers of a request as an application saw it, if any did. The applications are asked: the
/// response may say something else by then, or nothing.
async fn upstream(run: &LocalRun, found: &Found) -> Result<Option<Vec<(String, String)>>, Failure> {
    for application in run.applications() {
        let ask = RawRequest::new("GET", format!("/_echo/seen?key={}", found.request));
        let answer = client::send(application, &ask, CONTROL_LIMIT).await?;
        if answer.status == 200 {
            let seen: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            return Ok(headers(&seen));
        }
    }
    Ok(None)
}

fn headers(seen: &Value) -> Option<Vec<(String, String)>> {
    let pairs = seen.get("headers")?.as_array()?.iter();
    pairs
        .map(|pair| {
            let part = |number: usize| pair.get(number)?.as_str().map(str::to_owned);
            Some((part(0)?, part(1)?))
        })
        .collect()
}
