//! For machines: one JSON document, described in the help of `test`.

use super::{Comparison, Report, shortened};
use crate::engine::{Disagreement, Engine, Observation, Outcome, Play};
use serde_json::{Value, json};

/// How much of a body is told.
const BODY_SHOWN: usize = 16 << 10;

/// The report as JSON.
pub fn json(report: &Report) -> String {
    let (passed, failed) = report.count();
    let Comparison { tallies, agreements } = Comparison::of(&report.outcomes);
    let engines: Vec<Value> = report
        .engines
        .iter()
        .map(|(engine, on)| {
            let tally = tallies.iter().find(|tally| tally.engine == *engine);
            json!({
                "engine": engine.as_str(),
                "on": on,
                "played": tally.map(|tally| tally.played),
                "passed": tally.map(|tally| tally.passed),
                "differs": tally.map(|tally| tally.differs),
            })
        })
        .collect();
    let agreements: Vec<Value> = agreements
        .iter()
        .map(|agreement| json!({"between": names(&agreement.between), "cases": agreement.cases}))
        .collect();
    let cases: Vec<Value> = report.outcomes.iter().map(case).collect();
    let document = json!({
        "policySet": {"name": report.set, "hash": report.hash},
        "engines": engines,
        "agreements": agreements,
        "passed": passed,
        "failed": failed,
        "cases": cases,
    });
    format!("{document:#}")
}

fn case(outcome: &Outcome) -> Value {
    let Outcome { file, case, plays } = outcome;
    let differences: Vec<Value> = outcome.disagreements().iter().flat_map(differences).collect();
    json!({
        "file": file,
        "line": case.line,
        "name": case.name,
        "region": case.region,
        "role": case.role.as_str(),
        "state": case.state_name,
        "caller": case.caller.as_ref().map(|caller| &caller.name),
        "covers": case.covers,
        "passed": outcome.passed(),
        "plays": plays.iter().map(play).collect::<Vec<_>>(),
        "differences": differences,
    })
}

fn names(between: &[Vec<Engine>]) -> Vec<Vec<&'static str>> {
    let of_group = |group: &Vec<Engine>| group.iter().map(|engine| engine.as_str()).collect();
    between.iter().map(of_group).collect()
}

fn differences(disagreement: &Disagreement) -> impl Iterator<Item = Value> {
    let between = names(&disagreement.between);
    disagreement.differences.iter().map(move |difference| {
        let found = [&difference.first, &difference.second];
        json!({"between": between, "what": difference.what, "found": found})
    })
}

fn play(play: &Play) -> Value {
    let Play { engine, seen, mismatches, took } = play;
    let mismatches: Vec<Value> = mismatches
        .iter()
        .map(|m| json!({"what": m.what, "expected": m.expected, "found": m.found}))
        .collect();
    json!({
        "engine": engine.as_str(),
        "passed": play.passed(),
        "seconds": took.as_secs_f64(),
        "trouble": seen.as_ref().err(),
        "mismatches": mismatches,
        "request": seen.as_ref().ok().map(|seen| seen.sent.lines()),
        "observed": seen.as_ref().ok().map(observed),
    })
}

fn observed(observation: &Observation) -> Value {
    let Observation { sent: _, observed, hops } = observation;
    let records: Vec<&Value> = hops.iter().map(|hop| &hop.record).collect();
    json!({
        "verdict": observed.verdict,
        "status": observed.status,
        "grpcStatus": observed.grpc_status,
        "reason": observed.reason,
        "rule": observed.rule,
        "region": observed.region,
        "upstream": observed.upstream,
        "response": observed.response,
        "body": observation.body().map(|body| shortened(body, BODY_SHOWN)),
        "trailers": observed.trailers,
        "cut": observed.cut,
        "redactions": observed.redactions,
        "records": records,
    })
}
