//! The tables of the page.

use super::jobs;
use super::table::Table;
use crate::overload::announced::{FirstSecond, RISES, Rise};
use crate::overload::figures::Figures;
use crate::overload::number::float;
use crate::overload::queue::SECOND;
use crate::overload::roster::Algorithm;
use crate::overload::rows::{MATRIX, REFERENCE, Reference, Row};
use crate::overload::scenario::{AFTER, Scenario};

/// How many seeds a row with a reference is a mean of: so that its figures are within a hundredth of
/// what they would be of many more.
pub const REFERENCE_SEEDS: usize = 24;
/// How many of them any other row is of.
pub const SEEDS: usize = 3;
/// How many of them the first second of a rise is of: it is short.
pub const RISE_SEEDS: usize = 12;
/// The loads that algorithms are compared at.
pub const LOADS: [f64; 7] = [0.6, 1.2, 1.5, 2.0, 3.0, 6.0, 10.0];

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The cases that have a reference.
    Reference,
    /// The other cases.
    Matrix,
    /// The first second of a rise that region state announces or does not.
    Announced,
    /// Ours beside others at 3x and 6x.
    Others,
    /// Goodput of all by load.
    Goodput,
    /// Success of critical work of all by load.
    Critical,
}

impl Section {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Reference,
        Self::Matrix,
        Self::Announced,
        Self::Others,
        Self::Goodput,
        Self::Critical,
    ];

    /// What it is called on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Matrix => "matrix",
            Self::Announced => "announced",
            Self::Others => "others",
            Self::Goodput => "goodput",
            Self::Critical => "critical",
        }
    }

    /// Plays what it needs, from this seed on.
    pub fn table(self, seed: u64) -> Table {
        match self {
            Self::Reference => reference(&reference_figures(seed)),
            Self::Matrix => {
                let note = format!("Means of {SEEDS} seeds.");
                cases("Other cases", &note, &MATRIX, &figures(&MATRIX, seed, SEEDS))
            }
            Self::Announced => announced(seed),
            Self::Others => others(seed),
            Self::Goodput => by_load(
                "Goodput by load",
                "Of the capacity; at the load of the first row, times the capacity.",
                seed,
                |figures| figures.goodput,
            ),
            Self::Critical => by_load(
                "Success of critical requests by load",
                "Of the users' requests; at the load of the first row, times the capacity.",
                seed,
                |figures| figures.success.critical,
            ),
        }
    }
}

const HEADER: [&str; 17] = [
    "case",
    "goodput",
    "critical",
    "high",
    "normal",
    "low",
    "crit. 1st try",
    "high 1st try",
    "crit. first 5 s",
    "p99 ms",
    "inversion",
    "session 5",
    "at random",
    "CV",
    "limit swing",
    "recovery s",
    "false shed",
];

/// A row of figures.
fn line(name: &str, figures: &Figures) -> Vec<String> {
    let share = |value: f64| format!("{value:.3}");
    let Figures { success, at_once, .. } = figures;
    let watched = float(AFTER / SECOND);
    let recovery = if figures.recovery >= watched {
        String::from("never")
    } else {
        format!("{:.1}", figures.recovery)
    };
    let mut cells = vec![name.to_owned(), share(figures.goodput)];
    cells.extend(success.iter().copied().map(share));
    cells.extend([
        share(at_once.critical),
        share(at_once.high),
        share(figures.critical_first),
        format!("{:.0}", figures.critical_p99_ms),
        share(figures.inversion),
        share(figures.session),
        share(figures.session_at_random),
        share(figures.variation),
        format!("{:.2}", figures.limit_swing),
        recovery,
        format!("{:.4}", figures.false_shed),
    ]);
    cells
}

fn reference_line(reference: &Reference) -> Vec<String> {
    let share = |value: f64| format!("{value:.3}");
    let mut cells = vec![String::from("… reference"), share(reference.goodput)];
    cells.extend([reference.critical, reference.high].map(share));
    cells.extend([reference.normal, reference.low].map(|it| it.map_or_else(String::new, share)));
    cells.extend([const { String::new() }; 2]);
    cells.push(share(reference.critical_first));
    cells.push(format!("{:.0}", reference.critical_p99_ms));
    cells.extend([const { String::new() }; 3]);
    cells.push(share(reference.variation));
    cells.push(String::new());
    cells.push(format!("{:.1}", reference.recovery));
    cells.push(format!("{:.4}", reference.false_shed));
    cells
}

/// The means of each row over so many seeds.
fn figures(of: &[Row], seed: u64, seeds: usize) -> Vec<Figures> {
    let runs = of.iter().flat_map(|row| (seed..).take(seeds).map(|seed| (row.scenario)(seed)));
    let runs: Vec<_> = runs.collect();
    let all = jobs::all("cases", &runs, |scenario: &Scenario| {
        Figures::of(scenario, &Algorithm::Ours.play(scenario))
    });
    all.chunks(seeds).filter_map(Figures::mean).collect()
}

/// The figures of the cases that have a reference, in their order.
pub fn reference_figures(seed: u64) -> Vec<Figures> {
    figures(&REFERENCE, seed, REFERENCE_SEEDS)
}

/// Their table.
pub fn reference(figures: &[Figures]) -> Table {
    let note = format!(
        "Means of {REFERENCE_SEEDS} seeds. Below each row what the algorithm, as it was written down \
         first, reached in another simulator."
    );
    cases("Reference cases", &note, &REFERENCE, figures)
}

fn cases(title: &str, note: &str, rows: &[Row], figures: &[Figures]) -> Table {
    let mut table = Table::new(title, note, &HEADER);
    for (row, figures) in rows.iter().zip(figures) {
        let is_missed = row.reference.is_some_and(|least| {
            figures.goodput < 0.98 * least.goodput
                || figures.success.critical < 0.98 * least.critical
        });
        table.rows.push((line(row.name, figures), is_missed));
        if let Some(reference) = &row.reference {
            table.rows.push((reference_line(reference), false));
        }
    }
    table
}

fn announced(seed: u64) -> Table {
    let note = format!("In the first second of a rise. Means of {RISE_SEEDS} seeds.");
    let header = ["rise", "goodput", "critical", "high", "most in flight"];
    let mut table = Table::new("What an announcement does", &note, &header);
    let runs = RISES.iter().flat_map(|rise| (seed..).take(RISE_SEEDS).map(|seed| (*rise, seed)));
    let runs: Vec<(Rise, u64)> = runs.collect();
    let all = jobs::all("announced", &runs, |(rise, seed)| rise.play(*seed));
    for (rise, of) in RISES.iter().zip(all.chunks(RISE_SEEDS)) {
        let cells = [rise.name()].into_iter().chain(FirstSecond::mean(of).cells()).collect();
        table.rows.push((cells, false));
    }
    table
}

fn others(seed: u64) -> Table {
    let note = "One seed. Everyone sees the same requests at the same moments.";
    let mut table = Table::new("Beside others, 3x and 6x", note, &HEADER);
    for times in [3.0, 6.0] {
        let scenario = Scenario::step(seed, times);
        let all = jobs::all("others", &Algorithm::ALL, |algorithm| {
            Figures::of(&scenario, &algorithm.play(&scenario))
        });
        for (algorithm, figures) in Algorithm::ALL.iter().zip(all) {
            let name = format!("{times}x {}", algorithm.name());
            table.rows.push((line(&name, &figures), false));
        }
    }
    table
}

/// Every algorithm at every load.
pub fn loads(seed: u64) -> Vec<(Algorithm, Vec<Figures>)> {
    let runs: Vec<_> = Algorithm::ALL.iter().flat_map(|of| LOADS.map(|load| (*of, load))).collect();
    let all = jobs::all("loads", &runs, |(algorithm, load)| {
        let scenario = Scenario::step(seed, *load);
        Figures::of(&scenario, &algorithm.play(&scenario))
    });
    let by_algorithm = all.chunks(LOADS.len()).map(<[Figures]>::to_vec);
    Algorithm::ALL.into_iter().zip(by_algorithm).collect()
}

fn by_load(title: &str, note: &str, seed: u64, value: fn(&Figures) -> f64) -> Table {
    let mut header = vec![String::from("algorithm")];
    header.extend(LOADS.iter().map(|load| format!("{load}")));
    let header: Vec<_> = header.iter().map(String::as_str).collect();
    let mut table = Table::new(title, note, &header);
    for (algorithm, figures) in loads(seed) {
        let mut cells = vec![algorithm.name().to_owned()];
        cells.extend(figures.iter().map(|figures| format!("{:.3}", value(figures))));
        table.rows.push((cells, false));
    }
    table
}
