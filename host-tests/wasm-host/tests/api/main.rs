//! What a plugin author does with this host, and what it shows.
#![expect(clippy::unwrap_used, reason = "what fails fails the test")]

mod attributes;
mod calls;
mod determinism;
mod hello;
mod lifecycle;
mod limits;
mod strict;

#[path = "../fidelity/guest.rs"]
mod guest;

use wasm_host::{Code, Outcome, Proxy};

/// A guest with the prelude of the fidelity cases around these functions.
fn guest(functions: &str) -> Code {
    let text = format!("(module (; prelude ;)\n{functions})");
    Code::compile(&guest::assemble(&text).unwrap()).unwrap()
}

/// What was logged by the workers, as it was said.
fn said(proxy: &Proxy) -> Vec<String> {
    let logs = proxy.logs().into_iter();
    let lines = logs.filter(|line| line.worker > 0 && line.plugin.is_some());
    lines.map(|line| line.message).collect()
}

/// The messages of an outcome.
fn messages(outcome: &Outcome) -> Vec<String> {
    outcome.messages().into_iter().map(str::to_owned).collect()
}
