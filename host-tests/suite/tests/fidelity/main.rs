//! What an Envoy does with a plugin, case by case: the truth that `wasm-host` is held to.
//!
//! The cases are files in `host-tests/wasm-host/tests/fidelity/cases`; `case.rs` there says what is in
//! them. Here each is played on an Envoy of its own, and what that shows has to be what the case
//! expects. With `FIDELITY=record` it is written there instead, to be read like a snapshot; with
//! `FIDELITY=new` only where a case expects nothing yet.
#![cfg_attr(
    not(target_os = "linux"),
    expect(unused, reason = "threads are told apart as Linux does")
)]

#[path = "../../../wasm-host/tests/fidelity/case.rs"]
mod case;
#[path = "../../../wasm-host/tests/fidelity/guest.rs"]
mod guest;
#[path = "../../../wasm-host/tests/fidelity/shown.rs"]
mod shown;

mod bootstrap;
mod envoy;
mod record;
mod upstream;
mod wire;

use case::Case;
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use suite::{Check, Trouble};
use tokio::task::LocalSet;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // What takes long is waiting: for timers, and for an Envoy to start.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let cases = match case::load() {
        Ok(cases) => cases,
        Err(why) => {
            let trial = Trial::test("load", || Err(Failed::from(why)));
            return libtest_mimic::run(&arguments, vec![trial]).exit_code();
        }
    };
    let mut trials = vec![Trial::test("the-loader-is-strict", strict)];
    trials.extend(cases.into_iter().map(|case| {
        let ignored = !case.host_only.is_empty() || cfg!(not(target_os = "linux"));
        Trial::test(case.name.clone(), move || run(&case)).with_ignored_flag(ignored)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What is misspelt in a case is an error, wherever it stands.
fn strict() -> Result<(), Failed> {
    let module = "(module)";
    let good = "title = \"a\"\n";
    Case::parse("good", &front(good, module))?;
    for wrong in [
        "",
        "titel = \"a\"",
        "[[plugin]]\nvm = \"a\"",
        "[[plugin]]\nfailure_policy = \"ajar\"",
        "[[request]]\npaht = \"/\"",
        "[[request]]\nbody = [{ repeat = \"a\" }]",
        "[[request]]\nheaders = [\"a=b\"]",
        "[[route]]\ncluster = \"nowhere\"",
        "[cluster.upstream]\nfails = true",
        "[expect]\nlogs = []",
        "[[expect.answer]]\nheader = []",
        "[differs]\nwhy = \"because\"\n[differs.expect]\nlog = []",
        "[differs]\nwhy = \"\"\n[differs.expect]\nlog = [\"info: a\"]",
    ] {
        let text = if wrong.is_empty() { String::new() } else { format!("{good}{wrong}") };
        if Case::parse("wrong", &front(&text, module)).is_ok() {
            return Err(Failed::from(format!("accepted: {text}")));
        }
    }
    let unknown = Case::parse("no module", &front(good, "(module (nothing))"))?;
    if unknown.module().is_ok() {
        return Err(Failed::from("no module is accepted"));
    }
    Ok(())
}

fn front(toml: &str, module: &str) -> String {
    let lines = toml.lines().flat_map(|line| [";;! ", line, "\n"]);
    lines.chain([module]).collect()
}

/// Plays one, on a thread that lives as long as its Envoy.
fn run(case: &Case) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, check(case)).map_err(Failed::from)
}

async fn check(case: &Case) -> Check {
    let mode = std::env::var("FIDELITY").unwrap_or_default();
    if mode == "new" && case.text.contains("\n;;! [expect]\n") {
        return Ok(());
    }
    let executable = envoy::executable().await?;
    let shown = envoy::play_on_envoy(case, &executable).await?;
    if ["new", "record"].contains(&mode.as_str()) {
        return record::record(case, &shown);
    }
    let difference = shown.difference(&case.expect);
    if difference.is_empty() {
        return Ok(());
    }
    Err(Trouble::new(format!("{}\n{}\n{difference}", case.title, case.why)))
}
