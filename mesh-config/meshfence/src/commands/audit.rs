//! `meshfence audit`: decision records, as logs have them.

use crate::cli::{Audit, AuditVerify, Format};
use crate::exit::{Exit, Failure};
use crate::keys;
use crate::records::audit::{self, Node, Problem, Secrets};
use crate::records::log;
use crate::terminal::{self, BAD, BOLD, DIM, GOOD};
use comfy_table::{Table, presets};
use serde_json::json;
use std::fmt::Write as _;

pub(crate) fn run(command: &Audit) -> Result<(), Failure> {
    match command {
        Audit::Verify(arguments) => verify(arguments),
    }
}

fn verify(arguments: &AuditVerify) -> Result<(), Failure> {
    let mut found = audit::Audit::new(secrets(&arguments.keys)?, arguments.partial);
    for path in &arguments.logs {
        let mut log = log::open(path)?;
        while let Some(line) = log.next()? {
            found.see(&log.name, &line);
        }
    }
    found.end();
    terminal::print(&match arguments.format {
        Format::Human => human(&found),
        Format::Json => machine(&found),
    })?;
    if found.is_sound() { Ok(()) } else { Err(Failure::told(Exit::Difference)) }
}

/// The secrets of the keys, out of the environment.
fn secrets(named: &[(String, String)]) -> Result<Secrets, Failure> {
    named.iter().map(keys::secret_of).collect()
}

/// For people: a row for each VM, and what is wrong.
pub(crate) fn human(found: &audit::Audit) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "",
        "VM",
        "records",
        "first",
        "last",
        "checked with",
    ]);
    for (name, node) in &found.nodes {
        table.add_row([
            String::from(if node.wrong == 0 { "✓" } else { "✗" }),
            name.clone(),
            node.records.to_string(),
            node.first.to_string(),
            node.last.to_string(),
            checked_with(node).to_owned(),
        ]);
    }
    let mut text = if found.nodes.is_empty() { String::new() } else { format!("{table}\n\n") };
    let named = found.nodes.iter().map(|(name, node)| (Some(name), &node.problems, node.wrong));
    let mut wrong = 0;
    for (name, problems, count) in named.chain([(None, &found.problems, found.wrong)]) {
        wrong += count;
        for Problem { log, line, text: what, .. } in problems {
            let whose = name.map(|name| format!(" of {name}")).unwrap_or_default();
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{BAD}wrong{BAD:#} {log}:{line}{whose}{BOLD}: {what}{BOLD:#}");
        }
        let more = count.saturating_sub(problems.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "{DIM}and {more} more{DIM:#}");
        }
    }
    let unchecked: u64 = found.nodes.values().map(|node| node.unchecked).sum();
    if unchecked > 0 && wrong == 0 {
        let _ = writeln!(
            text,
            "{DIM}note: {unchecked} records have a key: pass its secret by --key, or they could be forged{DIM:#}"
        );
    }
    let (records, vms) = (found.records, found.nodes.len());
    let _ = match wrong {
        0 if records == 0 => write!(text, "there are no records"),
        0 if unchecked > 0 => write!(
            text,
            "{records} records of {vms} VMs: none is missing in between; without a key nobody can tell whether any was changed"
        ),
        0 => write!(
            text,
            "{GOOD}{records} records of {vms} VMs: nothing is missing, nothing was changed{GOOD:#}"
        ),
        _ => write!(text, "{BAD}{records} records of {vms} VMs: {wrong} things are wrong{BAD:#}"),
    };
    text
}

fn checked_with(node: &Node) -> &'static str {
    match (node.keyed > 0, node.unchecked > 0, node.keyed + node.unchecked < node.records) {
        (true, false, false) => "a key",
        (false, false, true) => "no key",
        (false, true, false) => "nothing: its key is not given",
        _ => "some with a key, some without",
    }
}

/// For machines.
pub(crate) fn machine(found: &audit::Audit) -> String {
    format!("{:#}", json!({"sound": found.is_sound(), "audit": found}))
}
