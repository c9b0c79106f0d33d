//! What a request came to: the response, what the application says it saw, and the decisions.

use super::records::Records;
use crate::engine::{Observation, Sent, decided};
use crate::exit::Failure;
use crate::local::LocalRun;
use local_mesh::client::RawResponse;
use policy_core::name::HEADER_DECISION;
use policy_doc::Observed;
use serde_json::Value;

/// The response header by which the application tells its region.
const REGION: &str = "x-echo-region";

/// Puts together what is known of a response.
pub(super) async fn response(
    run: &LocalRun,
    sent: Sent,
    records: &Records,
    response: &RawResponse,
) -> Result<Observation, Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let grpc_status = response.header("grpc-status").map(text).and_then(|code| code.parse().ok());
    let region = response.header(REGION).map(text);
    let mut observed = Observed {
        status: response.status,
        grpc_status,
        upstream: region.as_ref().and_then(|_| headers(&echoed(&response.body)?)),
        region,
        response: response
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        ..Observed::default()
    };
    let (mut hops, mut body) = (Vec::new(), None);
    if let Some(id) = response.header(HEADER_DECISION).map(text) {
        hops = records.hops(run, &id).await?;
        if observed.region.is_none() && !response.body.is_empty() {
            body = Some(text(&response.body));
        }
    }
    decided(&mut observed, hops.first());
    Ok(Observation { sent, observed, hops, body })
}

/// What the application says of the request: JSON, to gRPC calls as a message.
fn echoed(body: &[u8]) -> Option<Value> {
    /// A flag and a length come before a message.
    const PREFIX: usize = 5;
    let message = if body.first() == Some(&0) { body.get(PREFIX..)? } else { body };
    serde_json::from_slice(message).ok()
}

fn headers(echoed: &Value) -> Option<Vec<(String, String)>> {
    let pairs = echoed.get("headers")?.as_array()?.iter();
    pairs
        .map(|pair| {
            let part = |number: usize| pair.get(number)?.as_str().map(str::to_owned);
            Some((part(0)?, part(1)?))
        })
        .collect()
}
