//! Many seeds, on as many threads as there are processors.

use crate::fixture::Fixture;
use crate::mutant::Mutant;
use crate::setting::Mode;
use crate::world::{Counts, Options, Report, play};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many were played.
    pub played: u64,
    /// How many of these had each mode: bounded, fenced, beyond.
    pub modes: [u64; 3],
    /// How much happened in all of them.
    pub counts: Counts,
    /// The seeds that violated something, in their order, as far as they were played.
    pub failed: Vec<u64>,
}

/// What is asked of many seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Many {
    /// The mistake that is made.
    pub mutant: Option<Mutant>,
    /// How much goes wrong; as each seed says where not said.
    pub mode: Option<Mode>,
    /// After so many failures no new seed is begun.
    pub failures_max: usize,
}

/// Plays seeds. `progress` is told how many have been played, by whatever thread has played one.
///
/// # Errors
/// What is wrong with the example.
pub fn many(
    seeds: Range<u64>,
    what: Many,
    progress: impl Fn(u64) + Send + Sync,
) -> Result<Summary, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let stops = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let fault: Mutex<Option<String>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // A policy stays on the thread that compiled it.
                let fixture = match Fixture::load() {
                    Ok(fixture) => fixture,
                    Err(why) => {
                        *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                        return;
                    }
                };
                let mut own = Summary::default();
                while !stops.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let Many { mutant, mode, .. } = what;
                    let report =
                        play(&fixture, Options { seed, mode, mutant, ..Options::default() });
                    own.take(&report);
                    if what.failures_max > 0 && own.failed.len() >= what.failures_max {
                        stops.store(true, Ordering::Relaxed);
                    }
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
                summary.lock().unwrap_or_else(PoisonError::into_inner).add(own);
            });
        }
    });
    if let Some(why) = fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(why);
    }
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failed.sort_unstable();
    Ok(summary)
}

impl Summary {
    fn take(&mut self, report: &Report) {
        self.played += 1;
        if let Some(slot) = self.modes.get_mut(report.mode as usize) {
            *slot += 1;
        }
        self.counts.add(&report.counts);
        if report.violation.is_some() {
            self.failed.push(report.seed);
        }
    }

    fn add(&mut self, other: Self) {
        self.played += other.played;
        for (slot, more) in self.modes.iter_mut().zip(other.modes) {
            *slot += more;
        }
        self.counts.add(&other.counts);
        self.failed.extend(other.failed);
    }
}

/// A seed that is worth remembering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regression {
    /// The seed.
    pub seed: u64,
    /// How much goes wrong; as the seed says where not said.
    pub mode: Option<Mode>,
    /// What it has shown.
    pub why: &'static str,
}

/// The seeds that are worth remembering; a line that cannot be read is an error of its own.
///
/// # Errors
/// The line.
pub fn regressions() -> Result<Vec<Regression>, &'static str> {
    let read = |line: &'static str| {
        let (seed, rest) = line.split_once(' ')?;
        let seed = seed.parse().ok()?;
        let (word, why) = rest.split_once(' ')?;
        let mode = Mode::parse(word);
        Some(Regression { seed, mode, why: if mode.is_some() { why } else { rest } })
    };
    let lines = include_str!("../regressions.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| read(line).ok_or(line)).collect()
}

/// The command that plays a seed again.
pub fn repro(seed: u64, mode: Option<Mode>, mutant: Option<Mutant>) -> String {
    let mut command = format!("cargo run --release -p simulation -- --seed {seed}");
    for (flag, name) in [("--mode", mode.map(Mode::name)), ("--mutant", mutant.map(Mutant::name))] {
        if let Some(name) = name {
            command.push(' ');
            command.push_str(flag);
            command.push(' ');
            command.push_str(name);
        }
    }
    command
}

/// What happened with a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For people.
    pub text: String,
    /// Whether nothing was violated.
    pub is_well: bool,
}

/// What happened with a seed, for people: what is violated, how it came to it, how to see it again.
///
/// # Errors
/// What is wrong with the example.
pub fn story(seed: u64, mode: Option<Mode>, mutant: Option<Mutant>) -> Result<Told, String> {
    let fixture = Fixture::load()?;
    let options = Options { seed, mode, mutant, is_told: true, ..Options::default() };
    let report = play(&fixture, options);
    let mut text = report.story.to_text();
    // Writing into a String cannot fail.
    let _ = write!(text, "\nseed {seed}, {}: ", report.mode.name());
    match &report.violation {
        None => text.push_str("nothing is violated\n"),
        Some(violation) => {
            let (name, at) = (violation.invariant.name(), violation.at);
            let _ = write!(
                text,
                "{name} is violated after {}.{:03} s: {}\n  {name}: {}\n",
                at / 1_000,
                at % 1_000,
                violation.what,
                violation.invariant.text()
            );
        }
    }
    let _ = writeln!(text, "again: {}", repro(seed, mode, mutant));
    Ok(Told { text, is_well: report.violation.is_none() })
}
