//! The command line: what is to be measured, progress, and where the report goes.

use crate::case::{Case, Span};
use crate::chart;
use crate::machine::Machine;
use crate::report::{self, Report};
use crate::run::Bench;
use crate::trouble::Trouble;
use crate::variant::Variant;
use clap::{Args, Parser, Subcommand, ValueEnum};
use simulation::rng::Rng;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Measures a real Envoy.
#[derive(Debug, Parser)]
#[command(about = "Measures a real Envoy")]
pub struct Asked {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// More load than there is capacity for, with load shedding by ours, by Envoy and by nobody
    Overload(Overload),
}

/// What else can happen than that too much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Event {
    /// 80 % of what can be served, when nothing should be shed
    Calm,
    /// Each request takes twice as long
    Slow,
    /// Half of the servers are gone
    Halved,
    /// No server begins with anything any more
    Hung,
}

#[derive(Debug, Args)]
struct Overload {
    /// How many times the capacity is asked for
    #[arg(long, value_delimiter = ',', default_value = "1.5,2,3,6,10", value_parser = times)]
    steps: Vec<f64>,
    /// What else happens
    #[arg(long, value_delimiter = ',', default_value = "calm,slow,halved")]
    events: Vec<Event>,
    /// Who sheds
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<Variant>>,
    /// How long each overload lasts
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(6..=3600))]
    seconds: u32,
    /// How many servers the upstream has; each does 50 requests a second
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(2..=1000))]
    servers: u32,
    /// What arrivals, services and the order of the runs are drawn from
    #[arg(long, default_value = "1")]
    seed: u64,
    /// For how many seconds a user heeds a `Retry-After` at most: whoever comes back when the overload is
    /// over counts as served, and not every variant says when
    #[arg(long, default_value = "0")]
    heed: u64,
    /// 80 %, 3x and less time for each: about three minutes
    #[arg(long, conflicts_with_all = ["steps", "events", "seconds"])]
    quick: bool,
    /// Writes the report as Markdown with charts into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The Envoy to measure; otherwise one is found or fetched
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
}

/// Does what was asked for.
///
/// # Errors
/// What the machine lacks.
pub async fn run(asked: Asked) -> Result<(), Trouble> {
    let Command::Overload(asked) = asked.command;
    let began = SystemTime::now();
    let mut say = |line: &str| eprintln!("{line}");
    let envoy = local_mesh::envoy::find(asked.envoy.as_deref(), &mut say).await?;
    let bench = Bench {
        envoy,
        servers: asked.servers,
        span: asked.span(),
        seed: asked.seed,
        heed: Duration::from_secs(asked.heed),
    };
    let plan = asked.plan();
    eprintln!("{}", announcement(&bench, &plan));
    let count = plan.len();
    let mut measured = Vec::new();
    for (number, (case, variant)) in plan.into_iter().enumerate() {
        eprint!("[{}/{count}] {}, {}: ", number + 1, case.name(), variant.name());
        let one = bench.measure(case, variant).await?;
        eprintln!("{}", report::line(&one));
        measured.push(one);
    }
    let report = Report { bench, machine: Machine::this(), began, measured };
    println!("{}", report::tables(&report));
    match asked.out {
        Some(directory) => write(&report, &directory),
        None => Ok(()),
    }
}

fn write(report: &Report, directory: &std::path::Path) -> Result<(), Trouble> {
    let what = || directory.display().to_string();
    std::fs::create_dir_all(directory).map_err(Trouble::io(what()))?;
    let files = [
        ("measured.md", report::markdown(report)),
        (chart::GOODPUT, chart::goodput(&report.measured)),
        (chart::CRITICAL, chart::critical(&report.measured)),
    ];
    for (name, text) in files {
        std::fs::write(directory.join(name), text).map_err(Trouble::io(what()))?;
    }
    Ok(())
}

impl Overload {
    fn span(&self) -> Span {
        if self.quick {
            Span { before: 4, stress: 10, after: 8 }
        } else {
            Span { before: 5, stress: self.seconds, after: 12 }
        }
    }

    fn cases(&self) -> Vec<Case> {
        if self.quick {
            return vec![Case::Calm, Case::Times(3.0)];
        }
        let event = |event: Event| match event {
            Event::Calm => Case::Calm,
            Event::Slow => Case::Slow,
            Event::Halved => Case::Halved,
            Event::Hung => Case::Hung,
        };
        let has = |wanted: &Event| self.events.contains(wanted);
        let calm = [Event::Calm].into_iter().filter(has).map(event);
        let steps = self.steps.iter().copied().map(Case::Times);
        let others = [Event::Slow, Event::Halved, Event::Hung].into_iter().filter(has).map(event);
        calm.chain(steps).chain(others).collect()
    }

    /// The runs in their order: by case, and in each the variants shuffled, so that none always comes
    /// first on a machine that changes.
    fn plan(&self) -> Vec<(Case, Variant)> {
        let mut rng = Rng::new(self.seed);
        let mut plan = Vec::new();
        for case in self.cases() {
            let mut variants = self.peers.clone().unwrap_or_else(|| Variant::DEFAULT.to_vec());
            while !variants.is_empty() {
                let variant = variants.swap_remove(rng.place(variants.len()));
                plan.push((case, variant));
            }
        }
        plan
    }
}

fn announcement(bench: &Bench, plan: &[(Case, Variant)]) -> String {
    let about = Duration::from_secs(u64::from(bench.span.seconds()) + 3);
    let runs = u32::try_from(plan.len()).unwrap_or(u32::MAX);
    let minutes = (about * runs).as_secs().div_ceil(60);
    let peak = plan.iter().map(|(case, _)| case.peak(bench.servers, bench.span));
    format!(
        "Envoy {}, a capacity of {} requests a second, up to {} asked for; about {minutes} minutes",
        bench.envoy.version,
        bench.servers * 50,
        peak.fold(0.0, f64::max),
    )
}

/// The number of a step.
fn times(text: &str) -> Result<f64, String> {
    let times: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.1..=100.0).contains(&times) {
        Ok(times)
    } else {
        Err("is not from 0.1 to 100".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arguments: &[&str]) -> Vec<(Case, Variant)> {
        let arguments = ["bench", "overload"].iter().chain(arguments);
        let Command::Overload(asked) = Asked::try_parse_from(arguments).unwrap().command;
        asked.plan()
    }

    #[test]
    fn every_case_is_played_with_every_variant() {
        let all = plan(&[]);
        assert_eq!(all.len(), 8 * 4);
        for (index, chunk) in all.chunks(4).enumerate() {
            for variant in Variant::DEFAULT {
                assert!(chunk.iter().any(|(_, found)| *found == variant), "{index}: {variant:?}");
            }
        }
        assert_eq!(all, plan(&[]), "the order is that of the seed");
        assert_ne!(all, plan(&["--seed", "2"]));
    }

    #[test]
    fn what_is_asked_for_is_played() {
        let arguments = ["--steps", "3,6", "--events", "hung", "--peers", "none,meshfence"];
        let mut found: Vec<_> = plan(&arguments).into_iter().map(|(case, _)| case.name()).collect();
        found.dedup();
        assert_eq!(found, ["3x", "6x", "backend hangs"]);
        assert_eq!(plan(&["--quick"]).len(), 8);
        let refused = ["bench", "overload", "--steps", "0"];
        assert!(Asked::try_parse_from(refused).is_err());
    }
}
