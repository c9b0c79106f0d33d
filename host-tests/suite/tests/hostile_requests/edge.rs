//! A real edge, what it is asked, and what must be true of it afterwards.

use Expect::{Envoy, Grpc, Guard, Runs};
use local_mesh::client::{RawRequest, RawResponse};
use policy_doc::WorldState;
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use suite::{Access, Check, Regions, Trouble, access_log, send, stats, traps, until};

/// In everything that a hostile client may choose: it must not turn up in any log.
pub(crate) const MARK: &str = "h0stile";
pub(crate) const PRODUCT: &str = "/api/v1/products/1";
pub(crate) const REVIEW: &str = "/api/v1/reviews/9";
pub(crate) const ORDERS: &str = "/api/v1/orders";
pub(crate) const CARTS: &str = "/api/v1/carts/1";

/// What must come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Envoy answers before any policy; no upstream sees it.
    Envoy(u16),
    /// The guard answers; no upstream sees it.
    Guard(u16, &'static str),
    /// The guard answers a gRPC call.
    Grpc(u8, &'static str),
    /// The upstream of this region sees it, with this path.
    Runs(&'static str, &'static str),
}

/// What is sent, the request, and what must come of it.
pub(crate) type Row = (&'static str, RawRequest, Expect);

/// A real edge in Taiwan, and what it was like before anything hostile came.
pub(crate) struct Edge {
    pub(crate) regions: Regions,
    pub(crate) entry: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
    created: u64,
}

/// What is the same for two requests between which there is no difference: where it ran and what
/// the upstream saw, or the refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    status: u16,
    region: String,
    reason: String,
    upstream: Vec<(String, String)>,
}

impl Edge {
    pub(crate) async fn start() -> Result<Self, Trouble> {
        let regions = Regions::start(&WorldState::default()).await?;
        let (entry, admin) = (regions.edge("taiwan")?, regions.admin("taiwan")?);
        let upstream = regions.application("taiwan")?;
        let created = vm_created(admin).await?;
        Ok(Self { regions, entry, admin, upstream, created })
    }

    /// Ends a table: the module must be unharmed and the logs clean, whatever the table showed.
    pub(crate) async fn finish(self, result: Result<String, Trouble>) -> Check {
        let harm = self.harm().await;
        self.regions.stop().await;
        Trouble::unless_empty(&format!("{}{}", result?, harm?))
    }

    pub(crate) async fn all(&self, rows: Vec<Row>) -> Result<String, Trouble> {
        let mut account = String::new();
        let total = rows.len();
        for (what, request, expect) in rows {
            let before = self.arrived().await?;
            let found = match send(self.entry, &request).await {
                Ok(response) => self.check(&response, expect, before).await?,
                Err(error) => Some(error.to_string()),
            };
            if let Some(found) = found {
                let _ = writeln!(account, "{what}: expected {expect:?}, found {found}");
            }
        }
        println!("{total} hostile requests");
        Ok(account)
    }

    /// What was not as expected.
    async fn check(
        &self,
        response: &RawResponse,
        expect: Expect,
        before: u64,
    ) -> Result<Option<String>, Trouble> {
        let status = response.status;
        let region = text(response, "x-echo-region");
        let reason = text(response, "x-meshfence-reason");
        let decided = response.header("x-meshfence-decision").is_some();
        let arrived = self.arrived().await? - before;
        let echo: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let path = echo.get("path").and_then(Value::as_str).unwrap_or_default();
        let grpc = text(response, "grpc-status");
        let fine = match expect {
            Envoy(wanted) => status == wanted && !decided && arrived == 0,
            Guard(wanted, why) => {
                let problem = text(response, "content-type") == "application/problem+json";
                status == wanted && reason == why && decided && problem && arrived == 0
            }
            Grpc(wanted, why) => {
                grpc == wanted.to_string() && reason == why && decided && arrived == 0
            }
            Runs(wanted, seen) => {
                status == 200 && region == wanted && decided && reason.is_empty() && path == seen
            }
        };
        let leaked = response.text().contains(MARK) && echo.get("headers").is_none();
        Ok((!fine || leaked).then(|| {
            format!(
                "{status} in `{region}`, reason `{reason}`, grpc `{grpc}`, decided {decided}, {arrived} \
                 arrived, path `{path}`: {}",
                response.text().chars().take(300).collect::<String>()
            )
        }))
    }

    pub(crate) async fn arrived(&self) -> Result<u64, Trouble> {
        let response = send(self.upstream, &RawRequest::new("GET", "/_echo/count")).await?;
        let count: Value = serde_json::from_slice(&response.body)?;
        let count = count.get("count").and_then(Value::as_u64);
        count.ok_or_else(|| Trouble::new("the echo does not count"))
    }

    /// Sends a request; the id of its decision, and what came of it.
    pub(crate) async fn observe(
        &self,
        request: &RawRequest,
    ) -> Result<(String, Observation), Trouble> {
        let response = send(self.entry, request).await?;
        let echo: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let headers = echo.get("headers").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut upstream: Vec<(String, String)> = headers
            .iter()
            .filter_map(|pair| {
                let name = pair.get(0)?.as_str()?.to_owned();
                let value = pair.get(1)?.as_str()?;
                // Each request has its own.
                let own = matches!(
                    &*name,
                    "x-meshfence-version" | "x-meshfence-sig" | "x-request-id" | "authorization"
                );
                Some((name, if own { String::from("(own)") } else { value.to_owned() }))
            })
            .collect();
        upstream.sort();
        let observation = Observation {
            status: response.status,
            region: text(&response, "x-echo-region"),
            reason: text(&response, "x-meshfence-reason"),
            upstream,
        };
        Ok((text(&response, "x-meshfence-decision"), observation))
    }

    /// What was decided, without what is each decision's own.
    pub(crate) async fn judgement(&self, id: &str) -> Result<Value, Trouble> {
        let mut decision = self.decision(id).await?.decision.unwrap_or_default();
        if let Some(record) = decision.as_object_mut() {
            let own = guard::RECORD_FIELDS_NEW.iter().chain(&["version", "stripped"]);
            for own in own {
                record.remove(*own);
            }
        }
        Ok(decision)
    }

    async fn decision(&self, id: &str) -> Result<Access, Trouble> {
        let log = self.regions.access_log("taiwan");
        until("the decision is logged", async || {
            let lines = access_log(&log).ok()?;
            lines.into_iter().rev().find(|access| access.decided("id") == Some(id))
        })
        .await
    }

    /// Everything that a hostile request may have done to the module or the logs.
    async fn harm(&self) -> Result<String, Trouble> {
        let mut account = String::new();
        // The last request of all is an ordinary one, and its line the last of the log.
        let ordinary = send(self.entry, &RawRequest::new("GET", PRODUCT)).await?;
        if ordinary.status != 200 {
            let _ = writeln!(account, "an ordinary request: {}", ordinary.status);
        }
        self.decision(&text(&ordinary, "x-meshfence-decision")).await?;
        let created = vm_created(self.admin).await?;
        if created != self.created {
            let _ = writeln!(account, "VMs were made: {} before, {created} now", self.created);
        }
        for (name, value) in stats(self.admin, "vm_reload|vm_failed|config_rejected").await? {
            if value != 0 {
                let _ = writeln!(account, "{name} is {value}");
            }
        }
        let lines = access_log(&self.regions.access_log("taiwan"))?;
        for access in &lines {
            let line = access.line.to_string();
            if line.contains(MARK) || line.contains("wasm_fail") {
                let _ = writeln!(account, "in the access log: {line}");
            }
            if let Some(decision) = &access.decision {
                let unknown = unknown_field(decision);
                if let Some(field) = unknown {
                    let _ = writeln!(account, "`{field}` in a decision: {decision}");
                }
            }
        }
        let log = self.regions.envoy_log("taiwan")?;
        for line in traps(&log) {
            let _ = writeln!(account, "in Envoy's log: {line}");
        }
        if log.contains(MARK) {
            let _ = writeln!(account, "a client's bytes in Envoy's log");
        }
        println!("{} access log lines", lines.len());
        Ok(account)
    }
}

/// A field of a decision that is not one of those that policy and closed sets fill.
fn unknown_field(decision: &Value) -> Option<&str> {
    let fields = decision.as_object()?.keys();
    fields.map(String::as_str).find(|field| !guard::RECORD_FIELDS.contains(field))
}

async fn vm_created(admin: SocketAddr) -> Result<u64, Trouble> {
    let found = stats(admin, "runtime.v8.created").await?;
    found.into_values().next().ok_or_else(|| Trouble::new("Envoy counts no VMs"))
}

fn text(response: &RawResponse, name: &str) -> String {
    String::from_utf8_lossy(response.header(name).unwrap_or_default()).into_owned()
}
