//! An explanation as people and as machines read it.

use super::{CameTo, Explanation, Finding};
use crate::terminal::{BAD, BOLD, DIM, GOOD};
use serde_json::json;
use std::fmt::Write as _;

/// For people.
pub(crate) fn human(explanation: &Explanation) -> String {
    let Explanation { request, steps, outcome, values, headers } = explanation;
    let mut text = format!("{BOLD}{request}{BOLD:#}\n\n");
    // Writing into a String cannot fail.
    for (number, step) in steps.iter().enumerate() {
        let number = number.saturating_add(1);
        let (mark, style) = match step.came_to {
            CameTo::Passed => (' ', BOLD),
            CameTo::Refused => ('✗', BAD),
            CameTo::Unreached => (' ', DIM),
        };
        let _ = write!(text, "{style}{mark} {number} {:<9}{style:#}", step.step);
        if step.came_to == CameTo::Unreached {
            let _ = writeln!(text, "  {DIM}not reached{DIM:#}");
            continue;
        }
        for (row, finding) in step.findings.iter().enumerate() {
            let indent = if row == 0 { 2 } else { 15 };
            let _ = writeln!(text, "{:indent$}{}", "", line(finding));
        }
    }
    if !values.is_empty() {
        let _ = writeln!(text, "\n{BOLD}values read{BOLD:#}");
        for value in values {
            let found = value.value.as_deref().unwrap_or("not there");
            let _ = writeln!(text, "    {}: {found}", value.attribute);
        }
    }
    if !headers.is_empty() {
        let what =
            if outcome.status == 200 { "the request goes on with" } else { "the answer has" };
        let _ = writeln!(text, "\n{BOLD}{what}{BOLD:#}");
        for (name, value) in headers {
            let _ = writeln!(text, "    {name}: {value}");
        }
    }
    let style = if outcome.status == 200 { GOOD } else { BAD };
    let _ = write!(
        text,
        "\n{style}{}{style:#} {}: {}",
        outcome.verdict, outcome.status, outcome.reason
    );
    if let Some(region) = &outcome.region {
        let _ = write!(text, ", in {region}");
    }
    if let Some(rule) = &outcome.rule {
        let _ = write!(text, ", by {rule}");
    }
    text
}

fn line(finding: &Finding) -> String {
    match finding.matched {
        Some(true) => format!("{GOOD}✓{GOOD:#} {}", finding.text),
        Some(false) => format!("{BAD}✗{BAD:#} {}", finding.text),
        None => format!("  {}", finding.text),
    }
}

/// For machines: one JSON document.
pub(crate) fn machine(explanation: &Explanation) -> String {
    format!("{:#}", json!(explanation))
}
