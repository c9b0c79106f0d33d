//! What a request came to: the response, what the upstream says it saw, and the decision record.

use crate::exit::{Exit, Failure};
use crate::local::LocalRun;
use local_mesh::client::RawResponse;
use policy_core::name::HEADER_DECISION;
use policy_doc::Observed;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Envoy writes its access log a moment after the response.
const LOG_LIMIT: Duration = Duration::from_secs(10);
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// Puts together what is known of a response, with the decision record.
pub(super) async fn response(
    run: &LocalRun,
    entry: &str,
    response: &RawResponse,
) -> Result<(Observed, Option<String>), Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let echo: Option<Value> =
        response.header("x-echo-region").and_then(|_| serde_json::from_slice(&response.body).ok());
    let grpc_status = response.header("grpc-status").map(text).and_then(|code| code.parse().ok());
    let mut observed = Observed {
        status: response.status,
        grpc_status,
        region: response.header("x-echo-region").map(text),
        upstream: echo.as_ref().and_then(|echo| headers(echo.get("headers")?)),
        response: response
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        ..Observed::default()
    };
    let mut logged = None;
    if let Some(id) = response.header(HEADER_DECISION).map(text) {
        let record = record(&run.mesh().run_dir().access_log(entry), &id).await?;
        let decided = record.get("outcome").unwrap_or(&record);
        let field = |from: &Value, name: &str| from.get(name)?.as_str().map(str::to_owned);
        observed.verdict = field(decided, "verdict");
        observed.reason = field(decided, "reason");
        observed.rule = field(&record, "rule");
        logged = Some(record.to_string());
    }
    Ok((observed, logged))
}

fn headers(echoed: &Value) -> Option<Vec<(String, String)>> {
    let pairs = echoed.as_array()?.iter();
    pairs
        .map(|pair| {
            let part = |number: usize| pair.get(number)?.as_str().map(str::to_owned);
            Some((part(0)?, part(1)?))
        })
        .collect()
}

/// The decision record with this id, once Envoy has written it.
async fn record(log: &Path, id: &str) -> Result<Value, Failure> {
    let deadline = Instant::now() + LOG_LIMIT;
    loop {
        let lines = fs::read_to_string(log).unwrap_or_default();
        for line in lines.lines().rev() {
            if let Some(record) = decision(line)
                && record.get("id").and_then(Value::as_str) == Some(id)
            {
                return Ok(record);
            }
        }
        if Instant::now() > deadline {
            let message = format!("decision {id} is not in the access log `{}`", log.display());
            return Err(Failure::new(Exit::TestsFailed, message));
        }
        tokio::time::sleep(POLL_PAUSE).await;
    }
}

/// The decision record of a line: a JSON object as a string in a JSON object.
fn decision(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    serde_json::from_str(line.get("decision")?.as_str()?).ok()
}
