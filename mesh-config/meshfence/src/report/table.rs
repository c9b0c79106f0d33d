//! A tour as a table.

use super::convergence::convergence;
use super::{Report, account};
use crate::convergence::{Race, Rule};
use crate::engine::Outcome;
use crate::terminal::{BAD, BOLD, GOOD};
use comfy_table::{ContentArrangement, Table, presets};
use policy_core::Role;
use policy_core::name::HEADER_PREFIX;
use std::fmt::Write as _;
use terminal_size::{Width, terminal_size};

/// Columns where there is no terminal to ask.
const WIDTH: u16 = 140;

/// The table of all outcomes, an account of each that failed, what became of concurrent updates where
/// some were sent, and the sum of all that.
pub fn table(report: &Report, race: Option<&Race>) -> String {
    let mut table = plain(&["", "request", "entry", "ran in", "status", "reason", "headers added"]);
    let mut state = None;
    for outcome in &report.outcomes {
        let name = outcome.case.state_name.as_str();
        if state.replace(name) != Some(name) {
            table.add_row(["", &format!("── {name} ──")]);
        }
        table.add_row(row(outcome));
    }
    let mut text = format!("{table}\n");
    for failed in report.outcomes.iter().filter(|outcome| !outcome.passed()) {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "\n{BAD}failed{BAD:#}{BOLD}: {}{BOLD:#}", failed.case.name);
        for line in account(failed).lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    let (mut passed, mut failed) = report.count();
    if let Some(race) = race {
        text += &convergence(race);
        let count = if has_converged(race) { &mut passed } else { &mut failed };
        *count = count.saturating_add(1);
    }
    let style = if failed == 0 { GOOD } else { BAD };
    let _ = write!(text, "\n{style}{passed} passed, {failed} failed{style:#}");
    text
}

/// Whether both regions were left with the same.
pub fn has_converged(race: &Race) -> bool {
    race.as_ref().is_ok_and(|pair| pair.agree(Rule::Version))
}

/// A table without lines, as wide as the terminal at most.
pub(super) fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header)
        .set_width(terminal_size().map_or(WIDTH, |(Width(columns), _)| columns));
    table
}

fn row(outcome: &Outcome) -> Vec<String> {
    let case = &outcome.case;
    let observed = outcome.plays.iter().find_map(|play| Some(&play.seen.as_ref().ok()?.observed));
    let caller = case.caller.as_ref().map_or("anonymous", |caller| caller.name.as_str());
    let dash = || String::from("-");
    let status = observed.map(|observed| match observed.grpc_status {
        Some(code) => format!("{}, grpc {code}", observed.status),
        None => observed.status.to_string(),
    });
    let entry = match case.role {
        Role::Edge => case.region.clone(),
        role => format!("{}, {role}", case.region),
    };
    let upstream = observed.and_then(|observed| observed.upstream.as_deref());
    vec![
        String::from(if outcome.passed() { "✓" } else { "✗" }),
        format!("{}\n  {} {} · {caller}", case.name, case.request.method, case.request.path),
        entry,
        observed.and_then(|observed| observed.region.clone()).unwrap_or_else(dash),
        status.unwrap_or_else(dash),
        observed.and_then(|observed| observed.reason.clone()).unwrap_or_else(dash),
        added(upstream.unwrap_or_default()),
    ]
}

/// What the mesh added to the request, without the prefix that all of it shares. Nobody reads a
/// signature.
fn added(upstream: &[(String, String)]) -> String {
    let ours = upstream.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(HEADER_PREFIX).filter(|name| *name != "sig")?;
        Some(format!("{name}: {value}"))
    });
    ours.collect::<Vec<_>>().join("\n")
}
