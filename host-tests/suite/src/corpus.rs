//! The whole corpus: every case of every `PolicyTest`, on the engines of this process and on
//! whatever runs Envoys.

use crate::{Trouble, example, turn};
use meshfence::engine::{Engine, Outcome, Play, envoy, native::Native, wasm::Wasm};
use meshfence::policy_set::{self, Origin};
use meshfence::report::{self, Comparison};
use meshfence::{LocalRun, Settings};
use policy_doc::{Case, PolicySet, PolicyTest, Purpose};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Every case of the corpus, by policy set: a mesh runs one.
#[derive(Debug)]
pub struct Corpus {
    parts: Vec<Part>,
}

/// The cases of one policy set.
#[derive(Debug)]
struct Part {
    set: PolicySet,
    /// The file of each case, and the case.
    cases: Vec<(String, Case)>,
}

impl Corpus {
    /// Reads the example's own tests, the files of `host-tests/scenarios`, which are about the
    /// example, and its directories, which are policy sets with tests of their own.
    ///
    /// # Errors
    /// What is wrong with them; diagnostics are on standard error.
    pub fn read() -> Result<Self, Trouble> {
        let set = example()?;
        let mut tests = set.tests.clone();
        let mut others = Vec::new();
        for path in listed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"))? {
            if path.is_dir() {
                others.push(policy_set::require(Origin::Directory(&path), Purpose::LocalTry)?);
            } else {
                tests.push(policy_set::test_file(&set, &path)?);
            }
        }
        let mut parts = vec![Part::new(set, tests)?];
        for set in others {
            let tests = set.tests.clone();
            parts.push(Part::new(set, tests)?);
        }
        Ok(Self { parts })
    }

    /// Plays every case on the engines of this process.
    ///
    /// # Errors
    /// A module that cannot be loaded.
    pub fn play_here(&self) -> Result<Vec<Outcome>, Trouble> {
        let mut outcomes = Vec::new();
        for Part { set, cases } in &self.parts {
            let mut here = Here::new(set)?;
            outcomes.extend(cases.iter().map(|(file, case)| here.play(file, case)));
        }
        Ok(outcomes)
    }

    /// Plays every case on Envoys too, and holds what every engine saw against all others.
    ///
    /// # Errors
    /// Every case that did not come out as expected, or not the same on all, in one account; what
    /// kept one from being played.
    pub async fn play(&self, settings: Settings) -> Result<Comparison, Trouble> {
        let _turn = turn().await;
        let mut outcomes = Vec::new();
        for part in &self.parts {
            outcomes.extend(part.play(settings.clone()).await?);
        }
        Trouble::unless_empty(&failures(&outcomes))?;
        Ok(Comparison::of(&outcomes))
    }
}

/// The engines of this process, for one policy set.
struct Here {
    native: Native,
    wasm: Wasm,
}

impl Here {
    fn new(set: &PolicySet) -> Result<Self, Trouble> {
        Ok(Self { native: Native::new(set), wasm: Wasm::new(set).map_err(Trouble::new)? })
    }

    fn play(&mut self, file: &str, case: &Case) -> Outcome {
        let started = Instant::now();
        let seen = self.native.play(case);
        let native = Play::new(Engine::Native, case, seen, started.elapsed());
        let started = Instant::now();
        let seen = self.wasm.play(case);
        let wasm = Play::new(Engine::Wasm, case, seen, started.elapsed());
        Outcome { file: file.to_owned(), case: case.clone(), plays: vec![native, wasm] }
    }
}

impl Part {
    fn new(set: PolicySet, tests: Vec<PolicyTest>) -> Result<Self, Trouble> {
        let cases = tests.into_iter().flat_map(|PolicyTest { file, cases, .. }| {
            cases.into_iter().map(move |case| (file.clone(), case))
        });
        let cases: Vec<_> = cases.collect();
        if cases.is_empty() {
            return Err(Trouble::new(format!("there is no case for `{}`", set.name)));
        }
        Ok(Self { set, cases })
    }

    async fn play(&self, settings: Settings) -> Result<Vec<Outcome>, Trouble> {
        let cases: Vec<&Case> = self.cases.iter().map(|(_, case)| case).collect();
        let first = cases.first().map(|case| case.state.clone()).unwrap_or_default();
        let mut run = LocalRun::start(&self.set, &first, settings, &mut |_| {}).await?;
        let mut now = String::new();
        let played = envoy::play(&mut run, &cases, &mut |what| what.clone_into(&mut now)).await;
        run.stop().await;
        let seen = played
            .map_err(|failure| Trouble::new(format!("at `{now}`: {}", Trouble::from(failure))))?;
        if seen.len() != cases.len() {
            return Err(Trouble::new(format!("{} of {} were played", seen.len(), cases.len())));
        }
        let mut here = Here::new(&self.set)?;
        let outcomes = self.cases.iter().zip(seen).map(|((file, case), (seen, took))| {
            let mut outcome = here.play(file, case);
            outcome.plays.push(Play::new(Engine::Envoy, case, seen, took));
            outcome
        });
        Ok(outcomes.collect())
    }
}

/// An account of every case that did not come out as expected, or not the same on every engine;
/// empty if there is none.
pub fn failures(outcomes: &[Outcome]) -> String {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    let mut told = String::new();
    for outcome in &failed {
        // Writing into a String cannot fail.
        let _ = writeln!(told, "{}\n{}", outcome.case.name, report::account(outcome));
    }
    if !failed.is_empty() {
        let _ = writeln!(told, "{} of {} failed", failed.len(), outcomes.len());
        let _ = writeln!(told, "{}", Comparison::of(outcomes));
    }
    told
}

/// The YAML files and the directories in a directory, by name.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
