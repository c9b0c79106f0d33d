//! The whole corpus: every case of every `PolicyTest`, on whatever runs the Envoys.

use crate::{Trouble, example, failures, scenario, turn};
use meshfence::engine::{Engine, Outcome, Play, envoy, native::Native};
use meshfence::{LocalRun, Settings};
use policy_doc::{Case, PolicySet};
use std::path::Path;
use std::time::Duration;

/// Every case of the corpus.
#[derive(Debug)]
pub struct Corpus {
    set: PolicySet,
    /// The file of each case, and the case.
    cases: Vec<(String, Case)>,
}

impl Corpus {
    /// Reads the policy set's own tests and `host-tests/scenarios`.
    ///
    /// # Errors
    /// What is wrong with them; diagnostics are on standard error.
    pub fn read() -> Result<Self, Trouble> {
        let set = example()?;
        let mut tests = set.tests.clone();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
            }
        }
        names.sort();
        for name in names {
            tests.push(scenario(&set, &name)?);
        }
        let cases = tests.into_iter().flat_map(|test| {
            let file = test.file;
            test.cases.into_iter().map(move |case| (file.clone(), case))
        });
        let cases: Vec<_> = cases.collect();
        if cases.is_empty() {
            return Err(Trouble::new("the corpus is empty"));
        }
        Ok(Self { set, cases })
    }

    /// Plays every case on one mesh and says how many there were.
    ///
    /// # Errors
    /// Every case that did not come out as expected, in one account; what kept one from being
    /// played.
    pub async fn play(&self, settings: Settings) -> Result<usize, Trouble> {
        let _turn = turn().await;
        let first = self.cases.first().map(|(_, case)| case.state.clone()).unwrap_or_default();
        let mut run = LocalRun::start(&self.set, &first, settings, &mut |_| {}).await?;
        let cases: Vec<&Case> = self.cases.iter().map(|(_, case)| case).collect();
        let mut now = String::new();
        let played = envoy::play(&mut run, &cases, &mut |what| what.clone_into(&mut now)).await;
        run.stop().await;
        let seen = played
            .map_err(|failure| Trouble::new(format!("at `{now}`: {}", Trouble::from(failure))))?;
        if seen.len() != self.cases.len() {
            let message = format!("{} of {} were played", seen.len(), self.cases.len());
            return Err(Trouble::new(message));
        }
        // The model is held against what it is a model of.
        let mut native = Native::new(&self.set);
        let outcomes = self.cases.iter().zip(seen).map(|((file, case), (seen, took))| {
            let modelled = Play::new(Engine::Native, case, native.play(case), Duration::ZERO);
            let plays = vec![modelled, Play::new(Engine::Envoy, case, seen, took)];
            Outcome { file: file.clone(), case: case.clone(), plays }
        });
        Trouble::unless_empty(&failures(&outcomes.collect::<Vec<_>>()))?;
        Ok(cases.len())
    }
}
