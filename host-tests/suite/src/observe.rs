//! What Envoy says of the requests it had: access log, statistics, metrics.

use crate::{LIMIT, Trouble, until};
use local_mesh::client::{self, RawRequest, RawResponse};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// One line of the access log.
#[derive(Debug, Clone)]
pub struct Access {
    /// The whole line.
    pub line: Value,
    /// The decision record, where there is one.
    pub decision: Option<Value>,
}

impl Access {
    /// A field of the decision as text.
    pub fn decided(&self, field: &str) -> Option<&str> {
        self.decision.as_ref()?.get(field)?.as_str()
    }
}

/// Sends a request and reads the response.
///
/// # Errors
/// That there was none.
pub async fn send(addr: SocketAddr, request: &RawRequest) -> Result<RawResponse, Trouble> {
    Ok(client::send(addr, request, LIMIT).await?)
}

/// Every complete line of the access log, parsed strictly: a line that is no JSON object and a
/// decision that is none are troubles.
///
/// # Errors
/// The first such line.
pub fn access_log(path: &Path) -> Result<Vec<Access>, Trouble> {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8(text).map_err(|error| Trouble::new(error.to_string()))?;
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    complete.lines().map(access).collect()
}

fn access(line: &str) -> Result<Access, Trouble> {
    let bad = |why: &str| Trouble::new(format!("{why}: {line}"));
    let parsed: Value = serde_json::from_str(line).map_err(|_| bad("no JSON"))?;
    let decision = match parsed.get("decision") {
        None => return Err(bad("no `decision`")),
        Some(Value::Null) => None,
        Some(Value::String(text)) => {
            let decision: Value = serde_json::from_str(text).map_err(|_| bad("no decision"))?;
            if !decision.is_object() {
                return Err(bad("the decision is no object"));
            }
            Some(decision)
        }
        Some(_) => return Err(bad("the decision is no text")),
    };
    Ok(Access { line: parsed, decision })
}

/// Statistics whose names match an expression, by name.
///
/// # Errors
/// That the admin interface does not answer.
pub async fn stats(admin: SocketAddr, expression: &str) -> Result<BTreeMap<String, u64>, Trouble> {
    let request = RawRequest::new("GET", format!("/stats?filter={expression}"));
    let text = send(admin, &request).await?.text().into_owned();
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    });
    Ok(pairs.collect())
}

/// Waits until an Envoy takes so many endpoints of a cluster to be healthy. One that has just started
/// takes its own region to be down at first: it asks before it listens, and again after a second.
///
/// # Errors
/// That it never does.
pub async fn until_healthy(admin: SocketAddr, cluster: &str, count: u64) -> Result<(), Trouble> {
    let name = format!("cluster.{cluster}.membership_healthy");
    until(&format!("{name} is {count}"), async || {
        let found = stats(admin, &format!("^{name}$")).await.ok()?;
        (found.get(&name) == Some(&count)).then_some(())
    })
    .await
}

/// The Prometheus metrics whose names begin with `meshfence_`: by name and labels, as written.
///
/// # Errors
/// That the admin interface does not answer.
pub async fn metrics(admin: SocketAddr) -> Result<BTreeMap<String, u64>, Trouble> {
    let request = RawRequest::new("GET", "/stats/prometheus");
    let text = send(admin, &request).await?.text().into_owned();
    let pairs = text.lines().filter(|line| line.starts_with("meshfence_")).filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(pairs.collect())
}

/// The lines of Envoy's log that tell of a trap, or of anything else that should never happen.
pub fn traps(log: &str) -> Vec<String> {
    let is_trap = |line: &&str| {
        let level = line.split(' ').nth(1);
        let signs = ["panicked", "wasm_fail", "Uncaught", "in-VM", "Function: proxy_"];
        level == Some("critical") || signs.iter().any(|sign| line.contains(sign))
    };
    log.lines().filter(is_trap).map(str::to_owned).collect()
}
