//! What a run is judged by.

use super::number::{float, length, place, share};
use super::queue::{MS, SECOND, Us};
use super::scenario::Scenario;
use super::tally::{Fate, Second, Tally};
use super::world::Played;
use policy_core::PerPriority;

/// The figures of a run, or their means over several.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Responses that somebody still waited for, of what the backend could have served.
    pub goodput: f64,
    /// The share of the users' requests that were answered.
    pub success: PerPriority<f64>,
    /// The same at the first attempt.
    pub at_once: PerPriority<f64>,
    /// Success of critical requests made in the first five seconds.
    pub critical_first: f64,
    /// The 99th percentile of what answered critical requests took, with all attempts, milliseconds.
    pub critical_p99_ms: f64,
    /// Of critical attempts in seconds in which more than 5 % of low ones were let in, those refused.
    pub inversion: f64,
    /// The chance that five normal requests in a row are answered, for a user and his cohort.
    pub session: f64,
    /// The same if who is refused were drawn anew for each request.
    pub session_at_random: f64,
    /// The coefficient of variation of goodput by the second.
    pub variation: f64,
    /// How far the limit swings in the last two thirds of the stress, as a share of its mean.
    pub limit_swing: f64,
    /// Seconds from the end of the stress to the first in which less than 1 % was shed and 97 % of the
    /// users were answered; infinite if there was none.
    pub recovery: f64,
    /// The share of attempts that was shed in the calm before.
    pub false_shed: f64,
    /// Jain's index over the success of users, of normal requests.
    pub fairness: f64,
    /// Requests still counted as in flight when nobody waited any more.
    pub leaked: f64,
}

/// The calm before the stress is looked at from here on; before, algorithms learn.
const LEARNED: Us = 10 * SECOND;

impl Figures {
    /// The figures of a run.
    pub fn of(scenario: &Scenario, played: &Played) -> Self {
        let tally = &played.tally;
        let stress = tally.between(&scenario.stress);
        let first = scenario.stress.start..scenario.stress.start + 5 * SECOND;
        let first = tally.between(&first);
        let in_time: Vec<_> = stress.iter().map(|second| f64::from(second.in_time)).collect();
        let normal: Vec<_> = tally.cohorts.normal.iter().copied().map(success).collect();
        let fifth = |share: f64| share.powi(5);
        let success_of = success_by(stress, |second| &second.answered);
        Self {
            goodput: in_time.iter().sum::<f64>() / scenario.capacity_between(&scenario.stress),
            success: success_of,
            at_once: success_by(stress, |second| &second.at_once),
            critical_first: success_by(first, |second| &second.answered).critical,
            critical_p99_ms: percentile(&tally.critical, 0.99) / float(MS),
            inversion: inversion(stress),
            session: mean(normal.iter().copied().map(fifth)),
            session_at_random: fifth(success_of.normal),
            variation: deviation(&in_time) / mean(in_time.iter().copied()).max(1.0),
            limit_swing: limit_swing(scenario, tally),
            recovery: recovery(scenario, tally),
            false_shed: shed(tally.between(&(LEARNED..scenario.stress.start))),
            fairness: fairness(&tally.users),
            leaked: float(played.last.in_flight),
        }
    }

    /// The means of several; nothing of none.
    pub fn mean(of: &[Self]) -> Option<Self> {
        let each = |value: fn(&Self) -> f64| mean(of.iter().map(value));
        let by_priority = |value: fn(&Self) -> &PerPriority<f64>| {
            PerPriority::each(|priority| mean(of.iter().map(|figures| value(figures)[priority])))
        };
        of.first()?;
        Some(Self {
            goodput: each(|figures| figures.goodput),
            success: by_priority(|figures| &figures.success),
            at_once: by_priority(|figures| &figures.at_once),
            critical_first: each(|figures| figures.critical_first),
            critical_p99_ms: each(|figures| figures.critical_p99_ms),
            inversion: each(|figures| figures.inversion),
            session: each(|figures| figures.session),
            session_at_random: each(|figures| figures.session_at_random),
            variation: each(|figures| figures.variation),
            limit_swing: each(|figures| figures.limit_swing),
            recovery: each(|figures| figures.recovery),
            false_shed: each(|figures| figures.false_shed),
            fairness: each(|figures| figures.fairness),
            leaked: each(|figures| figures.leaked),
        })
    }
}

/// The mean; 0 of nothing.
pub fn mean(of: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = of.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    if count == 0 { 0.0 } else { sum / float(count) }
}

fn deviation(of: &[f64]) -> f64 {
    let middle = mean(of.iter().copied());
    mean(of.iter().map(|value| (value - middle).powi(2))).sqrt()
}

/// What so large a share of them is no more than; 0 of nothing.
pub fn percentile(of: &[u32], share: f64) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let at = place(share * length(sorted.len()), sorted.len());
    sorted.get(at).copied().map_or(0.0, f64::from)
}

fn success(fate: Fate) -> f64 {
    share(u64::from(fate.answered), u64::from(fate.asked))
}

fn sum(seconds: &[Second], of: impl Fn(&Second) -> u32) -> u64 {
    seconds.iter().map(|second| u64::from(of(second))).sum()
}

/// Success by priority, as this counts it.
pub fn success_by(
    seconds: &[Second],
    what: impl Fn(&Second) -> &PerPriority<u32>,
) -> PerPriority<f64> {
    PerPriority::each(|priority| {
        let asked = sum(seconds, |second| second.asked[priority]);
        share(sum(seconds, |second| what(second)[priority]), asked)
    })
}

/// The share of all attempts that was shed.
pub fn shed(seconds: &[Second]) -> f64 {
    let all = |of: fn(&Second) -> &PerPriority<u32>| sum(seconds, |second| of(second).iter().sum());
    share(all(|second| &second.shed), all(|second| &second.attempts))
}

fn inversion(seconds: &[Second]) -> f64 {
    let admits_low = |second: &&Second| {
        let (attempts, shed) = (second.attempts.low, second.shed.low);
        share(u64::from(attempts - shed), u64::from(attempts)) > 0.05
    };
    let those: Vec<_> = seconds.iter().filter(admits_low).copied().collect();
    share(
        sum(&those, |second| second.shed.critical),
        sum(&those, |second| second.attempts.critical),
    )
}

fn limit_swing(scenario: &Scenario, tally: &Tally) -> f64 {
    let stress = &scenario.stress;
    let from = stress.start + (stress.end - stress.start) / 3;
    let within = tally.gauges.iter().filter(|(at, _)| (from..stress.end).contains(at));
    let limits: Vec<_> = within.filter_map(|(_, gauge)| gauge.limit).collect();
    let least = limits.iter().copied().fold(f64::INFINITY, f64::min);
    let most = limits.iter().copied().fold(0.0, f64::max);
    if limits.is_empty() { 0.0 } else { (most - least) / mean(limits.into_iter()).max(1.0) }
}

fn recovery(scenario: &Scenario, tally: &Tally) -> f64 {
    let after = tally.between(&(scenario.stress.end..scenario.end));
    let is_well = |second: &Second| {
        let all = |of: &PerPriority<u32>| u64::from(of.iter().sum::<u32>());
        let well = share(all(&second.answered), all(&second.asked)) >= 0.97;
        well && share(all(&second.shed), all(&second.attempts)) < 0.01
    };
    after.iter().position(is_well).map_or(f64::INFINITY, length)
}

/// Jain's index over the success of those who asked: 1 where all have the same.
pub fn fairness(users: &[Fate]) -> f64 {
    let asked: Vec<_> = users.iter().filter(|fate| fate.asked > 0).copied().map(success).collect();
    let (sum, squares) = asked
        .iter()
        .fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    if squares <= 0.0 { 0.0 } else { sum * sum / (length(asked.len()) * squares) }
}
