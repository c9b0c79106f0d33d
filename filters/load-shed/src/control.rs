//! The step from a window to a decision: limit, ratio, threshold.

mod limit;
mod ratio;

pub(crate) use limit::LIMIT_MAX;
pub(crate) use ratio::RATIO_MAX;

use crate::decision::Decision;
use crate::number::{bounded, float, share_of};
use crate::peak::Peak;
use crate::spread::Differences;
use crate::threshold::Keys;
use crate::window::Window;
use limit::Limit;
use policy_core::Baseline;
use ratio::{Ratio, let_through};

/// How much of a new capacity is believed at once.
const CAPACITY_GAIN: f64 = 0.2;
/// No more could be served where more than this share of what came, and more than so many, found no room.
const FULL_SHARE: f64 = 0.02;
const FULL_MIN: f64 = 4.0;

/// What a decision is made from. Every worker keeps one, so that any can go on where another stops.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    baseline: Baseline,
    /// The limit of one worker before anything is known.
    first: u32,
    peak: Peak,
    keys: Keys,
    differences: Differences,
    last: Option<Decision>,
}

/// Who decides, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chair {
    pub(crate) node: u32,
    pub(crate) now_ms: u64,
    pub(crate) workers: u32,
    /// A ratio that it must not go below.
    pub(crate) ratio_min: f64,
}

impl Control {
    pub(crate) fn new(first: u32, baseline: Baseline) -> Self {
        Self {
            baseline,
            first,
            peak: Peak::default(),
            keys: Keys::default(),
            differences: Differences::default(),
            last: None,
        }
    }

    pub(crate) const fn last(&self) -> Option<&Decision> {
        self.last.as_ref()
    }

    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The limit of the proxy now.
    pub(crate) fn limit(&self, workers: u32) -> f64 {
        self.last.map_or_else(
            || bounded(f64::from(self.first) * f64::from(workers.max(1)), 1.0, LIMIT_MAX),
            |decision| decision.limit,
        )
    }

    /// Another worker has decided; `window` is what this one has seen meanwhile.
    pub(crate) fn adopt(&mut self, decision: Decision, window: &Window, now_ms: u64) {
        self.watch(window, now_ms);
        self.peak.note(decision.peak, now_ms);
        self.last = Some(decision);
    }

    fn watch(&mut self, window: &Window, now_ms: u64) {
        self.keys.add(&window.arrivals);
        self.differences.add(&window.apart);
        self.peak.note(window.in_flight(), now_ms);
    }

    /// Decides.
    pub(crate) fn step(&mut self, window: &Window, chair: Chair) -> &Decision {
        let Chair { node, now_ms, workers, ratio_min } = chair;
        self.watch(window, now_ms);
        let peak = self.peak.get(now_ms);
        let last = self.last;
        let mut limit = Limit {
            value: self.limit(workers),
            base_ms: last.map_or(0.0, |last| last.base_ms),
            spread_ms: last.map_or(0.0, |last| last.spread_ms),
            smooth_ms: last.map_or(0.0, |last| last.smooth_ms),
            strained: last.map_or(0, |last| last.strained),
        };
        let mut ratio = Ratio {
            value: last.map_or(0.0, |last| last.ratio),
            offered: last.map_or(0.0, |last| last.offered),
        };
        limit.step(window, self.baseline, peak, self.differences.median_ms());
        let able = last.map_or(0.0, |last| last.capacity * let_through(limit.value));
        ratio.step(window, limit.value, ratio_min, able);
        let decision = Decision {
            at_ms: now_ms,
            node,
            limit: limit.value,
            base_ms: limit.base_ms,
            spread_ms: limit.spread_ms,
            smooth_ms: limit.smooth_ms,
            ratio: ratio.value,
            offered: ratio.offered,
            capacity: capacity(last.map_or(0.0, |last| last.capacity), window),
            peak,
            threshold: self.keys.threshold(ratio.value).get(),
            strained: limit.strained,
        };
        self.last.insert(decision.believable())
    }

    /// How many requests a second are offered now; none where there is no telling.
    pub(crate) fn offered(&self) -> f64 {
        self.last.map_or(0.0, |last| last.offered)
    }

    /// The share of work that would have to go if `coming` requests a second came; nothing where
    /// there is no telling. As always rather more is let through to the guard than can be served: some
    /// times what was served when no more could be, or else what the limit lets through when nothing
    /// has to wait.
    pub(crate) fn ratio_for(&self, coming: f64) -> f64 {
        let Some(last) = self.last else { return 0.0 };
        let through = if last.capacity > 0.0 {
            last.capacity * let_through(last.limit)
        } else {
            share_of(last.limit, last.smooth_ms / 1_000.0)
        };
        if through > 0.0 && coming > through {
            bounded(1.0 - through / coming, 0.0, RATIO_MAX)
        } else {
            0.0
        }
    }
}

/// What a window tells of the most that can be served: that, if there was no room for more; that it is
/// no less, if there was.
fn capacity(before: f64, window: &Window) -> f64 {
    if window.served == 0 || window.ms == 0 {
        return before;
    }
    let now = float(window.served) / window.seconds();
    // Few may be chance.
    let is_full = window.overflowed() > (FULL_SHARE * window.offered()).max(FULL_MIN);
    match (before > 0.0, is_full) {
        (true, true) => before + CAPACITY_GAIN * (now - before),
        (true, false) => before + CAPACITY_GAIN * (now - before).max(0.0),
        (false, true) => now,
        (false, false) => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_served_is_no_less_than_what_is() {
        for (before, offered, served, expected, why) in [
            (0.0, 100, 100, 0.0, "how much more could be, nobody knows"),
            (0.0, 300, 100, 400.0, "the rest was refused"),
            (200.0, 300, 100, 240.0, "a fifth of the way"),
            (200.0, 100, 100, 240.0, "more than was once all: a fifth of the way"),
            (800.0, 100, 100, 800.0, "less comes than could be served"),
            (800.0, 104, 100, 800.0, "four that found no room are chance"),
            (800.0, 105, 100, 720.0, "five are not"),
            (800.0, 100, 0, 800.0, "nothing was served"),
        ] {
            let mut window = Window { ms: 250, served, admitted: served, ..Window::default() };
            (window.arrivals[0], window.passed) = (offered, offered);
            assert!((capacity(before, &window) - expected).abs() < 1e-9, "{why}");
        }
    }
}
