//! `meshfence up`: two regions on this machine, to try a policy set or to play a tour.

use crate::cli::Up;
use crate::exit::{Exit, Failure};
use crate::local::{LocalRun, Settings};
use crate::policy_set::{self, Origin};
use crate::terminal::{self, BOLD, DIM, Progress};
use crate::tour;
use local_mesh::docker::{self, Containers, Engine};
use local_mesh::envoy;
use local_mesh::launch::Runtime;
use policy_core::Role;
use policy_doc::{Case, PolicySet, PolicyTest, Purpose, WorldState};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::pin::pin;

/// How many ready-made curl lines are shown.
const EXAMPLES_MAX: usize = 8;

/// What names the image of `--docker`.
pub(crate) const IMAGE_VARIABLE: &str = "MESHFENCE_ENVOY_IMAGE";

pub(crate) async fn run(arguments: Up) -> Result<(), Failure> {
    let origin = Origin::of(arguments.policy_set.directory.as_deref());
    let set = policy_set::require(origin, Purpose::LocalTry)?;
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
    let start = start(arguments, set, state, progress);
    let (mut run, envoy) = until(interrupted.as_mut(), start).await?;
    let ended = if let Some(test) = test {
        until(interrupted.as_mut(), play(&mut run, test, &envoy, progress)).await
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

/// Runs something to its end unless a signal comes first.
async fn until<T>(
    interrupted: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        () = interrupted => Err(Failure::new(Exit::Environment, "interrupted")),
        done = work => done,
    }
}

/// The regions, and the version of their Envoys.
async fn start(
    arguments: &Up,
    set: &PolicySet,
    state: &WorldState,
    progress: &Progress,
) -> Result<(LocalRun, String), Failure> {
    let say = &mut |what: &str| progress.say(what);
    let executable = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Environment, format!("cannot find this command's own file: {error}"))
    })?;
    let own = |command: &str| vec![executable.clone().into(), OsString::from(command)];
    let (envoy, version) = if arguments.docker {
        let named = std::env::var(IMAGE_VARIABLE).ok().filter(|name| !name.is_empty());
        let name = named.unwrap_or_else(|| docker::official_image(envoy::ENVOY_VERSION));
        let image = Engine::connect().await?.image(&name, say).await?;
        let version = format!("{} in containers of {name}", image.version);
        (Runtime::Docker(Containers { image, reaper: own("reap") }), version)
    } else {
        let found = envoy::find(arguments.envoy.as_deref(), say).await?;
        let version = found.version.clone();
        (Runtime::from(found), version)
    };
    let settings = Settings {
        envoy,
        base_port: arguments.base_port,
        workers: arguments.workers,
        echo: own("echo"),
    };
    Ok((LocalRun::start(set, state, settings, say).await?, version))
}

async fn play(
    run: &mut LocalRun,
    test: &PolicyTest,
    envoy: &str,
    progress: &Progress,
) -> Result<(), Failure> {
    let outcomes = tour::play(run, test, &mut |what| progress.say(what)).await?;
    progress.done();
    terminal::print(&format!(
        "{BOLD}{}{BOLD:#} {DIM}on Envoy {envoy}{DIM:#}\n\n{}",
        test.name,
        tour::report(&outcomes)
    ))?;
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    if failed == 0 { Ok(()) } else { Err(Failure::told(Exit::TestsFailed)) }
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
            "  {BOLD}{:<8}{BOLD:#}  edge http://{}   admin http://{}   upstream http://{}",
            ports.region, ports.edge, ports.admin, ports.upstream
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
    if case.request.method != "GET" {
        let _ = write!(line, " -X {}", case.request.method);
    }
    if let Some(caller) = &case.caller
        && let Some(token) = tour::token(run, caller)
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
