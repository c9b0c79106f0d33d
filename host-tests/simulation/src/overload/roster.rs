//! All algorithms by name.

use super::baseline::adaptive_concurrency::AdaptiveConcurrency;
use super::baseline::admission_control::AdmissionControl;
use super::baseline::dagor::Dagor;
use super::baseline::gradient2::Gradient2;
use super::baseline::ladder::{FLAT, Ladder, STEPS, View};
use super::baseline::none::Open;
use super::baseline::ratio::Ratio;
use super::baseline::throttle::Throttle;
use super::ours::Ours;
use super::scenario::Scenario;
use super::world::{Played, play};
use crate::rng::Rng;
use policy_core::Baseline;

/// An algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The module, which learns what is normal.
    Ours,
    /// Nobody sheds.
    Nothing,
    /// Envoy's `adaptive_concurrency`.
    AdaptiveConcurrency,
    /// Envoy's `admission_control`.
    AdmissionControl,
    /// Gradient2 with partitions.
    Gradient2,
    /// DAGOR.
    Dagor,
    /// The throttle of Google's SRE book.
    Throttle,
    /// One limit without priorities.
    FlatLimit,
    /// A limit with shares, each worker for itself.
    LadderAlone,
    /// A limit with shares, of a counter that is 100 ms old.
    LadderStale,
    /// A limit with shares, of a counter that all workers change with each request.
    LadderExact,
    /// A controller from latency to the share rejected.
    LatencyRatio,
}

impl Algorithm {
    /// All of them, ours first, then what others run, then what one would try.
    pub const ALL: [Self; 12] = [
        Self::Ours,
        Self::Nothing,
        Self::AdaptiveConcurrency,
        Self::AdmissionControl,
        Self::Gradient2,
        Self::Dagor,
        Self::Throttle,
        Self::FlatLimit,
        Self::LadderAlone,
        Self::LadderStale,
        Self::LadderExact,
        Self::LatencyRatio,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "Meshfence",
            Self::Nothing => "no shedding",
            Self::AdaptiveConcurrency => "Envoy adaptive_concurrency",
            Self::AdmissionControl => "Envoy admission_control",
            Self::Gradient2 => "Gradient2, partitions",
            Self::Dagor => "DAGOR",
            Self::Throttle => "SRE throttle, K = 2",
            Self::FlatLimit => "flat limit",
            Self::LadderAlone => "ladder, each worker alone",
            Self::LadderStale => "ladder, stale counter",
            Self::LadderExact => "ladder, exact shared counter",
            Self::LatencyRatio => "PI from latency to ratio",
        }
    }

    /// Plays a scenario with it.
    pub fn play(self, scenario: &Scenario) -> Played {
        let shape = scenario.shape;
        // Its own chance, apart from that of the scenario.
        let rng = Rng::new(!scenario.seed);
        let ladder = |view, shares| play(scenario, &mut Ladder::new(shape, view, shares));
        match self {
            Self::Ours => play(scenario, &mut Ours::new(shape, Baseline::Auto)),
            Self::Nothing => play(scenario, &mut Open::default()),
            Self::AdaptiveConcurrency => play(scenario, &mut AdaptiveConcurrency::new(shape, rng)),
            Self::AdmissionControl => play(scenario, &mut AdmissionControl::new(shape, rng)),
            Self::Gradient2 => play(scenario, &mut Gradient2::new(shape)),
            Self::Dagor => play(scenario, &mut Dagor::new(shape)),
            Self::Throttle => play(scenario, &mut Throttle::new(shape, rng)),
            Self::FlatLimit => ladder(View::Exact, FLAT),
            Self::LadderAlone => ladder(View::Alone, STEPS),
            Self::LadderStale => ladder(View::Stale, STEPS),
            Self::LadderExact => ladder(View::Exact, STEPS),
            Self::LatencyRatio => play(scenario, &mut Ratio::new(shape)),
        }
    }
}
