//! What upstreams say of their load.

use crate::number::{bounded, whole};
use std::cell::Cell;

/// How often what upstreams said of their load is forgotten, in milliseconds; what is newer counts.
const SIGNAL_MS: u64 = 250;

/// What upstreams said of their load of late, in thousandths: the mean, for one that is full among many
/// that are not is to be had less often, and that is not for us to see to.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    sum: Cell<u64>,
    count: Cell<u64>,
    before: u16,
    turned_ms: u64,
}

impl Signal {
    pub(crate) fn add(&self, utilisation: f64) {
        let thousandths = whole((bounded(utilisation, 0.0, 2.0) * 1_000.0).round());
        self.sum.set(self.sum.get().saturating_add(thousandths.into()));
        self.count.set(self.count.get().saturating_add(1));
    }

    fn mean(&self) -> u16 {
        let mean = self.sum.get().checked_div(self.count.get()).unwrap_or(0);
        u16::try_from(mean).unwrap_or(0)
    }

    /// Of a whole quarter of a second if there was one, for the mean of a few is chance.
    pub(crate) fn get(&self) -> u16 {
        if self.before > 0 { self.before } else { self.mean() }
    }

    pub(crate) fn turn(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.turned_ms) >= SIGNAL_MS {
            self.before = self.mean();
            (self.sum, self.count) = (Cell::new(0), Cell::new(0));
            self.turned_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_upstreams_say_is_forgotten_after_a_quarter_to_half_a_second() {
        let mut signal = Signal::default();
        for (now_ms, said, told, why) in [
            (1_000, None, 0, "nothing was said"),
            (1_010, Some(0.9), 900, "it is told at once"),
            (1_020, Some(0.5), 700, "one in two is that loaded"),
            (1_100, None, 700, "still"),
            (1_250, None, 700, "a quarter of a second later"),
            (1_260, Some(0.3), 700, "less is said"),
            (1_490, None, 700, "nearly half a second later"),
            (1_500, None, 300, "it is forgotten, but not what came after it"),
            (1_749, None, 300, "not yet"),
            (1_750, None, 0, "and that too"),
            (1_800, Some(f64::NAN), 0, "no number"),
            (1_800, Some(-1.0), 0, "less than nothing"),
            (
                1_800,
                Some(f64::INFINITY),
                666,
                "twice full is as much as is believed, of one in three",
            ),
        ] {
            if let Some(said) = said {
                signal.add(said);
            }
            signal.turn(now_ms);
            assert_eq!(signal.get(), told, "at {now_ms}: {why}");
        }
    }
}
