//! `meshfence state` as users run it: against an agent, and against a real Envoy that asks one.
#![expect(clippy::indexing_slicing, reason = "a JSON value that is not there is null")]

use serde_json::Value;
use std::fmt::Write as _;
use std::process::{Output, Stdio};
use std::time::Duration;
use suite::{Asking, Check, Conduct, Trouble, meshfence_binary};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Whoever watches sees something new each second.
const WATCH_LIMIT: Duration = Duration::from_secs(20);

/// Runs the command with these arguments.
async fn state(arguments: &[&str]) -> Result<Output, Trouble> {
    let mut command = Command::new(meshfence_binary()?);
    command.arg("state").args(arguments).env("AGENT_KEY", Asking::SECRET).kill_on_drop(true);
    Ok(command.output().await?)
}

fn json(output: &Output) -> Result<Value, Trouble> {
    serde_json::from_slice(&output.stdout).map_err(|error| Trouble::new(error.to_string()))
}

/// The numbers of three documents that somebody sees who watches an agent.
async fn watched(agent: &str) -> Result<Vec<u64>, Trouble> {
    let mut command = Command::new(meshfence_binary()?);
    command.args(["state", "--agent", agent, "--format", "json", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().ok_or_else(|| Trouble::new("no output"))?;
    let mut lines = BufReader::new(out).lines();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = tokio::time::timeout(WATCH_LIMIT, lines.next_line()).await;
        let line = line.map_err(|_| Trouble::new(format!("nothing after {seen:?}")))??;
        let line = line.ok_or_else(|| Trouble::new(format!("it ended after {seen:?}")))?;
        let said: Value =
            serde_json::from_str(&line).map_err(|error| Trouble::new(error.to_string()))?;
        seen.extend(said["state"]["issued_seq"].as_u64());
    }
    Ok(seen)
}

#[tokio::test]
async fn it_shows_what_an_agent_says_and_what_a_proxy_believes() -> Check {
    let asking = Asking::start(Conduct::Honest, module::WASM).await?;
    let result = shown(&asking).await;
    asking.stop().await?;
    Trouble::unless_empty(&result?)
}

async fn shown(asking: &Asking) -> Result<String, Trouble> {
    asking.settles("inventory;e=1;h=taiwan").await?;
    let agent = format!("http://{}", asking.agent.url().authority());
    let proxy = format!("http://{}", asking.admin());
    let mut account = String::new();
    let mut note = |is_right: bool, what: &str, output: &Output| {
        if !is_right {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            // Writing into a String cannot fail.
            let _ = writeln!(account, "{what}: {}{}", text(&output.stdout), text(&output.stderr));
        }
    };

    let said = state(&["--agent", &agent, "--key", "k1=AGENT_KEY", "--format", "json"]).await?;
    let state_said = json(&said)?;
    let first = state_said.pointer("/state/region").and_then(Value::as_str);
    let is_right = state_said["signature"] == "right" && first == Some("taiwan");
    note(is_right, "what the agent says", &said);

    let said = state(&["--agent", &agent]).await?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let is_right = text.contains("inventory") && text.contains("signed; pass its key");
    note(is_right && said.status.success(), "for people", &said);

    let believed = state(&["--proxy", &proxy, "--format", "json"]).await?;
    let leases = json(&believed)?;
    let leases = leases["leases"].as_array().cloned().unwrap_or_default();
    let inventory = leases.iter().find(|lease| lease["lease"] == "inventory");
    let is_right = inventory.is_some_and(|lease| lease["known"] == true && lease["epoch"] == 1);
    note(is_right, "what the proxy believes", &believed);

    let seen = watched(&agent).await?;
    if seen.windows(2).any(|pair| pair[0] >= pair[1]) {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "what is watched does not go on: {seen:?}");
    }
    let mut note = |is_right: bool, what: &str, output: &Output| {
        if !is_right {
            let _ = writeln!(account, "{what}: {output:?}");
        }
    };
    for (arguments, code, what) in [
        (&["--agent", &agent, "--key", "k1=NO_SUCH_VARIABLE"][..], 7, "a key that is not there"),
        (&["--agent", &agent, "--key", "k2=AGENT_KEY"], 7, "a key that does not sign"),
        (&["--agent", &proxy], 7, "a proxy is no agent"),
        (&["--proxy", &agent], 7, "an agent is no proxy"),
        (&["--agent", "http://127.0.0.1:1"], 7, "nobody is there"),
        (&["--agent", "https://127.0.0.1:1"], 2, "TLS"),
        (&["--agent", "127.0.0.1:1"], 2, "no URL"),
        (&[], 2, "nobody is named"),
        (&["--agent", &agent, "--proxy", &proxy], 2, "both"),
    ] {
        let output = state(arguments).await?;
        let is_told = !output.stderr.is_empty() && output.stdout.is_empty();
        note(output.status.code() == Some(code) && is_told, what, &output);
    }
    Ok(account)
}
