//! What the corpus shows, and what it does not show yet: neither may be said without being so.

use meshfence::engine::{Engine, Outcome};
use meshfence::report::Comparison;
use policy_core::{Reason, Role};
use policy_doc::ROWS;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;
use suite::{Check, Corpus, Trouble, failures};

/// Rows of the contract that no scenario shows, and why.
const ROW_GAPS: [(&str, &str); 4] = [
    ("copied-elsewhere", "a lint of `check`, which comes with the lint rules"),
    ("shed-threshold", "`shed` in a state is refused as not supported yet"),
    ("policy-unavailable", "a scenario has a policy; tests/refused_configuration.rs has none"),
    ("route-needed", "the roots with a single policy do not exist yet"),
];

/// Reasons that no scenario reaches, and why.
const REASON_GAPS: [(Reason, &str); 5] = [
    (Reason::PolicyUnavailable, "a scenario has a policy; tests/refused_configuration.rs has none"),
    (Reason::ChangedInflight, "a scenario has one region state: the guard's own tests"),
    (Reason::HostFailure, "a proxy that fails its plugin: the guard's own tests"),
    (Reason::ShedThreshold, "a scenario has no overload: the guard's own tests, and simulation's"),
    (Reason::ShedRetry, "a scenario has no overload: the guard's own tests"),
];

/// Fewer are no corpus.
const CASES_MIN: usize = 900;

/// Every case, played once for all tests.
fn played() -> Result<&'static [Outcome], Trouble> {
    static PLAYED: OnceLock<Result<Vec<Outcome>, String>> = OnceLock::new();
    let played = PLAYED.get_or_init(|| match Corpus::read() {
        Ok(corpus) => corpus.play_here().map_err(|trouble| trouble.to_string()),
        Err(trouble) => Err(trouble.to_string()),
    });
    played.as_deref().map_err(|trouble| Trouble::new(trouble.clone()))
}

#[test]
fn every_case_comes_out_as_expected_and_the_same_on_the_engines_of_this_process() -> Check {
    let outcomes = played()?;
    println!("{}", Comparison::of(outcomes));
    for engine in [Engine::Native, Engine::Wasm] {
        let plays = outcomes.iter().flat_map(|outcome| &outcome.plays);
        let took: Duration = plays.filter(|play| play.engine == engine).map(|play| play.took).sum();
        println!("{engine} took {took:?}");
    }
    Trouble::unless_empty(&failures(outcomes))?;
    let mut account = String::new();
    for role in Role::ALL {
        let count = outcomes.iter().filter(|outcome| outcome.case.role == *role).count();
        println!("{count} cases as {role}");
        if count == 0 {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "no case at a proxy of role {role}");
        }
    }
    if outcomes.len() < CASES_MIN {
        let _ = writeln!(account, "only {} cases", outcomes.len());
    }
    Trouble::unless_empty(&account)
}

#[test]
fn every_row_is_shown_or_known_to_be_missing() -> Check {
    let outcomes = played()?;
    let shown: BTreeSet<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.passed())
        .flat_map(|outcome| outcome.case.covers.iter().map(String::as_str))
        .collect();
    let rows = ROWS.iter().map(|row| row.id).collect();
    Trouble::unless_empty(&compare("row", &rows, &shown, &ROW_GAPS))
}

#[test]
fn every_reason_is_reached_or_known_not_to_be() -> Check {
    let outcomes = played()?;
    let reached: BTreeSet<&str> = outcomes.iter().flat_map(reasons).collect();
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let gaps = REASON_GAPS.map(|(reason, why)| (reason.as_str(), why));
    Trouble::unless_empty(&compare("reason", &reasons, &reached, &gaps))
}

/// Why any guard decided as it did, and what came of that.
fn reasons(outcome: &Outcome) -> Vec<&str> {
    let seen = outcome.plays.iter().filter_map(|play| play.seen.as_ref().ok());
    let hops = seen.flat_map(|seen| &seen.hops);
    hops.flat_map(|hop| {
        [hop.record.get("reason").and_then(|text| text.as_str()), hop.outcome("reason")]
    })
    .flatten()
    .collect()
}

/// What is missing without being known, and what is known to be missing and is not.
fn compare(
    what: &str,
    all: &BTreeSet<&str>,
    found: &BTreeSet<&str>,
    gaps: &[(&str, &str)],
) -> String {
    let mut account = String::new();
    let known: BTreeSet<&str> = gaps.iter().map(|(name, _)| *name).collect();
    for name in all.difference(found).filter(|name| !known.contains(*name)) {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "no scenario has the {what} `{name}`");
    }
    for name in known.iter().filter(|name| found.contains(*name) || !all.contains(*name)) {
        let _ = writeln!(account, "`{name}` is no gap any more: take it off the list");
    }
    for (name, why) in gaps {
        println!("no scenario has the {what} `{name}`: {why}");
    }
    account
}
