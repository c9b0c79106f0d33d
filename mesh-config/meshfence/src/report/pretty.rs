//! For people: a line for each file, everything about what failed, and the sum.

use super::{Comparison, Report, account, listed};
use crate::terminal::{BAD, BOLD, DIM, GOOD};
use std::fmt::Write as _;

/// The report for people; with `all`, a line for each case.
pub fn pretty(report: &Report, all: bool) -> String {
    let engines: Vec<String> =
        report.engines.iter().map(|(engine, what)| format!("{engine} ({what})")).collect();
    let hash = report.hash.get(..12).unwrap_or_default();
    let mut text =
        format!("{BOLD}{}{BOLD:#} {DIM}{hash} on {}{DIM:#}\n\n", report.set, listed(&engines));
    // Writing into a String cannot fail.
    for (file, outcomes) in report.by_file() {
        let passed = outcomes.iter().filter(|outcome| outcome.passed()).count();
        let failed = outcomes.len().saturating_sub(passed);
        let _ = match failed {
            0 => writeln!(text, "{GOOD}ok{GOOD:#}      {file} {DIM}{passed}{DIM:#}"),
            _ => writeln!(
                text,
                "{BAD}failed{BAD:#}  {file} {DIM}{failed} of {}{DIM:#}",
                outcomes.len()
            ),
        };
        for outcome in outcomes.iter().filter(|_| all) {
            let sign = if outcome.passed() { "✓" } else { "✗" };
            let _ = writeln!(text, "        {sign} {}", outcome.case.name);
        }
    }
    for outcome in report.outcomes.iter().filter(|outcome| !outcome.passed()) {
        let _ = writeln!(text, "\n{BAD}failed{BAD:#}{BOLD}: {}{BOLD:#}", outcome.case.name);
        for line in account(outcome).lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    if report.engines.len() > 1 {
        let _ = write!(text, "\n{}", Comparison::of(&report.outcomes));
    }
    let (passed, failed) = report.count();
    let style = if failed == 0 { GOOD } else { BAD };
    let _ = write!(text, "\n{style}{passed} passed, {failed} failed{style:#}");
    text
}
