//! Explanations of the example's own tests: they come to what the tests expect.

use super::{CameTo, Explanation, explain, from_record, human};
use crate::engine::native::{self, Native};
use crate::policy_set::{self, Origin};
use policy_core::Reason;
use policy_doc::{Case, PolicySet, Purpose};

fn example() -> PolicySet {
    policy_set::require(Origin::Example, Purpose::LocalTry).unwrap()
}

fn cases(set: &PolicySet) -> Vec<Case> {
    set.tests.iter().flat_map(|test| test.cases.iter().cloned()).collect()
}

fn explained(set: &PolicySet, case: &Case) -> Result<Explanation, String> {
    native::watch(set, case, |guard, arrived| explain(set, guard, arrived))
}

#[test]
fn an_explanation_comes_to_what_the_test_expects() {
    let set = example();
    let mut seen = 0;
    for case in cases(&set) {
        let Ok(found) = explained(&set, &case) else {
            assert_eq!(case.expect.reason, None, "{}: Envoy answers before", case.name);
            continue;
        };
        // What becomes of a request behind its first guard is not explained.
        if !case.state.unreachable.is_empty() {
            continue;
        }
        let expected = (&case.expect.verdict, &case.expect.reason);
        if let Some(verdict) = expected.0 {
            assert_eq!(&found.outcome.verdict, verdict, "{}", case.name);
        }
        if let Some(reason) = expected.1 {
            assert_eq!(&found.outcome.reason, reason, "{}", case.name);
        }
        let refused = found.steps.iter().filter(|step| step.came_to == CameTo::Refused);
        let passes = matches!(found.outcome.verdict.as_str(), "allow" | "route");
        assert_eq!(refused.count(), usize::from(!passes), "{}", case.name);
        for step in &found.steps {
            let is_told = step.came_to == CameTo::Unreached || !step.findings.is_empty();
            assert!(is_told, "{}: nothing is said of {}", case.name, step.step);
            let explains = step.findings.iter().any(|finding| finding.matched == Some(false));
            let is_refusal = step.came_to == CameTo::Refused;
            assert!(explains || !is_refusal, "{}: {} does not say why", case.name, step.step);
        }
        seen += 1;
    }
    assert!(seen > 40, "{seen} cases");
}

#[test]
fn a_record_is_explained_by_a_request_like_it() {
    let set = example();
    let mut native = Native::new(&set);
    let mut seen = 0;
    for case in cases(&set) {
        let observation = native.play(&case).unwrap();
        let Some(hop) = observation.hops.first() else { continue };
        if let Some(outcome) = hop.record.get("outcome") {
            let told = from_record(&set, &hop.record.to_string()).unwrap().outcome.unwrap();
            assert!(told.contains(outcome["reason"].as_str().unwrap()), "{told}");
        }
        let recorded = from_record(&set, &hop.record.to_string()).unwrap();
        let found = explained(&set, &recorded.case).unwrap();
        // What only the request itself has, or the requests beside it, is in no record.
        let reason = Reason::parse(&recorded.reason).unwrap();
        let unrecorded = [Reason::Malformed, Reason::ShedGuard];
        if unrecorded.contains(&reason) {
            continue;
        }
        let is = (found.outcome.verdict.as_str(), found.outcome.reason.as_str());
        let was = (recorded.verdict.as_str(), recorded.reason.as_str());
        assert_eq!(is, was, "{}: {}", case.name, hop.record);
        seen += 1;
    }
    assert!(seen > 35, "{seen} records");
}

#[test]
fn what_is_no_record_is_refused() {
    let set = example();
    for (line, why) in [
        ("", "this is no record: EOF while parsing a value at line 1 column 0"),
        ("{}", "this is no record: it has no `verdict`"),
        (
            r#"{"decision": "-"}"#,
            "this is no record: the line of the log has no decision, so Envoy answered itself",
        ),
        (r#"{"decision": 1}"#, "this is no record: its `decision` is no record"),
        (r#"{"verdict":"hold"}"#, "the record has no `reason`"),
        (
            r#"{"verdict":"hold","reason":"tired"}"#,
            "the record's reason `tired` is none of this release",
        ),
        (r#"{"verdict":"hold","reason":"policy_unavailable"}"#, "the record has no `role`"),
    ] {
        assert_eq!(from_record(&set, line).unwrap_err().message, why);
    }
}

#[test]
fn an_explanation_reads_like_this() {
    let set = example();
    for name in ["japan is routed home", "lease unknown", "forged route"] {
        let case = cases(&set).into_iter().find(|case| case.name == name).unwrap();
        let text = human(&explained(&set, &case).unwrap());
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(name.replace(' ', "_"), text);
    }
}
