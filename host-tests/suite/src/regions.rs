//! Regions of the built-in policy set, one mesh at a time.

use crate::{Check, Trouble, meshfence_binary, traps, until};
use local_mesh::Part;
use local_mesh::client::RawRequest;
use local_mesh::envoy::EnvoyBinary;
use local_mesh::launch::Variables;
use local_mesh::ports::Ports;
use meshfence::engine::envoy as engine;
use meshfence::policy_set::{self, Origin};
use meshfence::{LocalRun, Settings};
use policy_core::LeaseState;
use policy_core::wire::{LeaseDocument, StateDocument};
use policy_doc::{PolicySet, Purpose, TestCaller, TestToken, WorldState};
use render::Site;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};

/// Two Envoys keep two cores busy: the tests of one executable take turns.
static TURN: Mutex<()> = Mutex::const_new(());

/// The right to start processes.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    _guard: MutexGuard<'static, ()>,
}

/// A region of a plan where these ports are.
pub fn site(ports: &Ports) -> Site {
    Site {
        region: ports.region.clone(),
        edge: ports.edge,
        admin: ports.admin,
        peer: ports.peer,
        inbound: ports.inbound,
        outbound: ports.outbound,
        application: ports.application,
    }
}

/// The variables of a proxy's environment, with one secret for every key of a policy set.
pub fn secrets_of(set: &PolicySet, secret: &str) -> Variables {
    let keys = set.body.hmac.iter().flat_map(|hmac| &hmac.keys);
    keys.map(|key| (key.env.clone().into(), secret.into())).collect()
}

/// Waits until no other test of this executable has processes running.
pub async fn turn() -> Turn {
    Turn { _guard: TURN.lock().await }
}

/// Running regions of the built-in policy set.
#[derive(Debug)]
pub struct Regions {
    /// The run, in a place of its own: tests pass regions on by value.
    pub run: Box<LocalRun>,
    // After the run: fields are dropped in their order.
    _turn: Turn,
}

impl Regions {
    /// Starts every region of [`example`] under a state, on free ports, with one worker each.
    ///
    /// # Errors
    /// What the machine lacks.
    pub async fn start(state: &WorldState) -> Result<Self, Trouble> {
        Self::start_by(state, settings().await?).await
    }

    /// The same with another module than ours.
    ///
    /// # Errors
    /// As for [`Regions::start`].
    pub async fn start_with(state: &WorldState, module: Vec<u8>) -> Result<Self, Trouble> {
        Self::start_by(state, Settings { module: module.into(), ..settings().await? }).await
    }

    /// The same with another policy set.
    ///
    /// # Errors
    /// As for [`Regions::start`].
    pub async fn start_of(set: &PolicySet, state: &WorldState) -> Result<Self, Trouble> {
        Self::start_set(set, state, settings().await?).await
    }

    /// The same by other settings than [`settings`].
    ///
    /// # Errors
    /// As for [`Regions::start`].
    pub async fn start_by(state: &WorldState, settings: Settings) -> Result<Self, Trouble> {
        Self::start_set(&example()?, state, settings).await
    }

    async fn start_set(
        set: &PolicySet,
        state: &WorldState,
        settings: Settings,
    ) -> Result<Self, Trouble> {
        let turn = turn().await;
        // What it keeps while it starts is too large for every test's own future.
        let run = Box::pin(LocalRun::start(set, state, settings, &mut ignore)).await?;
        let run = Box::new(run);
        Ok(Self { run, _turn: turn })
    }

    /// Goes over to another state.
    ///
    /// # Errors
    /// As for [`Regions::start`].
    pub async fn enter(&mut self, state: &WorldState) -> Result<(), Trouble> {
        Ok(self.run.enter(state, &mut ignore).await?)
    }

    /// Where users enter a region.
    ///
    /// # Errors
    /// That there is no such region.
    pub fn edge(&self, region: &str) -> Result<SocketAddr, Trouble> {
        self.run.edge(region).ok_or_else(|| unknown(region))
    }

    /// The admin interface of a region's Envoy.
    ///
    /// # Errors
    /// That there is no such region.
    pub fn admin(&self, region: &str) -> Result<SocketAddr, Trouble> {
        let found = self.run.ports().iter().find(|ports| ports.region == region);
        found.map(|ports| ports.admin).ok_or_else(|| unknown(region))
    }

    /// A region's application.
    ///
    /// # Errors
    /// That there is no such region.
    pub fn application(&self, region: &str) -> Result<SocketAddr, Trouble> {
        let found = self.run.ports().iter().find(|ports| ports.region == region);
        found.map(|ports| ports.application).ok_or_else(|| unknown(region))
    }

    /// The access log of a region's Envoy.
    pub fn access_log(&self, region: &str) -> PathBuf {
        self.run.mesh().run_dir().access_log(region)
    }

    /// What a region's Envoy has logged.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn envoy_log(&self, region: &str) -> Result<String, Trouble> {
        Ok(std::fs::read_to_string(self.run.mesh().run_dir().envoy_log(region))?)
    }

    /// What a region's application has written.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn upstream_log(&self, region: &str) -> Result<String, Trouble> {
        Ok(std::fs::read_to_string(self.run.mesh().run_dir().upstream_log(region))?)
    }

    /// Kills a region's application; its Envoy lives. It is back when the region has been lost
    /// altogether, and is back.
    ///
    /// # Errors
    /// That it is not there, or does not end.
    pub async fn kill_application(&self, region: &str) -> Check {
        let pids = self.run.mesh().pids();
        let is_it =
            |(name, part, _): &&(&str, Part, u32)| *name == region && *part == Part::Upstream;
        let pid = pids.iter().find(is_it).and_then(|(_, _, pid)| i32::try_from(*pid).ok());
        let pid = pid.and_then(Pid::from_raw).ok_or_else(|| unknown(region))?;
        kill_process(pid, Signal::KILL).map_err(|error| Trouble::new(error.to_string()))?;
        let address = self.application(region)?;
        until("the application is gone", async || {
            TcpStream::connect(address).await.is_err().then_some(())
        })
        .await
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.run.stop().await;
    }

    /// Stops them. Every trap that the Envoy of a region has logged belongs to the account of what
    /// was not as it should be.
    ///
    /// # Errors
    /// All of the account.
    pub async fn stop_untrapped(self, region: &str, mut account: String) -> Check {
        let log = self.envoy_log(region);
        self.stop().await;
        for line in traps(&log?) {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{line}");
        }
        Trouble::unless_empty(&account)
    }
}

fn unknown(region: &str) -> Trouble {
    Trouble::new(format!("there is no region `{region}`"))
}

fn ignore(_: &str) {}

/// The built-in policy set.
///
/// # Errors
/// That it is invalid.
pub fn example() -> Result<PolicySet, Trouble> {
    Ok(policy_set::require(Origin::Example, Purpose::LocalTry)?)
}

/// A policy set of the corpus, by its directory.
///
/// # Errors
/// That it is invalid.
pub fn scenario(name: &str) -> Result<PolicySet, Trouble> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    Ok(policy_set::require(Origin::Directory(&directory), Purpose::LocalTry)?)
}

/// The Envoy that the command would take.
///
/// # Errors
/// That there is none.
pub async fn envoy() -> Result<EnvoyBinary, Trouble> {
    Ok(local_mesh::envoy::find(None, &mut |line| eprintln!("{line}")).await?)
}

/// One worker, free ports, and the command's own echo.
///
/// # Errors
/// That there is no Envoy, or no command.
pub async fn settings() -> Result<Settings, Trouble> {
    Ok(Settings {
        envoy: envoy().await?.into(),
        base_port: 0,
        workers: 1,
        executable: meshfence_binary()?.into(),
        module: module::WASM.into(),
    })
}

/// A customer of the built-in policy set's shop.
pub fn caller(sub: &str, country: &str) -> TestCaller {
    TestCaller {
        own: policy_doc::OwnCredentials::default(),
        name: sub.to_owned(),
        certificate: None,
        token: Some(TestToken {
            issuer: String::from("shop"),
            sub: sub.to_owned(),
            claims: [(String::from("residency"), Value::from(country))].into(),
        }),
    }
}

/// The value of an `authorization` header of a customer from this country.
///
/// # Errors
/// That the policy set has no such issuer.
pub fn token(run: &LocalRun, sub: &str, country: &str) -> Result<String, Trouble> {
    let token = caller(sub, country).token.and_then(|token| engine::token(run, &token));
    token
        .map(|token| format!("Bearer {token}"))
        .ok_or_else(|| Trouble::new("the policy set has no issuer `shop`"))
}

/// A request with an idempotency key, of somebody from a country or of nobody.
///
/// # Errors
/// That no token can be made.
pub fn keyed(
    run: &LocalRun,
    method: &str,
    path: &str,
    country: Option<&str>,
) -> Result<RawRequest, Trouble> {
    let request = RawRequest::new(method, path).header("idempotency-key", "k-1");
    Ok(match country {
        Some(country) => request.header("authorization", token(run, "somebody", country)?),
        None => request,
    })
}

/// A normal world in which these leases are held by a region, with epoch 9, or by nobody knows whom.
pub fn leases(leases: &[(&str, Option<&str>)]) -> WorldState {
    let lease = |(name, holder): &(&str, Option<&str>)| {
        let document = LeaseDocument {
            state: holder.is_none().then_some(LeaseState::Unknown),
            holder: holder.map(str::to_owned),
            epoch: holder.map(|_| String::from("9")),
        };
        ((*name).to_owned(), document)
    };
    let leases = leases.iter().map(lease).collect();
    let document = StateDocument { leases, ..StateDocument::default() };
    WorldState { document, ..WorldState::default() }
}

/// The same world, but these leases are in no region's hands.
#[must_use]
pub fn stopped(mut world: WorldState, leases: &[(&str, LeaseState)]) -> WorldState {
    for (name, state) in leases {
        let document = LeaseDocument { state: Some(*state), holder: None, epoch: None };
        world.document.leases.insert((*name).to_owned(), document);
    }
    world
}
