//! The corpus: `PolicyTest` files under `host-tests/scenarios`, played on real Envoys.

use crate::{Regions, Trouble};
use meshfence::engine::{Engine, Outcome, Play, envoy};
use meshfence::{policy_set, report};
use policy_doc::{Case, PolicySet, PolicyTest};
use std::fmt::Write as _;
use std::path::Path;

/// Reads a scenario file by its name without the ending.
///
/// # Errors
/// What is wrong with it; its diagnostics are on standard error.
pub fn scenario(set: &PolicySet, name: &str) -> Result<PolicyTest, Trouble> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let file = scenarios.join(format!("{name}.yaml"));
    Ok(policy_set::test_file(set, &file)?)
}

/// Plays every case.
///
/// # Errors
/// Every case that did not come out as expected, in one account; what kept one from being played.
pub async fn play(regions: &mut Regions, test: &PolicyTest) -> Result<Vec<Outcome>, Trouble> {
    let cases: Vec<&Case> = test.cases.iter().collect();
    let mut now = String::new();
    let played = envoy::play(&mut regions.run, &cases, &mut |what| what.clone_into(&mut now)).await;
    let seen = played.map_err(|failure| {
        Trouble::new(format!("{}: at `{now}`: {}", test.name, Trouble::from(failure)))
    })?;
    let outcomes = cases.into_iter().zip(seen).map(|(case, (seen, took))| Outcome {
        file: test.file.clone(),
        case: case.clone(),
        plays: vec![Play::new(Engine::Envoy, case, seen, took)],
    });
    let outcomes: Vec<Outcome> = outcomes.collect();
    Trouble::unless_empty(&failures(&outcomes))?;
    Ok(outcomes)
}

/// An account of every case that did not come out as expected; empty if all did.
pub fn failures(outcomes: &[Outcome]) -> String {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let mut told = String::new();
    for outcome in &failed {
        // Writing into a String cannot fail.
        let _ = writeln!(told, "{}\n{}", outcome.case.name, report::account(outcome));
    }
    if !failed.is_empty() {
        let _ = writeln!(told, "{} of {} failed", failed.len(), outcomes.len());
    }
    told
}
