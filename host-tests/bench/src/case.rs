//! What an Envoy is put through.

use simulation::overload::queue::SECOND;
use simulation::overload::scenario::{BASE_LOAD, Clients, Of, Phase, Scenario, Service, Shape};

/// Worker threads of the Envoy.
pub const WORKERS: u32 = 2;
/// How long services take on average, milliseconds, and the deviation of the logarithm of that.
pub const MEAN_MS: f64 = 20.0;
/// See [`MEAN_MS`].
pub const SIGMA: f64 = 0.8;
/// How many ask.
const USERS: u64 = 4_000;
/// The load at which nothing should be shed, as a share of the capacity.
const CALM: f64 = 0.8;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Case {
    /// Nothing: 80 % of what can be served.
    Calm,
    /// So many times as much is asked for as can be served.
    Times(f64),
    /// Each request takes twice as long.
    Slow,
    /// Half of the servers are gone.
    Halved,
    /// No server begins with anything any more.
    Hung,
}

/// How long everything lasts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The base load before.
    pub before: u32,
    /// The stress.
    pub stress: u32,
    /// The base load after it.
    pub after: u32,
}

impl Span {
    /// All of it, in seconds.
    pub const fn seconds(self) -> u32 {
        self.before + self.stress + self.after
    }
}

impl Case {
    /// What tables call it.
    pub fn name(self) -> String {
        match self {
            Self::Calm => "80 %".to_owned(),
            Self::Times(times) => format!("{times}x"),
            Self::Slow => "backend 2x slower".to_owned(),
            Self::Halved => "capacity halved".to_owned(),
            Self::Hung => "backend hangs".to_owned(),
        }
    }

    /// The same as a scenario, for a backend of so many servers of 20 ms.
    pub fn scenario(self, servers: u32, span: Span, seed: u64) -> Scenario {
        let service = Service { servers, mean_ms: MEAN_MS, sigma: SIGMA, of: Of::All };
        let capacity = service.capacity();
        let seconds = |count: u32| u64::from(count) * SECOND;
        let stress = seconds(span.before)..seconds(span.before + span.stress);
        let rps = capacity * if self == Self::Calm { CALM } else { BASE_LOAD };
        let base = Phase { at: 0, rps, servers: 1.0, slowness: 1.0 };
        let mut during = Phase { at: stress.start, ..base };
        match self {
            Self::Calm => {}
            Self::Times(times) => during.rps = times * capacity,
            Self::Slow => during.slowness = 2.0,
            Self::Halved => during.servers = 0.5,
            Self::Hung => during.servers = 0.0,
        }
        // The same mix, and clients as impatient.
        let model = Scenario::calm(seed, BASE_LOAD);
        Scenario {
            shape: Shape { proxies: 1, workers: usize::try_from(WORKERS).unwrap_or(1) },
            backend: service,
            clients: Clients { users: USERS, ..model.clients },
            phases: vec![base, during, Phase { at: stress.end, ..base }],
            stress,
            end: seconds(span.seconds()),
            gauge_every: SECOND / 2,
            ..model
        }
    }

    /// What is asked for at most, in requests a second without retries.
    pub fn peak(self, servers: u32, span: Span) -> f64 {
        let scenario = self.scenario(servers, span, 0);
        scenario.phases.iter().map(|phase| phase.rps).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_a_step_and_back() {
        let span = Span { before: 5, stress: 20, after: 12 };
        for (case, asked, capacity) in [
            (Case::Calm, 400.0, 500.0),
            (Case::Times(3.0), 1_500.0, 500.0),
            (Case::Slow, 300.0, 250.0),
            (Case::Halved, 300.0, 250.0),
            (Case::Hung, 300.0, 0.0),
        ] {
            let scenario = case.scenario(10, span, 1);
            let [before, during, after] = scenario.phases[..] else { panic!("{case:?}") };
            assert!((during.rps - asked).abs() < 1e-9, "{case:?}");
            assert!((before.rps - after.rps).abs() < 1e-9, "{case:?}");
            let served = scenario.capacity_between(&scenario.stress);
            assert!((served - 20.0 * capacity).abs() < 1e-6, "{case:?}: {served}");
        }
        assert!((Case::Times(10.0).peak(10, span) - 5_000.0).abs() < 1e-9);
    }
}
