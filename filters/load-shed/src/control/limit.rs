//! How many may be in flight: as many as still are served not much slower than if they were alone.
//!
//! What "alone" means is learned while nothing is pressed. Where a backend becomes slower itself,
//! it is learned from how far apart requests are ([`crate::spread`]): no limit would
//! make those faster, and a lower one would leave the backend idle.

use crate::number::{bounded, share_of};
use crate::window::Window;
use policy_core::Baseline;

/// No limit is larger.
pub(crate) const LIMIT_MAX: f64 = 10_000.0;
/// How many times as long as alone a request may take for the limit to stay as it is but for
/// `MARGIN`, with which it settles somewhat above.
const TOLERANCE: f64 = 1.6;
/// The same of a promised latency, below which the limit should settle.
const OF_PROMISE: f64 = 0.8;
/// How much a limit grows by itself, in its square roots a window: small limits, which need more
/// room for chance, relatively more. Growth that is slower than in proportion also makes proxies that
/// share a backend come to share it evenly.
const MARGIN: f64 = 0.5;
/// The least and the most that a limit is multiplied with in a window.
const FACTOR: (f64, f64) = (0.7, 1.1);
/// The share of failures from which the limit does not grow, and what of it is left in a window if what
/// was served had to wait as well, or nothing was. Failures alone tell nothing of load: where one thing
/// is broken and all else is served as ever, a lower limit would take that away too.
const FAILED: (f64, f64) = (0.02, 0.85);
/// How full the limit has to be to grow: less full than low work may make it, which would else be
/// refused before.
const USED: f64 = 0.55;
/// The limit is within this many times what was in flight in the busiest window of the last minute or
/// two, on average, and has room for chance where that was little. It is no less than two, and may
/// always be fourteen: what several workers, each of which knows the others only as of its last tick,
/// need for two or three requests that come at once to find room while next to nothing is in flight.
const LEAST: f64 = 0.5;
const MOST: (f64, f64) = (4.0, 3.0);
const BOUND_MIN: (f64, f64) = (2.0, 14.0);
/// How fast what is normal follows what is measured while nothing is pressed.
const CALM_GAIN: f64 = 0.03;
/// How many times as slow as normal is pressed.
const PRESSED: f64 = 2.0;
/// How many times as fast as normal so many requests of a window have to be for what was learned to be
/// no longer so, whatever else is the case: the same requests do not take longer alone than they do now.
/// How fast it is forgotten decides how soon after a slow spell the next overload is one. A few that are
/// fast, as those for what is not there, say nothing of others.
const FASTER: f64 = 2.0;
const FASTER_GAIN: f64 = 0.5;
const SAMPLES_MIN: u64 = 20;
/// How many times as far apart as normal requests have to be for the backend to be slower (waits
/// differ too), and how fast what is normal follows then.
const APART: f64 = 1.25;
const APART_GAIN: f64 = 0.15;
/// What of a limit is left in a window in which it falls no more.
const AT_REST: f64 = 0.99;
/// How far what is normal goes towards what is measured after so many windows in which not even the
/// least limit helped: every request takes longer by the same, and no queue of ours does that.
const RELEARN: (f64, u8) = (0.3, 20);

/// A limit and what it follows from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    pub(crate) value: f64,
    /// How long requests take alone, and how far they are apart then; zero where it is not known.
    pub(crate) base_ms: f64,
    pub(crate) spread_ms: f64,
    pub(crate) smooth_ms: f64,
    pub(crate) strained: u8,
}

impl Limit {
    /// One window is over. `peak` is the largest mean in flight of a window of the last minute or two,
    /// `spread_ms` how far requests are apart of late, zero where that is not known. What the threshold
    /// lets go tells nothing here: it may be somebody's wish.
    pub(crate) fn step(&mut self, window: &Window, baseline: Baseline, peak: f64, spread_ms: f64) {
        if let Some(mean_ms) = window.mean_ms() {
            let before = if self.smooth_ms > 0.0 { self.smooth_ms } else { mean_ms };
            self.smooth_ms = 0.5 * before + 0.5 * mean_ms;
        }
        if self.base_ms <= 0.0 {
            (self.base_ms, self.spread_ms) = (self.smooth_ms, spread_ms);
        }
        let (failed, before) = (window.failed_share(), self.value);
        let is_calm = window.served > 0 && window.overflowed() <= 0.0 && failed < 0.01;
        self.learn(spread_ms, window.served >= SAMPLES_MIN, is_calm);
        let target_ms = match baseline {
            Baseline::Slo { ms } => OF_PROMISE * f64::from(ms.max(1)),
            Baseline::Auto | Baseline::Fixed => TOLERANCE * self.base_ms,
        };
        let is_used =
            f64::from(window.in_flight_max) >= USED * self.value || window.overflowed() > 0.0;
        let is_failing = failed > FAILED.0;
        let is_waiting = window.served == 0 || self.smooth_ms > target_ms;
        if is_failing && is_waiting {
            self.value *= FAILED.1;
        } else if self.smooth_ms > 0.0 {
            let factor = bounded((target_ms / self.smooth_ms).sqrt(), FACTOR.0, FACTOR.1);
            let next = factor * self.value + MARGIN * self.value.sqrt();
            // Where nobody was answered, who left did not say that more would be.
            let grows = is_used && !is_failing && window.served > 0;
            self.value = if grows { next } else { next.min(self.value) };
        }
        let least = bounded(LEAST * peak, BOUND_MIN.0, LIMIT_MAX);
        let most = bounded(MOST.0 * peak + MOST.1 * peak.sqrt(), BOUND_MIN.1, LIMIT_MAX);
        self.value = bounded(self.value, least, most);
        // It rests somewhat above the least: see `MARGIN`.
        let is_at_rest = self.value >= AT_REST * before || self.value <= least;
        self.relearn(self.smooth_ms > 1.5 * target_ms && is_at_rest);
    }

    /// Learns what is normal.
    fn learn(&mut self, spread_ms: f64, is_telling: bool, is_calm: bool) {
        let apart = if spread_ms > 0.0 { share_of(spread_ms, self.spread_ms) } else { 1.0 };
        if is_telling && FASTER * self.smooth_ms < self.base_ms {
            self.base_ms += FASTER_GAIN * (self.smooth_ms - self.base_ms);
            self.spread_ms += FASTER_GAIN * (spread_ms - self.spread_ms);
        } else if apart > APART || apart * APART < 1.0 {
            let excess = if apart > 1.0 { apart / APART } else { apart * APART };
            let step = 1.0 + APART_GAIN * (bounded(excess, 0.3, 3.0) - 1.0);
            // Whatever they are apart, alone they do not take longer than they do now.
            self.base_ms = (self.base_ms * step).min(self.smooth_ms.max(self.base_ms));
            self.spread_ms *= step;
        } else if is_calm && self.smooth_ms < PRESSED * self.base_ms {
            self.base_ms += CALM_GAIN * (self.smooth_ms - self.base_ms);
            self.spread_ms += CALM_GAIN * (spread_ms - self.spread_ms);
        }
    }

    fn relearn(&mut self, is_strained: bool) {
        self.strained = if is_strained { self.strained.saturating_add(1) } else { 0 };
        if self.strained >= RELEARN.1 {
            self.base_ms += RELEARN.0 * (self.smooth_ms - self.base_ms);
            self.strained = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Limit =
        Limit { value: 40.0, base_ms: 20.0, spread_ms: 10.0, smooth_ms: 20.0, strained: 0 };

    /// A quarter of a second in which requests took this long and some were refused.
    fn window(ms: u64) -> Window {
        let mut window = Window { ms: 250, served: 100, in_flight_max: 40, ..Window::default() };
        window.latency_us = ms.saturating_mul(100_000);
        (window.arrivals[0], window.passed, window.admitted) = (300, 200, 100);
        window
    }

    fn run(mut limit: Limit, windows: usize, ms: u64, spread_ms: f64, baseline: Baseline) -> Limit {
        for _ in 0..windows {
            limit.step(&window(ms), baseline, 30.0, spread_ms);
        }
        limit
    }

    #[test]
    fn a_queue_lowers_the_limit_and_changes_nothing_of_what_is_normal() {
        let limit = run(CALM, 10, 80, 10.0, Baseline::Auto);
        assert!((limit.value - 15.0).abs() < 1e-9, "the least: {limit:?}");
        assert!((limit.base_ms - 20.0).abs() < 1e-9, "{limit:?}");
    }

    #[test]
    fn a_slower_backend_becomes_normal() {
        let limit = run(CALM, 20, 80, 40.0, Baseline::Auto);
        assert!((60.0..=80.0).contains(&limit.base_ms), "{limit:?}");
        assert!(limit.value > 40.0, "{limit:?}");
        let again = run(limit, 30, 20, 10.0, Baseline::Auto);
        assert!(again.base_ms < 27.0, "and so does a faster one: {again:?}");
    }

    #[test]
    fn what_was_slow_for_a_while_is_forgotten_soon() {
        let slow = Limit { base_ms: 400.0, smooth_ms: 400.0, ..CALM };
        for (ms, spread_ms, least, most, why) in [
            (
                4,
                10.0,
                4.0,
                9.0,
                "a hundred times as fast, and as far apart: what all take was added",
            ),
            (4, 0.2, 4.0, 9.0, "and far closer"),
            (150, 10.0, 150.0, 310.0, "less than half of it"),
            (250, 10.0, 399.0, 401.0, "not so much faster that chance could not be it"),
        ] {
            // Also while some are refused, as they still are then.
            let limit = run(slow, 10, ms, spread_ms, Baseline::Auto);
            assert!((least..most).contains(&limit.base_ms), "{why}: {limit:?}");
        }
    }

    #[test]
    fn a_few_that_are_fast_say_nothing_of_others() {
        let mut limit = CALM;
        for _ in 0..8 {
            let mut few = window(1);
            (few.served, few.latency_us) = (8, 8_000);
            limit.step(&few, Baseline::Auto, 1.0, 10.0);
        }
        assert!(limit.base_ms > 15.0, "{limit:?}");
        let idle = Window { ms: 1_000, ..Window::default() };
        let before = limit.base_ms;
        (0..100).for_each(|_| limit.step(&idle, Baseline::Auto, 1.0, 0.0));
        assert!(limit.base_ms > before / 2.0, "nor does nothing at all: {limit:?}");
    }

    #[test]
    fn what_was_learned_of_other_requests_is_put_right() {
        // All were fast, and now none is; nothing else has changed. The limit comes to rest above the
        // least, where little is in flight.
        for peak in [1.0, 5.0, 40.0] {
            let mut limit = Limit { base_ms: 1.0, smooth_ms: 1.0, ..CALM };
            for _ in 0..200 {
                limit.step(&window(20), Baseline::Auto, peak, 10.0);
            }
            // As far as it has to for twenty milliseconds to be no reason to let in less.
            assert!(limit.base_ms > 8.0 && limit.value > 2.0 * peak.min(5.0), "{peak}: {limit:?}");
        }
    }

    #[test]
    fn nothing_is_normal_that_takes_longer_than_requests_do() {
        // All took as long, as where something waits for a timer, and then they do not.
        let even = Limit { spread_ms: 0.1, ..CALM };
        let limit = run(even, 40, 24, 10.0, Baseline::Auto);
        assert!(limit.base_ms <= 24.0, "{limit:?}");
        assert!(limit.spread_ms > 7.0, "that they are further apart is known: {limit:?}");
    }

    #[test]
    fn what_no_limit_helps_against_becomes_normal_in_the_end() {
        let limit = run(CALM, 80, 80, 10.0, Baseline::Auto);
        assert!(limit.base_ms > 30.0, "{limit:?}");
    }

    #[test]
    fn a_limit_has_bounds_by_what_was_in_flight() {
        for (peak, least, most, why) in [
            (0.0, 2.0, 14.0, "nothing: some room for what may come"),
            (2.0, 2.0, 14.0, "little"),
            (9.0, 4.5, 45.0, "half of it, and four times and three roots"),
            (1e6, LIMIT_MAX, LIMIT_MAX, "no limit is larger"),
        ] {
            for (value, expected) in [(0.5, least), (1e6, most)] {
                let mut limit = Limit { value, ..CALM };
                limit.step(&Window::default(), Baseline::Auto, peak, 10.0);
                assert!((limit.value - expected).abs() < 1e-9, "{peak}: {why}: {limit:?}");
            }
        }
    }

    #[test]
    fn a_promise_is_kept_and_not_learned() {
        let limit = run(CALM, 20, 30, 40.0, Baseline::Slo { ms: 100 });
        assert!(limit.value > 100.0, "{limit:?}");
        let limit = run(limit, 20, 120, 40.0, Baseline::Slo { ms: 100 });
        assert!(limit.value < 60.0, "{limit:?}");
    }

    #[test]
    fn proxies_that_share_a_backend_come_to_share_it_evenly() {
        let (mut one, mut other) = (Limit { value: 20.0, ..CALM }, Limit { value: 60.0, ..CALM });
        for _ in 0..40 {
            // The latency is that of all that is in flight, of which 40 are served at once.
            let latency = f64::midpoint(one.value, other.value);
            let window = window(u64::from(crate::number::whole(latency.max(20.0))));
            one.step(&window, Baseline::Auto, 60.0, 10.0);
            other.step(&window, Baseline::Auto, 60.0, 10.0);
        }
        assert!(other.value / one.value < 1.15, "{one:?} {other:?}");
    }

    #[test]
    fn failures_lower_it_where_requests_wait_or_none_is_served() {
        for (ms, served, failed, expected, why) in [
            (80, 100, 10, 34.0, "those that are served wait"),
            (20, 0, 10, 34.0, "none is served"),
            (20, 100, 2, 46.4, "hardly any failed, and it is full"),
            (20, 100, 10, 40.0, "all others are served as ever"),
            (20, 100, 900, 40.0, "the few that are served are as fast as ever"),
            (20, 0, 0, 40.0, "clients have left before anything failed, and nobody was answered"),
        ] {
            let mut failing = window(ms);
            (failing.served, failing.failed) = (served, failed);
            let mut limit = Limit { smooth_ms: crate::number::float(ms), ..CALM };
            limit.step(&failing, Baseline::Auto, 60.0, 10.0);
            assert!((limit.value - expected).abs() < 1.0, "{why}: {limit:?}");
        }
    }

    #[test]
    fn what_fails_on_its_own_costs_nobody_else_anything() {
        let mut limit = CALM;
        for _ in 0..400 {
            let mut failing = window(20);
            (failing.failed, failing.arrivals[0]) = (10, 100);
            limit.step(&failing, Baseline::Auto, 40.0, 10.0);
        }
        assert!((limit.value - 40.0).abs() < 1e-9, "{limit:?}");
    }
}
