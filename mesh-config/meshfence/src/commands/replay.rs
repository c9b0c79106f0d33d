//! `meshfence replay`: what would have changed under another policy set.

use crate::cli::{Format, Replay};
use crate::exit::{Exit, Failure};
use crate::policy_set::{self, Origin};
use crate::records::log::{self, Entry};
use crate::records::replay::{self, Came, Change};
use crate::terminal::{self, BAD, DIM, GOOD};
use comfy_table::{ContentArrangement, Table, presets};
use policy_doc::{PolicySet, Purpose};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn run(arguments: &Replay) -> Result<(), Failure> {
    let set = policy_set::require(Origin::of(Some(&arguments.candidate)), Purpose::LocalTry)?;
    let mut found = replay::Replay::new(&set);
    let mut log = log::open(&arguments.log)?;
    while let Some(line) = log.next()? {
        match line.entry {
            Entry::Record(record) => found.see(&record),
            Entry::NoRecord => {}
            Entry::Unreadable(why) => {
                *found.passed_over.entry(format!("a line is unreadable: {why}")).or_default() += 1;
            }
        }
    }
    terminal::print(&match arguments.format {
        Format::Human => human(&set, &found),
        Format::Json => machine(&set, &found),
    })?;
    if found.changes.is_empty() { Ok(()) } else { Err(Failure::told(Exit::Difference)) }
}

/// The changes, the most frequent first.
fn changes<'f>(found: &'f replay::Replay<'_>) -> Vec<(&'f Came, &'f Came, &'f Change)> {
    let all = found.changes.iter().map(|((was, is), change)| (was, is, change));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, _, change)| std::cmp::Reverse(change.count));
    all
}

/// For people: a row for each way in which something would have changed.
pub(crate) fn human(set: &PolicySet, found: &replay::Replay<'_>) -> String {
    let mut text = String::new();
    if !found.changes.is_empty() {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["requests", "was", "would be", "for example"]);
        for (was, is, change) in changes(found) {
            let count = change.count.to_string();
            table.add_row([count, told(was), told(is), change.example.clone()]);
        }
        text = format!("{table}\n\n");
    }
    for (why, count) in &found.passed_over {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{DIM}{count} not judged again: {why}{DIM:#}");
    }
    let (judged, name) = (found.judged, &set.name);
    let changed: u64 = found.changes.values().map(|change| change.count).sum();
    let _ = match changed {
        0 => write!(text, "{GOOD}{judged} records judged again by {name}: nothing changes{GOOD:#}"),
        _ => write!(text, "{BAD}{judged} records judged again by {name}: {changed} change{BAD:#}"),
    };
    text
}

fn told(came: &Came) -> String {
    let Came { verdict, reason, rule, region } = came;
    let rule = rule.as_ref().map(|rule| format!(", by {rule}")).unwrap_or_default();
    let region = region.as_ref().map(|region| format!(", in {region}")).unwrap_or_default();
    format!("{verdict}, {reason}{rule}{region}")
}

/// For machines.
pub(crate) fn machine(set: &PolicySet, found: &replay::Replay<'_>) -> String {
    let changes = changes(found).into_iter().map(|(was, is, change)| {
        json!({"count": change.count, "was": was, "wouldBe": is, "example": change.example})
    });
    let changes: Vec<Value> = changes.collect();
    format!(
        "{:#}",
        json!({
            "candidate": {"name": set.name, "hash": set.hash()},
            "judged": found.judged,
            "notJudged": found.passed_over,
            "changes": changes,
        })
    )
}
