//! Plays seeds from the command line.

use simulation::mutant::Mutant;
use simulation::run::{self, Many};
use simulation::setting::Mode;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str =
    "usage: simulation --seeds FROM..UNTIL [--mode bounded|fenced|beyond] [--mutant NAME]
       simulation --seed SEED [--mode MODE] [--mutant NAME]
       simulation --mutants
       simulation overload [--rows NAMES] [--seed SEED] [--out DIRECTORY]";

/// What the command line says.
#[derive(Default)]
struct Asked {
    seeds: Option<std::ops::Range<u64>>,
    is_story: bool,
    mode: Option<Mode>,
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == "overload").is_some() {
        return match simulation::overload::command::run(words) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("{why}");
                ExitCode::from(2)
            }
        };
    }
    let mut asked = Asked::default();
    while let Some(word) = words.next() {
        if word == "--mutants" {
            for mutant in Mutant::ALL {
                println!("{:24} {}", mutant.name(), mutant.text());
            }
            return ExitCode::SUCCESS;
        }
        let Some(value) = words.next() else { return usage() };
        let is_read = match word.as_str() {
            "--seeds" => {
                let ends = value.split_once("..");
                let range =
                    ends.and_then(|(from, until)| Some(from.parse().ok()?..until.parse().ok()?));
                asked.seeds = range.filter(|range| !range.is_empty());
                asked.seeds.is_some()
            }
            "--seed" => {
                let seed: Option<u64> = value.parse().ok();
                (asked.seeds, asked.is_story) = (seed.map(|seed| seed..seed + 1), true);
                asked.seeds.is_some()
            }
            "--mode" => {
                asked.mode = Mode::parse(&value);
                asked.mode.is_some()
            }
            "--mutant" => {
                asked.mutant = Mutant::parse(&value);
                asked.mutant.is_some()
            }
            _ => false,
        };
        if !is_read {
            return usage();
        }
    }
    let Some(seeds) = asked.seeds.clone() else { return usage() };
    let result = if asked.is_story {
        run::story(seeds.start, asked.mode, asked.mutant).map(|story| {
            println!("{}", story.text);
            story.is_well
        })
    } else {
        play(&asked, seeds)
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(4),
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn play(asked: &Asked, seeds: std::ops::Range<u64>) -> Result<bool, String> {
    let began = Instant::now();
    let (total, is_terminal) =
        (seeds.end.saturating_sub(seeds.start), std::io::stderr().is_terminal());
    let progress = |done: u64| {
        if is_terminal && done.is_multiple_of(200) {
            let mut out = std::io::stderr();
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(out, "\r{done} of {total} seeds, {} s", began.elapsed().as_secs());
            let _ = out.flush();
        }
    };
    let what = Many { mutant: asked.mutant, mode: asked.mode, failures_max: 3 };
    let summary = run::many(seeds.clone(), what, progress)?;
    if is_terminal {
        eprintln!();
    }
    let [bounded, fenced, beyond] = summary.modes;
    println!(
        "{} seeds of {}..{} in {} s ({bounded} bounded, {fenced} fenced, {beyond} beyond), {} violations",
        summary.played,
        seeds.start,
        seeds.end,
        began.elapsed().as_secs(),
        summary.failed.len()
    );
    println!("{:?}", summary.counts);
    for seed in summary.failed.iter().take(1) {
        println!("{}", run::story(*seed, asked.mode, asked.mutant)?.text);
    }
    Ok(summary.failed.is_empty())
}
