//! The cases, and what the algorithm was first measured to reach in them.

use super::queue::{MS, SECOND};
use super::scenario::{BASE_LOAD, Backoff, Of, Phase, Scenario, Shape};
use policy_core::PerPriority;

/// A case.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is called on the command line and in tables.
    pub name: &'static str,
    /// Makes it, by a seed.
    pub scenario: fn(u64) -> Scenario,
    /// What has to be reached.
    pub reference: Option<Reference>,
}

/// The figures of the first simulator of this algorithm (another program, whose source is gone;
/// three seeds), on a backend that all proxies share. How far a row may miss it,
/// `tests/overload.rs` says.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    /// See [`super::figures::Figures`] for these.
    pub goodput: f64,
    /// Success of critical requests.
    pub critical: f64,
    /// Success of high ones.
    pub high: f64,
    /// Success of normal ones, where it was said.
    pub normal: Option<f64>,
    /// Success of low ones, where it was said.
    pub low: Option<f64>,
    /// Success of critical requests in the first five seconds.
    pub critical_first: f64,
    /// Milliseconds.
    pub critical_p99_ms: f64,
    /// Of goodput by the second.
    pub variation: f64,
    /// Seconds.
    pub recovery: f64,
    /// In the calm.
    pub false_shed: f64,
}

impl Reference {
    const fn of(goodput: f64, [critical, high]: [f64; 2]) -> Self {
        Self {
            goodput,
            critical,
            high,
            normal: None,
            low: None,
            critical_first: 0.0,
            critical_p99_ms: 0.0,
            variation: 0.0,
            recovery: 0.0,
            false_shed: 0.000_2,
        }
    }

    const fn below(mut self, [normal, low]: [f64; 2]) -> Self {
        (self.normal, self.low) = (Some(normal), Some(low));
        self
    }

    const fn shedding(mut self, falsely: f64) -> Self {
        self.false_shed = falsely;
        self
    }

    const fn and(mut self, first: f64, p99_ms: f64, variation: f64, recovery: f64) -> Self {
        (self.critical_first, self.critical_p99_ms) = (first, p99_ms);
        (self.variation, self.recovery) = (variation, recovery);
        self
    }
}

fn slow(seed: u64, times: f64) -> Scenario {
    let mut scenario = Scenario::calm(seed, BASE_LOAD);
    scenario.stressed(|phase| phase.slowness = times);
    scenario
}

fn small(seed: u64, times: f64) -> Scenario {
    Scenario::step(seed, times).on(|backend| backend.servers = 6)
}

/// The cases that have a reference.
pub const REFERENCE: [Row; 8] = [
    Row {
        name: "1.5x",
        scenario: |seed| Scenario::step(seed, 1.5),
        reference: Some(
            Reference::of(0.995, [1.000, 0.999])
                .below([0.853, 0.074])
                .and(1.000, 121.0, 0.024, 5.0)
                .shedding(0.000_1),
        ),
    },
    Row {
        name: "2x",
        scenario: |seed| Scenario::step(seed, 2.0),
        reference: Some(
            Reference::of(0.996, [1.000, 0.993])
                .below([0.500, 0.001])
                .and(0.999, 155.0, 0.024, 6.0),
        ),
    },
    Row {
        name: "3x",
        scenario: |seed| Scenario::step(seed, 3.0),
        reference: Some(
            Reference::of(0.999, [1.000, 0.947])
                .below([0.112, 0.0])
                .and(0.998, 185.0, 0.020, 7.0)
                .shedding(0.000_1),
        ),
    },
    Row {
        name: "6x",
        scenario: |seed| Scenario::step(seed, 6.0),
        reference: Some(
            Reference::of(1.000, [1.000, 0.393])
                .below([0.0, 0.0])
                .and(0.995, 173.0, 0.021, 8.0)
                .shedding(0.000_1),
        ),
    },
    Row {
        name: "10x",
        scenario: |seed| Scenario::step(seed, 10.0),
        reference: Some(
            Reference::of(0.996, [0.988, 0.093])
                .below([0.0, 0.0])
                .and(0.980, 236.0, 0.025, 8.0)
                .shedding(0.000_1),
        ),
    },
    Row {
        name: "backend 2x slower",
        scenario: |seed| slow(seed, 2.0),
        reference: Some(Reference::of(0.993, [1.000, 0.999]).and(1.000, 279.0, 0.03, 4.0)),
    },
    Row {
        name: "backend 4x slower",
        scenario: |seed| slow(seed, 4.0),
        reference: Some(Reference::of(0.991, [1.000, 0.949]).and(1.000, 503.0, 0.05, 7.0)),
    },
    Row {
        name: "300 rps, 3x",
        scenario: |seed| small(seed, 3.0),
        reference: Some(Reference::of(0.977, [1.000, 0.919]).and(0.998, 250.0, 0.057, 5.0)),
    },
];

fn changed(scenario: Scenario, change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = scenario;
    change(&mut scenario);
    scenario
}

fn workers(seed: u64, proxies: usize, workers: usize) -> Scenario {
    changed(Scenario::step(seed, 3.0), |scenario| scenario.shape = Shape { proxies, workers })
}

fn retries(seed: u64, retries: u32, backoff: Backoff) -> Scenario {
    changed(Scenario::step(seed, 3.0), |scenario| {
        (scenario.clients.retries, scenario.clients.backoff) = (retries, backoff);
    })
}

const JITTER: Backoff = Backoff::FullJitter(100 * MS);

/// A region that takes over another's traffic by a tenth, a half, all of it, 20 s apart.
fn ramp(seed: u64) -> Scenario {
    changed(Scenario::calm(seed, BASE_LOAD), |scenario| {
        let calm = scenario.phases.first().copied();
        let capacity = scenario.backend.capacity();
        let (start, end) = (scenario.stress.start, scenario.stress.end);
        let steps =
            [(start, 1.1), (start + 20 * SECOND, 1.5), (start + 40 * SECOND, 2.0), (end, 1.0)];
        scenario.phases.extend(steps.iter().filter_map(|(at, share)| {
            Some(Phase { at: *at, rps: share * BASE_LOAD * capacity, ..calm? })
        }));
    })
}

const fn row(name: &'static str, scenario: fn(u64) -> Scenario) -> Row {
    Row { name, scenario, reference: None }
}

/// The other cases.
pub const MATRIX: [Row; 23] = [
    row("1.2x", |seed| Scenario::step(seed, 1.2)),
    row("failover 10, 50, 100 %", ramp),
    row("capacity halved", |seed| {
        changed(Scenario::calm(seed, BASE_LOAD), |scenario| {
            scenario.stressed(|phase| phase.servers = 0.5);
        })
    }),
    row("3x, half the workers get 4:1", |seed| {
        changed(Scenario::step(seed, 3.0), |scenario| scenario.skew = 4.0)
    }),
    row("3x, 1 worker", |seed| workers(seed, 1, 1)),
    row("3x, 4 workers of one proxy", |seed| workers(seed, 1, 4)),
    row("3x, 16 workers of one proxy", |seed| workers(seed, 1, 16)),
    row("3x, 64 workers of 4 proxies", |seed| workers(seed, 4, 16)),
    row("3x, half is critical", |seed| {
        changed(Scenario::step(seed, 3.0), |scenario| {
            scenario.mix = PerPriority { critical: 0.5, high: 0.12, normal: 0.22, low: 0.16 };
        })
    }),
    row("3x, no retries", |seed| retries(seed, 0, JITTER)),
    row("3x, 2 retries at once", |seed| retries(seed, 2, Backoff::None)),
    row("3x, 4 retries, jitter", |seed| retries(seed, 4, JITTER)),
    row("3x, 4 retries at once", |seed| retries(seed, 4, Backoff::None)),
    row("3x, retries that are told", |seed| {
        changed(Scenario::step(seed, 3.0), |scenario| scenario.clients.tells_retries = true)
    }),
    row("3x, longer tails (sigma 1.1)", |seed| {
        Scenario::step(seed, 3.0).on(|backend| backend.sigma = 1.1)
    }),
    row("3x, a backend for each proxy", |seed| {
        Scenario::step(seed, 3.0).on(|backend| backend.of = Of::EachProxy)
    }),
    row("6x, a backend for each proxy", |seed| {
        Scenario::step(seed, 6.0).on(|backend| backend.of = Of::EachProxy)
    }),
    row("80 % of the capacity", |seed| Scenario::calm(seed, 0.8)),
    row("90 % of the capacity", |seed| Scenario::calm(seed, 0.9)),
    row("80 %, a backend for each proxy", |seed| {
        Scenario::calm(seed, 0.8).on(|backend| backend.of = Of::EachProxy)
    }),
    row("90 %, a backend for each proxy", |seed| {
        Scenario::calm(seed, 0.9).on(|backend| backend.of = Of::EachProxy)
    }),
    row("2x slower, each proxy its own", |seed| {
        slow(seed, 2.0).on(|backend| backend.of = Of::EachProxy)
    }),
    row("1.3x, 2 servers", |seed| Scenario::step(seed, 1.3).on(|backend| backend.servers = 2)),
];
