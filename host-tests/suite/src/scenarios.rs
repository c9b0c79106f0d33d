//! The corpus: `PolicyTest` files under `host-tests/scenarios`, played on real Envoys.

use crate::{Regions, Trouble};
use meshfence::policy_set::{self, Origin};
use meshfence::tour::{self, Outcome};
use policy_doc::{PolicySet, PolicyTest};
use std::fmt::Write as _;
use std::path::Path;

/// Reads a scenario file by its name without the ending.
///
/// # Errors
/// What is wrong with it; its diagnostics are on standard error.
pub fn scenario(set: &PolicySet, name: &str) -> Result<PolicyTest, Trouble> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let file = scenarios.join(format!("{name}.yaml"));
    Ok(policy_set::tour(Origin::Example, set, Some(&file))?)
}

/// Plays every case, in the order of the file.
///
/// # Errors
/// Every case that did not come out as expected, in one account; what kept one from being played.
pub async fn play(regions: &mut Regions, test: &PolicyTest) -> Result<Vec<Outcome>, Trouble> {
    let mut now = String::new();
    let played = tour::play(&mut regions.run, test, &mut |what| what.clone_into(&mut now)).await;
    let outcomes = played.map_err(|failure| {
        Trouble::new(format!("{}: at `{now}`: {}", test.name, Trouble::from(failure)))
    })?;
    Trouble::unless_empty(&account(&test.file, &outcomes))?;
    Ok(outcomes)
}

/// An account of every case that did not come out as expected; empty if all did.
pub fn account(file: &str, outcomes: &[Outcome]) -> String {
    let mut told = String::new();
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    // Writing into a String cannot fail.
    if !failed.is_empty() {
        let _ = writeln!(told, "{file}: {} of {} failed", failed.len(), outcomes.len());
    }
    for Outcome { case, mismatches, .. } in failed {
        let _ = writeln!(told, "line {}, state {}: {}", case.line, case.state_name, case.name);
        for mismatch in mismatches {
            let _ = writeln!(told, "    {mismatch}");
        }
    }
    told
}
