//! The decision records of one request, out of the access logs of every region.

use crate::engine::Hop;
use crate::exit::{Exit, Failure};
use crate::local::LocalRun;
use policy_core::{Role, Verdict};
use serde_json::Value;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Envoy writes its access log a moment after the response.
const LOG_LIMIT: Duration = Duration::from_secs(10);
const POLL_PAUSE: Duration = Duration::from_millis(10);

/// The access logs, from a point in time on.
pub(super) struct Records {
    logs: Vec<(PathBuf, u64)>,
}

/// What the logs have of one request.
pub(super) struct Found {
    /// Its id.
    pub(super) request: String,
    /// What was decided of it, in its order.
    pub(super) hops: Vec<Hop>,
}

/// What one line of a log has for us.
struct Line {
    request: String,
    record: Option<Value>,
}

impl Records {
    /// What is logged from now on.
    pub(super) fn begin(run: &LocalRun) -> Self {
        let log = |region: &str| {
            let path = run.mesh().run_dir().access_log(region);
            let length = std::fs::metadata(&path).map_or(0, |file| file.len());
            (path, length)
        };
        Self { logs: run.ports().iter().map(|ports| log(&ports.region)).collect() }
    }

    /// The request of this decision, and the guards that it passed from there on.
    pub(super) async fn find(&self, run: &LocalRun, id: &str) -> Result<Found, Failure> {
        let deadline = Instant::now() + LOG_LIMIT;
        loop {
            let lines = self.lines();
            let is_entry = |line: &&Line| {
                line.record.as_ref().and_then(|record| record.get("id")?.as_str()) == Some(id)
            };
            if let Some(entry) = lines.iter().find(is_entry) {
                let same = lines.iter().filter(|line| line.request == entry.request);
                let (decided, undecided): (Vec<_>, Vec<_>) =
                    same.partition(|line| line.record.is_some());
                let hops = decided.into_iter().filter_map(|line| Hop::of(line.record.clone()?));
                let hops = in_order(hops.collect());
                // A line without a decision is of a listener whose guard did not see the request.
                if !undecided.is_empty() || is_complete(run, &hops) || Instant::now() > deadline {
                    return Ok(Found { request: entry.request.clone(), hops });
                }
            } else if Instant::now() > deadline {
                let logs: Vec<String> =
                    self.logs.iter().map(|(path, _)| format!("`{}`", path.display())).collect();
                let message = format!("decision {id} is in no access log: {}", logs.join(", "));
                return Err(Failure::new(Exit::TestsFailed, message));
            }
            tokio::time::sleep(POLL_PAUSE).await;
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (path, begin) in &self.logs {
            let text = since(path, *begin).unwrap_or_default();
            // The last line may not be all there yet.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            lines.extend(whole.lines().filter_map(line));
        }
        lines
    }
}

fn since(path: &Path, begin: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of the access log: a JSON object that has the decision record as a text.
fn line(text: &str) -> Option<Line> {
    let line: Value = serde_json::from_str(text).ok()?;
    let record = line.get("decision")?.as_str().and_then(|text| serde_json::from_str(text).ok());
    let request = line.get("request_id").and_then(Value::as_str).unwrap_or_default();
    Some(Line { request: request.to_owned(), record })
}

/// From where a request enters to the application.
fn in_order(mut hops: Vec<Hop>) -> Vec<Hop> {
    let place = |hop: &Hop| match hop.role {
        Role::Edge | Role::Outbound => 0,
        Role::Peer => 1,
        Role::Inbound => 2,
    };
    hops.sort_by_key(place);
    hops
}

/// Whether nothing more is to come: every guard that let the request pass has one behind it, or
/// there is none. A guard writes its line when it likes, not in the order of the request.
fn is_complete(run: &LocalRun, hops: &[Hop]) -> bool {
    let is_answered_for = |hop: &Hop| {
        let text = |field: &str| hop.record.get(field).and_then(Value::as_str);
        let verdict = text("verdict").and_then(Verdict::parse);
        let next = match (hop.role, verdict) {
            (Role::Inbound, _) => return true,
            (_, Some(Verdict::Route)) => Role::Peer,
            (_, Some(Verdict::Allow)) => Role::Inbound,
            _ => return true,
        };
        hops.iter().any(|hop| hop.role == next) || run.is_lost(text("to").unwrap_or(&hop.region))
    };
    !hops.is_empty() && hops.iter().all(is_answered_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_request_and_perhaps_a_record() {
        for (text, request, verdict) in [
            (
                r#"{"request_id":"r1","decision":"{\"verdict\":\"allow\"}"}"#,
                Some("r1"),
                Some("allow"),
            ),
            (r#"{"request_id":"r1","decision":null}"#, Some("r1"), None),
            (r#"{"request_id":null,"decision":null}"#, Some(""), None),
            (r#"{"request_id":"r1"}"#, None, None),
            ("no JSON", None, None),
        ] {
            let line = line(text);
            assert_eq!(line.as_ref().map(|line| line.request.as_str()), request, "{text}");
            let record = line.and_then(|line| line.record);
            let found = record.as_ref().and_then(|record| record.get("verdict")?.as_str());
            assert_eq!(found, verdict, "{text}");
        }
    }
}
