//! Envoys in containers: the corpus by testcontainers, `up --docker` as users run it, and that
//! nothing is left behind.
//!
//! Without a container engine these tests are ignored and say why; with `CI=true` that is a
//! failure. They pull nothing: where `MESHFENCE_ENVOY_IMAGE` is not there, they make an image.
#![cfg_attr(not(target_os = "linux"), expect(unused, reason = "containers take Linux here"))]

#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod compose;
#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod launcher;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;
use suite::Check;

fn main() -> ExitCode {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials()).exit_code()
}

#[cfg(target_os = "linux")]
fn trials() -> Vec<Trial> {
    vec![
        trial("an_image_is_made_without_pulling", command::an_image_is_made_without_pulling),
        trial("the_corpus", launcher::the_corpus),
        trial("regions_come_and_go_by_testcontainers", launcher::regions_come_and_go),
        trial("a_run_is_used_and_stopped_by_a_signal", command::a_run_is_used_and_stopped),
        trial("a_tour_loses_regions_and_gets_them_back", command::a_tour),
        trial("a_signal_while_starting_leaves_nothing", command::a_signal_while_starting),
        trial("nothing_outlives_a_killed_command", command::a_killed_command),
        trial("nothing_outlives_a_command_killed_early", command::a_command_killed_early),
        trial("the_death_of_a_container_stops_everything", command::the_death_of_a_container),
        trial("what_is_no_envoy_ends_with_7", command::what_is_no_envoy),
        trial_with(
            compose::missing,
            "compose_runs_what_is_rendered",
            compose::runs_what_is_rendered,
        ),
    ]
}

#[cfg(not(target_os = "linux"))]
fn trials() -> Vec<Trial> {
    Vec::new()
}

/// A test that takes an engine.
#[cfg(target_os = "linux")]
fn trial<F>(name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = Check>,
{
    trial_with(engine::missing, name, test)
}

/// A test that takes what may be missing, on a thread that lives as long as its processes.
#[cfg(target_os = "linux")]
fn trial_with<M, F>(
    missing: impl FnOnce() -> M + Send + 'static,
    name: &str,
    test: impl FnOnce() -> F + Send + 'static,
) -> Trial
where
    M: Future<Output = Option<String>>,
    F: Future<Output = Check>,
{
    Trial::ignorable_test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match missing().await {
                Some(reason) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                    Err(Failed::from(format!("CI has to have what this takes: {reason}")))
                }
                Some(reason) => Ok(Completion::ignored_with(reason)),
                None => match test().await {
                    Ok(()) => Ok(Completion::Completed),
                    Err(trouble) => Err(Failed::from(trouble)),
                },
            }
        })
    })
}
