//! The engine of this machine, and what of ours it has.

use local_mesh::docker::{Engine, LABEL, local_image};
use local_mesh::envoy::{self, ENVOY_VERSION, Pinned};
use std::path::Path;
use suite::Trouble;
use tokio::process::Command;

/// What names the image that the command takes.
pub(crate) const IMAGE_VARIABLE: &str = "MESHFENCE_ENVOY_IMAGE";

/// Why there is no engine to test with.
pub(crate) async fn missing() -> Option<String> {
    let engine = Engine::connect().await;
    engine.and_then(|engine| engine.require_host_network()).err().map(|error| error.to_string())
}

/// An image that is there: the one that is named, or one of our own, made if need be.
pub(crate) async fn image() -> Result<String, Trouble> {
    let engine = Engine::connect().await?;
    if let Ok(named) = std::env::var(IMAGE_VARIABLE)
        && engine.has(&named).await?
    {
        return Ok(named);
    }
    let local = local_image(ENVOY_VERSION);
    if !engine.has(&local).await? {
        let say = &mut |line: &str| eprintln!("{line}");
        let envoy = envoy::find_pinned(Pinned::Newest, say).await?;
        engine.build(&envoy, &local, say).await?;
    }
    Ok(local)
}

/// Asks Docker.
pub(crate) async fn docker(arguments: &[&str]) -> Result<String, Trouble> {
    let output = Command::new("docker").args(arguments).kill_on_drop(true).output().await?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Trouble::new(format!("docker {}: {errors}", arguments.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The names of the containers, running or not, of runs whose directories are below this one.
pub(crate) async fn containers(below: &Path) -> Result<Vec<String>, Trouble> {
    let filter = format!("label={LABEL}");
    let format = format!("{{{{.Names}}}}\t{{{{.Label \"{LABEL}\"}}}}");
    let all = docker(&["ps", "--all", "--filter", &filter, "--format", &format]).await?;
    let pairs = all.lines().filter_map(|line| line.split_once('\t'));
    let ours = pairs.filter(|(_, run)| Path::new(run).starts_with(below));
    Ok(ours.map(|(name, _)| name.to_owned()).collect())
}
