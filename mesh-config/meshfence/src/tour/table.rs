//! The tour as a table.

use super::play::Outcome;
use crate::terminal::{BAD, BOLD, DIM, GOOD};
use comfy_table::{ContentArrangement, Table, presets};
use policy_core::name::HEADER_PREFIX;
use std::fmt::Write as _;
use terminal_size::{Width, terminal_size};

/// Columns where there is no terminal to ask.
const WIDTH: u16 = 140;

/// The table of all outcomes, an account of each that failed, and the sum.
pub fn report(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["", "request", "entry", "ran in", "status", "reason", "headers added"]);
    table.set_width(terminal_size().map_or(WIDTH, |(Width(columns), _)| columns));
    let mut state = None;
    for outcome in outcomes {
        let name = outcome.case.state_name.as_str();
        if state.replace(name) != Some(name) {
            table.add_row(["", &format!("── {name} ──")]);
        }
        table.add_row(row(outcome));
    }
    let mut text = format!("{table}\n");
    for failed in outcomes.iter().filter(|outcome| !outcome.passed()) {
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "\n{BAD}failed{BAD:#}{BOLD}: {}{BOLD:#} {DIM}line {}{DIM:#}\n",
            failed.case.name, failed.case.line
        );
        for mismatch in &failed.mismatches {
            let _ = writeln!(text, "  {mismatch}");
        }
        if let Some(record) = &failed.record {
            let _ = writeln!(text, "  {DIM}decision: {record}{DIM:#}");
        }
    }
    let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
    let failed = outcomes.len().saturating_sub(passed);
    let style = if failed == 0 { GOOD } else { BAD };
    let _ = write!(text, "\n{style}{passed} passed, {failed} failed{style:#}");
    text
}

fn row(outcome: &Outcome) -> Vec<String> {
    let Outcome { case, observed, .. } = outcome;
    let caller = case.caller.as_ref().map_or("anonymous", |caller| caller.name.as_str());
    let status = match observed.grpc_status {
        Some(code) => format!("{}, grpc {code}", observed.status),
        None => observed.status.to_string(),
    };
    vec![
        String::from(if outcome.passed() { "✓" } else { "✗" }),
        format!("{}\n  {} {} · {caller}", case.name, case.request.method, case.request.path),
        case.region.clone(),
        observed.region.clone().unwrap_or_else(|| String::from("-")),
        status,
        observed.reason.clone().unwrap_or_else(|| String::from("-")),
        added(observed.upstream.as_deref().unwrap_or_default()),
    ]
}

/// What the mesh added to the request, without the prefix that all of it shares.
fn added(upstream: &[(String, String)]) -> String {
    let ours = upstream.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(HEADER_PREFIX)?;
        Some(format!("{name}: {value}"))
    });
    ours.collect::<Vec<_>>().join("\n")
}
