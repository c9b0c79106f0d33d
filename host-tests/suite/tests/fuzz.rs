//! Anything at all, on the whole module: no trap, every request ends with an answer of the contract
//! or passes as it may, and the next one is served.
//!
//! Here the corpus is played, and a bounded number of changes of it by a seed, so that the run is the
//! same everywhere. A fuzzer plays the same for as long as it likes: see CONTRIBUTING.md.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails fails the test"
)]

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use trial::Target;
use trial::mutate::{Random, mutated};

/// Inputs of one target: about ten seconds on a slow machine.
const INPUTS: usize = 20_000;
/// A configuration is three proxies.
const CONFIGURATIONS: usize = 600;
/// A response is redacted on two proxies, and may be large.
const REDACTIONS: usize = 4_000;
/// Longer inputs show nothing new.
const LENGTH_MAX: usize = 4096;

fn corpus(target: Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target.name());
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

/// Plays the corpus, and changes of whatever has shown something new.
fn run(target: Target, inputs: usize) {
    let mut known = HashSet::new();
    let mut pool = Vec::new();
    for (file, input) in corpus(target) {
        let seen =
            target.play(&input).unwrap_or_else(|broken| panic!("{}: {broken}", file.display()));
        known.extend(seen.marks());
        pool.push(input);
    }
    let (seeds, at_first) = (pool.len(), known.len());
    let mut random = Random::new(37);
    for number in 0..inputs {
        let input = pool[random.below(pool.len())].clone();
        let mut input = mutated(&input, &pool, &mut random);
        input.truncate(LENGTH_MAX);
        let seen = target.play(&input).unwrap_or_else(|broken| {
            let shown = String::from_utf8_lossy(&input);
            panic!("{}, input {number}:\n{shown}\n{broken}", target.name())
        });
        let marks: BTreeSet<u64> = seen.marks().collect();
        if marks.iter().any(|mark| !known.contains(mark)) {
            known.extend(marks);
            pool.push(input);
        }
    }
    println!(
        "{}: {seeds} seeds and {inputs} inputs; {at_first} marks, then {}; {} inputs were new",
        target.name(),
        known.len(),
        pool.len() - seeds,
    );
}

#[test]
fn headers() {
    run(Target::Headers, INPUTS);
}

#[test]
fn bodies() {
    run(Target::Bodies, INPUTS);
}

#[test]
fn redaction() {
    run(Target::Redaction, REDACTIONS);
}

#[test]
fn properties() {
    run(Target::Properties, INPUTS);
}

#[test]
fn configuration() {
    run(Target::Configuration, CONFIGURATIONS);
}

#[test]
fn region_state() {
    run(Target::RegionState, CONFIGURATIONS);
}

#[test]
fn agent() {
    run(Target::Agent, CONFIGURATIONS);
}

#[test]
fn call_responses() {
    run(Target::CallResponses, INPUTS);
}

#[test]
fn subjects() {
    run(Target::Subjects, INPUTS);
}
