//! What this host shows of every case is what an Envoy showed.
//!
//! The cases are files in `cases`; `case.rs` says what is in them. What each expects was recorded from
//! an Envoy. Where this host shows something else, and that is right or cannot be helped, the case
//! says so.

mod case;
mod guest;
mod play;
mod shown;

use case::{Case, Differs};
use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = match case::load() {
        Ok(cases) => cases,
        Err(why) => {
            let trial = Trial::test("load", || Err(Failed::from(why)));
            return libtest_mimic::run(&arguments, vec![trial]).exit_code();
        }
    };
    let trials = cases.into_iter().map(|case| Trial::test(case.name.clone(), move || check(&case)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn check(case: &Case) -> Result<(), Failed> {
    let shown = play::play_in_wasm_host(case)?;
    let (expected, why) = match &case.differs {
        Some(Differs { why, expect }) => (expect, why.as_str()),
        None => (&case.expect, case.host_only.as_str()),
    };
    let difference = shown.difference(expected);
    if difference.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{}\n{why}\n{difference}", case.title, case.why).into())
}
