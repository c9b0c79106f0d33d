//! `meshfence drill --simulate`: what would come of a failover, played in a world in this process.

use crate::cli::{Drill, Format};
use crate::exit::{Exit, Failure};
use crate::policy_set::{self, Origin};
use crate::terminal::{self, BAD, BOLD, DIM, GOOD, Progress};
use comfy_table::{Table, presets};
use policy_doc::{PolicySet, Purpose, Timeline};
use serde_json::json;
use simulation::check::Violation;
use simulation::drill::{DrillReport, Recovery, play};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

pub(crate) fn run(arguments: &Drill) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::Deploy)?;
    let timelines = timelines(arguments, &set)?;
    let progress = Progress::new();
    let mut played = Vec::new();
    for timeline in &timelines {
        progress.say(&format!("playing {}", timeline.name));
        let report = play(&set, timeline).map_err(|why| {
            Failure::new(
                Exit::InvalidPolicy,
                format!("`{}` cannot be played: {why}", timeline.name),
            )
        })?;
        played.push((timeline, report));
    }
    progress.done();
    let is_well = played.iter().all(|(_, report)| is_well(report));
    terminal::print(&match arguments.format {
        Format::Human => {
            let all: Vec<_> =
                played.iter().map(|(of, report)| human(of, report, arguments.story)).collect();
            all.join("\n\n")
        }
        Format::Json => {
            let all: Vec<_> = played.iter().map(|(of, report)| machine(of, report)).collect();
            json!({"policySet": set.name, "timelines": all}).to_string()
        }
    })?;
    if is_well { Ok(()) } else { Err(Failure::told(Exit::TestsFailed)) }
}

/// The timelines to play: those of a file, or of the set, all or one by its name.
fn timelines(arguments: &Drill, set: &PolicySet) -> Result<Vec<Timeline>, Failure> {
    let which = arguments.simulate.as_deref().unwrap_or_default();
    if which.is_empty() {
        if set.timelines.is_empty() {
            let message = "the policy set has no `Timeline`";
            return Err(Failure::new(Exit::Usage, message).help("name a file: --simulate FILE"));
        }
        return Ok(set.timelines.clone());
    }
    if let Some(own) = set.timelines.iter().find(|timeline| timeline.name == which) {
        return Ok(vec![own.clone()]);
    }
    if Path::new(which).exists() {
        return policy_set::timelines(Path::new(which), set);
    }
    let known: Vec<&str> = set.timelines.iter().map(|timeline| timeline.name.as_str()).collect();
    let message = format!("there is no file `{which}`, and the policy set has no such `Timeline`");
    Err(Failure::new(Exit::Usage, message).suggest(which, &known))
}

fn is_well(report: &DrillReport) -> bool {
    report.violations.is_empty() && report.dual_writers.is_empty()
}

/// For people: what must not be first, then who held what, then what came of requests.
fn human(timeline: &Timeline, report: &DrillReport, with_story: bool) -> String {
    let (lasts, seed) = (seconds(timeline.lasts_ms), timeline.seed);
    let mut text = format!("{BOLD}{}{BOLD:#} {DIM}{lasts}, seed {seed}{DIM:#}\n", timeline.name);
    // Writing into a String cannot fail.
    for violation in &report.violations {
        let _ = writeln!(text, "{BAD}✗ {}{BAD:#}", told(violation));
    }
    for both in &report.dual_writers {
        let (from, until) = (seconds(both.from_ms), seconds(both.until_ms));
        let _ = writeln!(
            text,
            "{BAD}✗ two regions wrote with {} from {from} to {until}{BAD:#}",
            both.lease
        );
    }
    if is_well(report) {
        let _ =
            writeln!(text, "{GOOD}✓ nothing was violated, and no lease had two writers{GOOD:#}");
    }
    let never = never_again(&report.recoveries);
    let _ = match report.rto_ms() {
        Some(0) if never.is_empty() => writeln!(text, "leased writes were not interrupted"),
        Some(0) => Ok(()),
        Some(rto_ms) => writeln!(text, "writes succeeded again within {}", seconds(rto_ms)),
        None if never.is_empty() => Ok(()),
        None => writeln!(text, "{BAD}no write succeeded again{BAD:#}"),
    };
    for lease in never {
        let _ = writeln!(text, "{BAD}not again before the end: {lease}{BAD:#}");
    }
    for at_ms in &report.unjudged_ms {
        let at = seconds(*at_ms);
        let _ = writeln!(
            text,
            "{DIM}what began at {at} is not judged: clients stop 15 s before the end{DIM:#}"
        );
    }
    let (written, lost, overwritten) =
        (report.versions_written, report.versions_lost, report.versions_overwritten);
    let _ = writeln!(
        text,
        "eventual writes: {written}, {lost} lost with a region, {overwritten} overwritten unseen\n"
    );
    let _ = write!(text, "{}\n\n{}", moves(report), requests(report));
    if with_story {
        let _ = write!(text, "\n\n{}", report.story.to_whole_text());
    }
    text
}

/// The leases with which nothing was written any more after something had happened.
fn never_again(recoveries: &[Recovery]) -> BTreeSet<&str> {
    let ended = recoveries.iter().filter(|recovery| recovery.after_ms.is_none());
    ended.map(|recovery| recovery.lease.as_str()).collect()
}

/// The grants after the first of each lease.
fn moves(report: &DrillReport) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["at", "lease", "from", "to", "epoch"]);
    for moved in report.moves.iter().filter(|moved| moved.from.is_some()) {
        table.add_row([
            seconds(moved.at_ms),
            moved.lease.clone(),
            moved.from.clone().unwrap_or_default(),
            moved.to.clone(),
            moved.epoch.to_string(),
        ]);
    }
    table
}

/// A row for each context, a column for each outcome.
fn requests(report: &DrillReport) -> Table {
    let outcomes: BTreeSet<&str> = report.requests.keys().map(|(_, outcome)| *outcome).collect();
    let contexts: BTreeSet<&str> = report.requests.keys().map(|(name, _)| name.as_str()).collect();
    let mut table = Table::new();
    let titles = ["context"].into_iter().chain(outcomes.iter().copied());
    table.load_style(presets::NOTHING).set_header(titles);
    for context in contexts {
        let counts = outcomes.iter().map(|outcome| {
            let count = report.requests.get(&(context.to_owned(), *outcome));
            count.map(u64::to_string).unwrap_or_default()
        });
        table.add_row([context.to_owned()].into_iter().chain(counts));
    }
    table
}

/// Which invariant does not hold, since when, and how that shows.
fn told(violation: &Violation) -> String {
    let Violation { invariant, at, what } = violation;
    format!("{} at {}: {what} ({})", invariant.name(), seconds(*at), invariant.text())
}

/// For machines.
fn machine(timeline: &Timeline, report: &DrillReport) -> serde_json::Value {
    let violations: Vec<String> = report.violations.iter().map(told).collect();
    let dual: Vec<_> = report
        .dual_writers
        .iter()
        .map(|it| json!({"lease": it.lease, "fromMs": it.from_ms, "untilMs": it.until_ms}))
        .collect();
    let moves: Vec<_> = report
        .moves
        .iter()
        .map(|it| {
            json!({"atMs": it.at_ms, "lease": it.lease, "from": it.from, "to": it.to, "epoch": it.epoch})
        })
        .collect();
    let recoveries: Vec<_> = report
        .recoveries
        .iter()
        .map(|it| json!({"atMs": it.at_ms, "lease": it.lease, "afterMs": it.after_ms}))
        .collect();
    let requests: Vec<_> = report
        .requests
        .iter()
        .map(|((context, outcome), count)| {
            json!({"context": context, "outcome": outcome, "count": count})
        })
        .collect();
    json!({
        "name": timeline.name,
        "seed": timeline.seed,
        "lastsMs": timeline.lasts_ms,
        "violations": violations,
        "dualWriters": dual,
        "rtoMs": report.rto_ms(),
        "unjudgedMs": report.unjudged_ms,
        "moves": moves,
        "recoveries": recoveries,
        "requests": requests,
        "versions": {
            "written": report.versions_written,
            "lost": report.versions_lost,
            "overwritten": report.versions_overwritten,
        },
    })
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}
