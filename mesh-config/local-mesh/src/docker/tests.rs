//! With a shell script for Docker: what is asked of it, and what is made of its answers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::launch::{Launch, Runtime, Starter};
use crate::run_dir::RunDir;

const ROOT_ON_LINUX: &str = "linux\nDebian GNU/Linux 12\n[\"name=seccomp,profile=default\"]";
const VERSION: &str = "echo 'envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL'";

/// A Docker that notes its arguments in `asked`, a line a call, and answers with the first arm of a
/// `case` that fits.
fn docker(dir: &Path, arms: &str) -> OsString {
    let path = dir.join("docker");
    let asked = dir.join("asked");
    let script = format!(
        "#!/bin/sh\necho \"$*\" | tr '\\n' ' ' >> {asked}; echo >> {asked}\ncase \"$*\" in\n{arms}\n\
         info*) printf '{ROOT_ON_LINUX}';;\nesac\n",
        asked = asked.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.into()
}

fn asked(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("asked")).unwrap_or_default();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

async fn image(dir: &Path, arms: &str) -> Result<(Image, Vec<String>), Error> {
    let mut lines = Vec::new();
    let engine = Engine::connect_by(docker(dir, arms)).await?;
    let image = engine.image("some/envoy:1", &mut |line| lines.push(line.to_owned())).await?;
    Ok((image, lines))
}

#[tokio::test]
async fn takes_an_image_that_is_there_and_pulls_one_that_is_not() {
    let there = tempfile::tempdir().unwrap();
    let (found, lines) = image(there.path(), &format!("run*) {VERSION};;")).await.unwrap();
    assert_eq!((&*found.name, &*found.version), ("some/envoy:1", "1.40.0"));
    assert_eq!(lines, [""; 0]);
    assert!(!asked(there.path()).iter().any(|line| line.starts_with("pull")));

    let absent = tempfile::tempdir().unwrap();
    let arms = format!("image*) exit 1;;\nrun*) {VERSION};;");
    let (_, lines) = image(absent.path(), &arms).await.unwrap();
    assert_eq!(lines, ["pulling some/envoy:1 (once)"]);
    assert!(asked(absent.path()).contains(&"pull --quiet some/envoy:1".to_owned()));

    let old = tempfile::tempdir().unwrap();
    let arms = format!("run*) {};;", VERSION.replace("1.40.0", "1.30.1"));
    let (_, lines) = image(old.path(), &arms).await.unwrap();
    assert_eq!(lines, ["warning: Envoy 1.30.1 (some/envoy:1) is outside of the tested 1.36–1.40"]);
}

#[tokio::test]
async fn says_what_is_missing_and_what_to_do() {
    let info = |text: &str| format!("info*) printf '{text}';;");
    for (arms, message, help) in [
        (
            "info*) echo 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1;;".into(),
            "there is no container engine: Cannot connect to the Docker daemon at unix:///x.",
            "install Docker",
        ),
        (
            info(&ROOT_ON_LINUX.replace("Debian GNU/Linux 12", "Docker Desktop")),
            "containers cannot use the network of this machine: Docker Desktop runs its containers \
             in a virtual machine",
            "without --docker",
        ),
        (
            info(&ROOT_ON_LINUX.replace("seccomp,", "rootless,")),
            "containers cannot use the network of this machine: the engine is rootless and has a \
             network of its own",
            "without --docker",
        ),
        (
            info(&ROOT_ON_LINUX.replacen("linux", "windows", 1)),
            "containers cannot use the network of this machine: the engine runs no Linux containers",
            "without --docker",
        ),
        (
            "image*) exit 1;;\npull*) echo 'Error response from daemon: no such host' >&2; exit 1;;"
                .into(),
            "there is no image some/envoy:1: no such host",
            "`meshfence image`",
        ),
        (
            "run*) echo 'docker: Error response from daemon: no such file: envoy' >&2; exit 127;;"
                .into(),
            "cannot use the image some/envoy:1: it does not start: no such file: envoy",
            "MESHFENCE_ENVOY_IMAGE",
        ),
        (
            "run*) echo nginx;;".into(),
            "cannot use the image some/envoy:1: it holds another program",
            "MESHFENCE_ENVOY_IMAGE",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let error = image(dir.path(), &arms).await.unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_environment(), "{error}");
        assert!(error.help().unwrap().contains(help), "{error}");
    }
    let error = Engine::connect_by("/nonexistent/docker".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no container engine: there is no `docker` command");
}

#[tokio::test]
async fn a_container_sees_the_run_and_no_secret_is_in_its_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let arms = format!("run*--version) {VERSION};;\nrun*) echo key: $KEY; sleep 1000;;");
    let (image, _) = image(dir.path(), &arms).await.unwrap();
    let run_dir = RunDir::create().unwrap();
    let reaper = ["sh", "-c", "cat > /dev/null"].map(OsString::from).to_vec();
    let containers = Containers { image, reaper };
    let mut starter = Starter::new(Runtime::Docker(containers), &run_dir).await.unwrap();
    let log = run_dir.path().join("log");
    let envoy = Launch {
        region: "tokyo",
        arguments: &["-c".into(), "x.yaml".into()],
        env: &[("KEY".into(), "secret".into())].into_iter().collect(),
        run_dir: run_dir.path(),
        log: &log,
    };
    let mut container = starter.start(&envoy).await.unwrap();
    let passed_on = async {
        while !fs::read_to_string(&log).unwrap().contains("key: secret\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), passed_on).await.unwrap();
    container.ask_to_end();
    let status = std::future::poll_fn(|context| container.poll_end(context)).await;
    assert!(status.starts_with("signal: 15"), "{status}");
    starter.end().await;

    let asked = asked(dir.path());
    let line = asked.iter().find(|line| line.contains("--name")).unwrap();
    let run = run_dir.path().display().to_string();
    let name = run_dir.path().file_name().unwrap().to_str().unwrap();
    for part in [
        "run --rm --network host ",
        &format!(" --name {name}-tokyo-1 "),
        &format!(" --label {LABEL}={run} "),
        &format!(" --label {OWNER}={} ", owner()),
        &format!(" --mount type=bind,\"source={run}\",\"target={run}\" "),
        " --env KEY ",
        " some/envoy:1 -c x.yaml",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!asked.iter().any(|line| line.contains("secret")), "{asked:?}");
}

#[tokio::test]
async fn sweeps_the_containers_of_dead_runs_only() {
    let dir = tempfile::tempdir().unwrap();
    let alive = RunDir::create().unwrap();
    let ps = format!(
        "ps*) echo one /nonexistent/meshfence-7-dead; echo two {}; echo three /elsewhere;;",
        alive.path().display()
    );
    let (image, _) = image(dir.path(), &format!("{ps}\nrun*) {VERSION};;")).await.unwrap();
    let next = RunDir::create().unwrap();
    let containers = Containers { image, reaper: vec!["true".into()] };
    Run::new(containers, &next).await.unwrap().end().await;
    let removed: Vec<String> =
        asked(dir.path()).into_iter().filter(|line| line.starts_with("rm ")).collect();
    assert_eq!(removed, ["rm --force one"]);
    // Whoever else uses the engine is not asked for.
    let asked = asked(dir.path());
    let ps = asked.iter().find(|line| line.starts_with("ps ")).unwrap();
    assert!(ps.contains(&format!(" --filter label={OWNER}={} ", owner())), "{ps}");
}

#[tokio::test]
async fn without_a_reaper_there_is_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = image(dir.path(), &format!("run*) {VERSION};;")).await.unwrap();
    let run_dir = RunDir::create().unwrap();
    for reaper in [Vec::new(), vec!["/nonexistent/reaper".into()]] {
        let containers = Containers { image: image.clone(), reaper };
        let error = Run::new(containers, &run_dir).await.unwrap_err();
        assert!(
            error.to_string().starts_with("cannot start what cleans up after the run: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_reaper_removes_what_is_there_and_what_comes_late() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().display();
    // A container, none, one that was still on its way, none from then on.
    let arms = format!(
        "ps*) n=$(cat {root}/n 2>/dev/null || echo 0); echo $((n+1)) > {root}/n\n\
         case $n in 0) echo early /run;; 2) echo late /run;; esac;;"
    );
    let engine = || Engine::connect_by(docker(dir.path(), &arms));
    reap::reap_by(engine, "/run", io::empty(), Duration::from_millis(1)).await.unwrap();
    let removed: Vec<String> =
        asked(dir.path()).into_iter().filter(|line| line.starts_with("rm ")).collect();
    assert_eq!(removed, ["rm --force early", "rm --force late"]);

    // After an orderly end it has one look.
    let dir = tempfile::tempdir().unwrap();
    let engine = || Engine::connect_by(docker(dir.path(), "ps*) ;;"));
    reap::reap_by(engine, "/run", &b"."[..], Duration::from_millis(1)).await.unwrap();
    let looks = asked(dir.path()).into_iter().filter(|line| line.starts_with("ps ")).count();
    assert_eq!(looks, 1);
}

#[tokio::test]
async fn builds_an_image_of_an_executable_and_its_libraries() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.tar");
    let arms = format!("import*) cp \"$4\" {};;\nrun*) {VERSION};;", kept.display());
    let engine = Engine::connect_by(docker(dir.path(), &arms)).await.unwrap();
    let path = fs::canonicalize("/bin/sh").unwrap();
    let envoy =
        envoy::EnvoyBinary { path, source: envoy::Source::Explicit, version: "1.40.0".into() };
    let image = engine.build(&envoy, &local_image("1.40.0"), &mut |_| {}).await.unwrap();
    assert_eq!(image.name, "meshfence/envoy:1.40.0");
    let mut archive = tar::Archive::new(fs::File::open(kept).unwrap());
    let paths: Vec<PathBuf> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().into_owned())
        .collect();
    let has = |name: &str| paths.iter().any(|path| path.to_string_lossy().contains(name));
    assert!(has("usr/local/bin/envoy") && has("libc.so") && has("ld-linux"), "{paths:?}");

    let arms = "import*) echo 'Error response from daemon: no space' >&2; exit 1;;";
    let engine = Engine::connect_by(docker(dir.path(), arms)).await.unwrap();
    let error = engine.build(&envoy, "a:b", &mut |_| {}).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot make an image of Envoy: no space");
}
