//! Who asks for what and when: drawn before a run begins, so that it is the same for each variant and
//! no answer, however late, keeps anybody from asking.

use policy_core::Priority;
use simulation::overload::draw;
use simulation::overload::number::{float, whole};
use simulation::overload::queue::{SECOND, Us};
use simulation::overload::scenario::{Phase, Scenario};
use simulation::rng::Rng;
use std::net::Ipv4Addr;

/// A request of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it is made.
    pub at: Us,
    /// How important it is.
    pub priority: Priority,
    /// Whose it is.
    pub user: u32,
}

/// Everything that is asked for in a scenario, in order: a Poisson process in each phase.
pub fn arrivals(scenario: &Scenario) -> Vec<Arrival> {
    let mut rng = Rng::new(scenario.seed);
    let mut all = Vec::new();
    let ends = scenario.phases.iter().skip(1).map(|phase| phase.at).chain([scenario.end]);
    for (Phase { at, rps, .. }, end) in scenario.phases.iter().copied().zip(ends) {
        let mut at = float(at);
        if rps <= 0.0 {
            continue;
        }
        loop {
            at += draw::exponential(&mut rng, float(SECOND) / rps);
            if whole(at) >= end {
                break;
            }
            let priority = draw::priority(&mut rng, &scenario.mix);
            let user = u32::try_from(rng.below(scenario.clients.users)).unwrap_or(0);
            all.push(Arrival { at: whole(at), priority, user });
        }
    }
    all
}

/// The address of a user. Each is of another network, for what one network sends is one user's as far
/// as cohorts go.
pub const fn address(user: u32) -> Ipv4Addr {
    let [_, high, middle, low] = user.to_be_bytes();
    Ipv4Addr::new(10 + high, middle, low, 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Span};
    use std::collections::BTreeSet;

    #[test]
    fn arrivals_are_those_of_the_seed_and_as_many_as_said() {
        let span = Span { before: 10, stress: 20, after: 10 };
        let of = |seed| arrivals(&Case::Times(3.0).scenario(10, span, seed));
        let all = of(7);
        assert_eq!(all, of(7));
        assert_ne!(all, of(8));
        assert!(all.is_sorted_by_key(|arrival| arrival.at));
        let within = |from: u64, until: u64| {
            let range = from * SECOND..until * SECOND;
            all.iter().filter(|arrival| range.contains(&arrival.at)).count()
        };
        for (count, expected) in
            [(within(0, 10), 3_000), (within(10, 30), 30_000), (within(30, 40), 3_000)]
        {
            assert!(count.abs_diff(expected) < expected / 10, "{count} of {expected}");
        }
        let critical = all.iter().filter(|arrival| arrival.priority == Priority::Critical).count();
        assert!(critical.abs_diff(all.len() * 8 / 100) < all.len() / 100, "{critical}");
    }

    #[test]
    fn every_user_is_of_another_network() {
        let networks: BTreeSet<_> = (0..4_000).map(|user| address(user).octets()).collect();
        let networks: BTreeSet<_> = networks.into_iter().map(|[a, b, c, _]| [a, b, c]).collect();
        assert_eq!(networks.len(), 4_000);
    }
}
