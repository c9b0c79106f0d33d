//! One module for each subcommand.

pub(crate) mod audit;
mod check;
mod drill;
mod echo;
mod explain;
mod image;
mod reap;
mod render;
pub(crate) mod replay;
mod runtime;
mod state;
mod sweep;
mod test;
mod token;
mod up;

use crate::cli::Command;
use crate::exit::{Exit, Failure};
use std::future::Future;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Render(command) => render::run(&command),
        Command::Test(arguments) => block_on(test::run(arguments)),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Audit(command) => audit::run(&command),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Up(arguments) => block_on(up::run(arguments)),
        Command::Drill(arguments) => drill::run(&arguments),
        Command::State(arguments) => block_on(state::run(arguments)),
        Command::Image(arguments) => block_on(image::run(arguments)),
        Command::Token(arguments) => token::run(&arguments),
        Command::Echo(arguments) => block_on(echo::run(arguments)),
        Command::Reap(arguments) => block_on(reap::run(arguments)),
        Command::Sweep(arguments) => block_on(sweep::run(arguments)),
    }
}

/// Runs on this thread: child processes die with the thread that started them, so it has to be the
/// one that lives as long as the command.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::Environment, format!("cannot wait for sockets: {error}"))
    })?;
    runtime.block_on(command)
}
