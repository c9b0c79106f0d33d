//! What happened in a run, by the second.

use super::limiter::Gauge;
use super::queue::{SECOND, Us};
use policy_core::{PerPriority, Priority};
use std::ops::Range;

/// How many cohorts there are.
pub const COHORTS: usize = 64;

/// One second of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Second {
    /// Requests of users that were made in it.
    pub asked: PerPriority<u32>,
    /// Those of them that were answered in the end.
    pub answered: PerPriority<u32>,
    /// Those of them that were answered at the first attempt.
    pub at_once: PerPriority<u32>,
    /// Attempts that arrived in it.
    pub attempts: PerPriority<u32>,
    /// Those of them that were refused.
    pub shed: PerPriority<u32>,
    /// Responses in it that somebody still waited for.
    pub in_time: u32,
}

/// What became of the requests of a cohort or of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// How many were made.
    pub asked: u32,
    /// How many were answered.
    pub answered: u32,
}

/// A request that has come to its end.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// When it was made.
    pub born: Us,
    /// How important it was.
    pub priority: Priority,
    /// Of which cohort.
    pub cohort: u8,
    /// Of which user.
    pub user: u64,
    /// After how many attempts before this one.
    pub retries: u32,
    /// Whether it was answered.
    pub is_answered: bool,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Tally {
    /// The seconds, from 0.
    pub seconds: Vec<Second>,
    /// By priority and cohort, of requests made during the stress.
    pub cohorts: PerPriority<Vec<Fate>>,
    /// By user, of normal requests made during the stress.
    pub users: Vec<Fate>,
    /// How long critical requests made during the stress took, with all attempts, microseconds.
    pub critical: Vec<u32>,
    /// The state of the limiter and when it was that.
    pub gauges: Vec<(Us, Gauge)>,
    stress: Range<Us>,
}

impl Tally {
    /// Nothing has happened.
    pub fn new(stress: Range<Us>, end: Us, users: u64) -> Self {
        let seconds = usize::try_from(end / SECOND + 10).unwrap_or(0);
        Self {
            seconds: vec![Second::default(); seconds],
            cohorts: PerPriority::each(|_| vec![Fate::default(); COHORTS]),
            users: vec![Fate::default(); usize::try_from(users).unwrap_or(0)],
            critical: Vec::new(),
            gauges: Vec::new(),
            stress,
        }
    }

    fn second(&mut self, at: Us, count: impl FnOnce(&mut Second)) {
        let second = usize::try_from(at / SECOND).ok().and_then(|at| self.seconds.get_mut(at));
        // What ends after the last of them is nobody's business any more.
        if let Some(second) = second {
            count(second);
        }
    }

    /// A user made a request.
    pub fn asked(&mut self, at: Us, priority: Priority) {
        self.second(at, |second| second.asked[priority] += 1);
    }

    /// An attempt arrived at a proxy.
    pub fn attempted(&mut self, at: Us, priority: Priority, is_admitted: bool) {
        self.second(at, |second| {
            second.attempts[priority] += 1;
            second.shed[priority] += u32::from(!is_admitted);
        });
    }

    /// A user's request has come to its end.
    pub fn ended(&mut self, ended: &Ended, now: Us) {
        let (born, priority) = (ended.born, ended.priority);
        if ended.is_answered {
            self.second(now, |second| second.in_time += 1);
            self.second(born, |second| {
                second.answered[priority] += 1;
                second.at_once[priority] += u32::from(ended.retries == 0);
            });
        }
        if !self.stress.contains(&born) {
            return;
        }
        let cohort = self.cohorts[priority].get_mut(usize::from(ended.cohort));
        let user = usize::try_from(ended.user).ok().filter(|_| priority == Priority::Normal);
        for fate in cohort.into_iter().chain(user.and_then(|user| self.users.get_mut(user))) {
            fate.asked += 1;
            fate.answered += u32::from(ended.is_answered);
        }
        if ended.is_answered && priority == Priority::Critical {
            self.critical.push(u32::try_from(now - born).unwrap_or(u32::MAX));
        }
    }

    /// The seconds of a time, as far as they lie in it wholly.
    pub fn between(&self, within: &Range<Us>) -> &[Second] {
        let at = |time: Us| usize::try_from(time / SECOND).unwrap_or(usize::MAX);
        self.seconds.get(at(within.start)..at(within.end)).unwrap_or_default()
    }
}
