//! Tables, for a terminal and as Markdown.

use crate::bounds::BOUNDS;
use crate::case::{Case, MEAN_MS, SIGMA, WORKERS};
use crate::chart::{CRITICAL, GOODPUT};
use crate::machine::Machine;
use crate::run::{Bench, Measured};
use policy_core::{PerPriority, Priority};
use simulation::overload::figures::Figures;
use simulation::overload::number::float;
use simulation::overload::queue::SECOND;
use simulation::overload::report::table::Table;
use simulation::overload::scenario::{BASE_LOAD, Scenario};
use std::fmt::Write as _;
use std::time::SystemTime;

/// A whole measurement.
#[derive(Debug)]
pub struct Report {
    /// With what.
    pub bench: Bench,
    /// Where.
    pub machine: Machine,
    /// When.
    pub began: SystemTime,
    /// What came of it.
    pub measured: Vec<Measured>,
}

/// What users have of it.
const USERS: [&str; 12] = [
    "case",
    "goodput",
    "critical",
    "high",
    "normal",
    "low",
    "crit. first 5 s",
    "crit. p99 ms",
    "recovery s",
    "CV",
    "false shed",
    "inversion",
];

/// What else there is to know.
const MORE: [&str; 15] = [
    "case",
    "crit. 1st try",
    "high 1st try",
    "normal 1st try",
    "low 1st try",
    "Jain high",
    "Jain normal",
    "attempts/s",
    "servers busy",
    "done in vain",
    "proxy ms/1000",
    "cores busy",
    "with others",
    "sent late ms",
    "left",
];

fn part(share: f64) -> String {
    if share.is_finite() { format!("{share:.3}") } else { "–".to_owned() }
}

fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { "–".to_owned() }
}

/// Seconds, or that it took longer than was watched.
fn recovery(scenario: &Scenario, figures: &Figures) -> String {
    let watched = float((scenario.end - scenario.stress.end) / SECOND);
    if figures.recovery >= watched {
        format!("> {watched:.0}")
    } else {
        format!("{:.0}", figures.recovery)
    }
}

fn users(scenario: &Scenario, figures: &Figures, false_shed: f64) -> Vec<String> {
    let mut cells = vec![part(figures.goodput)];
    cells.extend(figures.success.iter().copied().map(part));
    cells.extend([
        part(figures.critical_first),
        format!("{:.0}", figures.critical_p99_ms),
        recovery(scenario, figures),
        part(figures.variation),
        percent(false_shed),
        percent(figures.inversion),
    ]);
    cells
}

fn more(it: &Measured) -> Vec<String> {
    let mut cells: Vec<_> = it.figures.at_once.iter().copied().map(part).collect();
    cells.extend([
        part(it.fairness.high),
        part(it.fairness.normal),
        format!("{:.0}", it.attempts),
        part(it.servers_busy),
        percent(it.in_vain),
        format!("{:.0}", it.cpu_ms),
        percent(it.busy),
        percent(it.others),
        format!("{:.1}", it.late_ms),
        it.left.map_or("–".to_owned(), |left| left.to_string()),
    ]);
    cells
}

/// A run in a line, for progress.
pub fn line(it: &Measured) -> String {
    let PerPriority { critical, high, normal, low } = it.figures.success;
    // Of nothing that could be served there is no share.
    let goodput = Some(it.figures.goodput).filter(|share| share.is_finite());
    let goodput = goodput.map_or("–".to_owned(), |share| format!("{share:.3}"));
    let mut text = format!(
        "goodput {goodput}, success {critical:.3} {high:.3} {normal:.3} {low:.3}, cores {:.0} % busy, \
         {:.0} % with others, sent {:.1} ms late",
        100.0 * it.busy,
        100.0 * it.others,
        it.late_ms,
    );
    for (why, count) in &it.broken {
        // Writing into a String cannot fail.
        let _ = write!(text, "; {count} times {why}");
    }
    text
}

/// The tables alone.
pub fn tables(report: &Report) -> String {
    let first = table(
        report,
        ("What users have of it", "Shares of what the upstream could do, or of the requests."),
        &USERS,
        |it| Some(users(&it.scenario, &it.figures, it.false_shed)),
    );
    let second = table(report, ("What else there is to know", "Explained below."), &MORE, |it| {
        Some(more(it))
    });
    let third = table(
        report,
        (
            "The same in the model",
            "The same scenario and seed without a proxy, with the algorithms as they are modelled; \
             users know no `Retry-After` there, and `admission_control` looks \
             at two minutes there, here at half of one.",
        ),
        &USERS,
        |it| it.model().map(|(figures, shed)| users(&it.scenario, &figures, shed)),
    );
    [first, bounds(report), second, third, troubles(report)].join("\n")
}

/// What ours is to reach, of what was played.
fn bounds(report: &Report) -> String {
    let header = ["case", "figure", "is to be", "was", "reached"];
    let mut table = Table::new("What meshfence is to reach", "Of the figures above.", &header);
    let rows = BOUNDS.iter().filter_map(|bound| bound.row(&report.measured));
    table.rows.extend(rows.map(|row| (row.to_vec(), false)));
    if table.rows.is_empty() { String::new() } else { table.to_text(false) }
}

/// What ended otherwise than by an answer or a client's patience, and would make figures worthless.
fn troubles(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.measured {
        for (why, count) in &one.broken {
            let (case, variant) = (one.case.name(), one.variant.name());
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{case}, {variant}: {count} attempts broke off, {why}");
        }
    }
    text
}

fn table(
    report: &Report,
    (title, note): (&str, &str),
    header: &[&str],
    cells: impl Fn(&Measured) -> Option<Vec<String>>,
) -> String {
    let mut table = Table::new(title, note, header);
    for case in cases(report) {
        for one in of(report, case) {
            let name = format!("{}: {}", case.name(), one.variant.name());
            let row = cells(one).map(|cells| std::iter::once(name).chain(cells).collect());
            table.rows.extend(row.map(|row| (row, false)));
        }
    }
    table.to_text(false)
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    [opening(report), tables(report), closing()].join("\n")
}

fn cases(report: &Report) -> Vec<Case> {
    let mut cases: Vec<Case> = report.measured.iter().map(|one| one.case).collect();
    cases.dedup();
    cases
}

/// The runs of a case, in the order in which variants are listed.
fn of(report: &Report, case: Case) -> Vec<&Measured> {
    let mut found: Vec<_> = report.measured.iter().filter(|one| one.case == case).collect();
    found.sort_by_key(|one| one.variant as u8);
    found
}

fn opening(report: &Report) -> String {
    let Report { bench, machine, began, .. } = report;
    let Machine { processor, cores, system } = machine;
    let scenario = Case::Calm.scenario(bench.servers, bench.span, bench.seed);
    let of = |priority: Priority| format!("{:.0} % {priority}", 100.0 * scenario.mix[priority]);
    let mix: Vec<_> = Priority::ALL.iter().copied().map(of).collect();
    format!(
        "# What was measured\n\n\
         Made by `cargo run --release -p bench -- overload --out DIR` on {date}: Envoy {version} with \
         {WORKERS} workers; {processor}, {cores} cores, {system}. Proxy, users and upstream share the \
         cores.\n\n\
         {servers} servers before one queue, each request takes {MEAN_MS} ms on average (lognormal, σ = \
         {SIGMA}): {capacity:.0} requests a second. {users} users ({mix}); an attempt is given up after \
         a second and repeated twice, after up to 100 and 200 ms, or when `Retry-After` says, which is \
         heeded up to {heed} s. {base:.0} % of the capacity for {before} s, then the case for {stress} s, \
         then {base:.0} % for {after} s. Seed {seed}.\n\n\
         ![Critical requests that were answered, by the second]({CRITICAL})\n\n\
         ![Goodput by the second]({GOODPUT})\n",
        date = httpdate::fmt_http_date(*began),
        version = bench.envoy.version,
        servers = bench.servers,
        capacity = scenario.backend.capacity(),
        users = scenario.clients.users,
        mix = mix.join(", "),
        heed = bench.heed.as_secs(),
        base = 100.0 * BASE_LOAD,
        before = bench.span.before,
        stress = bench.span.stress,
        after = bench.span.after,
        seed = bench.seed,
    )
}

/// What the columns mean.
fn closing() -> String {
    "## The columns\n\n\
     - **goodput**: answers to users who still waited, of what the upstream could have done during the \
     case. How long services took is drawn, and a sample of some thousands is a percent off: **servers \
     busy** says which share of the servers' time was used.\n\
     - **critical … low**: users' requests that were answered, with all attempts; **1st try** without \
     the others.\n\
     - **recovery**: seconds from the end of the case to the first in which less than 1 % was shed and \
     97 % of the users were answered.\n\
     - **CV**: coefficient of variation of goodput by the second.\n\
     - **false shed**: attempts that were refused while less was asked for than could be done: at 80 % \
     during all of the case, else in the calm before, from its third second on, while the limits of a \
     proxy that has just started are still small.\n\
     - **inversion**: of critical attempts in seconds in which more than 5 % of low ones were let in, \
     those that were refused.\n\
     - **Jain**: fairness over users of the share of their requests that was answered.\n\
     - **done in vain**: of what the upstream has finished with, what nobody waited for any more.\n\
     - **proxy**: processor time of Envoy for 1000 attempts.\n\
     - **cores busy**: of the machine, with users and upstream; **with others**: the part of that which \
     was neither.\n\
     - **sent late**: by how much 99 of 100 requests were sent after they were due, at most. They are \
     measured from when they were due.\n\
     - **left**: what the module counted as in flight when nobody waited any more.\n"
        .to_owned()
}
