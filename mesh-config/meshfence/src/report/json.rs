//! For machines: one JSON document, described in the help of `test`.

use super::Report;
use crate::engine::{Observation, Outcome, Play};
use serde_json::{Value, json};

/// The report as JSON.
pub fn json(report: &Report) -> String {
    let (passed, failed) = report.count();
    let engines: Vec<Value> = report
        .engines
        .iter()
        .map(|(engine, on)| json!({"engine": engine.as_str(), "on": on}))
        .collect();
    let cases: Vec<Value> = report.outcomes.iter().map(case).collect();
    let document = json!({
        "policySet": {"name": report.set, "hash": report.hash},
        "engines": engines,
        "passed": passed,
        "failed": failed,
        "cases": cases,
    });
    format!("{document:#}")
}

fn case(outcome: &Outcome) -> Value {
    let Outcome { file, case, plays } = outcome;
    let differences: Vec<Value> = outcome
        .differences()
        .into_iter()
        .map(|difference| {
            let found = [&difference.first, &difference.second];
            json!({"what": difference.what, "found": found})
        })
        .collect();
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
    let Observation { sent: _, observed, hops, body } = observation;
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
        "body": body,
        "records": records,
    })
}
