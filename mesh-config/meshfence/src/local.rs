//! A policy set in force on this machine: bootstraps, module, keys and processes of one run.

use crate::exit::{Exit, Failure};
use crate::issuer::{Issuer, KEY_FILE};
use local_mesh::client::{self, RawRequest};
use local_mesh::launch::Runtime;
use local_mesh::mesh::{Death, LogLevel, Mesh, Options, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use policy_core::Health;
use policy_doc::{PolicySet, WorldState};
use render::{AccessLog, EnvoyPlan, Keys, Site};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Requests to a local mesh may name the machine instead of the policy's hosts.
const LOCAL_HOSTS: &[&str] = &["127.0.0.1", "localhost"];

/// How long the regions may take to see each other.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
const ADMIN_LIMIT: Duration = Duration::from_secs(2);

/// How a run is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What runs the Envoys.
    pub envoy: Runtime,
    /// The first port, 0 for free ones.
    pub base_port: u16,
    /// Worker threads of each Envoy.
    pub workers: u32,
    /// The command that runs an echo upstream.
    pub echo: Vec<OsString>,
}

/// Two or more regions under one policy set.
#[derive(Debug)]
pub struct LocalRun {
    set: PolicySet,
    plan: EnvoyPlan,
    ports: Vec<Ports>,
    issuer: Issuer,
    state: WorldState,
    lost: BTreeSet<String>,
    mesh: Mesh,
}

impl LocalRun {
    /// Starts every region under a state.
    ///
    /// # Errors
    /// What the machine lacks; a state that the policy set does not know.
    pub async fn start(
        set: &PolicySet,
        state: &WorldState,
        settings: Settings,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, Failure> {
        let set = set.with_hosts(LOCAL_HOSTS);
        let names: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
        let ports = ports::plan(settings.base_port, &names)?;
        let issuer = Issuer::generate();
        let run_dir = RunDir::create()?;
        run_dir.write(KEY_FILE, issuer.to_pem()?.as_bytes())?;
        let module = run_dir.write("meshfence.wasm", module::WASM)?;
        let log =
            |name: &&str| ((*name).to_owned(), run_dir.access_log(name).display().to_string());
        let plan = EnvoyPlan {
            sites: ports.iter().cloned().map(site).collect(),
            module: module.display().to_string(),
            keys: Keys::Inline(issuer.jwks()),
            access_log: AccessLog::File(names.iter().map(log).collect()),
        };
        let bootstraps = bootstraps(&set, &plan, state)?;
        let regions = ports.iter().zip(bootstraps).map(|(ports, (name, bootstrap))| Region {
            name,
            bootstrap,
            edge: ports.edge,
            admin: ports.admin,
            upstream: ports.upstream,
            peer: ports.peer,
        });
        let options = Options {
            envoy: settings.envoy,
            echo: settings.echo,
            regions: regions.collect(),
            workers: settings.workers,
            run_dir,
            log_level: LogLevel::Warn,
            component_log_levels: Vec::new(),
            env: Vec::new(),
        };
        let mesh = Mesh::start(options, &mut |progress| say(&progress.to_string())).await?;
        let mut run =
            Self { set, plan, ports, issuer, state: state.clone(), lost: BTreeSet::new(), mesh };
        run.lose(say).await?;
        run.settle(say).await?;
        Ok(run)
    }

    /// Goes over to another state: other bootstraps, regions lost or back.
    ///
    /// # Errors
    /// As for [`LocalRun::start`].
    pub async fn enter(
        &mut self,
        state: &WorldState,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        if self.state == *state {
            return Ok(());
        }
        if self.state.document != state.document || self.state.views != state.views {
            let bootstraps = bootstraps(&self.set, &self.plan, state)?;
            self.mesh.reload(bootstraps, &mut |progress| say(&progress.to_string())).await?;
        }
        self.state = state.clone();
        let wanted = lost_in(state);
        for name in self.lost.difference(&wanted).cloned().collect::<Vec<_>>() {
            self.mesh.restart_region(&name, &mut |progress| say(&progress.to_string())).await?;
            self.lost.remove(&name);
        }
        self.lose(say).await?;
        self.settle(say).await
    }

    /// Stops everything and removes every file.
    pub async fn stop(self) {
        self.mesh.stop().await;
    }

    /// Waits until a process ends that nobody asked to.
    pub async fn wait_for_death(&mut self) -> Death {
        self.mesh.wait_for_death().await
    }

    /// The policy set in force.
    pub fn set(&self) -> &PolicySet {
        &self.set
    }

    /// The addresses, in the order of the regions.
    pub fn ports(&self) -> &[Ports] {
        &self.ports
    }

    /// Where users enter a region.
    pub fn edge(&self, region: &str) -> Option<SocketAddr> {
        self.ports.iter().find(|ports| ports.region == region).map(|ports| ports.edge)
    }

    /// The upstreams that are there.
    pub fn upstreams(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().filter(|ports| !self.lost.contains(&ports.region)).map(|p| p.upstream)
    }

    /// Whose tokens are accepted.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The processes and files of the run.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Kills the regions that the state has lost.
    async fn lose(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        for name in lost_in(&self.state) {
            if self.lost.insert(name.clone()) {
                say(&format!("{name} is lost"));
                self.mesh.kill_region(&name).await?;
            }
        }
        Ok(())
    }

    /// Waits until every region that is there sees its own upstream and every other region: health
    /// checks take a moment.
    async fn settle(&self, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        let there = |ports: &&Ports| !self.lost.contains(&ports.region);
        for seeing in self.ports.iter().filter(there) {
            let peers = self.ports.iter().filter(there).map(|peer| peer.region.as_str());
            let peers = peers
                .filter(|peer| *peer != seeing.region)
                .map(|peer| format!("{}{peer}", render::PEER_CLUSTER_PREFIX));
            for cluster in [render::CLUSTER_UPSTREAM.to_owned()].into_iter().chain(peers) {
                if is_healthy(seeing.admin, &cluster).await {
                    continue;
                }
                say(&format!("{}: waiting for {cluster}", seeing.region));
                while !is_healthy(seeing.admin, &cluster).await {
                    if Instant::now() > deadline {
                        let message = format!("{}: {cluster} is not healthy", seeing.region);
                        return Err(Failure::new(Exit::Environment, message));
                    }
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
            }
        }
        Ok(())
    }
}

/// Whether an Envoy takes the one host of a cluster for healthy.
async fn is_healthy(admin: SocketAddr, cluster: &str) -> bool {
    let stat = format!("cluster.{cluster}.membership_healthy");
    let request = RawRequest::new("GET", format!("/stats?filter=^{stat}$"));
    match client::send(admin, &request, ADMIN_LIMIT).await {
        Ok(response) => response.text().trim() == format!("{stat}: 1"),
        Err(_) => false,
    }
}

/// The regions that are gone: those that region state says are down, and those it knows nothing of.
fn lost_in(state: &WorldState) -> BTreeSet<String> {
    let health = state.document.health.iter();
    let down = health.filter(|(_, health)| **health == Health::Down).map(|(name, _)| name.clone());
    down.chain(state.unreachable.iter().cloned()).collect()
}

/// The bootstrap of each region under a state, in the order of the regions.
fn bootstraps(
    set: &PolicySet,
    plan: &EnvoyPlan,
    state: &WorldState,
) -> Result<Vec<(String, String)>, Failure> {
    let regions = set.body.regions.iter().map(|region| {
        let set = set.with_static_state(state.seen_by(&region.name).clone());
        Ok((region.name.clone(), bootstrap(&set, plan, &region.name)?))
    });
    regions.collect()
}

/// One region's bootstrap.
pub(crate) fn bootstrap(
    set: &PolicySet,
    plan: &EnvoyPlan,
    region: &str,
) -> Result<String, Failure> {
    render::bootstrap(set, plan, region)
        .map_err(|error| Failure::new(Exit::InvalidPolicy, error.to_string()))
}

pub(crate) fn site(ports: Ports) -> Site {
    let Ports { region, edge, admin, peer, upstream } = ports;
    Site { region, edge, admin, peer, upstream }
}

/// The issuer keys of the runs that go on.
pub(crate) fn running_keys() -> Vec<PathBuf> {
    let keys = local_mesh::run_dir::running().into_iter().map(|directory| directory.join(KEY_FILE));
    keys.filter(|key| key.is_file()).collect()
}
