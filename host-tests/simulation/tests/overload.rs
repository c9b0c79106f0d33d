//! What shedding has to reach in the model of a region under overload, and what it must not do.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use policy_core::Priority;
use simulation::overload::announced::{FirstSecond, Rise};
use simulation::overload::figures::{Figures, mean, shed};
use simulation::overload::limiter::Gauge;
use simulation::overload::number::float;
use simulation::overload::queue::SECOND;
use simulation::overload::report::sections;
use simulation::overload::roster::Algorithm;
use simulation::overload::rows::REFERENCE;
use simulation::overload::scenario::{BASE_LOAD, Clients, Of, Phase, Scenario, Shape};
use std::sync::LazyLock;

/// What a figure may be worse than the reference.
const SHORT: f64 = 0.98;
const LONG: f64 = 1.02;
/// What a coefficient of variation of 90 seconds is off by chance in the mean of 24 seeds: of n values
/// by one in the root of 2 n.
const CHANCE: f64 = 0.015;
/// Sheds in the calm, where no reference is.
const FALSE_SHED: f64 = 0.000_2;

/// Played once for all gates.
static FIGURES: LazyLock<Vec<Figures>> = LazyLock::new(|| sections::reference_figures(1));

fn gate(name: &str) {
    let at = REFERENCE.iter().position(|row| row.name == name).unwrap();
    let (row, figures) = (&REFERENCE[at], &FIGURES[at]);
    let reference = row.reference.unwrap();
    let least = |what: &str, is: f64, reference: f64| {
        assert!(is >= SHORT * reference, "{name}: {what} {is:.4}, reference {reference}");
    };
    let most = |what: &str, is: f64, bound: f64| {
        assert!(is <= bound, "{name}: {what} {is:.6}, at most {bound}");
    };
    least("goodput", figures.goodput, reference.goodput);
    least("critical in the first 5 s", figures.critical_first, reference.critical_first);
    // With the same goodput what is gained above is lost below (ours lets more critical work in at
    // 10x and more high work at 3x), so each priority is judged with those above it, weighted as
    // they are asked for.
    let scenario = (row.scenario)(1);
    let (mut ours, mut theirs) = (0.0, 0.0);
    for (priority, reference) in [
        (Priority::Critical, Some(reference.critical)),
        (Priority::High, Some(reference.high)),
        (Priority::Normal, reference.normal),
        (Priority::Low, reference.low),
    ] {
        let Some(reference) = reference else { break };
        ours += scenario.mix[priority] * figures.success[priority];
        theirs += scenario.mix[priority] * reference;
        least(&format!("{priority:?} and above"), ours, theirs);
    }
    most("p99 of critical", figures.critical_p99_ms, reference.critical_p99_ms);
    let variation = (LONG + CHANCE) * reference.variation.max(variation_min(&scenario));
    most("variation", figures.variation, variation);
    most("recovery", figures.recovery, reference.recovery);
    most("inversion", figures.inversion, 0.02);
    most("sheds in the calm", figures.false_shed, reference.false_shed);
    most("leaked", figures.leaked, 0.0);
}

/// The coefficient of variation of what a backend serves in a second if it is never idle: that of its
/// service times over the root of how many there are (a renewal process; of lognormal ones
/// `sqrt(exp(sigma^2) - 1)`). No shedding gets below it without leaving the backend idle. It is .0212 at
/// 2 000 rps, where the reference says .020 once: it was measured with few seeds.
fn variation_min(scenario: &Scenario) -> f64 {
    let sigma = scenario.backend.sigma;
    let seconds = float((scenario.stress.end - scenario.stress.start) / SECOND);
    let served = scenario.capacity_between(&scenario.stress) / seconds;
    (libm::exp(sigma * sigma) - 1.0).sqrt() / served.sqrt()
}

macro_rules! gates {
    ($($test:ident: $name:literal,)+) => {
        $(#[test]
        fn $test() {
            gate($name);
        })+

        #[test]
        fn every_row_has_a_gate() {
            assert_eq!([$($name),+], REFERENCE.map(|row| row.name));
        }
    };
}

gates! {
    half_more_than_can_be_served: "1.5x",
    twice_what_can_be_served: "2x",
    three_times_what_can_be_served: "3x",
    six_times_what_can_be_served: "6x",
    ten_times_what_can_be_served: "10x",
    a_backend_half_as_fast: "backend 2x slower",
    a_backend_a_quarter_as_fast: "backend 4x slower",
    sixteen_workers_before_a_small_backend: "300 rps, 3x",
}

/// The same with a backend for each proxy: an application with its proxy beside it.
#[test]
fn a_backend_for_each_proxy() {
    for (times, goodput) in [(1.5, 0.98), (3.0, 0.98), (6.0, 0.98), (10.0, 0.98)] {
        let mut scenario = Scenario::step(1, times);
        scenario.backend.of = Of::EachProxy;
        let figures = figures(Algorithm::Ours, &scenario);
        assert!(figures.goodput >= goodput, "{times}: {figures:?}");
        assert!(figures.success.critical >= 0.99, "{times}: {figures:?}");
        assert!(figures.recovery <= 5.0, "{times}: {figures:?}");
    }
}

fn figures(algorithm: Algorithm, scenario: &Scenario) -> Figures {
    Figures::of(scenario, &algorithm.play(scenario))
}

#[test]
fn nothing_is_shed_where_nothing_has_to_be() {
    for (load, most) in [(0.6, FALSE_SHED), (0.8, FALSE_SHED), (0.9, 0.001)] {
        let of = |seed| figures(Algorithm::Ours, &Scenario::calm(seed, load)).false_shed;
        let false_shed = mean((1..=3).map(of));
        assert!(false_shed <= most, "{load}: {false_shed}");
    }
}

/// What region state announces of a failover helps in its first second, and does no harm: what is let
/// go because of it is no sign of a full backend, from which less would be let through once more when
/// the rise comes.
#[test]
fn a_rise_that_is_announced_is_met() {
    let first = |times, told| {
        let rise = Rise { times, told };
        FirstSecond::mean(&(1..=6).map(|seed| rise.play(seed)).collect::<Vec<_>>())
    };
    for times in [3, 6] {
        let untold = first(times, None);
        for early in [0, 2] {
            let told = first(times, Some(early));
            let what = format!("{times}x, {early} s before: {told:?}, else {untold:?}");
            assert!(told.goodput > 0.98 && told.critical > 0.999, "{what}");
            assert!(told.high > untold.high && told.in_flight < untold.in_flight, "{what}");
        }
    }
    // It comes when what was announced is over, and something is still let go.
    for (times, goodput) in [(3, 0.98), (6, 0.85)] {
        let late = first(times, Some(6));
        assert!(late.goodput > goodput && late.critical > 0.99, "{times}: {late:?}");
    }
}

/// A backend that was slow for a while and is well again is overloaded then. Fixed times: a backend of
/// such is not told from a queue by how far apart requests are.
#[test]
fn a_slow_spell_is_forgotten_before_the_next_overload() {
    for (slowness, load, seconds) in [(10.0, 0.6, 60), (20.0, 1.0, 60), (20.0, 0.6, 60)] {
        for sigma in [0.05, 0.8] {
            let calm = Scenario::calm(1, BASE_LOAD).on(|backend| {
                (backend.servers, backend.mean_ms, backend.sigma) = (2, 16.0, sigma);
            });
            let before = calm.phases[0];
            let [slow, well, step] = [30, 30 + seconds, 45 + seconds].map(|at| at * SECOND);
            let capacity = calm.backend.capacity();
            let scenario = Scenario {
                shape: Shape { proxies: 1, workers: 2 },
                phases: vec![
                    before,
                    Phase { at: slow, rps: load * capacity, slowness, ..before },
                    Phase { at: well, ..before },
                    Phase { at: step, rps: 3.0 * capacity, ..before },
                    Phase { at: step + 40 * SECOND, ..before },
                ],
                stress: step..step + 40 * SECOND,
                end: step + 70 * SECOND,
                ..calm
            };
            let figures = figures(Algorithm::Ours, &scenario);
            let case = format!("{slowness} times as slow at {load}, sigma {sigma}: {figures:?}");
            // Five thousand services take a hundredth more or less by chance.
            assert!(figures.goodput > 0.95, "{case}");
            assert!(figures.success.critical > 0.99, "{case}");
            assert!(figures.recovery <= 5.0, "{case}");
        }
    }
}

/// A small region for a day: the load of a night and of a day, and every half an hour another region
/// falls over to this one.
fn day() -> Scenario {
    const FAILOVERS: u64 = 50;
    let hour = 3_600 * SECOND;
    let calm = Scenario::calm(1, 0.5).on(|backend| backend.servers = 4);
    let capacity = calm.backend.capacity();
    let every = 24 * hour / FAILOVERS;
    let phase = |at, load: f64| Phase { at, rps: load * capacity, servers: 1.0, slowness: 1.0 };
    let mut phases = Vec::new();
    for number in 0..FAILOVERS {
        let at = number * every;
        let turn = std::f64::consts::TAU * float(number) / float(FAILOVERS);
        let load = 0.45 - 0.3 * libm::cos(turn);
        phases.push(phase(at, load));
        phases.push(phase(at + every / 2, 3.0 * load.max(0.5)));
        phases.push(phase(at + every / 2 + 60 * SECOND, load));
    }
    Scenario {
        shape: Shape { proxies: 2, workers: 2 },
        phases,
        stress: 0..24 * hour,
        end: 24 * hour,
        gauge_every: SECOND,
        ..calm
    }
}

#[test]
fn a_day_with_fifty_failovers_leaves_no_trace() {
    let scenario = day();
    let played = Algorithm::Ours.play(&scenario);
    assert_eq!(played.last.in_flight, 0, "a slot has leaked");
    let figures = Figures::of(&scenario, &played);
    assert!(figures.success.critical > 0.999, "{figures:?}");
    // At the end of each calm stretch, 15 minutes after a failover: what is normal, and the limit, which
    // follows the hour, are in the evening what they were in the morning.
    let calm_ends = scenario.phases.iter().skip(1).step_by(3).map(|phase| phase.at - 5 * SECOND);
    let at = |time| played.tally.gauges.iter().rfind(|(at, _)| *at <= time).unwrap().1;
    let calm: Vec<_> = calm_ends.map(at).collect();
    assert_eq!(calm.len(), 50);
    let limits = |of: &[Gauge]| mean(of.iter().map(|gauge| gauge.limit.unwrap()));
    let (morning, evening) = (limits(&calm[1..11]), limits(&calm[40..]));
    assert!((evening / morning - 1.0).abs() < 0.1, "the limit drifts: {morning} to {evening}");
    let bases: Vec<_> = calm.iter().map(|gauge| gauge.base_ms.unwrap()).collect();
    let all = bases.iter().copied();
    let (least, most) = (all.clone().fold(f64::MAX, f64::min), all.fold(0.0, f64::max));
    // Four servers that are busy to three quarters, at noon, make requests wait for 9 ms on average.
    assert!(least > 18.0 && most < 31.0, "the base drifts: {bases:?}");
    let (before, after) = (mean(bases[..10].iter().copied()), mean(bases[40..].iter().copied()));
    assert!((after / before - 1.0).abs() < 0.1, "{before} to {after}");
    // And each failover is shed and over soon.
    for phases in scenario.phases.chunks(3) {
        let after = phases[2].at + 10 * SECOND..phases[2].at + 60 * SECOND;
        let shed = shed(played.tally.between(&after));
        assert!(shed < 0.01, "{shed} at {}", phases[2].at / SECOND);
    }
}

/// The tables of the page are those that the code makes.
#[test]
fn the_page_shows_what_the_code_gives() {
    let page = include_str!("../overload/shedding.md");
    let table = sections::reference(&FIGURES).to_text(false);
    assert!(page.contains(&table), "run the command that the page names; now it is\n{table}");
}

/// Who is let go changes every hour, so that over some hours everybody has had his share.
#[test]
fn over_six_hours_everybody_is_let_in_about_as_often() {
    let fairness = |hours: u64| {
        let calm = Scenario::calm(1, 1.5).on(|backend| backend.servers = 4);
        let end = hours * 3_600 * SECOND;
        let scenario = Scenario {
            shape: Shape { proxies: 1, workers: 2 },
            clients: Clients { users: 300, ..calm.clients },
            stress: 0..end,
            end,
            gauge_every: SECOND,
            ..calm
        };
        figures(Algorithm::Ours, &scenario)
    };
    let (one, six) = (fairness(1), fairness(6));
    assert!((0.5..0.95).contains(&one.success.normal), "{one:?}");
    assert!(
        six.fairness > 0.95 && six.fairness > one.fairness,
        "{} then {}",
        one.fairness,
        six.fairness
    );
}

/// While a session mostly works or does not: five requests in a row of one user, who is in one cohort.
#[test]
fn a_session_works_or_does_not() {
    let figures = figures(Algorithm::Ours, &Scenario::step(1, 2.0));
    assert!((0.4..0.6).contains(&figures.success.normal), "{figures:?}");
    assert!(figures.session > 5.0 * figures.session_at_random, "{figures:?}");
}
