//! Which share of the work has to go: what overflows the guard and what is left free under it move
//! the share that is let through, always by a factor.

use crate::number::{bounded, float, share_of};
use crate::window::Window;

/// However much comes, a little gets in, and shows whether more could.
pub(crate) const RATIO_MAX: f64 = 0.98;
/// How much more than could be served is let through to the guard: a share, and one that is divided by
/// the square root of the limit. It keeps the backend busy through the gaps of chance, which grow with
/// that root alone and so cost small backends most. With too much of it the guard, which knows no
/// cohorts, decides instead of the threshold.
const SURPLUS: (f64, f64) = (0.25, 0.5);
/// How much of a wrong share is put right in a window. A whole step would be one too many: the effect
/// of the last one is only half seen.
const GAIN: f64 = 0.2;
/// How full what the lowest priorities may use of the limit is without work that is let go coming
/// back, and how fast it does for what is free below.
const FULL: f64 = 0.68;
const FREE_GAIN: f64 = 0.37;
/// The load of an upstream from which it says that less should come, how much less a second if it says
/// that it is full, and how much has to go for that alone at most: if half as much does not help, it is
/// no load of ours.
const LOADED: f64 = 0.8;
const LOADED_GAIN: f64 = 0.5;
const LOADED_MAX: f64 = 0.5;
/// A ratio from which on more or less work means that more or less has to go.
const FEED_FORWARD_MIN: f64 = 0.02;
/// A change of what is offered that is no chance any more.
const CHANGED: f64 = 1.25;

/// A ratio and what it follows from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    /// Requests offered a second.
    pub(crate) offered: f64,
}

/// How many times what can be served is let through to the guard.
pub(crate) fn let_through(limit: f64) -> f64 {
    1.0 + SURPLUS.0 + share_of(SURPLUS.1, limit.sqrt())
}

impl Ratio {
    /// One window is over. The ratio is at least `least`; one that is held there says nothing of what
    /// the backend can do, and is not fed forward. `able` requests a second are known to be as many as
    /// should be let through, 0 if that is not known.
    pub(crate) fn step(&mut self, window: &Window, limit: f64, least: f64, able: f64) {
        let seconds = window.seconds();
        let offered = share_of(window.offered(), seconds);
        let mut kept = 1.0 - self.value;
        if self.value > FEED_FORWARD_MIN.max(least) && offered > 0.0 && self.offered > 0.0 {
            // As much is let through as before, and if that was less than could be, as could.
            let change = self.offered / offered;
            if change > CHANGED || change * CHANGED < 1.0 {
                kept = (kept * change).max(kept.min(share_of(able, offered)));
            }
        }
        let served = float(window.admitted.max(window.served).max(1));
        let through = (float(window.passed) / served).max(1.0);
        kept *= (let_through(limit) / through).powf(GAIN);
        kept *= 1.0 + FREE_GAIN * (FULL - share_of(window.in_flight(), limit)).max(0.0);
        // The worst of what workers heard, each of which reports a mean of its upstreams: a mean of those
        // would be old where one of them has just begun.
        let loaded = bounded((window.utilisation - LOADED) / (1.0 - LOADED), 0.0, 1.0);
        if loaded > 0.0 {
            let less = (1.0 - self.value) * (1.0 - LOADED_GAIN * seconds * loaded);
            kept = kept.min(less.max(1.0 - LOADED_MAX));
        }
        self.offered = offered;
        self.value = bounded(1.0 - kept, bounded(least, 0.0, RATIO_MAX), RATIO_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quarter of a second of a backend that serves `able` of what is let through.
    fn window(offered: u64, ratio: f64, able: u64, in_flight: u64) -> Window {
        let mut window =
            Window { ms: 250, area: in_flight.saturating_mul(500), ..Window::default() };
        window.arrivals[0] = offered;
        window.passed = crate::number::whole(float(offered) * (1.0 - ratio)).into();
        window.admitted = able.min(window.passed);
        window.served = window.admitted;
        window
    }

    fn run(mut ratio: Ratio, windows: usize, offered: u64, able: u64, in_flight: u64) -> Ratio {
        for _ in 0..windows {
            ratio.step(&window(offered, ratio.value, able, in_flight), 100.0, 0.0, 0.0);
        }
        ratio
    }

    const CALM: Ratio = Ratio { value: 0.0, offered: 1_200.0 };

    #[test]
    fn a_surplus_is_let_through_to_the_guard() {
        // Three times what can be served: of a limit of 100, 1 - 1.3 / 3 goes.
        let ratio = run(CALM, 40, 1_500, 500, 80);
        assert!((ratio.value - 0.567).abs() < 0.01, "{ratio:?}");
        assert!(run(CALM, 4, 1_500, 500, 80).value > 0.3, "most of it within a second");
    }

    #[test]
    fn it_is_never_so_much_that_the_backend_idles() {
        // Whatever the load: what is let through is never less than what can be served.
        for offered in [1_000, 1_500, 3_000, 5_000, 20_000] {
            let mut ratio = CALM;
            for _ in 0..40 {
                ratio.step(&window(offered, ratio.value, 500, 80), 100.0, 0.0, 0.0);
                let through = float(offered) * (1.0 - ratio.value);
                assert!(through >= 500.0, "{offered}: {ratio:?}");
            }
        }
    }

    #[test]
    fn it_is_gone_in_the_window_in_which_the_load_is() {
        let stressed = run(CALM, 40, 1_500, 500, 80);
        let ratio = run(stressed, 1, 300, 500, 24);
        assert!(ratio.value <= 0.0, "{ratio:?}");
    }

    #[test]
    fn chance_moves_little() {
        let ratio = run(CALM, 40, 1_500, 500, 80);
        let more = run(ratio, 1, 1_600, 500, 80);
        assert!((more.value - ratio.value).abs() < 0.01, "{more:?}");
    }

    #[test]
    fn what_is_free_comes_back_without_a_change_of_the_load() {
        let ratio = run(CALM, 40, 1_500, 500, 80);
        let freed = run(ratio, 12, 1_500, 2_000, 20);
        assert!(freed.value < 0.1, "{freed:?}");
    }

    #[test]
    fn an_upstream_that_says_it_is_full_gets_less() {
        let mut full = window(300, 0.0, 500, 20);
        full.utilisation = 1.0;
        let mut ratio = CALM;
        ratio.step(&full, 100.0, 0.0, 0.0);
        assert!((ratio.value - 0.125).abs() < 0.001, "{ratio:?}");
        for _ in 0..400 {
            ratio.step(&full, 100.0, 0.0, 0.0);
        }
        assert!((ratio.value - 0.5).abs() < 0.001, "it says so whatever it gets: {ratio:?}");
    }

    #[test]
    fn one_that_says_it_is_full_is_no_reason_to_let_more_in() {
        let mut full = window(1_500, 0.0, 500, 80);
        full.utilisation = 1.0;
        let mut ratio = CALM;
        for _ in 0..40 {
            full.passed = crate::number::whole(1_500.0 * (1.0 - ratio.value)).into();
            full.admitted = full.passed.min(500);
            full.served = full.admitted;
            ratio.step(&full, 100.0, 0.0, 0.0);
        }
        assert!((ratio.value - 0.567).abs() < 0.01, "{ratio:?}");
    }

    #[test]
    fn as_much_is_let_through_as_before_a_rise() {
        for (ratio, least, able, expected, why) in [
            (0.5, 0.0, 0.0, 0.75, "twice as much comes, half of that goes"),
            (0.5, 0.0, 1_800.0, 0.55, "more than was let through could be served"),
            (0.5, 0.0, 800.0, 0.75, "less could"),
            (0.5, 0.0, 9_000.0, 0.5, "there is no reason to let more through than before"),
            (0.5, 0.5, 0.0, 0.5, "it was announced: it is reckoned with already"),
            (0.5, 0.4, 0.0, 0.75, "more has to go than somebody says"),
        ] {
            let mut ratio = Ratio { value: ratio, offered: 2_000.0 };
            // All that is let through overflows as it should, and nothing is free.
            let mut window = window(1_000, 0.5, 500, 80);
            (window.admitted, window.served) = (385, 385);
            ratio.step(&window, 100.0, least, able);
            assert!((ratio.value - expected).abs() < 0.01, "{why}: {ratio:?}");
        }
    }

    #[test]
    fn there_is_a_least_and_a_most() {
        let mut ratio = CALM;
        ratio.step(&window(300, 0.0, 500, 20), 100.0, 0.4, 0.0);
        assert!((ratio.value - 0.4).abs() < f64::EPSILON, "{ratio:?}");
        assert!(run(CALM, 400, 1_000_000, 1, 80).value <= RATIO_MAX);
    }
}
