//! A limit of what is in flight that follows the latency, as the naive variants have it: where a
//! variant fails, it is for what it does with the limit, which is a good one.
//!
//! Every 250 ms with at least 20 responses: the latency, smoothed by half, may be twice the base;
//! above, the limit shrinks by up to 15 %, below it grows by 5 % if it was needed. The base follows
//! the latency by 3 % while nothing is refused, and by 30 % after five windows at the minimum.

use crate::overload::number::float;
use crate::overload::queue::{MS, SECOND, Us};
use std::collections::VecDeque;

const WINDOW: Us = 250 * MS;
const SAMPLES_MIN: u64 = 20;
const TOLERANCE: f64 = 2.0;
const PEAK_SECONDS: usize = 60;

/// The latency of late and what is thought normal, by windows.
#[derive(Debug)]
pub(super) struct Latency {
    /// What is thought normal, microseconds.
    pub(super) base: f64,
    smooth: f64,
    sum: u64,
    answered: u64,
    failed: u64,
    refused: u64,
    since: Us,
    /// How long a window lasts at least.
    window: Us,
}

/// What a window has shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// The latency over what it may be.
    pub(super) pressure: f64,
    failing: f64,
    has_refused: bool,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            base: 0.0,
            smooth: 0.0,
            sum: 0,
            answered: 0,
            failed: 0,
            refused: 0,
            since: 0,
            window: WINDOW,
        }
    }
}

impl Latency {
    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    pub(super) fn answered(&mut self, latency: Us) {
        (self.sum, self.answered) = (self.sum + latency, self.answered + 1);
    }

    pub(super) fn failed(&mut self) {
        self.failed += 1;
    }

    /// Ends a window if it is time to.
    pub(super) fn window(&mut self, now: Us) -> Option<Window> {
        let seen = self.answered + self.failed;
        let age = now - self.since;
        if age < self.window || (seen < SAMPLES_MIN && age < SECOND) || seen == 0 {
            return None;
        }
        if self.answered > 0 {
            let mean = float(self.sum) / float(self.answered);
            self.smooth = if self.smooth > 0.0 { f64::midpoint(self.smooth, mean) } else { mean };
        }
        if self.base <= 0.0 {
            self.base = self.smooth;
        }
        let (failing, has_refused) = (float(self.failed) / float(seen), self.refused > 0);
        let target = TOLERANCE * self.base;
        // A latency that is too high is no new normal, whatever it may be the reason of.
        if !has_refused && failing < 0.01 && self.smooth <= target {
            self.base += 0.03 * (self.smooth - self.base);
        }
        (self.sum, self.answered, self.failed) = (0, 0, 0);
        (self.refused, self.since) = (0, now);
        Some(Window { pressure: self.smooth / target.max(1.0), failing, has_refused })
    }

    fn relearn(&mut self) {
        self.base = 0.7 * self.base + 0.3 * self.smooth;
    }
}

/// The limit and what it is made of.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) value: f64,
    pub(super) latency: Latency,
    in_flight_max: u64,
    /// The most that was in flight in each of the last seconds.
    peaks: VecDeque<u64>,
    peaks_since: Us,
    windows_at_minimum: u32,
}

impl Limit {
    /// Before anything was seen.
    pub(super) fn new(first: f64) -> Self {
        Self {
            value: first,
            latency: Latency::default(),
            in_flight_max: 0,
            peaks: VecDeque::from([0]),
            peaks_since: 0,
            windows_at_minimum: 0,
        }
    }

    /// The same with other windows.
    pub(super) fn with_window(first: f64, window: Us) -> Self {
        let latency = Latency { window, ..Latency::default() };
        Self { latency, ..Self::new(first) }
    }

    pub(super) fn admitted(&mut self, in_flight: u64) {
        self.in_flight_max = self.in_flight_max.max(in_flight);
        if let Some(peak) = self.peaks.back_mut() {
            *peak = in_flight.max(*peak);
        }
    }

    /// Ends a window if it is time to, and says so.
    pub(super) fn window(&mut self, now: Us) -> bool {
        if now - self.peaks_since >= SECOND {
            self.peaks_since = now;
            self.peaks.push_back(0);
            if self.peaks.len() > PEAK_SECONDS {
                self.peaks.pop_front();
            }
        }
        let Some(window) = self.latency.window(now) else { return false };
        self.adapt(window);
        self.in_flight_max = 0;
        true
    }

    fn adapt(&mut self, Window { pressure, failing, has_refused }: Window) {
        if failing > 0.02 {
            self.value *= 0.85;
        } else if pressure > 1.0 {
            self.value *= 0.5 + 0.5 * (1.0 / pressure).clamp(0.7, 1.0);
        } else if float(self.in_flight_max) >= 0.8 * self.value || has_refused {
            self.value += (0.05 * self.value).max(0.5);
        }
        let peak = float(self.peaks.iter().copied().max().unwrap_or(0));
        let least = (0.5 * peak).max(2.0);
        self.value = self.value.clamp(least, (4.0 * peak).max(10.0).max(least));
        let is_stuck = pressure > 1.0 && self.value <= least;
        self.windows_at_minimum = if is_stuck { self.windows_at_minimum + 1 } else { 0 };
        if self.windows_at_minimum >= 5 {
            self.latency.relearn();
        }
    }
}
