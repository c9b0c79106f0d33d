//! One case with one variant: an Envoy and an upstream of their own, users, and what came of it.

use crate::case::{Case, Span};
use crate::load::{Driven, Load};
use crate::machine::{Work, cpu_of};
use crate::proxy::Proxy;
use crate::trouble::Trouble;
use crate::upstream::{Done, Upstream};
use crate::variant::Variant;
use local_mesh::envoy::EnvoyBinary;
use policy_core::{PerPriority, Priority};
use simulation::overload::figures::{Figures, fairness, percentile, shed};
use simulation::overload::limiter::Gauge;
use simulation::overload::number::{float, length, share};
use simulation::overload::queue::{SECOND, Us};
use simulation::overload::scenario::Scenario;
use simulation::overload::tally::{Second, Tally};
use simulation::overload::world::Played;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// From then on something that is shed in the calm before is shed falsely: before, the first
/// connections are made, and Envoy's filter looks for its least round trip time.
const SETTLED: Us = 2 * SECOND;
/// Between the moment at which a run is set to begin and its beginning.
const AHEAD: Duration = Duration::from_millis(500);
/// How long places may take to be given back when nobody waits any more.
const EMPTY_LIMIT: Duration = Duration::from_secs(10);

/// What all runs have in common.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The Envoy.
    pub envoy: EnvoyBinary,
    /// The servers of the upstream, each of which does 50 requests a second.
    pub servers: u32,
    /// How long everything lasts.
    pub span: Span,
    /// What everything is drawn from.
    pub seed: u64,
    /// How long a `Retry-After` is heeded at most.
    pub heed: Duration,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What happened.
    pub case: Case,
    /// Who shed.
    pub variant: Variant,
    /// The figures that the model has too.
    pub figures: Figures,
    /// The share of attempts that was shed while less was asked for than could be served.
    pub false_shed: f64,
    /// Jain's index over users, for each priority.
    pub fairness: PerPriority<f64>,
    /// Processor time of the proxy during the stress, in milliseconds for 1000 attempts.
    pub cpu_ms: f64,
    /// Attempts a second during the stress.
    pub attempts: f64,
    /// The share of the time that the cores of the machine were busy during the stress.
    pub busy: f64,
    /// The part of that which was neither the proxy nor users and upstream.
    pub others: f64,
    /// How much later than due requests were sent, milliseconds: of 99 in 100 at most.
    pub late_ms: f64,
    /// The share of what the upstream did during the stress that nobody waited for.
    pub in_vain: f64,
    /// The share of the stress that the upstream's servers were busy.
    pub servers_busy: f64,
    /// What our module still counted as in flight when nobody waited any more, where it was there.
    pub left: Option<u64>,
    /// Answers of the proxy itself, by status.
    pub refusals: BTreeMap<u16, u64>,
    /// Attempts that broke off, by reason.
    pub broken: BTreeMap<String, u64>,
    /// By the second, from the beginning.
    pub seconds: Vec<Second>,
    /// What was played.
    pub scenario: Scenario,
}

/// What processors did while users were at work.
#[derive(Debug, Clone, Copy)]
struct Watched {
    cpu: Duration,
    busy: f64,
    others: f64,
}

impl Measured {
    /// What the model has of the same, where it has the variant, and what is shed there falsely.
    pub fn model(&self) -> Option<(Figures, f64)> {
        let played = self.variant.model()?.play(&self.scenario);
        let false_shed = false_shed(self.case, &self.scenario, &played.tally);
        Some((Figures::of(&self.scenario, &played), false_shed))
    }
}

impl Bench {
    /// Plays a case with a variant.
    ///
    /// # Errors
    /// That an Envoy does not run.
    pub async fn measure(&self, case: Case, variant: Variant) -> Result<Measured, Trouble> {
        let scenario = case.scenario(self.servers, self.span, self.seed);
        let upstream = Upstream::start(scenario.clone())?;
        let proxy = Proxy::start(&self.envoy, variant, upstream.addr()).await?;
        let result = self.play(&scenario, &upstream, &proxy).await;
        proxy.stop().await;
        let (driven, watched, left) = result?;
        Ok(figures(case, variant, scenario, &upstream, driven, watched, left))
    }

    async fn play(
        &self,
        scenario: &Scenario,
        upstream: &Upstream,
        proxy: &Proxy,
    ) -> Result<(Driven, Watched, Option<u64>), Trouble> {
        let began = Instant::now() + AHEAD;
        upstream.begin(began);
        let load = Load::start(proxy.edge(), scenario, self.heed, began)?;
        let watched = watch(scenario, proxy, began).await?;
        let driven = load.end().await?;
        Ok((driven, watched, left(proxy).await?))
    }
}

/// Looks at what processors do during the stress.
async fn watch(scenario: &Scenario, proxy: &Proxy, began: Instant) -> Result<Watched, Trouble> {
    let at = |us: Us| tokio::time::sleep_until(began + Duration::from_micros(us));
    at(scenario.stress.start).await;
    let before = Spent::now(proxy)?;
    at(scenario.stress.end).await;
    let after = Spent::now(proxy)?;
    let (busy, others) = after.shares_since(&before);
    Ok(Watched { cpu: after.proxy.saturating_sub(before.proxy), busy, others })
}

/// What processors have done up to a moment.
struct Spent {
    at: Instant,
    work: Option<Work>,
    proxy: Duration,
    own: Duration,
}

impl Spent {
    fn now(proxy: &Proxy) -> Result<Self, Trouble> {
        let own = cpu_of(std::process::id())?;
        Ok(Self { at: Instant::now(), work: Work::now(), proxy: proxy.cpu()?, own })
    }

    /// The share of the time since then that the cores were busy, and busy with something else than
    /// this.
    fn shares_since(&self, before: &Self) -> (f64, f64) {
        let busy = before.work.zip(self.work).map_or(0.0, |(from, to)| to.busy_since(from));
        let cores = length(std::thread::available_parallelism().map_or(1, usize::from));
        let passed = cores * (self.at - before.at).as_secs_f64();
        let ours = (self.proxy + self.own).saturating_sub(before.proxy + before.own);
        (busy, (busy - ours.as_secs_f64() / passed.max(f64::EPSILON)).max(0.0))
    }
}

/// What is still counted as in flight when nothing is.
async fn left(proxy: &Proxy) -> Result<Option<u64>, Trouble> {
    let deadline = Instant::now() + EMPTY_LIMIT;
    loop {
        let Some(in_flight) = proxy.in_flight().await? else { return Ok(None) };
        if in_flight == 0 || Instant::now() > deadline {
            return Ok(Some(in_flight));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn figures(
    case: Case,
    variant: Variant,
    scenario: Scenario,
    upstream: &Upstream,
    driven: Driven,
    watched: Watched,
    left: Option<u64>,
) -> Measured {
    let Driven { tally, users, attempts, late, refusals, broken } = driven;
    let stress = scenario.stress.clone();
    let false_shed = false_shed(case, &scenario, &tally);
    let last = Gauge { in_flight: left.unwrap_or(0), ..Gauge::default() };
    let Done { all, in_vain, busy } = upstream.done();
    let played = Played { tally, last };
    let seconds = float(stress.end - stress.start) / float(SECOND);
    Measured {
        figures: Figures::of(&scenario, &played),
        false_shed,
        fairness: PerPriority::each(|priority: Priority| fairness(&users[priority])),
        cpu_ms: watched.cpu.as_secs_f64() * 1e6 / float(attempts.max(1)),
        attempts: float(attempts) / seconds,
        busy: watched.busy,
        others: watched.others,
        late_ms: percentile(&late, 0.99) / 1_000.0,
        in_vain: share(in_vain, all),
        servers_busy: servers_busy(&scenario, busy),
        left,
        refusals,
        broken,
        seconds: played.tally.seconds,
        case,
        variant,
        scenario,
    }
}

fn false_shed(case: Case, scenario: &Scenario, tally: &Tally) -> f64 {
    let stress = scenario.stress.clone();
    shed(tally.between(&if case == Case::Calm { stress } else { SETTLED..stress.start }))
}

fn servers_busy(scenario: &Scenario, busy: Us) -> f64 {
    let stress = &scenario.stress;
    let during = scenario.phases.iter().find(|phase| phase.at == stress.start);
    let servers = f64::from(scenario.backend.servers) * during.map_or(1.0, |phase| phase.servers);
    float(busy) / (servers * float(stress.end - stress.start))
}
