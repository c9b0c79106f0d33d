//! `compose.yaml` at the top of the repository, with what `render envoy` writes.

use crate::engine::{self, IMAGE_VARIABLE, docker};
use local_mesh::client::RawRequest;
use local_mesh::docker::LABEL;
use local_mesh::survivor::Survivor;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use suite::machine::{Machine, finish};
use suite::{Check, Trouble, meshfence_binary, send, until};
use tokio::process::Command;

/// The ports of a region, and the distance between those of two regions.
const PORTS: u16 = 10;
const STEP: u16 = 100;

pub(crate) async fn runs_what_is_rendered() -> Check {
    let machine = Machine::new().await?;
    let project = Project::new(&machine).await?;
    let ran = project.runs().await;
    let down = project.compose(&["down"]).await;
    let watched = &project.name;
    project.reaper.end().await;
    ran?;
    down?;
    for kind in ["container", "network"] {
        let filter = match kind {
            "container" => format!("label={LABEL}={watched}"),
            _ => format!("name={watched}"),
        };
        let mut arguments = vec![kind, "ls", "--quiet", "--filter", &filter];
        if kind == "container" {
            arguments.push("--all");
        }
        let left = docker(&arguments).await?;
        Trouble::unless_empty(left.trim())?;
    }
    Ok(())
}

/// One run of the composition.
struct Project<'m> {
    machine: &'m Machine,
    name: String,
    base: u16,
    image: String,
    /// In case that this test is killed.
    reaper: Survivor,
}

impl<'m> Project<'m> {
    async fn new(machine: &'m Machine) -> Result<Self, Trouble> {
        let base = free_base()?;
        let out = machine.path("rendered");
        let base_port = base.to_string();
        let out = out.to_string_lossy();
        let arguments = ["render", "envoy", "--out", &out, "--base-port", &base_port];
        let rendered = machine.run(&[&arguments[..], &["--local-certificates"]].concat()).await?;
        Trouble::unless_empty(&rendered.check("render", 0, &[]))?;
        let name = format!("meshfence-test-{}", std::process::id());
        let program = [meshfence_binary()?.into(), "reap".into()];
        let reaper = Survivor::start(&program, name.as_ref())?;
        Ok(Self { machine, name, base, image: engine::image().await?, reaper })
    }

    async fn runs(&self) -> Check {
        self.compose(&["up", "--detach"]).await?;
        let mut account = String::new();
        for (region, number) in [("taiwan", 0), ("tokyo", 1)] {
            let edge = SocketAddr::from((Ipv4Addr::LOCALHOST, self.base + number * STEP));
            let request = |method: &str, path: &str| {
                let mut request = RawRequest::new(method, path);
                request.headers = vec![(b"host".to_vec(), b"api.ecommerce-platform.com".to_vec())];
                request.header("idempotency-key", "k-1")
            };
            until(&format!("{region} serves"), async || {
                let response = send(edge, &request("GET", "/api/v1/products/1")).await.ok()?;
                let ran = response.header("x-echo-region") == Some(region.as_bytes());
                (response.status == 200 && ran).then_some(())
            })
            .await?;
            // The policy is in force, and nobody has said who holds a lease.
            let refused = send(edge, &request("POST", "/api/v1/inventory/sku-1")).await?;
            if refused.header("x-meshfence-reason") != Some(b"lease_unknown") {
                // Writing into a String cannot fail.
                let _ = writeln!(account, "{region}: {refused:?}");
            }
        }
        Trouble::unless_empty(&account)
    }

    async fn compose(&self, arguments: &[&str]) -> Check {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose.yaml");
        let mut command = compose_command().await.ok_or_else(|| Trouble::new(NO_COMPOSE))?;
        command.arg("--file").arg(file).args(arguments).kill_on_drop(true);
        command.env("COMPOSE_PROJECT_NAME", &self.name);
        command.env("MESHFENCE_RENDERED", self.machine.path("rendered"));
        command.env(IMAGE_VARIABLE, &self.image);
        for (name, number) in [("TAIWAN", 0), ("TOKYO", 1)] {
            let port = self.base + number * STEP + 3;
            command.env(format!("MESHFENCE_{name}_UPSTREAM"), port.to_string());
        }
        let ended = finish(command).await?;
        let wrong = if ended.code == Some(0) { "" } else { &*ended.err };
        Trouble::unless_empty(wrong)
    }
}

const NO_COMPOSE: &str = "there is neither `docker compose` nor `docker-compose`";

/// Why there is no composition to test with.
pub(crate) async fn missing() -> Option<String> {
    match engine::missing().await {
        Some(reason) => Some(reason),
        None => compose_command().await.is_none().then(|| NO_COMPOSE.to_owned()),
    }
}

/// The newer form if it is there, else the older one.
async fn compose_command() -> Option<Command> {
    for (program, arguments) in [("docker", &["compose"][..]), ("docker-compose", &[])] {
        let mut command = Command::new(program);
        let asked = command.args(arguments).arg("version").kill_on_drop(true).output().await;
        if asked.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new(program);
            command.args(arguments);
            return Some(command);
        }
    }
    None
}

/// A port from which on two regions find theirs free.
///
/// Below those that the system gives to whoever connects: one of those could be taken between this
/// look and the start of an Envoy.
fn free_base() -> Result<u16, Trouble> {
    const FIRST: u16 = 20_000;
    const LAST: u16 = 32_000;
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (FIRST..LAST)
        .step_by((2 * STEP).into())
        .find(|base| {
            (0..PORTS).flat_map(|offset| [offset, STEP + offset]).all(|o| is_free(base + o))
        })
        .ok_or_else(|| Trouble::new("no free ports for two regions"))
}
