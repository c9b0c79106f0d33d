//! A region of the built-in policy set whose proxy asks an agent, and leased writes that are sent to
//! it all the time: what came of each, and whether it ran.

use crate::agent::{Agent, Conduct};
use crate::regions::{Turn, envoy, example, secrets_of, site, turn};
use crate::{Trouble, meshfence_binary, metrics, send, traps, until};
use guard::header::FENCE;
use local_mesh::Part;
use local_mesh::client::{RawRequest, RawResponse};
use local_mesh::mesh::{LogLevel, Mesh, Options, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use meshfence::{Issuer, LocalCertificates};
use policy_core::Role;
use policy_core::wire::LeaseTimes;
use render::{AccessLog, Delivery, EnvoyPlan, Keys};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::time::Instant;

/// The region that is there. No other is.
pub const HERE: &str = "taiwan";

/// How often its proxy asks, in milliseconds.
const POLL_MS: u32 = 200;
/// How long its leases last: as short as may be, for whoever waits for their ends.
const TTL_MS: u32 = 2_000;
/// So many writes one after the other reach every worker, as good as always.
const ALIKE: usize = 10;

/// A region whose proxy asks an agent.
#[derive(Debug)]
pub struct Asking {
    /// Whom it asks.
    pub agent: Agent,
    mesh: Mesh,
    place: Ports,
    plugins: PathBuf,
    next: Cell<u32>,
    writes: RefCell<Vec<Write>>,
    // After the mesh: fields are dropped in their order.
    _turn: Turn,
}

/// A leased write and what came of it.
#[derive(Debug, Clone)]
pub struct Write {
    /// Its name in the log of the application.
    id: String,
    /// It was not decided before this moment, and not after the other one.
    sent: Instant,
    done: Instant,
    /// The token that the application saw, else status and reason.
    answer: String,
}

/// A leased write on its way.
#[derive(Debug)]
pub struct Sending {
    id: String,
    edge: SocketAddr,
    request: RawRequest,
}

impl Asking {
    /// The secret that its agent signs with, by the first key of the policy set.
    pub const SECRET: &str = "the secret of a proxy that asks an agent";

    /// Starts the region with two workers, and its agent with a conduct.
    ///
    /// # Errors
    /// What the machine lacks.
    pub async fn start(conduct: Conduct, module: &[u8]) -> Result<Self, Trouble> {
        let turn = turn().await;
        let mut set = example()?.with_hosts(&["localhost"]).with_all_recorded();
        set.body.fencing.lease = LeaseTimes { ttl_ms: TTL_MS, poll_ms: POLL_MS };
        let agent = Agent::start(&set, HERE, Self::SECRET).await?;
        agent.behave(conduct).await?;
        set.mesh.agents = [(HERE.to_owned(), agent.url())].into();
        let [here, there] = ports::plan(0, &[HERE, "tokyo"])?
            .try_into()
            .map_err(|_| Trouble::new("there are not two regions"))?;
        let run_dir = RunDir::create()?;
        let module = run_dir.write("meshfence.wasm", module)?;
        let (secrets, plugins) = (run_dir.path().join("tls"), run_dir.path().join("plugin"));
        LocalCertificates::generate(&set, SystemTime::now())?.write(&set, &secrets)?;
        let log = |name: &str| (name.to_owned(), run_dir.access_log(name).display().to_string());
        let plan = EnvoyPlan {
            sites: vec![site(&here), site(&there)],
            module: module.display().to_string(),
            keys: Keys::Inline(Issuer::generate().jwks()),
            access_log: AccessLog::File([log(HERE), log("tokyo")].into()),
            secrets: secrets.display().to_string(),
            delivery: Delivery::Files(plugins.display().to_string()),
        };
        for role in render::roles(&set) {
            let text = render::plugin_resource(&set, &plan, HERE, role).map_err(unrendered)?;
            put(&plugins.join(render::plugin_file(HERE, role)), &text)?;
        }
        let bootstrap = render::bootstrap(&set, &plan, HERE).map_err(unrendered)?;
        let options = Options {
            envoy: envoy().await?.into(),
            echo: vec![meshfence_binary()?.into(), "echo".into()],
            regions: vec![Region { ports: here.clone(), bootstrap }],
            workers: 2,
            run_dir,
            log_level: LogLevel::Warn,
            component_log_levels: Vec::new(),
            env: secrets_of(&set, Self::SECRET),
        };
        let mesh = Mesh::start(options, &mut |_| {}).await?;
        let (next, writes) = (Cell::new(0), RefCell::default());
        Ok(Self { agent, mesh, place: here, plugins, next, writes, _turn: turn })
    }

    /// A leased write that was not sent yet.
    pub fn sending(&self) -> Sending {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let id = format!("write-{number}");
        let request = RawRequest::new("POST", "/api/v1/inventory/sku-1")
            .header("idempotency-key", id.as_str())
            .header("echo-id", id.as_str());
        Sending { id, edge: self.place.edge, request }
    }

    /// Keeps what came of a write, to be judged at the end.
    pub fn keep(&self, write: Write) {
        self.writes.borrow_mut().push(write);
    }

    /// Sends a leased write; the token that the application saw, else status and reason.
    pub async fn write(&self) -> String {
        let write = self.sending().send().await;
        let answer = write.answer.clone();
        self.keep(write);
        answer
    }

    /// Sends leased writes until something is so.
    ///
    /// # Errors
    /// That it never is.
    pub async fn write_until<T>(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, Trouble> {
        let mut last = String::new();
        let waited = until(what, async || {
            last = self.write().await;
            ask().await
        });
        waited.await.map_err(|trouble| Trouble::new(format!("{trouble}; writes get: {last}")))
    }

    /// Sends leased writes until all of several get this answer, whichever worker has them.
    ///
    /// # Errors
    /// That it never is.
    pub async fn settles(&self, answer: &str) -> Result<(), Trouble> {
        let mut alike = 0;
        let mut last = String::new();
        let waited = until("every worker answers alike", async || {
            last = self.write().await;
            alike = if last == answer { alike + 1 } else { 0 };
            (alike >= ALIKE).then_some(())
        });
        waited.await.map_err(|trouble| Trouble::new(format!("{trouble}: {answer}, not {last}")))
    }

    /// How often questions have had this outcome.
    ///
    /// # Errors
    /// That the admin interface does not answer.
    pub async fn polls(&self, outcome: &str) -> Result<u64, Trouble> {
        let name = format!("meshfence_region_state_polls_total{{outcome=\"{outcome}\"}}");
        Ok(self.metric(&name).await?.unwrap_or(0))
    }

    /// A metric by its name and labels.
    ///
    /// # Errors
    /// That the admin interface does not answer.
    pub async fn metric(&self, name: &str) -> Result<Option<u64>, Trouble> {
        Ok(metrics(self.place.admin).await?.get(name).copied())
    }

    /// Sends any other request to the edge.
    ///
    /// # Errors
    /// That there is no answer.
    pub async fn send(&self, request: &RawRequest) -> Result<RawResponse, Trouble> {
        send(self.place.edge, request).await
    }

    /// The status of the readiness of the edge.
    ///
    /// # Errors
    /// That there is no answer.
    pub async fn ready(&self) -> Result<u16, Trouble> {
        Ok(self.send(&RawRequest::new("GET", guard::ready::PATH)).await?.status)
    }

    /// The admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.place.admin
    }

    /// Stalls the whole proxy; returns when it stands still.
    ///
    /// # Errors
    /// That it is gone, or goes on.
    pub async fn stall(&self) -> Result<(), Trouble> {
        let pid = self.signal(Signal::STOP)?;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // Until its last thread has heard of it, it may pass a write that comes after the signal.
        until("the proxy stands still", async || {
            let status = waitid(WaitId::Pid(pid), options).ok()??;
            status.stopped().then_some(())
        })
        .await
    }

    /// Lets a proxy that stands still go on; another one goes on anyway.
    ///
    /// # Errors
    /// That it is gone.
    pub fn wake(&self) -> Result<(), Trouble> {
        self.signal(Signal::CONT).map(|_| ())
    }

    fn signal(&self, signal: Signal) -> Result<Pid, Trouble> {
        let pids = self.mesh.pids();
        let pid = pids.iter().find(|(_, part, _)| *part == Part::Envoy);
        let pid = pid.and_then(|(_, _, pid)| Pid::from_raw(i32::try_from(*pid).ok()?));
        let pid = pid.ok_or_else(|| Trouble::new("there is no Envoy"))?;
        kill_process(pid, signal).map_err(|error| Trouble::new(error.to_string()))?;
        Ok(pid)
    }

    /// Puts another plugin in the place of the guard of a role that no write passes.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_in_place_of(&self, role: Role, module: &[u8], name: &str) -> Result<(), Trouble> {
        let module = self.mesh.run_dir().write(&format!("{name}.wasm"), module)?;
        let text = format!(
            r#"{{"resources": [{{"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": "{plugin}", "typed_config": {{
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                    "config": {{"name": "{name}", "vm_config": {{
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {{"local": {{"filename": {module}}}}}}}}}}}}}]}}"#,
            plugin = render::plugin_name(role),
            module = Value::from(module.display().to_string()),
        );
        put(&self.plugins.join(render::plugin_file(HERE, role)), &text)
    }

    /// What Envoy has logged.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn log(&self) -> Result<String, Trouble> {
        Ok(std::fs::read_to_string(self.mesh.run_dir().envoy_log(HERE))?)
    }

    /// Stops everything. What belongs to the account of what was not as it should be: writes that ran
    /// at a time for which the agent had promised nothing, or without telling so.
    ///
    /// # Errors
    /// That something cannot be read.
    pub async fn stop(self) -> Result<Ended, Trouble> {
        let output = std::fs::read_to_string(self.mesh.run_dir().upstream_log(HERE));
        let log = self.log();
        self.mesh.stop().await;
        let (output, log) = (output?, log?);
        let ran = output.lines().filter_map(|line| line.strip_prefix("ran ")?.split(' ').next());
        let ran: BTreeSet<&str> = ran.collect();
        let writes = self.writes.take();
        let mut account = String::new();
        for write in &writes {
            let is_there = ran.contains(write.id.as_str());
            if is_there && !self.agent.promised(write.sent, write.done) {
                // Writing into a String cannot fail.
                let _ = writeln!(account, "ran under doubt: {write:?}");
            }
            if is_there != write.has_run() && !write.is_lost() {
                let _ = writeln!(account, "ran, or not, and says otherwise: {write:?}");
            }
        }
        let ran = writes.iter().filter(|write| write.has_run()).count();
        Ok(Ended { account, traps: traps(&log), ran, refused: writes.len() - ran })
    }
}

/// What was to be seen of a region that is over.
#[derive(Debug)]
pub struct Ended {
    /// Writes that were not as they should be.
    pub account: String,
    /// What Envoy has logged of traps.
    pub traps: Vec<String>,
    /// How many writes have run.
    pub ran: usize,
    /// How many have not.
    pub refused: usize,
}

impl Sending {
    /// Sends it.
    pub async fn send(self) -> Write {
        let Self { id, edge, request } = self;
        let sent = Instant::now();
        let response = send(edge, &request).await;
        let done = Instant::now();
        let answer = match response {
            Ok(response) => told(&response),
            Err(trouble) => trouble.to_string(),
        };
        Write { id, sent, done, answer }
    }
}

impl Write {
    /// The same, of which it is known that it was not decided before this moment.
    #[must_use]
    pub fn decided_after(mut self, moment: Instant) -> Self {
        self.sent = self.sent.max(moment);
        self
    }

    /// The token that the application saw, else status and reason.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    fn has_run(&self) -> bool {
        self.answer.contains(";e=")
    }

    /// Its answer went down with a VM: whether it has run nobody can tell by that.
    fn is_lost(&self) -> bool {
        self.answer == "503 "
    }
}

/// The token that the application saw, else status and reason.
fn told(response: &RawResponse) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let headers = body.get("headers").and_then(Value::as_array);
    let token = headers.into_iter().flatten().find_map(|header| {
        let is_it = header.get(0)?.as_str()? == FENCE;
        header.get(1)?.as_str().filter(|_| is_it)
    });
    if let Some(token) = token.filter(|_| response.status == 200) {
        return token.to_owned();
    }
    let reason = response.header("x-meshfence-reason").unwrap_or_default();
    format!("{} {}", response.status, String::from_utf8_lossy(reason))
}

/// Moves another file into the place of one.
fn put(path: &Path, text: &str) -> Result<(), Trouble> {
    let draft = path.with_extension("draft");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&draft, text)?;
    Ok(std::fs::rename(draft, path)?)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unrendered(error: render::RenderError) -> Trouble {
    Trouble::new(error.to_string())
}
