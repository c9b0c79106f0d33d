//! Every mistake is found, and by the invariant that is there for it.

use simulation::check::Invariant;
use simulation::fixture::Fixture;
use simulation::mutant::Mutant;
use simulation::run;
use simulation::world::{Options, play};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

/// A mistake that so many seeds do not find is not found.
const SEEDS_MAX: u64 = 2_000;

/// The first seed from which on one of the invariants is violated that are there for it.
fn killed(fixture: &Fixture, mutant: Mutant) -> Option<(u64, &'static str)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let options = Options { seed, mutant: Some(mutant), ..Options::default() };
        let by = play(fixture, options).violation?.invariant.name();
        mutant.found_by().contains(&by).then_some((seed, by))
    })
}

#[test]
fn every_mistake_is_found() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let rows = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let fixture = Fixture::load().unwrap();
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(mutant) = Mutant::ALL.get(number) else { break };
                    let found = killed(&fixture, *mutant);
                    rows.lock().unwrap().push((number, *mutant, found));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(number, ..)| *number);
    let mut table = format!("{:22} {:4} {:>6} {:>6}  mistake\n", "mutant", "by", "seed", "tried");
    for (_, mutant, found) in &rows {
        let (by, seed, tried) = match found {
            Some((seed, by)) => (*by, seed.to_string(), seed + 1),
            None => ("-", "-".to_owned(), SEEDS_MAX),
        };
        writeln!(table, "{:22} {by:4} {seed:>6} {tried:>6}  {}", mutant.name(), mutant.text())
            .unwrap();
    }
    // Past what catches the output of tests that succeed.
    writeln!(std::io::stderr(), "{table}").unwrap();
    let survivors: Vec<_> = rows.iter().filter(|(.., found)| found.is_none()).collect();
    assert!(survivors.is_empty(), "{table}");
    // Every invariant has found one: a checker that finds nothing checks nothing.
    let by: BTreeSet<_> = rows.iter().filter_map(|(.., found)| Some(found.as_ref()?.1)).collect();
    let all: BTreeSet<_> = Invariant::ALL.iter().map(|invariant| invariant.name()).collect();
    assert_eq!(by, all);
}

/// What is shown of a failure is enough to see it again.
#[test]
fn a_failure_is_a_story_with_a_command() {
    let fixture = Fixture::load().unwrap();
    let (seed, by) = killed(&fixture, Mutant::StoreGrantsEarly).unwrap();
    let story = run::story(seed, None, Some(Mutant::StoreGrantsEarly)).unwrap().text;
    for part in [
        "taiwan",
        "tokyo",
        "is granted to",
        &format!("{by} is violated after"),
        &format!(
            "again: cargo run --release -p simulation -- --seed {seed} --mutant StoreGrantsEarly"
        ),
    ] {
        assert!(story.contains(part), "{part} is not in\n{story}");
    }
}
