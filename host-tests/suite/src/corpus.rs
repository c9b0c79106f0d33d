//! The whole corpus: every case of every `PolicyTest`, on whatever runs the Envoys.

use crate::{Trouble, account, example, scenario, turn};
use meshfence::{LocalRun, Settings, tour};
use policy_doc::{Case, PolicySet, PolicyTest};
use std::collections::BTreeMap;
use std::path::Path;

/// Every case of the corpus, those of one state together: another state is another start of every
/// Envoy.
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
        let cases: Vec<(String, Case)> = cases.collect();
        if cases.is_empty() {
            return Err(Trouble::new("the corpus is empty"));
        }
        Ok(Self { set, cases: grouped(cases) })
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
        let test = PolicyTest {
            name: "corpus".to_owned(),
            file: "corpus".to_owned(),
            cases: self.cases.iter().map(|(_, case)| case.clone()).collect(),
            states: BTreeMap::new(),
        };
        let mut now = String::new();
        let played = tour::play(&mut run, &test, &mut |what| what.clone_into(&mut now)).await;
        run.stop().await;
        let outcomes = played
            .map_err(|failure| Trouble::new(format!("at `{now}`: {}", Trouble::from(failure))))?;
        let count = outcomes.len();
        if count != self.cases.len() {
            return Err(Trouble::new(format!("{count} of {} were played", self.cases.len())));
        }
        // Told by file, as a reader looks for them.
        let mut by_file: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for ((file, _), outcome) in self.cases.iter().zip(outcomes) {
            by_file.entry(file).or_default().push(outcome);
        }
        let accounts = by_file.iter().map(|(file, outcomes)| account(file, outcomes));
        Trouble::unless_empty(&accounts.collect::<String>())?;
        Ok(count)
    }
}

/// Those whose regions are told the same together, and among them those with the same regions lost and the
/// same requests in flight; otherwise in the order in which they came.
fn grouped(cases: Vec<(String, Case)>) -> Vec<(String, Case)> {
    let mut documents = Vec::new();
    let mut states = Vec::new();
    let mut keyed: Vec<_> = cases
        .into_iter()
        .map(|(file, case)| {
            let told = (case.state.document.clone(), case.state.views.clone());
            let document = place(&mut documents, &told);
            let state = place(&mut states, &case.state);
            ((document, case.state.unreachable.clone(), state), (file, case))
        })
        .collect();
    keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
    keyed.into_iter().map(|(_, case)| case).collect()
}

/// Where something stands in a list, at its end if it was not there.
fn place<T: Clone + PartialEq>(list: &mut Vec<T>, wanted: &T) -> usize {
    list.iter().position(|known| known == wanted).unwrap_or_else(|| {
        list.push(wanted.clone());
        list.len() - 1
    })
}
