//! `cargo run --release -p bench -- overload`.

use bench::cli::{self, Asked};
use clap::Parser as _;
use std::process::ExitCode;

// Processes end with the thread that started them, so that has to be the main one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::run(Asked::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}
