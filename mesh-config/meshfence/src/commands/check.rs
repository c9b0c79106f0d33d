//! `meshfence check`: every problem of a policy set at once.

use crate::cli::{Check, Format};
use crate::exit::{Exit, Failure};
use crate::policy_set::{self, Origin};
use crate::terminal::{self, BOLD, GOOD};
use policy_doc::{Loaded, Purpose, Severity};
use serde_json::json;

pub(crate) fn run(arguments: &Check) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let loaded = policy_set::load(origin, Purpose::Deploy)?;
    terminal::print(&match arguments.format {
        Format::Human => human(&loaded),
        Format::Json => machine(&loaded),
    })?;
    if loaded.set.is_some() { Ok(()) } else { Err(Failure::told(Exit::InvalidPolicy)) }
}

fn human(loaded: &Loaded) -> String {
    let mut text = String::new();
    if !loaded.diagnostics.is_empty() {
        let colour = terminal::has_colour(&std::io::stdout());
        text = policy_doc::render_human(&loaded.diagnostics, &loaded.sources, colour);
        text.push('\n');
    }
    let Some(set) = &loaded.set else {
        let errors =
            loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        return text
            + &format!("{} in {}", count(errors, "error"), count(loaded.sources.len(), "file"));
    };
    let body = &set.body;
    let cases: usize = set.tests.iter().map(|test| test.cases.len()).sum();
    text + &format!(
        "{GOOD}ok{GOOD:#}: {BOLD}{}{BOLD:#}, {}, {}, {}, {}; hash {}",
        set.name,
        count(body.regions.len(), "region"),
        count(body.contexts.len(), "context"),
        count(body.residency.rules.len(), "residency rule"),
        count(cases, "test case"),
        set.hash().get(..12).unwrap_or_default(),
    )
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn machine(loaded: &Loaded) -> String {
    let diagnostics: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|found| {
            let place = found.span.as_ref().map(|span| {
                let file = loaded.sources.get(span.file).map(|source| source.file.as_str());
                json!({"file": file, "line": span.line, "column": span.column})
            });
            json!({
                "code": found.code, "severity": found.severity.as_str(), "message": found.message,
                "place": place, "help": found.help,
            })
        })
        .collect();
    let set = loaded.set.as_ref().map(|set| json!({"name": set.name, "hash": set.hash()}));
    format!("{:#}", json!({"policySet": set, "diagnostics": diagnostics}))
}
