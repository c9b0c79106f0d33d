//! Plays a plugin that asks a service whether requests may pass, and shows what came of each.
//!
//! ```text
//! cargo run -p wasm-host --example authorize
//! ```
//!
//! The plugin is that of somebody else: `guests/src/authorize.rs`, on the official SDK. Read it
//! first, then `main` below from top to bottom: load the bytes, say what answers, start, send, look.
//! For a plugin of your own, put the bytes of its `.wasm` in the place of `guests::WASM`, and its
//! root id, configuration and clusters in the place of these.
//!
//! Time is virtual: the service that never answers is waited for without waiting.

use std::error::Error;
use std::time::Duration;
use wasm_host::{Answer, Code, Failure, Host, Incoming, Outcome, Plugin, Response, get};

/// What the service that is asked says of a token.
fn says(incoming: &Incoming) -> Answer {
    match incoming.headers.text("authorization").unwrap_or_default().as_str() {
        "Bearer alice" => {
            let allowed = Response::new(200).header("x-user", "alice");
            Answer::from(allowed).after(Duration::from_millis(20))
        }
        "Bearer mallory" => Response::new(403).body("not today").into(),
        "Bearer slow" => Answer::Silence,
        "Bearer unlucky" => Failure::Refused.into(),
        _ => Response::new(500).into(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let code = Code::compile(guests::WASM)?;
    let plugin =
        Plugin::new("authorize", &code).root_id("authorize").configuration("authorizer 200");
    let host = Host::of(plugin)
        .cluster("authorizer", |incoming: Incoming| says(&incoming))
        .upstream(|_| Response::new(200).body("from upstream"));
    let mut proxy = host.start()?;

    row(&["token", "status", "x-user upstream", "after", "what the plugin logged"]);
    for token in ["none", "alice", "mallory", "slow", "unlucky", "nobody"] {
        // Who they are is not for clients to say.
        let mut request = get("/orders").header("x-user", "root");
        if token != "none" {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let outcome = proxy.send(request)?;
        let Outcome { status, upstream, took, .. } = &outcome;
        let user = match upstream {
            Some(seen) => seen.headers.text("x-user").unwrap_or_else(|| "nobody".to_owned()),
            None => "(was not asked)".to_owned(),
        };
        let said = outcome.messages().join("; ");
        row(&[token, &status.to_string(), &user, &format!("{} ms", took.as_millis()), &said]);
    }
    Ok(())
}

fn row(cells: &[&str; 5]) {
    let [token, status, user, after, logged] = cells;
    println!("{token:<8}  {status:<6}  {user:<15}  {after:>6}  {logged}");
}
