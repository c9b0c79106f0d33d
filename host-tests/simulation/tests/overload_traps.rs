//! What one would try first, why it fails, and that ours does not: each test is a trap that the
//! first simulation of the algorithm fell into.
#![expect(clippy::unwrap_used, reason = "a test")]

use policy_core::{PerPriority, Priority};
use simulation::overload::baseline::ladder::STEPS;
use simulation::overload::baseline::textbook::{
    Constants, FLATTER, Textbook, WRITTEN, with_headroom,
};
use simulation::overload::figures::Figures;
use simulation::overload::queue::MS;
use simulation::overload::roster::Algorithm;
use simulation::overload::rows::REFERENCE;
use simulation::overload::scenario::Scenario;
use simulation::overload::world::play;

fn figures(algorithm: Algorithm, scenario: &Scenario) -> Figures {
    Figures::of(scenario, &algorithm.play(scenario))
}

fn textbook(scenario: &Scenario, constants: Constants) -> Figures {
    Figures::of(scenario, &play(scenario, &mut Textbook::new(scenario.shape, constants)))
}

fn ours(scenario: &Scenario) -> Figures {
    figures(Algorithm::Ours, scenario)
}

fn row(name: &str) -> Scenario {
    (REFERENCE.iter().find(|row| row.name == name).unwrap().scenario)(1)
}

/// What nobody sheds is lost for good: everything that the backend does is for clients that left.
#[test]
fn without_shedding_or_with_shedding_after_failures_a_step_is_the_end() {
    let step = Scenario::step(1, 3.0);
    for algorithm in
        [Algorithm::Nothing, Algorithm::AdmissionControl, Algorithm::Throttle, Algorithm::Dagor]
    {
        let naive = figures(algorithm, &step);
        assert!(naive.goodput < 0.1, "{}: {naive:?}", algorithm.name());
        assert!(naive.recovery >= 40.0, "{}: {naive:?}", algorithm.name());
    }
    assert!(ours(&step).goodput > 0.98);
}

#[test]
fn a_limit_without_priorities_lets_payments_die_with_reviews() {
    let step = Scenario::step(1, 6.0);
    for algorithm in [Algorithm::FlatLimit, Algorithm::AdaptiveConcurrency] {
        let naive = figures(algorithm, &step);
        assert!(naive.success.critical < 0.25, "{}: {naive:?}", algorithm.name());
    }
    assert!(ours(&step).success.critical > 0.99);
}

#[test]
fn partitions_are_right_for_one_load() {
    let step = Scenario::step(1, 6.0);
    let naive = figures(Algorithm::Gradient2, &step);
    assert!(naive.success.critical < 0.95, "{naive:?}");
    assert!(ours(&step).success.critical > 0.99);
}

/// The latency says too late what the queue did, and a slower backend looks like a queue.
#[test]
fn a_ratio_that_follows_the_latency_loses_goodput() {
    let step = Scenario::step(1, 3.0);
    let naive = figures(Algorithm::LatencyRatio, &step);
    assert!(naive.goodput < 0.9 && naive.success.high < 0.9, "{naive:?}");
    let slow = row("backend 2x slower");
    let naive = figures(Algorithm::LatencyRatio, &slow);
    assert!(naive.goodput < 0.75, "{naive:?}");
    for scenario in [step, slow] {
        let figures = ours(&scenario);
        assert!(figures.goodput > 0.98 && figures.success.high > 0.95, "{figures:?}");
    }
}

#[test]
fn workers_alone_have_limits_too_small_to_share() {
    let small = row("300 rps, 3x");
    let naive = figures(Algorithm::LadderAlone, &small);
    assert!(naive.success.high < 0.88 && naive.critical_p99_ms > 600.0, "{naive:?}");
    let figures = ours(&small);
    assert!(figures.success.high > 0.9 && figures.critical_p99_ms < 300.0, "{figures:?}");
}

/// All workers see the same free places and fill them at once.
#[test]
fn a_counter_that_is_a_tick_old_makes_a_herd() {
    let step = Scenario::step(1, 6.0);
    let naive = figures(Algorithm::LadderStale, &step);
    assert!(naive.goodput < 0.7 && naive.success.critical < 0.5, "{naive:?}");
    let figures = ours(&step);
    assert!(figures.goodput > 0.98 && figures.success.critical > 0.99, "{figures:?}");
}

/// What an exact counter would reach with a lock on every request, ours reaches without.
#[test]
fn nothing_is_lost_against_an_exact_shared_counter() {
    for times in [3.0, 6.0] {
        let step = Scenario::step(1, times);
        let (exact, figures) = (figures(Algorithm::LadderExact, &step), ours(&step));
        assert!(figures.goodput > 0.99 * exact.goodput, "{figures:?}");
        assert!(figures.success.critical > 0.995 * exact.success.critical, "{figures:?}");
        assert!(figures.success.high > 0.98 * exact.success.high, "{figures:?}");
        assert!(figures.critical_p99_ms < exact.critical_p99_ms, "{figures:?} {exact:?}");
    }
}

#[test]
fn windows_of_a_tenth_of_a_second_shed_where_nothing_has_to_be() {
    let calm = Scenario::calm(1, 0.8);
    let short = Constants { window: 75 * MS, ..WRITTEN };
    assert!(textbook(&calm, short).false_shed > 0.1);
    let step = textbook(&Scenario::step(1, 3.0), short);
    assert!(step.goodput < 0.9 && step.variation > 0.2, "{step:?}");
    assert!(textbook(&calm, WRITTEN).false_shed < 0.001);
    assert!(ours(&calm).false_shed < 0.001);
}

/// What a worker does not know of for half a second it lets more in beside. Ours tells the others at
/// every tick.
#[test]
fn workers_that_seldom_tell_each_other_let_in_too_many() {
    let step = Scenario::step(1, 3.0);
    for (sync, goodput, high) in [(500 * MS, 0.9, 0.85), (1_000 * MS, 0.75, 0.65)] {
        let rare = textbook(&step, Constants { sync, ..WRITTEN });
        assert!(rare.goodput < goodput && rare.success.high < high, "{sync}: {rare:?}");
        assert!(rare.variation > 0.15, "{sync}: {rare:?}");
    }
    let often = textbook(&step, WRITTEN);
    assert!(often.goodput > 0.98 && often.success.high > 0.93, "{often:?}");
    let figures = ours(&step);
    assert!(figures.goodput > 0.98 && figures.success.high > 0.95, "{figures:?}");
}

#[test]
fn an_integral_that_is_too_slow_never_lets_go() {
    let step = Scenario::step(1, 3.0);
    let slow = textbook(&step, Constants { ki: 0.1, ..WRITTEN });
    assert!(slow.goodput < 0.95 && slow.recovery >= 40.0, "{slow:?}");
    let figures = ours(&step);
    assert!(figures.goodput > 0.98 && figures.recovery <= 5.0, "{figures:?}");
}

/// Half of the work is critical: twice the limit for it is a queue of a second.
#[test]
fn twice_the_limit_for_critical_work_collapses_where_that_alone_is_too_much() {
    let mix = PerPriority { critical: 0.5, high: 0.12, normal: 0.22, low: 0.16 };
    let heavy = Scenario { mix, ..Scenario::step(1, 3.0) };
    let roomy = Constants { shares: with_headroom(2.0), ..WRITTEN };
    let naive = textbook(&heavy, roomy);
    assert!(naive.goodput < 0.6, "{naive:?}");
    let figures = ours(&heavy);
    assert!(figures.goodput > 0.98 && figures.success.critical > 0.64, "{figures:?}");
}

#[test]
fn a_flat_ladder_leaves_critical_work_no_room() {
    let step = Scenario::step(1, 6.0);
    let flat = textbook(&step, Constants { shares: FLATTER, ..WRITTEN });
    assert!(flat.critical_first < 0.92 && flat.success.critical < 0.995, "{flat:?}");
    let figures = ours(&step);
    assert!(figures.critical_first > 0.99 && figures.success.critical > 0.998, "{figures:?}");
    assert!(STEPS[Priority::Critical] > FLATTER[Priority::Critical]);
}
