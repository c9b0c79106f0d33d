//! What came of a case.

use super::{Difference, Engine, Sent, differences};
use policy_core::Role;
use policy_doc::{Case, Mismatch, Observed};
use serde_json::Value;
use std::time::Duration;

/// What an engine saw of one case.
#[derive(Debug, Clone)]
pub struct Observation {
    /// What was sent.
    pub sent: Sent,
    /// What expectations are about.
    pub observed: Observed,
    /// The guards that the request passed or was refused by, in its order.
    pub hops: Vec<Hop>,
}

impl Observation {
    /// The body, where it says anything: what an application tells of the request is known already.
    pub fn body(&self) -> Option<&str> {
        let Self { sent, observed, .. } = self;
        let is_asked_for = sent.headers.iter().any(|(name, _)| name == "echo-body");
        let says = is_asked_for || observed.region.is_none();
        Some(observed.body.as_str()).filter(|body| says && !body.is_empty())
    }
}

/// What one guard decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Hop {
    /// Its region.
    pub region: String,
    /// What it is there.
    pub role: Role,
    /// Its decision record.
    pub record: Value,
}

impl Hop {
    /// A hop by its record; none if the record does not say where it was made.
    pub fn of(record: Value) -> Option<Self> {
        let region = record.get("region")?.as_str()?.to_owned();
        let role = Role::parse(record.get("role")?.as_str()?)?;
        Some(Self { region, role, record })
    }

    /// How many values it has redacted.
    pub fn redactions(&self) -> u64 {
        let by_profile = self.record.get("redactions").and_then(Value::as_array);
        let counts = by_profile.into_iter().flatten().map(|one| one.get("count")?.as_u64());
        counts.flatten().sum()
    }

    /// A field of what the decision came to: of its outcome, where it has one.
    pub fn outcome(&self, field: &str) -> Option<&str> {
        self.record.get("outcome").unwrap_or(&self.record).get(field)?.as_str()
    }
}

/// One engine's turn at one case.
#[derive(Debug, Clone)]
pub struct Play {
    /// The engine.
    pub engine: Engine,
    /// What it saw, or why it saw nothing.
    pub seen: Result<Observation, String>,
    /// What was not as expected.
    pub mismatches: Vec<Mismatch>,
    /// How long it took.
    pub took: Duration,
}

impl Play {
    /// Holds what was seen against what the case expects.
    pub fn new(
        engine: Engine,
        case: &Case,
        seen: Result<Observation, String>,
        took: Duration,
    ) -> Self {
        let mismatches = match &seen {
            Ok(seen) => case.expect.compare(&seen.observed),
            Err(_) => Vec::new(),
        };
        Self { engine, seen, mismatches, took }
    }

    /// Whether all was as expected.
    pub fn passed(&self) -> bool {
        self.seen.is_ok() && self.mismatches.is_empty()
    }
}

/// What some engines saw differently from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Those that saw the first, and those that saw the second.
    pub between: [Vec<Engine>; 2],
    /// What.
    pub differences: Vec<Difference>,
}

/// What came of a case on every engine that played it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The file of the case.
    pub file: String,
    /// The case.
    pub case: Case,
    /// By engine.
    pub plays: Vec<Play>,
}

impl Outcome {
    /// The engines that saw anything, those together that saw the same.
    pub fn alike(&self) -> Vec<Vec<Engine>> {
        self.by_sight().iter().map(|group| engines(group)).collect()
    }

    /// What the engines saw differently, for every two of [`Self::alike`].
    pub fn disagreements(&self) -> Vec<Disagreement> {
        let groups = self.by_sight();
        let mut found = Vec::new();
        for (number, first) in (1..).zip(&groups) {
            for second in groups.iter().skip(number) {
                let between = [engines(first), engines(second)];
                let differences = differing(first, second);
                found.push(Disagreement { between, differences });
            }
        }
        found
    }

    /// Whether every engine saw what is expected, and all of them the same.
    pub fn passed(&self) -> bool {
        self.plays.iter().all(Play::passed) && self.by_sight().len() <= 1
    }

    fn by_sight(&self) -> Vec<Vec<&Play>> {
        let mut groups: Vec<Vec<&Play>> = Vec::new();
        for play in self.plays.iter().filter(|play| play.seen.is_ok()) {
            let known = groups.iter_mut().find(|group| differing(group, &[play]).is_empty());
            match known {
                Some(group) => group.push(play),
                None => groups.push(vec![play]),
            }
        }
        groups
    }
}

fn engines(group: &[&Play]) -> Vec<Engine> {
    group.iter().map(|play| play.engine).collect()
}

/// What two groups saw differently, each of which saw one thing.
fn differing<'p>(first: &[&'p Play], second: &[&'p Play]) -> Vec<Difference> {
    let seen = |group: &[&'p Play]| group.first().and_then(|play| play.seen.as_ref().ok());
    match (seen(first), seen(second)) {
        (Some(first), Some(second)) => differences(first, second),
        _ => Vec::new(),
    }
}
