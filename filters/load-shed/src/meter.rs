//! Windows out of what the workers say they have counted.

use crate::counters::Counts;
use crate::window::Window;

/// The window that is open, and up to where each worker's counts are in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    window: Window,
    at_ms: Option<u64>,
    seen: Vec<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    node: u32,
    born_ms: u64,
    counts: Counts,
}

/// What one worker says now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard<'a> {
    pub(crate) node: u32,
    pub(crate) born_ms: u64,
    pub(crate) counts: &'a Counts,
}

impl Meter {
    /// Takes what each worker says into the window. One that is heard for the first time, or has
    /// begun anew, says nothing of this window yet.
    pub(crate) fn take<'a>(&mut self, heard: impl Iterator<Item = Heard<'a>>, now_ms: u64) {
        let passed_ms = self.at_ms.map_or(0, |at_ms| now_ms.saturating_sub(at_ms));
        self.window.ms = self.window.ms.saturating_add(passed_ms);
        self.at_ms = Some(now_ms);
        let before = std::mem::take(&mut self.seen);
        for Heard { node, born_ms, counts } in heard {
            let known = before.iter().find(|seen| seen.node == node && seen.born_ms == born_ms);
            if let Some(known) = known {
                self.window.add(&known.counts, counts);
            }
            self.seen.push(Seen { node, born_ms, counts: *counts });
        }
    }

    /// So many were in flight at once, and upstreams said that they are so loaded.
    pub(crate) fn note(&mut self, in_flight: u32, utilisation: f64) {
        self.window.in_flight_max = self.window.in_flight_max.max(in_flight);
        self.window.utilisation = self.window.utilisation.max(utilisation);
    }

    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    /// Closes the window and opens the next.
    pub(crate) fn next(&mut self) -> Window {
        std::mem::take(&mut self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(passed: u32) -> Counts {
        Counts { passed, ..Counts::default() }
    }

    #[test]
    fn a_window_has_what_workers_did_since_they_were_heard_before() {
        let mut meter = Meter::default();
        // Of each tick: who is heard, born when, with what count; then what the window has.
        for (now_ms, heard, ms, sum, why) in [
            (500, vec![(1, 0, 100)], 0, 0, "heard for the first time"),
            (600, vec![(1, 0, 107)], 100, 7, "seven more"),
            (700, vec![(1, 0, 108), (2, 650, 50)], 200, 8, "another one is new"),
            (800, vec![(2, 650, 53), (1, 0, 108)], 300, 11, "in any order"),
            (900, vec![(1, 0, 109), (2, 850, 4)], 400, 12, "it has begun anew"),
            (1_000, vec![(2, 850, 5)], 500, 13, "one is silent"),
            (1_100, vec![(1, 0, 999), (2, 850, 5)], 600, 13, "and says what is of no window"),
            (1_100, vec![(1, 0, 1_000), (2, 850, 5)], 600, 14, "no time has passed"),
            (1_050, vec![(1, 0, 1_000)], 600, 14, "nor when a clock goes back"),
        ] {
            let counts: Vec<_> = heard.iter().map(|(_, _, count)| passed(*count)).collect();
            let heard = heard.iter().zip(&counts);
            let heard = heard.map(|((node, born_ms, _), counts)| Heard {
                node: *node,
                born_ms: *born_ms,
                counts,
            });
            meter.take(heard, now_ms);
            assert_eq!((meter.window().ms, meter.window().passed), (ms, sum), "{now_ms}: {why}");
        }
    }

    #[test]
    fn the_next_window_goes_on_where_the_last_ended() {
        let mut meter = Meter::default();
        let mut take = |count, now_ms| {
            let counts = passed(count);
            meter.take(std::iter::once(Heard { node: 1, born_ms: 0, counts: &counts }), now_ms);
            meter.next()
        };
        take(10, 0);
        for (count, now_ms, expected) in [(15, 300, (300, 5)), (18, 500, (200, 3))] {
            let window = take(count, now_ms);
            assert_eq!((window.ms, window.passed), expected, "at {now_ms}");
        }
    }

    #[test]
    fn the_most_is_noted_until_the_window_is_over() {
        let mut meter = Meter::default();
        for (in_flight, utilisation, most, loaded) in
            [(3, 0.2, 3, 0.2), (9, 0.1, 9, 0.2), (4, 0.7, 9, 0.7), (0, f64::NAN, 9, 0.7)]
        {
            meter.note(in_flight, utilisation);
            assert_eq!(meter.window().in_flight_max, most);
            assert!((meter.window().utilisation - loaded).abs() < f64::EPSILON);
        }
        assert_eq!(meter.next().in_flight_max, 9);
        assert_eq!(*meter.window(), Window::default(), "the next has none of it");
    }
}
