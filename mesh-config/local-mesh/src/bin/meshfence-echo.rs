//! The echo upstream as a program of its own, for tests and for anyone who wants it next to another
//! proxy: `meshfence-echo --region NAME --listen ADDRESS:PORT`.
//!
//! The command has the same as a hidden subcommand; nothing installs this one.

use std::process::ExitCode;

use local_mesh::echo::{self, EchoOptions};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match options(&arguments) {
        Some(options) => run(options),
        None => Err("usage: meshfence-echo --region NAME --listen ADDRESS:PORT".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn options(arguments: &[String]) -> Option<EchoOptions> {
    let [first, region, second, listen] = arguments else { return None };
    let listen = listen.parse().ok()?;
    (first == "--region" && second == "--listen").then(|| EchoOptions::new(region.clone(), listen))
}

fn run(options: EchoOptions) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let served = runtime.block_on(echo::serve(options, local_mesh::interrupted()));
    served.map_err(|error| format!("error: {error}"))
}
