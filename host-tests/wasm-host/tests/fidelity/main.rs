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

/// Fewer prove little.
const CASES_MIN: usize = 60;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = match case::load() {
        Ok(cases) => cases,
        Err(why) => {
            let trial = Trial::test("load", || Err(Failed::from(why)));
            return libtest_mimic::run(&arguments, vec![trial]).exit_code();
        }
    };
    let enough = cases.len() >= CASES_MIN;
    let mut trials = vec![Trial::test("there-are-cases", move || {
        if enough { Ok(()) } else { Err(Failed::from(format!("fewer than {CASES_MIN} cases"))) }
    })];
    trials
        .extend(cases.into_iter().map(|case| Trial::test(case.name.clone(), move || check(&case))));
    libtest_mimic::run(&arguments, trials).exit_code()
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
