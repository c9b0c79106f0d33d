//! Numbers of the distributions that a queue is made of.
//!
//! The functions behind them are those of `libm`, not of the platform, so that a seed is the same
//! run everywhere.

use super::number::float;
use crate::rng::Rng;
use policy_core::{PerPriority, Priority};

/// A number above 0, up to 1.
pub fn unit(rng: &mut Rng) -> f64 {
    // 53 bits are what a float holds.
    float((rng.any() >> 11) + 1) / float(1 << 53)
}

/// The time to the next arrival of a Poisson process with this mean between two.
pub fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * libm::log(unit(rng))
}

/// Whether something happens that does so with this probability.
pub fn happens(rng: &mut Rng, probability: f64) -> bool {
    unit(rng) <= probability
}

/// A priority, each of which comes with its share.
pub fn priority(rng: &mut Rng, mix: &PerPriority<f64>) -> Priority {
    let mut left = unit(rng);
    let is_it = |priority: &&Priority| {
        left -= mix[**priority];
        left <= 0.0
    };
    Priority::ALL.iter().find(is_it).copied().unwrap_or(Priority::Low)
}

/// A number of the normal distribution (Box and Muller).
fn normal(rng: &mut Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(unit(rng)));
    radius * libm::cos(2.0 * core::f64::consts::PI * unit(rng))
}

/// Times whose logarithm is distributed normally: what services take.
#[derive(Debug, Clone, Copy)]
pub struct Lognormal {
    mu: f64,
    sigma: f64,
}

impl Lognormal {
    /// Of a mean, and of a standard deviation of the logarithm.
    pub fn of(mean: f64, sigma: f64) -> Self {
        Self { mu: libm::log(mean) - sigma * sigma / 2.0, sigma }
    }

    /// One of them.
    pub fn draw(self, rng: &mut Rng) -> f64 {
        libm::exp(self.mu + self.sigma * normal(rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::number::length;

    #[test]
    fn means_are_what_was_asked_for() {
        const COUNT: usize = 200_000;
        let mut rng = Rng::new(1);
        let mut mean = |draw: &mut dyn FnMut(&mut Rng) -> f64| {
            (0..COUNT).map(|_| draw(&mut rng)).sum::<f64>() / length(COUNT)
        };
        let service = Lognormal::of(20.0, 0.8);
        assert!((mean(&mut |rng| service.draw(rng)) - 20.0).abs() < 0.2);
        assert!((mean(&mut |rng| exponential(rng, 5.0)) - 5.0).abs() < 0.05);
        assert!((mean(&mut |rng| if happens(rng, 0.3) { 1.0 } else { 0.0 }) - 0.3).abs() < 0.01);
        let squares = mean(&mut |rng| normal(rng).powi(2));
        assert!((squares - 1.0).abs() < 0.02, "{squares}");
    }
}
