//! `up --docker` and `image` as users run them.

use crate::engine::{self, IMAGE_VARIABLE, containers, docker};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Stdio;
use suite::machine::{Machine, Up, children, command_line, finish, kill, runs};
use suite::{Check, LIMIT, Trouble, until};
use tokio::process::Command;

const UP: &[&str] = &["up", "--docker", "--base-port", "0"];

async fn command(machine: &Machine) -> Result<Command, Trouble> {
    let mut command = machine.command(UP)?;
    command.env(IMAGE_VARIABLE, engine::image().await?);
    Ok(command)
}

async fn up(machine: &Machine) -> Result<Up, Trouble> {
    machine.up_by(command(machine).await?, &[]).await
}

/// Whatever of a machine's runs should not be there any more.
async fn left(machine: &Machine) -> Result<String, Trouble> {
    let mut account = String::new();
    for name in containers(machine.root()).await? {
        // Writing into a String cannot fail.
        let _ = writeln!(account, "left: the container {name}");
    }
    for directory in machine.run_directories()? {
        let _ = writeln!(account, "left: {}", directory.display());
    }
    Ok(account)
}

async fn until_no_container(machine: &Machine) -> Check {
    until("no container is left", async || {
        containers(machine.root()).await.ok()?.is_empty().then_some(())
    })
    .await
}

pub(crate) async fn an_image_is_made_without_pulling() -> Check {
    let machine = Machine::new().await?;
    let tag = format!("meshfence/test:{}", std::process::id());
    let ended = machine.run(&["image", "--tag", &tag]).await?;
    let usage = format!("{IMAGE_VARIABLE}={tag} meshfence up --docker");
    let mut account = ended.check("image", 0, &[&tag, &usage]);
    let said = docker(&["run", "--rm", "--network", "none", &tag, "--version"]).await;
    let removed = docker(&["rmi", &tag]).await;
    if !said?.contains("/1.40.0/") {
        account += "the image does not hold the pinned Envoy\n";
    }
    removed?;
    account += &left(&machine).await?;
    Trouble::unless_empty(&account)
}

pub(crate) async fn a_run_is_used_and_stopped() -> Check {
    let machine = Machine::new().await?;
    let mut up = up(&machine).await?;
    let mut account = String::new();
    let image = engine::image().await?;
    if !up.text.contains(&format!("on Envoy 1.40.0 in containers of {image}")) {
        let _ = writeln!(account, "it does not say what it runs: {}", up.text);
    }
    let names = containers(machine.root()).await?;
    if names.len() != 2 || !names.iter().all(|name| name.contains(&format!("-{}-", up.pid))) {
        let _ = writeln!(account, "containers: {names:?}");
    }
    account += &machine.use_tokens(&up).await?;
    up.signal(Signal::TERM)?;
    let status = up.ends().await?;
    if status.code() != Some(0) {
        let _ = writeln!(account, "{status}: {}", machine.errors()?);
    }
    // By now, and not only soon.
    account += &left(&machine).await?;
    up.is_gone().await?;
    Trouble::unless_empty(&account)
}

/// Regions that are lost and come back, and states that take other bootstraps.
const TOUR: &str = "\
apiVersion: meshfence.dev/v1alpha1
kind: PolicyTest
metadata: {name: mine}
spec:
  defaults: {at: {region: taiwan}}
  states:
    held: {leases: {inventory: {holder: tokyo, epoch: 3}}}
    lost: {extends: held, unreachable: [tokyo]}
    doubt: {leases: {inventory: {state: unknown}}}
  requests:
    stock: {method: POST, path: /api/v1/inventory/sku-1, headers: {idempotency-key: k-1}}
  cases:
    - {name: held, state: held, request: stock, expect: {status: 200, region: tokyo}}
    - {name: lost, state: lost, request: stock, expect: {status: 503, reason: holder_unreachable}}
    - {name: back, state: held, request: stock, expect: {status: 200, region: tokyo}}
    - {name: doubt, state: doubt, request: stock, expect: {status: 503, reason: lease_unknown}}
";

pub(crate) async fn a_tour() -> Check {
    let machine = Machine::new().await?;
    let file = machine.path("tour.yaml");
    std::fs::write(&file, TOUR)?;
    let mut command = command(&machine).await?;
    command.arg("--tour").arg(&file);
    let told = ["4 passed, 0 failed", "started the Envoy of `tokyo` (container "];
    let mut account = finish(command).await?.check("a tour", 0, &told);
    account += &left(&machine).await?;
    Trouble::unless_empty(&account)
}

/// Waits until an `up` that is starting says this, and returns its processes so far.
async fn started(machine: &Machine, pid: u32, sign: &str) -> Result<BTreeSet<u32>, Trouble> {
    let mut started = BTreeSet::new();
    until(sign, async || {
        started.extend(children(pid));
        machine.errors().ok()?.contains(sign).then_some(())
    })
    .await?;
    Ok(started)
}

async fn end_while_starting(machine: &Machine, signal: Signal, sign: &str) -> Check {
    let mut command = command(machine).await?;
    command.stdout(Stdio::null()).stderr(std::fs::File::create(machine.path("up.err"))?);
    let mut child = command.spawn()?;
    let pid = child.id().ok_or_else(|| Trouble::new("`up` has ended"))?;
    let started = started(machine, pid, sign).await?;
    kill(pid, signal)?;
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    ended.map_err(|_| Trouble::new("`up` goes on"))??;
    until("every child is gone", async || started.iter().all(|pid| !runs(*pid)).then_some(()))
        .await?;
    until_no_container(machine).await
}

pub(crate) async fn a_signal_while_starting() -> Check {
    let machine = Machine::new().await?;
    for sign in ["started the Envoy of `taiwan`", "started the Envoy of `tokyo`"] {
        end_while_starting(&machine, Signal::INT, sign).await?;
        Trouble::unless_empty(&left(&machine).await?)?;
    }
    Ok(())
}

pub(crate) async fn a_command_killed_early() -> Check {
    let machine = Machine::new().await?;
    for sign in ["started the Envoy of `taiwan`", "started the Envoy of `tokyo`"] {
        end_while_starting(&machine, Signal::KILL, sign).await?;
        machine.until_no_files().await?;
    }
    Ok(())
}

pub(crate) async fn a_killed_command() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    let mut up = up(&machine).await?;
    let lines: Vec<String> = up.children.iter().map(|pid| command_line(*pid)).collect();
    for (sign, number) in
        [("docker run ", 2), (" echo --region ", 2), (" reap ", 1), (" sweep ", 1)]
    {
        if lines.iter().filter(|line| line.contains(sign)).count() != number {
            let _ = writeln!(account, "not {number} of `{sign}`: {lines:?}");
        }
    }
    machine.kill(&mut up).await?;
    // The reaper is gone by then: it has nothing more to do.
    until_no_container(&machine).await?;
    account += &left(&machine).await?;
    Trouble::unless_empty(&account)
}

pub(crate) async fn the_death_of_a_container() -> Check {
    let machine = Machine::new().await?;
    let mut up = up(&machine).await?;
    let names = containers(machine.root()).await?;
    let victim = names.iter().find(|name| name.contains("-tokyo-"));
    let victim = victim.ok_or_else(|| Trouble::new(format!("no tokyo in {names:?}")))?;
    docker(&["kill", victim]).await?;
    let status = up.ends().await?;
    let errors = machine.errors()?;
    let mut account = String::new();
    if status.code() != Some(7)
        || !errors.contains("the Envoy of region `tokyo` ended unexpectedly (exit status: 137)")
    {
        let _ = writeln!(account, "{status}: {errors}");
    }
    account += &left(&machine).await?;
    up.is_gone().await?;
    Trouble::unless_empty(&account)
}

pub(crate) async fn what_is_no_envoy() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    // Nobody listens there, so this is quick wherever it runs.
    let absent = "127.0.0.1:1/no/envoy:1";
    let mut command = machine.command(UP)?;
    command.env(IMAGE_VARIABLE, absent);
    let texts = [&format!("no image {absent}"), "help:", "`meshfence image`", IMAGE_VARIABLE];
    account += &finish(command).await?.check("an image that is not there", 7, &texts);

    let tag = format!("meshfence/test:{}-none", std::process::id());
    let empty = machine.path("empty.tar");
    std::fs::write(&empty, vec![0; 1024])?;
    let empty = empty.to_string_lossy().into_owned();
    let entrypoint = "ENTRYPOINT [\"/usr/local/bin/envoy\"]";
    docker(&["import", "--change", entrypoint, &empty, &tag]).await?;
    let mut command = machine.command(UP)?;
    command.env(IMAGE_VARIABLE, &tag);
    let ended = finish(command).await;
    docker(&["rmi", &tag]).await?;
    let texts = [&format!("cannot use the image {tag}"), "help:", IMAGE_VARIABLE];
    account += &ended?.check("an image without Envoy", 7, &texts);
    account += &left(&machine).await?;
    Trouble::unless_empty(&account)
}
