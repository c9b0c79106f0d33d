//! The command as users run it: exit codes, what is printed where, signals, and that nothing is
//! left behind.
#![cfg(target_os = "linux")]

use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use suite::machine::{Machine, children, command_line, finish, kill, runs};
use suite::{Check, LIMIT, Trouble, envoy, until};
use tokio::process::Command;

#[tokio::test]
async fn an_invalid_policy_ends_with_3_and_every_problem() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    let ambiguous = (
        "contexts.yaml",
        "- name: reviews",
        "- name: a\n      match: [{path: \"/x/{a}/y/**\"}]\n      consistency: replicated\n      \
         dataClasses: [public]\n      priority: low\n    - name: b\n      match: [{path: \
         \"/x/{b}/y/**\"}]\n      consistency: replicated\n      dataClasses: [public]\n      \
         priority: low\n    - name: reviews",
    );
    let region = ("residency.yaml", "regions: [tokyo]", "regions: [osaka]");
    let key = ("mesh.yaml", "hosts:", "host:");
    let syntax = ("fencing.yaml", "mode: enforce", "mode: [enforce");
    for (name, changes, texts) in [
        ("bad-yaml", vec![syntax], vec!["fencing.yaml"]),
        ("unknown-region", vec![region], vec!["residency.yaml", "osaka"]),
        ("ambiguous", vec![ambiguous], vec!["contexts.yaml", "/x/{a}/y/**", "/x/{b}/y/**"]),
        ("unknown-key", vec![key], vec!["mesh.yaml", "`host`"]),
        (
            "everything",
            vec![region, ambiguous, key],
            vec!["residency.yaml", "osaka", "/x/{a}/y/**", "/x/{b}/y/**", "mesh.yaml", "`host`"],
        ),
    ] {
        let directory = machine.policy_set(name, &changes)?;
        let directory = directory.to_string_lossy();
        let out = machine.path("out").to_string_lossy().into_owned();
        for arguments in [
            vec!["check", &directory],
            vec!["up", "--base-port", "0", &directory],
            vec!["render", "envoy", "--out", &out, &directory],
            vec!["token", &directory],
        ] {
            let ended = machine.run(&arguments).await?;
            account += &ended.check(&format!("{name}, {}", arguments.join(" ")), 3, &texts);
        }
        if Path::new(&out).exists() {
            let _ = writeln!(account, "{name}: something was rendered");
        }
    }
    let missing = machine.policy_set("missing", &[])?;
    for (file, kind) in [("topology.yaml", "Topology"), ("residency.yaml", "Residency")] {
        std::fs::remove_file(missing.join(file))?;
        let ended = machine.run(&["check", &missing.to_string_lossy()]).await?;
        account += &ended.check(&format!("no {kind}"), 3, &[kind]);
    }
    let ended = machine.run(&["check", &missing.to_string_lossy()]).await?;
    account += &ended.check("two kinds missing", 3, &["Topology", "Residency"]);
    let empty = machine.path("empty");
    std::fs::create_dir(&empty)?;
    let ended = machine.run(&["check", &empty.to_string_lossy()]).await?;
    account += &ended.check("an empty directory", 3, &["no YAML files"]);
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn check_speaks_json() -> Check {
    let machine = Machine::new().await?;
    let good = machine.policy_set("good", &[])?;
    let ended = machine.run(&["check", "--format", "json", &good.to_string_lossy()]).await?;
    let mut account = ended.check("a good set", 0, &[]);
    let report: Value = serde_json::from_str(&ended.out)?;
    if report.pointer("/policySet/name").and_then(Value::as_str) != Some("tpe-tokyo") {
        let _ = writeln!(account, "a good set: {report}");
    }
    let change = ("residency.yaml", "regions: [tokyo]", "regions: [osaka]");
    let bad = machine.policy_set("bad", &[change])?;
    let ended = machine.run(&["check", "--format", "json", &bad.to_string_lossy()]).await?;
    account += &ended.check("a bad set", 3, &[]);
    let report: Value = serde_json::from_str(&ended.out)?;
    let first = report.pointer("/diagnostics/0");
    let line = first.and_then(|first| first.pointer("/place/line")).and_then(Value::as_u64);
    let file = first.and_then(|first| first.pointer("/place/file")).and_then(Value::as_str);
    if line.is_none() || !file.is_some_and(|file| file.ends_with("residency.yaml")) {
        let _ = writeln!(account, "a bad set: {report}");
    }
    let ended = machine.run(&["check"]).await?;
    account += &ended.check("the example", 0, &["ok", "tpe-tokyo"]);
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn wrong_arguments_end_with_2() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    for (arguments, text) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["up", "--no-such-flag"], "--no-such-flag"),
        (&["no-such-command"], "no-such-command"),
        (&["check", "/nonexistent"], "/nonexistent"),
        (&["up", "--base-port", "70000"], "70000"),
        (&["up", "--base-port", "65500"], "65500"),
        (&["up", "--workers", "0"], "--workers"),
        (&["up", "--docker", "--envoy", "envoy"], "--docker"),
        (&["up", "--state", "no-such-state"], "no-such-state"),
        (&["render", "envoy"], "--out"),
        (&["token", "--claim", "novalue", "--key", "/nonexistent"], "novalue"),
        (&["token", "--country", "jp"], "did you mean JP?"),
        (&["test", "--state", "norml"], "did you mean `normal`?"),
        // Built as users build it.
        (&["test", "--engine", "native,wasm"], "cargo run --features wasm -- test --engine wasm"),
        (&["explain", "--case", "forged rout"], "did you mean `forged route`?"),
        (&["explain", "--case", "forged route", "--state", "normal"], "--state"),
        (&["explain", "--path", "foo"], "did you mean `/foo`?"),
        (&["explain", "--path", "/", "--header", ":path: /x"], "pass it by --method"),
        (&["explain", "--path", "/", "--peer", "tokyo", "--role", "edge"], "--role peer"),
    ] {
        let ended = machine.run(arguments).await?;
        account += &ended.check(&arguments.join(" "), 2, &[text]);
    }
    let ended = machine.run(&["--help"]).await?;
    account += &ended.check("help", 0, &["Exit codes", "check", "up", "token", "render"]);
    let ended = machine.run(&["--version"]).await?;
    account += &ended.check("version", 0, &["meshfence"]);
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn what_the_machine_lacks_ends_with_7() -> Check {
    let machine = Machine::new().await?;
    let nonexistent = "/nonexistent/envoy";
    let ended = machine.run(&["up", "--base-port", "0", "--envoy", nonexistent]).await?;
    let mut account = ended.check("--envoy", 7, &[nonexistent, "help:", "--envoy"]);
    let mut command = machine.command(&["up", "--base-port", "0"])?;
    command.env("ENVOY", nonexistent);
    let ended = finish(command).await?;
    account += &ended.check("ENVOY", 7, &[nonexistent, "help:", "ENVOY"]);
    // Nothing on PATH, nothing cached, and no Python to fetch one with.
    let mut command = machine.command(&["up", "--base-port", "0"])?;
    command.env("PATH", machine.path("bin")).env("HOME", machine.root());
    command.env("XDG_CACHE_HOME", machine.path("cache")).env_remove("ENVOY");
    let ended = finish(command).await?;
    account += &ended.check("no Envoy", 7, &["no Envoy", "help:"]);
    for arguments in [&["up", "--base-port", "0", "--docker"][..], &["image"]] {
        let mut command = machine.command(arguments)?;
        command.env("DOCKER_HOST", "unix:///nonexistent.sock");
        let texts = ["no container engine", "help:", "`meshfence image`", "without --docker"];
        account += &finish(command).await?.check("no engine", 7, &texts);
    }
    let ended = machine.run(&["token", "--country", "JP"]).await?;
    account += &ended.check("token without a run", 7, &["no `meshfence up` is running", "help:"]);
    let (base, taken) = taken_after_free()?;
    let port = taken.local_addr()?.port().to_string();
    let ended = machine.run(&["up", "--base-port", &base.to_string()]).await?;
    account += &ended.check("a port in use", 7, &[&port, "in use", "help:"]);
    drop(taken);
    let left = machine.run_directories()?;
    if !left.is_empty() {
        let _ = writeln!(account, "left: {left:?}");
    }
    Trouble::unless_empty(&account)
}

/// A free port, and the next one taken: with the first as base, that of the first region's admin
/// interface.
fn taken_after_free() -> Result<(u16, std::net::TcpListener), Trouble> {
    for _ in 0..100 {
        let probe = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let base = probe.local_addr()?.port();
        if base < 65_000
            && let Ok(taken) = std::net::TcpListener::bind(("127.0.0.1", base.saturating_add(1)))
        {
            return Ok((base, taken));
        }
    }
    Err(Trouble::new("no two free ports in a row"))
}

#[tokio::test]
async fn rendered_bootstraps_are_valid() -> Check {
    let machine = Machine::new().await?;
    let out = machine.path("rendered");
    let set = machine.policy_set("set", &[])?;
    let arguments = ["render", "envoy", "--out", &out.to_string_lossy(), &set.to_string_lossy()];
    let ended = machine.run(&arguments).await?;
    let mut account = ended.check("render", 0, &["taiwan.yaml", "tokyo.yaml", "meshfence.wasm"]);
    let wasm = std::fs::read(out.join("meshfence.wasm"))?;
    if !wasm.starts_with(b"\0asm") {
        let _ = writeln!(account, "the module is no module");
    }
    let envoy = envoy().await?.path;
    for region in ["taiwan", "tokyo"] {
        let mut command = Command::new(&envoy);
        command.args(["--mode", "validate", "-l", "warn", "-c"]);
        command.arg(out.join(format!("{region}.yaml"))).kill_on_drop(true);
        let ended = finish(command).await?;
        account += &ended.check(region, 0, &["OK"]);
    }
    // The same again is the same.
    let before = std::fs::read(out.join("taiwan.yaml"))?;
    machine.run(&arguments).await?;
    if std::fs::read(out.join("taiwan.yaml"))? != before {
        let _ = writeln!(account, "a second rendering differs");
    }
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn a_run_is_used_and_stopped_by_a_signal() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    for (signal, name) in
        [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")]
    {
        let mut up = machine.up(&[]).await?;
        // Two of each, and what cleans up if this process cannot.
        if up.children.len() != 5 {
            let _ = writeln!(account, "{name}: {} children", up.children.len());
        }
        account += &machine.use_tokens(&up).await?;
        if up.text.contains('\u{1b}') || machine.errors()?.contains('\u{1b}') {
            let _ = writeln!(account, "{name}: escape codes: {:?}", up.text);
        }
        up.signal(signal)?;
        let status = up.ends().await?;
        up.is_gone().await?;
        if status.code() != Some(0) {
            let _ = writeln!(account, "{name}: {status}: {}", last_line(&machine.errors()?));
        }
        let left = machine.run_directories()?;
        if !left.is_empty() {
            let _ = writeln!(account, "{name}: left {left:?}");
        }
    }
    Trouble::unless_empty(&account)
}

/// A signal that comes before everything runs ends what runs already.
#[tokio::test]
async fn a_signal_while_starting_leaves_nothing() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    for (signal, sign) in [
        (Signal::INT, "started the upstream of `taiwan`"),
        (Signal::TERM, "started the Envoy of `taiwan`"),
        (Signal::INT, "started the Envoy of `tokyo`"),
        (Signal::KILL, "started the upstream of `taiwan`"),
        (Signal::KILL, "started the Envoy of `tokyo`"),
    ] {
        let mut command = machine.command(&["up", "--base-port", "0", "--tour"])?;
        command.stdout(Stdio::null()).stderr(std::fs::File::create(machine.path("up.err"))?);
        let mut child = command.spawn()?;
        let pid = child.id().ok_or_else(|| Trouble::new("`up` has ended"))?;
        let mut started = BTreeSet::new();
        until(sign, async || {
            started.extend(children(pid));
            machine.errors().ok()?.contains(sign).then_some(())
        })
        .await?;
        kill(pid, signal)?;
        let ended = tokio::time::timeout(LIMIT, child.wait()).await;
        let status = ended.map_err(|_| Trouble::new("`up` goes on"))??;
        until("every child is gone", async || started.iter().all(|pid| !runs(*pid)).then_some(()))
            .await?;
        let errors = machine.errors()?;
        if signal == Signal::KILL {
            machine.until_no_files().await?;
        } else if status.code() != Some(7) || last_line(&errors) != "error: interrupted" {
            let _ = writeln!(account, "{signal:?} after {sign}: {status}: {errors}");
        }
        let left = machine.run_directories()?;
        if !left.is_empty() {
            let _ = writeln!(account, "{signal:?} after {sign}: left {left:?}");
        }
    }
    Trouble::unless_empty(&account)
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[tokio::test]
async fn nothing_outlives_a_killed_command() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    let mut up = machine.up(&[]).await?;
    let lines: Vec<String> = up.children.iter().map(|pid| command_line(*pid)).collect();
    let echoes = lines.iter().filter(|line| line.contains(" echo --region ")).count();
    let envoys = lines.iter().filter(|line| line.contains("--disable-hot-restart")).count();
    if (echoes, envoys) != (2, 2) {
        let _ = writeln!(account, "children: {lines:?}");
    }
    machine.kill(&mut up).await?;
    let ended = machine.run(&["token", "--country", "JP"]).await?;
    account += &ended.check("token of a killed run", 7, &["no `meshfence up` is running"]);
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn the_death_of_a_child_stops_everything() -> Check {
    let machine = Machine::new().await?;
    let mut account = String::new();
    for (what, sign) in [("upstream", " echo --region tokyo"), ("Envoy", "tokyo-bootstrap")] {
        let mut up = machine.up(&[]).await?;
        let victim = up.children.iter().find(|pid| command_line(**pid).contains(sign));
        let victim = *victim.ok_or_else(|| Trouble::new(format!("no child has `{sign}`")))?;
        kill(victim, Signal::KILL)?;
        let status = up.ends().await?;
        up.is_gone().await?;
        let errors = machine.errors()?;
        let told = format!("the {what} of region `tokyo` ended unexpectedly");
        if status.code() != Some(7) || !errors.contains(&told) {
            let _ = writeln!(account, "{what}: {status}: {errors}");
        }
        let left = machine.run_directories()?;
        if !left.is_empty() {
            let _ = writeln!(account, "{what}: left {left:?}");
        }
    }
    Trouble::unless_empty(&account)
}

#[tokio::test]
async fn a_tour_that_fails_ends_with_4() -> Check {
    let machine = Machine::new().await?;
    let file = machine.path("tour.yaml");
    let test = "apiVersion: meshfence.dev/v1alpha1\nkind: PolicyTest\nmetadata: {name: mine}\n\
                spec:\n  defaults: {at: {region: taiwan}}\n  cases:\n    - name: this holds\n      \
                request: {path: /api/v1/products/1}\n      expect: {status: 200}\n    - name: this \
                does not\n      request: {path: /admin}\n      expect: {status: 200, region: tokyo}\n";
    std::fs::write(&file, test)?;
    let file = file.to_string_lossy().into_owned();
    let tour = ["up", "--base-port", "0", "--tour", &file];
    let ended = machine.run(&tour).await?;
    let mut account = ended.check(
        "a tour that fails",
        4,
        &[
            "this does not",
            "tour.yaml:10",
            "status: expected 200, found 404",
            "region: expected tokyo, found nothing",
            "1 passed, 1 failed",
        ],
    );
    let mut command = machine.command(&tour)?;
    command.env("NO_COLOR", "1");
    account += &finish(command).await?.check("NO_COLOR", 4, &["1 passed, 1 failed"]);
    std::fs::write(
        &file,
        test.replace("/admin", "/api/v1/reviews/1").replace(", region: tokyo", ""),
    )?;
    let ended = machine.run(&tour).await?;
    account += &ended.check("a tour that passes", 0, &["2 passed, 0 failed"]);
    std::fs::write(&file, test.replace("tokyo", "osaka"))?;
    let ended = machine.run(&tour).await?;
    account += &ended.check("a tour that is invalid", 3, &["osaka", "tour.yaml"]);
    let left = machine.run_directories()?;
    if !left.is_empty() {
        let _ = writeln!(account, "left: {left:?}");
    }
    Trouble::unless_empty(&account)
}

/// The set's own tour ends with concurrent updates: what both regions keep of them, and what the
/// rule of the ADR would leave each with.
#[tokio::test]
async fn the_own_tour_shows_that_regions_converge() -> Check {
    let machine = Machine::new().await?;
    let mut command = machine.command(&["up", "--base-port", "0", "--tour"])?;
    command.env("NO_COLOR", "1");
    let ended = finish(command).await?;
    let mut account = ended.check(
        "the own tour",
        0,
        &["neither knows of the other", "-tpe-", "-tyo-", "taiwan keeps", "tokyo keeps"],
    );
    let row = |rule: &str| ended.out.lines().find(|line| line.contains(rule)).unwrap_or_default();
    let names = |row: &str| ["Kim Min-jun", "Minjun Kim"].map(|name| row.matches(name).count());
    // Both keep one of them, whichever it is.
    let by_version = row("the larger version");
    if !by_version.contains('✓') || ![[2, 0], [0, 2]].contains(&names(by_version)) {
        let _ = writeln!(account, "by version: {by_version}");
    }
    // In one millisecond each keeps its own; on a machine where that never happens it is said so.
    let by_adr = row("ADR-037");
    let met = ended.out.contains("the same millisecond, ");
    let told = ended.out.contains("these are the closest");
    if met == told || (met && (names(by_adr) != [1, 1] || !by_adr.contains("not the same"))) {
        let _ = writeln!(account, "by the ADR, met {met}: {by_adr}");
    }
    Trouble::unless_empty(&account)
}
