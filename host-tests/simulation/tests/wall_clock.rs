//! No decision depends on a clock that can be set.

use simulation::fixture::Fixture;
use simulation::mutant::Mutant;
use simulation::world::{Options, play};

/// The same seed, with clocks on walls that are set by up to ten minutes either way and with clocks
/// that are not: every decision is the same, at the same time.
#[test]
fn clocks_on_walls_change_no_decision() {
    let fixture = Fixture::load().unwrap();
    let (mut set, mut decided) = (0, 0);
    for seed in 0..400 {
        let options = Options { seed, is_logged: true, ..Options::default() };
        let with = play(&fixture, options);
        if with.counts.walls_set == 0 {
            continue;
        }
        let without = play(&fixture, Options { has_still_walls: true, ..options });
        assert_eq!(without.counts.walls_set, 0);
        assert_eq!(with.decisions, without.decisions, "seed {seed}");
        set += with.counts.walls_set;
        decided += with.decisions.len();
    }
    assert!(set >= 40 && decided > 10_000, "{set} clocks set, {decided} decisions");
}

/// The test above can fail: of proxies that go by the clock on the wall it sees the difference.
#[test]
fn a_proxy_that_goes_by_the_wall_is_told_from_one_that_does_not() {
    let fixture = Fixture::load().unwrap();
    let mutant = Some(Mutant::WallClock);
    let differs = (0..400).any(|seed| {
        let options = Options { seed, mutant, is_logged: true, ..Options::default() };
        let with = play(&fixture, options);
        let without = play(&fixture, Options { has_still_walls: true, ..options });
        with.decisions != without.decisions
    });
    assert!(differs);
}
