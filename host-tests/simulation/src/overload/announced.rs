//! What it helps that region state announces a rise (`expected_multiplier`): the first second of it.

use super::figures::{mean, success_by};
use super::number::{float, whole};
use super::queue::SECOND;
use super::roster::Algorithm;
use super::scenario::{BASE_LOAD, Phase, Scenario};

/// A region that absorbs its twin. Its pool was full once before, so that it knows what it can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rise {
    /// To how many times the capacity.
    pub times: u32,
    /// How many seconds before it is announced, if at all.
    pub told: Option<u64>,
}

/// What came of a rise in its first second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstSecond {
    /// What was answered in time, of the capacity.
    pub goodput: f64,
    /// Success of critical requests.
    pub critical: f64,
    /// Success of high ones.
    pub high: f64,
    /// The most that was in flight.
    pub in_flight: f64,
}

/// Those that the page shows.
pub const RISES: [Rise; 8] = [
    Rise { times: 3, told: None },
    Rise { times: 3, told: Some(0) },
    Rise { times: 3, told: Some(2) },
    Rise { times: 3, told: Some(6) },
    Rise { times: 6, told: None },
    Rise { times: 6, told: Some(0) },
    Rise { times: 6, told: Some(2) },
    Rise { times: 6, told: Some(6) },
];

impl Rise {
    /// What it is called in tables.
    pub fn name(self) -> String {
        let told = match self.told {
            None => "nobody says so".to_owned(),
            Some(0) => "announced at the same moment".to_owned(),
            Some(early) => format!("announced {early} s before"),
        };
        format!("{}x, {told}", self.times)
    }

    fn scenario(self, seed: u64) -> Scenario {
        let times = f64::from(self.times);
        let mut scenario = Scenario::step(seed, times);
        if let [calm, ..] = *scenario.phases {
            let full = Phase { at: 5 * SECOND, rps: 1.3 * scenario.backend.capacity(), ..calm };
            scenario.phases.splice(1..1, [full, Phase { at: 15 * SECOND, ..calm }]);
        }
        let start = scenario.stress.start;
        scenario.announced =
            self.told.map(|early| (start.saturating_sub(early * SECOND), times / BASE_LOAD));
        // Requests of the first second are answered or given up by then.
        scenario.end = start + 10 * SECOND;
        scenario
    }

    /// Plays it with the shedding of the module.
    pub fn play(self, seed: u64) -> FirstSecond {
        let scenario = self.scenario(seed);
        let within = scenario.stress.start..scenario.stress.start + SECOND;
        let tally = Algorithm::Ours.play(&scenario).tally;
        let first = tally.between(&within);
        let in_time: u32 = first.iter().map(|second| second.in_time).sum();
        let success = success_by(first, |second| &second.answered);
        let gauges = tally.gauges.iter().filter(|(at, _)| within.contains(at));
        FirstSecond {
            goodput: f64::from(in_time) / scenario.capacity_between(&within),
            critical: success.critical,
            high: success.high,
            in_flight: float(gauges.map(|(_, gauge)| gauge.in_flight).max().unwrap_or(0)),
        }
    }
}

impl FirstSecond {
    /// The means of some.
    pub fn mean(of: &[Self]) -> Self {
        let each = |value: fn(&Self) -> f64| mean(of.iter().map(value));
        Self {
            goodput: each(|it| it.goodput),
            critical: each(|it| it.critical),
            high: each(|it| it.high),
            in_flight: each(|it| it.in_flight),
        }
    }

    /// The cells of its row: goodput, critical, high, most in flight.
    pub fn cells(&self) -> [String; 4] {
        let share = |value: f64| format!("{value:.3}");
        let Self { goodput, critical, high, in_flight } = *self;
        [share(goodput), share(critical), share(high), whole(in_flight).to_string()]
    }
}
