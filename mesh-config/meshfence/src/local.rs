//! A policy set in force on this machine: bootstraps, module, keys, certificates and processes of one
//! run.

mod files;
mod push;
mod sight;

use crate::certificates::{Identity, LocalCertificates};
use crate::exit::{Exit, Failure};
use crate::issuer::{Issuer, KEY_FILE};
use crate::keys::LocalKeys;
use crate::terminal;
use local_mesh::launch::Runtime;
use local_mesh::mesh::{Death, LogLevel, Mesh, Options, Region};
use local_mesh::ports::{self, Ports};
use local_mesh::run_dir::RunDir;
use local_mesh::survivor::Survivor;
use local_mesh::tls::TlsClient;
use policy_core::Role;
use policy_doc::{PolicySet, WorldState};
use render::{AccessLog, Delivery, EnvoyPlan, Keys, Site};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use files::Configurations;
pub use push::Push;
use push::Pushes;
use sight::Sight;

/// Requests to a local mesh, or to the model of one, may name the machine instead of the policy's
/// hosts.
pub(crate) const LOCAL_HOSTS: &[&str] = &["127.0.0.1", "localhost"];

/// How long an Envoy's admin interface may take. It is served by the thread that compiles modules as
/// well, a second or two each on a machine that has other things to do.
const ADMIN_LIMIT: Duration = Duration::from_secs(15);

/// How often the wall clock is asked whether certificates are due: a machine may have slept.
const RENEWAL_PAUSE: Duration = Duration::from_mins(1);

/// The directories of what Envoys read again when it is replaced, in the directory of a run.
const SECRETS: &str = "tls";
const PLUGIN: &str = "plugin";

/// Bytes of a secret that proxies sign with.
const SECRET_LEN: usize = 32;

/// How a run is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What runs the Envoys.
    pub envoy: Runtime,
    /// The first port, 0 for free ones.
    pub base_port: u16,
    /// Worker threads of each Envoy.
    pub workers: u32,
    /// The executable of `meshfence`, which also runs the echo upstreams and cleans up.
    pub executable: OsString,
    /// The plugin; a test may have one that traps.
    pub module: Cow<'static, [u8]>,
}

/// The regions of one policy set.
#[derive(Debug)]
pub struct LocalRun {
    set: PolicySet,
    keys: LocalKeys,
    plan: EnvoyPlan,
    ports: Vec<Ports>,
    issuer: Issuer,
    certificates: LocalCertificates,
    configurations: Configurations,
    state: WorldState,
    lost: BTreeSet<String>,
    mesh: Mesh,
    /// In case that this process is killed.
    sweeper: Survivor,
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
        let keys = LocalKeys::new(set, secret)?;
        let set = keys.sign_maps(&set.with_hosts(LOCAL_HOSTS).with_all_recorded());
        let names: Vec<&str> = set.body.regions.iter().map(|region| region.name.as_str()).collect();
        let ports = ports::plan(settings.base_port, &names)?;
        let issuer = Issuer::generate();
        let run_dir = RunDir::create()?;
        let sweeper = [settings.executable.clone(), "sweep".into()];
        let sweeper = Survivor::start(&sweeper, run_dir.path().as_os_str())?;
        run_dir.write(KEY_FILE, issuer.to_pem()?.as_bytes())?;
        let module = run_dir.write("meshfence.wasm", &settings.module)?;
        let log =
            |name: &&str| ((*name).to_owned(), run_dir.access_log(name).display().to_string());
        let plan = EnvoyPlan {
            sites: ports.iter().cloned().map(site).collect(),
            module: module.display().to_string(),
            keys: Keys::Inline(issuer.jwks()),
            access_log: AccessLog::File(names.iter().map(log).collect()),
            secrets: run_dir.path().join(SECRETS).display().to_string(),
            delivery: Delivery::Files(run_dir.path().join(PLUGIN).display().to_string()),
        };
        let certificates = LocalCertificates::generate(&set, SystemTime::now())?;
        certificates.write(&set, &run_dir.path().join(SECRETS))?;
        let mut configurations = Configurations::new(run_dir.path().join(PLUGIN));
        for (region, role, text) in wanted(&set, &plan, state)? {
            configurations.write(&region, role, text)?;
        }
        // Where a state is given nobody is asked for one.
        let stated = set.with_static_state(state.document.clone());
        let regions = ports.iter().map(|ports| {
            let bootstrap = bootstrap(&stated, &plan, &ports.region)?;
            Ok(Region { ports: ports.clone(), bootstrap })
        });
        let regions: Result<Vec<Region>, Failure> = regions.collect();
        let options = Options {
            envoy: settings.envoy,
            echo: vec![settings.executable, "echo".into()],
            regions: regions?,
            workers: settings.workers,
            run_dir,
            log_level: LogLevel::Warn,
            component_log_levels: Vec::new(),
            env: keys.variables().map(|(name, secret)| (name.into(), secret.into())).collect(),
        };
        let mesh = Mesh::start(options, &mut |progress| say(&progress.to_string())).await?;
        let mut run = Self {
            set,
            keys,
            plan,
            ports,
            issuer,
            certificates,
            configurations,
            state: state.clone(),
            lost: BTreeSet::new(),
            mesh,
            sweeper,
        };
        run.lose(say).await?;
        run.settle(&BTreeSet::new(), say).await?;
        Ok(run)
    }

    /// Goes over to another state: other configurations, regions lost or back. What [`Self::push`]
    /// has put in their place goes as well.
    ///
    /// # Errors
    /// As for [`LocalRun::start`].
    pub async fn enter(
        &mut self,
        state: &WorldState,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        let mut changed = wanted(&self.set, &self.plan, state)?;
        changed.retain(|(region, role, text)| !self.configurations.has(region, *role, text));
        if self.state == *state && changed.is_empty() {
            return Ok(());
        }
        self.configure(changed).await?;
        self.state = state.clone();
        let wanted = lost_in(state);
        let back: BTreeSet<String> = self.lost.difference(&wanted).cloned().collect();
        for name in &back {
            self.mesh.restart_region(name, &mut |progress| say(&progress.to_string())).await?;
            self.lost.remove(name);
        }
        self.lose(say).await?;
        self.settle(&back, say).await
    }

    /// Starts Envoys again from other bootstraps, as an operator may have made of the rendered ones.
    /// `alter` gets a region and its rendered bootstrap; a region that it has nothing for goes on.
    ///
    /// # Errors
    /// As for [`LocalRun::start`]; that an Envoy does not accept what it is given.
    pub async fn restart_with(
        &mut self,
        alter: impl Fn(&str, &str) -> Option<String>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        let mut altered = Vec::new();
        let set = self.set.with_static_state(self.state.document.clone());
        for Ports { region, .. } in &self.ports {
            let rendered = bootstrap(&set, &self.plan, region)?;
            altered.extend(alter(region, &rendered).map(|text| (region.clone(), text)));
        }
        let restarted = altered.iter().map(|(region, _)| region.clone()).collect();
        self.mesh.reload(altered, &mut |progress| say(&progress.to_string())).await?;
        self.settle(&restarted, say).await
    }

    /// Stops everything and removes every file.
    pub async fn stop(self) {
        self.mesh.stop().await;
        self.sweeper.end().await;
    }

    /// Waits until a process ends that nobody asked to, and renews certificates in the meantime.
    /// Dropped early, it loses nothing.
    pub async fn wait_for_death(&mut self) -> Death {
        loop {
            tokio::select! {
                biased;
                death = self.mesh.wait_for_death() => return death,
                () = tokio::time::sleep(RENEWAL_PAUSE) => {}
            }
            if self.certificates.is_due(SystemTime::now())
                && let Err(failure) = self.renew_certificates()
            {
                // They are good for hours yet, and the next minute may do better.
                terminal::warn(&format!("certificates are not renewed: {}", failure.message));
            }
        }
    }

    /// Replaces every certificate, as is done when two thirds of their time are over: Envoys read
    /// the new ones without a restart.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn renew_certificates(&mut self) -> Result<(), Failure> {
        let renewed = self.certificates.renewed(SystemTime::now())?;
        renewed.write(&self.set, &self.mesh.run_dir().path().join(SECRETS))?;
        self.certificates = renewed;
        Ok(())
    }

    /// Lets a region's Envoy show another certificate, until certificates are renewed.
    ///
    /// # Errors
    /// A region that is not there; a file that cannot be written.
    pub fn show(&self, region: &str, identity: &Identity) -> Result<(), Failure> {
        let secrets = self.mesh.run_dir().path().join(SECRETS);
        self.certificates.show(&self.set, region, identity, &secrets)
    }

    /// Gives the guard of one role another configuration, whatever it says, and waits until Envoy
    /// has gone over to it or refused it.
    ///
    /// # Errors
    /// A region that is not there, or lost; a file that cannot be written; an Envoy that does
    /// neither.
    pub async fn push(
        &mut self,
        region: &str,
        role: Role,
        configuration: &str,
    ) -> Result<Push, Failure> {
        let text = render::plugin_resource_with(&self.set, &self.plan, region, role, configuration);
        self.push_file(region, role, text.map_err(invalid)?).await
    }

    /// The same with the whole file that Envoy reads.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub async fn push_file(
        &mut self,
        region: &str,
        role: Role,
        text: String,
    ) -> Result<Push, Failure> {
        let found = self.ports.iter().find(|ports| ports.region == region);
        let Some(admin) = found.filter(|_| !self.lost.contains(region)).map(|ports| ports.admin)
        else {
            return Err(Failure::new(Exit::Usage, format!("no Envoy of region `{region}` runs")));
        };
        let before = Pushes::of(admin, role).await?;
        self.configurations.write(region, role, text)?;
        before.until_another(admin, role, region).await
    }

    /// The policy set in force.
    pub fn set(&self) -> &PolicySet {
        &self.set
    }

    /// What its proxies sign with.
    pub(crate) fn keys(&self) -> &LocalKeys {
        &self.keys
    }

    /// The addresses, in the order of the regions.
    pub fn ports(&self) -> &[Ports] {
        &self.ports
    }

    /// Where users enter a region.
    pub fn edge(&self, region: &str) -> Option<SocketAddr> {
        self.ports.iter().find(|ports| ports.region == region).map(|ports| ports.edge)
    }

    /// Where the listener of a role is, if there is one; peer and inbound want a certificate, see
    /// [`Self::client`].
    pub fn address(&self, region: &str, role: Role) -> Option<SocketAddr> {
        let site = self.plan.sites.iter().find(|site| site.region == region)?;
        render::roles(&self.set).any(|known| known == role).then(|| site.listener(role))
    }

    /// The authorities and certificates of the run, to make others with.
    pub fn certificates(&self) -> &LocalCertificates {
        &self.certificates
    }

    /// A client that shows a certificate to the listeners of a region, or none.
    ///
    /// # Errors
    /// A region that is not there; a certificate that is none.
    pub fn client(&self, region: &str, shown: Option<&Identity>) -> Result<TlsClient, Failure> {
        let authorities = self
            .certificates
            .authorities(region)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("there is no region `{region}`")))?;
        Ok(match shown {
            Some(Identity { certificate, key }) => TlsClient::new(&authorities, certificate, key)?,
            None => TlsClient::anonymous(&authorities)?,
        })
    }

    /// The applications that are there.
    pub fn applications(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().filter(|ports| !self.lost.contains(&ports.region)).map(|p| p.application)
    }

    /// The state in force.
    pub fn state(&self) -> &WorldState {
        &self.state
    }

    /// Whether a region is gone.
    pub fn is_lost(&self, region: &str) -> bool {
        self.lost.contains(region)
    }

    /// Whose tokens are accepted.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The processes and files of the run.
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Writes configurations, and waits until every Envoy that runs has gone over to its own.
    async fn configure(&mut self, changed: Vec<(String, Role, String)>) -> Result<(), Failure> {
        let mut waiting = Vec::new();
        for (region, role, text) in changed {
            let found = self.ports.iter().find(|ports| ports.region == region);
            let running = found.filter(|_| !self.lost.contains(&region)).map(|ports| ports.admin);
            if let Some(admin) = running {
                waiting.push((admin, role, region.clone(), Pushes::of(admin, role).await?));
            }
            self.configurations.write(&region, role, text)?;
        }
        for (admin, role, region, before) in waiting {
            if before.until_another(admin, role, &region).await? == Push::Refused {
                let message = format!("{region}: Envoy refuses the configuration of {role}");
                return Err(Failure::new(Exit::Internal, message));
            }
        }
        Ok(())
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

    /// Waits until every region that is there sees its own upstream and every other region. What the
    /// others knew of those that were started again is of no worth.
    async fn settle(
        &self,
        restarted: &BTreeSet<String>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        let there = || self.ports.iter().filter(|ports| !self.lost.contains(&ports.region));
        let mut sights = Vec::new();
        for seeing in there() {
            let mut see = |cluster: String, is_new: bool| {
                sights.push(Sight::new(&seeing.region, seeing.admin, cluster, is_new));
            };
            see(render::CLUSTER_UPSTREAM.to_owned(), false);
            let is_new_itself = restarted.contains(&seeing.region);
            for peer in there().map(|ports| &ports.region).filter(|peer| **peer != seeing.region) {
                let cluster = format!("{}{peer}", render::PEER_CLUSTER_PREFIX);
                see(cluster, restarted.contains(peer) && !is_new_itself);
            }
        }
        sight::settle(sights, say).await
    }
}

fn lost_in(state: &WorldState) -> BTreeSet<String> {
    state.lost().into_iter().map(str::to_owned).collect()
}

/// What the guards of every region and role should be configured with under a state.
fn wanted(
    set: &PolicySet,
    plan: &EnvoyPlan,
    state: &WorldState,
) -> Result<Vec<(String, Role, String)>, Failure> {
    let mut wanted = Vec::new();
    for region in &set.body.regions {
        let set = set.with_static_state(state.seen_by(&region.name).clone());
        for role in render::roles(&set) {
            let text = render::plugin_resource(&set, plan, &region.name, role).map_err(invalid)?;
            wanted.push((region.name.clone(), role, text));
        }
    }
    Ok(wanted)
}

/// A fresh secret.
fn secret() -> Result<String, Failure> {
    let mut bytes = [0; SECRET_LEN];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(Exit::Environment, format!("there is no randomness: {error}"))
    })?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// One region's bootstrap.
pub(crate) fn bootstrap(
    set: &PolicySet,
    plan: &EnvoyPlan,
    region: &str,
) -> Result<String, Failure> {
    render::bootstrap(set, plan, region).map_err(invalid)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn invalid(error: render::RenderError) -> Failure {
    Failure::new(Exit::InvalidPolicy, error.to_string())
}

pub(crate) fn site(ports: Ports) -> Site {
    let Ports { region, edge, admin, peer, application, inbound, outbound } = ports;
    Site { region, edge, admin, peer, inbound, outbound, application }
}

/// The issuer keys of the runs that go on.
pub(crate) fn running_keys() -> Vec<PathBuf> {
    let keys = local_mesh::run_dir::running().into_iter().map(|directory| directory.join(KEY_FILE));
    keys.filter(|key| key.is_file()).collect()
}
