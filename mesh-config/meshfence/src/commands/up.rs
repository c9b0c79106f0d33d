//! `meshfence up`: two regions on this machine, to try a policy set or to play a tour.

use super::runtime::{self, until};
use crate::cli::Up;
use crate::convergence;
use crate::engine::{Engine, Outcome, Play, envoy};
use crate::exit::{Exit, Failure};
use crate::local::{LocalRun, Settings};
use crate::policy_set::{self, Origin};
use crate::report::{self, Report};
use crate::terminal::{self, BOLD, DIM, Progress};
use policy_core::Role;
use policy_doc::{Case, PolicySet, PolicyTest, Purpose, WorldState};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::pin::pin;

/// How many ready-made curl lines are shown.
const EXAMPLES_MAX: usize = 8;

pub(crate) async fn run(arguments: Up) -> Result<(), Failure> {
    if arguments.tour.is_some() && arguments.workers > 1 {
        let message = "a tour is for one worker: what it fills up is one worker's room";
        return Err(Failure::new(Exit::Usage, message.to_owned()).help("leave `--workers` out"));
    }
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::LocalTry)?;
    let set = policy_set::with_candidate(set, &arguments.candidate, Purpose::LocalTry)?;
    let test = match &arguments.tour {
        None => None,
        Some(file) => Some(policy_set::tour(origin, &set, file.as_deref())?),
    };
    let state = match &test {
        Some(test) => test.cases.first().map(|case| case.state.clone()).unwrap_or_default(),
        None => policy_set::state(&set, arguments.state.as_deref())?,
    };
    let progress = Progress::new();
    let ended = serve(&arguments, &set, test.as_ref(), &state, &progress).await;
    progress.done();
    ended
}

async fn serve(
    arguments: &Up,
    set: &PolicySet,
    test: Option<&PolicyTest>,
    state: &WorldState,
    progress: &Progress,
) -> Result<(), Failure> {
    // One listener throughout, so that no signal is missed between two phases.
    let mut interrupted = pin!(local_mesh::interrupted());
    let start = Box::pin(start(arguments, set, state, progress));
    let (mut run, envoy) = until(interrupted.as_mut(), start).await?;
    let ended = if let Some(test) = test {
        // A file of somebody's own is the cases that it has, and no more.
        let is_own = arguments.tour.as_ref().is_some_and(Option::is_none);
        let races = is_own.then_some(set);
        let playing = Box::pin(play(&mut run, test, races, &envoy, progress));
        until(interrupted.as_mut(), playing).await
    } else {
        progress.done();
        let welcome = terminal::print(&welcome(&run, state, &envoy));
        tokio::select! {
            biased;
            () = interrupted, if welcome.is_ok() => Ok(()),
            death = run.wait_for_death(), if welcome.is_ok() => {
                Err(local_mesh::Error::from(death).into())
            }
            else => welcome,
        }
    };
    run.stop().await;
    ended
}

/// The regions, and the version of their Envoys.
async fn start(
    arguments: &Up,
    set: &PolicySet,
    state: &WorldState,
    progress: &Progress,
) -> Result<(LocalRun, String), Failure> {
    let say = &mut |what: &str| progress.say(what);
    let (envoy, version) = runtime::find(arguments.envoy.as_deref(), arguments.docker, say).await?;
    let settings = Settings {
        envoy,
        base_port: arguments.base_port,
        workers: arguments.workers,
        executable: runtime::executable()?,
        module: module::WASM.into(),
    };
    Ok((LocalRun::start(set, state, settings, say).await?, version))
}

/// Plays the cases of a tour, and then concurrent updates in a policy set that has any.
async fn play(
    run: &mut LocalRun,
    test: &PolicyTest,
    races: Option<&PolicySet>,
    version: &str,
    progress: &Progress,
) -> Result<(), Failure> {
    let cases: Vec<&Case> = test.cases.iter().collect();
    let say = &mut |what: &str| progress.say(what);
    let seen = envoy::play(run, &cases, say).await?;
    let race = match races {
        Some(set) => convergence::race(run, set, say).await?,
        None => None,
    };
    progress.done();
    let outcomes = cases.into_iter().zip(seen).map(|(case, (seen, took))| Outcome {
        file: test.file.clone(),
        case: case.clone(),
        plays: vec![Play::new(Engine::Envoy, case, seen, took)],
    });
    let report = Report {
        set: run.set().name.clone(),
        hash: run.set().hash().to_owned(),
        engines: vec![(Engine::Envoy, format!("Envoy {version}"))],
        outcomes: outcomes.collect(),
    };
    terminal::print(&format!(
        "{BOLD}{}{BOLD:#} {DIM}on Envoy {version}{DIM:#}\n\n{}",
        test.name,
        report::table(&report, race.as_ref())
    ))?;
    let (_, failed) = report.count();
    let has_converged = race.as_ref().is_none_or(report::has_converged);
    if failed == 0 && has_converged { Ok(()) } else { Err(Failure::told(Exit::TestsFailed)) }
}

/// What can be done with a mesh that runs.
fn welcome(run: &LocalRun, state: &WorldState, envoy: &str) -> String {
    let set = run.set();
    let mut text = format!(
        "{BOLD}{}{BOLD:#} {DIM}{} on Envoy {envoy}{DIM:#}\n\n",
        set.name,
        set.hash().get(..12).unwrap_or_default()
    );
    // Writing into a String cannot fail.
    let situation = state.document.situation.map_or("normal", |situation| situation.as_str());
    for ports in run.ports() {
        let _ = writeln!(
            text,
            "  {BOLD}{:<8}{BOLD:#}  edge http://{}   admin http://{}   application http://{}",
            ports.region, ports.edge, ports.admin, ports.application
        );
    }
    let _ = writeln!(text, "  {DIM}region state is static: {situation}{DIM:#}");
    for ports in run.ports() {
        let log = run.mesh().run_dir().access_log(&ports.region);
        let _ = writeln!(text, "  {DIM}decisions of {}: {}{DIM:#}", ports.region, log.display());
    }
    text += "\nTry it from another terminal:\n";
    let mut named = BTreeMap::new();
    let mut lines = String::new();
    for case in examples(set, state) {
        let _ = writeln!(lines, "\n  {DIM}# {}{DIM:#}", case.name);
        let _ = writeln!(lines, "  {}", curl(run, case, &mut named));
    }
    for (variable, token) in named {
        let _ = writeln!(text, "\n  {variable}={token}");
    }
    text += &lines;
    text += "\nmeshfence token --country JP makes further tokens. Ctrl-C stops everything.";
    text
}

/// Cases of the set that make sense in this state without any preparation.
fn examples<'s>(set: &'s PolicySet, state: &'s WorldState) -> impl Iterator<Item = &'s Case> {
    let cases = set.tests.iter().rev().flat_map(|test| &test.cases);
    let fits = |case: &&Case| case.state == *state && case.role == Role::Edge;
    cases.filter(fits).filter(|_| state.in_flight.is_empty()).take(EXAMPLES_MAX)
}

fn curl(run: &LocalRun, case: &Case, named: &mut BTreeMap<String, String>) -> String {
    let mut line = String::from("curl -i");
    if case.request.http2 {
        line.push_str(" --http2-prior-knowledge");
    }
    if case.request.method != "GET" {
        let _ = write!(line, " -X {}", case.request.method);
    }
    if let Some(caller) = &case.caller
        && let Some(token) = caller.token.as_ref().and_then(|own| envoy::token(run, own))
    {
        let variable =
            caller.name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let _ = write!(line, " -H \"authorization: Bearer ${variable}\"");
        named.insert(variable, token);
    }
    for (name, value) in &case.request.headers {
        let _ = write!(line, " -H {}", quoted(&format!("{name}: {value}")));
    }
    if !case.request.body.is_empty() {
        let _ = write!(line, " -d {}", quoted(&case.request.body));
    }
    let edge = run.edge(&case.region).map(|edge| edge.to_string()).unwrap_or_default();
    let _ = write!(line, " {}", quoted(&format!("http://{edge}{}", case.request.path)));
    line
}

/// In single quotes, as a shell takes it literally.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
