//! The `meshfence` command as a library, so that tests run what users run.
//!
//! ```text
//! cli ─► commands/* ─► policy_set (files in) ─► policy-doc, render, local-mesh ─► text, exit code
//! ```

mod certificates;
mod cli;
mod commands;
pub mod convergence;
mod draft;
pub mod engine;
mod exit;
mod explain;
mod issuer;
mod keys;
mod local;
pub mod policy_set;
mod records;
pub mod report;
mod terminal;

pub use certificates::{Identity, LocalCertificates, Validity};
pub use exit::{Exit, Failure};
pub use issuer::Issuer;
pub use local::{LocalRun, Push, Settings};

use clap::Parser as _;

/// Runs the command that the arguments of this process name.
pub fn run() -> Exit {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are what was asked for, everything else is a mistake.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if error.print().is_ok() { exit } else { Exit::Environment };
        }
    };
    match commands::run(arguments.command) {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            terminal::complain(&failure);
            failure.exit
        }
    }
}
