//! `meshfence test`: the cases of a policy set, on one engine or on several.

use super::runtime::{self, until};
use crate::cli::{Test, TestFormat};
use crate::engine::{Engine, Observation, Outcome, Play, envoy, native::Native};
use crate::exit::{Exit, Failure};
use crate::local::{LocalRun, Settings};
use crate::policy_set::{self, Origin};
use crate::report::{self, Report};
use crate::terminal::{self, Progress};
use policy_doc::{Case, PolicySet, PolicyTest, Purpose};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Instant;

pub(crate) async fn run(arguments: Test) -> Result<(), Failure> {
    let chosen_engines = once(&arguments.engines);
    are_built_in(&chosen_engines)?;
    let (directory, files) = sorted(&arguments.paths)?;
    let origin = Origin::of(directory.as_deref());
    let set = policy_set::require(origin, Purpose::LocalTry)?;
    let set = policy_set::with_candidate(set, &arguments.candidate, Purpose::LocalTry)?;
    let tests = if files.is_empty() {
        set.tests.clone()
    } else {
        let read = files.iter().map(|file| policy_set::test_file(&set, file));
        read.collect::<Result<_, _>>()?
    };
    let mut outcomes = chosen(&arguments, tests)?;
    let mut engines = Vec::new();
    for engine in &chosen_engines {
        let on = match engine {
            Engine::Native => native(&set, &mut outcomes),
            Engine::Wasm => wasm(&set, &mut outcomes)?,
            Engine::Envoy => real(&arguments, &set, &mut outcomes).await?,
        };
        engines.push((*engine, on));
    }
    let report = Report { set: set.name.clone(), hash: set.hash().to_owned(), engines, outcomes };
    terminal::print(&match arguments.format {
        TestFormat::Pretty => report::pretty(&report, arguments.verbose),
        TestFormat::Json => report::json(&report),
        TestFormat::Junit => report::junit(&report),
    })?;
    let (_, failed) = report.count();
    if failed == 0 { Ok(()) } else { Err(Failure::told(Exit::TestsFailed)) }
}

/// The directory of the policy set, if one is named, and the files to play.
///
/// A file that is named twice is played once.
fn sorted(paths: &[PathBuf]) -> Result<(Option<PathBuf>, Vec<PathBuf>), Failure> {
    let (directories, mut files): (Vec<_>, Vec<_>) =
        paths.iter().cloned().partition(|path| path.is_dir());
    let mut seen = BTreeSet::new();
    // What cannot be found is told when it is read.
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    let mut directories = directories.into_iter();
    let directory = directories.next();
    if let Some(second) = directories.next() {
        let message = format!("`{}` is a second directory", second.display());
        return Err(Failure::new(Exit::Usage, message)
            .help("name one policy set, and then the files to play if not all of its own"));
    }
    Ok((directory, files))
}

/// Each engine once: one that is named twice has nothing to differ from.
fn once(named: &[Engine]) -> Vec<Engine> {
    let mut engines = Vec::new();
    for engine in named {
        if !engines.contains(engine) {
            engines.push(*engine);
        }
    }
    engines
}

/// That this command has every engine that is asked for.
fn are_built_in(engines: &[Engine]) -> Result<(), Failure> {
    match engines.iter().find(|engine| !engine.is_built_in()) {
        None => Ok(()),
        Some(engine) => {
            let message = format!("this command was built without the engine `{engine}`");
            Err(Failure::new(Exit::Usage, message).help(format!(
                "in the repository of Meshfence: cargo run --features {engine} -- test --engine {engine}"
            )))
        }
    }
}

/// That every state which is asked for is one of the tests'.
fn are_known(states: &[String], tests: &[PolicyTest]) -> Result<(), Failure> {
    let declared = tests.iter().flat_map(|test| test.states.keys());
    let used = tests.iter().flat_map(|test| test.cases.iter().map(|case| &case.state_name));
    let known: BTreeSet<&str> = declared.chain(used).map(String::as_str).collect();
    match states.iter().find(|state| !known.contains(state.as_str())) {
        None => Ok(()),
        Some(state) => {
            let known: Vec<&str> = known.into_iter().collect();
            let message = format!("the tests have no state `{state}`");
            Err(Failure::new(Exit::Usage, message).suggest(state, &known))
        }
    }
}

/// The cases to play, in the order of files; that there is none is a failure.
fn chosen(arguments: &Test, tests: Vec<PolicyTest>) -> Result<Vec<Outcome>, Failure> {
    let Test { filter, states, roles, .. } = arguments;
    let filter = filter.as_ref().map(|text| text.to_lowercase());
    are_known(states, &tests)?;
    let total: usize = tests.iter().map(|test| test.cases.len()).sum();
    let mut outcomes = Vec::new();
    for test in tests {
        let PolicyTest { name, file, cases, states: _ } = test;
        let wanted = |case: &Case| {
            let text = format!("{name} {file} {}", case.name).to_lowercase();
            filter.as_ref().is_none_or(|filter| text.contains(filter))
                && (states.is_empty() || states.contains(&case.state_name))
                && (roles.is_empty() || roles.iter().any(|role| role == case.role.as_str()))
        };
        let cases = cases.into_iter().filter(wanted);
        outcomes.extend(cases.map(|case| Outcome { file: file.clone(), case, plays: Vec::new() }));
    }
    if outcomes.is_empty() {
        let message = match total {
            0 => String::from("there is no case to play"),
            total => format!("none of the {total} cases is chosen, so nothing was tested"),
        };
        return Err(Failure::new(Exit::TestsFailed, message).help(
            "cases are in `PolicyTest` documents; --filter, --state and --role choose among them",
        ));
    }
    Ok(outcomes)
}

/// Plays every case on the guard in this process.
fn native(set: &PolicySet, outcomes: &mut [Outcome]) -> String {
    let mut engine = Native::new(set);
    here(Engine::Native, outcomes, |case| engine.play(case));
    String::from("in this process")
}

/// Plays every case on the module in this process.
#[cfg(feature = "wasm")]
fn wasm(set: &PolicySet, outcomes: &mut [Outcome]) -> Result<String, Failure> {
    let engine = crate::engine::wasm::Wasm::new(set);
    let mut engine = engine.map_err(|why| Failure::new(Exit::Internal, why))?;
    here(Engine::Wasm, outcomes, |case| engine.play(case));
    Ok(String::from("the module, in this process"))
}

#[cfg(not(feature = "wasm"))]
fn wasm(_set: &PolicySet, _outcomes: &mut [Outcome]) -> Result<String, Failure> {
    are_built_in(&[Engine::Wasm]).map(|()| String::new())
}

fn here(
    engine: Engine,
    outcomes: &mut [Outcome],
    mut play: impl FnMut(&Case) -> Result<Observation, String>,
) {
    for outcome in outcomes {
        let started = Instant::now();
        let seen = play(&outcome.case);
        outcome.plays.push(Play::new(engine, &outcome.case, seen, started.elapsed()));
    }
}

/// Plays every case on real Envoys.
async fn real(
    arguments: &Test,
    set: &PolicySet,
    outcomes: &mut [Outcome],
) -> Result<String, Failure> {
    let progress = Progress::new();
    let played = on_envoys(arguments, set, outcomes, &progress).await;
    progress.done();
    let (seen, version) = played?;
    for (outcome, (seen, took)) in outcomes.iter_mut().zip(seen) {
        outcome.plays.push(Play::new(Engine::Envoy, &outcome.case, seen, took));
    }
    Ok(version)
}

async fn on_envoys(
    arguments: &Test,
    set: &PolicySet,
    outcomes: &[Outcome],
    progress: &Progress,
) -> Result<(Vec<envoy::Seen>, String), Failure> {
    let mut interrupted = pin!(local_mesh::interrupted());
    let cases: Vec<&Case> = outcomes.iter().map(|outcome| &outcome.case).collect();
    let state = cases.first().map(|case| case.state.clone()).unwrap_or_default();
    let say = &mut |what: &str| progress.say(what);
    let start = async {
        let (runtime, version) =
            runtime::find(arguments.envoy.as_deref(), arguments.docker, say).await?;
        let settings = Settings {
            envoy: runtime,
            base_port: 0,
            workers: 1,
            executable: runtime::executable()?,
            module: module::WASM.into(),
        };
        Ok((LocalRun::start(set, &state, settings, say).await?, version))
    };
    let (mut run, version) = until(interrupted.as_mut(), Box::pin(start)).await?;
    let say = &mut |what: &str| progress.say(what);
    let played = until(interrupted.as_mut(), envoy::play(&mut run, &cases, say)).await;
    run.stop().await;
    Ok((played?, format!("Envoy {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_named_twice_is_played_once() {
        let temp = tempfile::tempdir().unwrap();
        let (first, other) = (temp.path().join("a.yaml"), temp.path().join("b.yaml"));
        fs::write(&first, "").unwrap();
        fs::write(&other, "").unwrap();
        let again = temp.path().join(".").join("a.yaml");
        let missing = temp.path().join("c.yaml");
        let paths = [first.clone(), other.clone(), again, missing.clone(), temp.path().to_owned()];
        let (directory, files) = sorted(&paths).unwrap();
        assert_eq!(directory.as_deref(), Some(temp.path()));
        assert_eq!(files, [first, other, missing]);
    }

    #[test]
    fn an_engine_that_is_named_twice_is_one() {
        let (native, envoy) = (Engine::Native, Engine::Envoy);
        assert_eq!(once(&[native, native]), [native]);
        assert_eq!(once(&[envoy, native, envoy]), [envoy, native]);
    }

    #[test]
    fn a_state_that_no_test_has_is_a_mistake() {
        let set = policy_set::require(Origin::Example, Purpose::LocalTry).unwrap();
        are_known(&["normal".into()], &set.tests).unwrap();
        let failure = are_known(&["normal".into(), "norml".into()], &set.tests).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.help.as_deref(), Some("did you mean `normal`?"));
    }
}
