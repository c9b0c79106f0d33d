//! What an Envoy does with a plugin, case by case: the truth that `wasm-host` is held to.
//!
//! The cases are files in `host-tests/wasm-host/tests/fidelity/cases`; `case.rs` there says what is in
//! them. Here each is played on an Envoy of its own and then in `wasm-host`, and both have to show
//! what the case expects, but for differences that the case gives a reason for. With `FIDELITY=record` it is written there instead, to be read like a snapshot; with
//! `FIDELITY=new` only where a case expects nothing yet.
#![cfg_attr(
    not(target_os = "linux"),
    expect(unused, reason = "threads are told apart as Linux does")
)]

#[path = "../../../wasm-host/tests/fidelity/case.rs"]
mod case;
#[path = "../../../wasm-host/tests/fidelity/guest.rs"]
mod guest;
#[path = "../../../wasm-host/tests/fidelity/play.rs"]
mod play;
#[path = "../../../wasm-host/tests/fidelity/shown.rs"]
mod shown;

mod bootstrap;
mod envoy;
mod record;
mod upstream;
mod wire;

use case::{Case, Differs, Written};
use libtest_mimic::{Arguments, Failed, Trial};
use std::fmt::Write as _;
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
    Case::parse("good", Written::Wat, &front(good, module))?;
    Case::parse("good", Written::Toml, good)?;
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
        let wat = Case::parse("wrong", Written::Wat, &front(&text, module));
        if wat.is_ok() || Case::parse("wrong", Written::Toml, &text).is_ok() {
            return Err(Failed::from(format!("accepted: {text}")));
        }
    }
    let unknown = Case::parse("no module", Written::Wat, &front(good, "(module (nothing))"))?;
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
    if mode == "new" && record::is_recorded(case) {
        return Ok(());
    }
    let executable = envoy::executable().await?;
    let shown = envoy::play_on_envoy(case, &executable).await?;
    if ["new", "record"].contains(&mode.as_str()) {
        return record::record(case, &shown);
    }
    let here = play::play_in_wasm_host(case).map_err(Trouble::new)?;
    let (expected, why) = match &case.differs {
        Some(Differs { why, expect }) => (expect, why.as_str()),
        None => (&case.expect, ""),
    };
    let mut account = String::new();
    for (host, difference, why) in [
        ("Envoy", shown.difference(&case.expect), ""),
        ("wasm-host", here.difference(expected), why),
    ] {
        if !difference.is_empty() {
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{host} {why}\n{difference}");
        }
    }
    if account.is_empty() {
        return Ok(());
    }
    Err(Trouble::new(format!("{}\n{}\n{account}", case.title, case.why)))
}
