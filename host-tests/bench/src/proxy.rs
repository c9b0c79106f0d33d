//! An Envoy: started, asked and stopped.

use crate::bootstrap::bootstrap;
use crate::case::WORKERS;
use crate::policy::{HOST, REGION, SECRET, path, plugin};
use crate::trouble::Trouble;
use crate::variant::Variant;
use local_mesh::Part;
use local_mesh::client::{self, RawRequest, RawResponse};
use local_mesh::envoy::EnvoyBinary;
use local_mesh::launch;
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use local_mesh::supervise::{Handle, STOP_LIMIT, Supervised};
use policy_core::Priority;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// How long Envoy may take until it serves.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How long an answer of its may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// As good as any: what is sealed with it does not leave the machine.
const SECRET_TEXT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A running Envoy.
#[derive(Debug)]
pub struct Proxy {
    // Before its files: it is ended first.
    process: Box<dyn Supervised>,
    ports: Ports,
    variant: Variant,
    run_dir: RunDir,
}

impl Proxy {
    /// Starts an Envoy before an upstream that answers, and waits until a request comes through.
    ///
    /// # Errors
    /// That it does not start, or serves by something else than what was asked for.
    pub async fn start(
        envoy: &EnvoyBinary,
        variant: Variant,
        upstream: SocketAddr,
    ) -> Result<Self, Trouble> {
        let ports = ports::plan(0, &[REGION])?.pop();
        let ports = ports.ok_or_else(|| Trouble::Other("no ports".to_owned()))?;
        let run_dir = RunDir::create()?;
        let module = run_dir.write("meshfence.wasm", module::WASM)?;
        let text = plugin(&ports, &module.display().to_string())?;
        let configuration = run_dir.write("plugin.yaml", text.as_bytes())?;
        let text = bootstrap(variant, &ports, upstream, &configuration.display().to_string());
        let bootstrap = run_dir.write("envoy.json", text.as_bytes())?;
        let mut command = Command::new(&envoy.path);
        command.args(arguments(&bootstrap)).env(SECRET, SECRET_TEXT);
        let log = run_dir.envoy_log(REGION);
        let process = launch::process(REGION, Part::Envoy, &mut command, &log)?;
        let proxy = Self { process, ports, variant, run_dir };
        match proxy.settle().await {
            Ok(()) => Ok(proxy),
            Err(trouble) => {
                let log = proxy.log();
                let end = log.len().saturating_sub(20);
                let log = log.get(end..).unwrap_or_default().join("\n");
                Err(Trouble::Other(format!("{trouble}\n{log}")))
            }
        }
    }

    /// Where users enter.
    pub const fn edge(&self) -> SocketAddr {
        self.ports.edge
    }

    /// What it has logged.
    fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.run_dir.envoy_log(REGION)).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Waits until everything is in force.
    async fn settle(&self) -> Result<(), Trouble> {
        let deadline = Instant::now() + READY_LIMIT;
        while !self.is_ready().await {
            if Instant::now() > deadline {
                return Err(Trouble::Late("Envoy is ready".to_owned()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let response = self.ask(Priority::Critical).await?;
        let is_ours = response.header("x-meshfence-decision").is_some();
        if response.status != 200 || is_ours != self.variant.has_module() {
            let text = format!("the first request: {response:?}");
            return Err(Trouble::Other(text));
        }
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        self.get("/ready").await.is_ok_and(|response| response.status == 200)
    }

    /// Sends a request as a user would, on a connection of its own.
    ///
    /// # Errors
    /// That there is no answer.
    pub async fn ask(&self, priority: Priority) -> Result<RawResponse, Trouble> {
        let host = (b"host".to_vec(), HOST.into());
        let request = RawRequest { headers: vec![host], ..RawRequest::new("GET", path(priority)) };
        Ok(client::send(self.ports.edge, &request, ANSWER_LIMIT).await?)
    }

    async fn get(&self, target: &str) -> Result<RawResponse, Trouble> {
        let request = RawRequest::new("GET", target);
        Ok(client::send(self.ports.admin, &request, ANSWER_LIMIT).await?)
    }

    /// How many requests our module counts as in flight, where it is there and has had any.
    ///
    /// # Errors
    /// That Envoy does not answer.
    pub async fn in_flight(&self) -> Result<Option<u64>, Trouble> {
        if !self.variant.has_module() {
            return Ok(None);
        }
        let response = self.get("/stats?filter=meshfence_shed_in_flight").await?;
        let text = response.text();
        let value = text.lines().find_map(|line| line.rsplit_once(": "));
        Ok(value.and_then(|(_, value)| value.trim().parse().ok()))
    }

    /// How long its threads have run.
    ///
    /// # Errors
    /// That it is no process of this machine.
    pub fn cpu(&self) -> Result<Duration, Trouble> {
        let Handle::Process(pid) = self.process.handle() else {
            return Err(Trouble::Other("Envoy is no process".to_owned()));
        };
        crate::machine::cpu_of(pid)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.process.ask_to_end();
        let ended = std::future::poll_fn(|context| self.process.poll_end(context));
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            self.process.kill();
            std::future::poll_fn(|context| self.process.poll_end(context)).await;
        }
    }
}

fn arguments(bootstrap: &Path) -> Vec<OsString> {
    let workers = WORKERS.to_string();
    vec![
        "-c".into(),
        bootstrap.into(),
        "--concurrency".into(),
        workers.into(),
        "-l".into(),
        "warn".into(),
        "--disable-hot-restart".into(),
    ]
}
