//! What the commands that start Envoys share.

use crate::exit::{Exit, Failure};
use local_mesh::docker::{self, Containers, Engine};
use local_mesh::envoy;
use local_mesh::launch::Runtime;
use std::ffi::OsString;
use std::path::Path;

/// What names the image of `--docker`.
pub(crate) const IMAGE_VARIABLE: &str = "MESHFENCE_ENVOY_IMAGE";

/// What runs the Envoys, and what to call it.
pub(crate) async fn find(
    envoy: Option<&Path>,
    docker: bool,
    say: &mut dyn FnMut(&str),
) -> Result<(Runtime, String), Failure> {
    if !docker {
        let found = envoy::find(envoy, say).await?;
        let version = found.version.clone();
        return Ok((Runtime::from(found), version));
    }
    let named = std::env::var(IMAGE_VARIABLE).ok().filter(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| docker::official_image(envoy::ENVOY_VERSION));
    let image = Engine::connect().await?.image(&name, say).await?;
    let version = format!("{} in containers of {name}", image.version);
    Ok((Runtime::Docker(Containers { image, reaper: vec![executable()?, "reap".into()] }), version))
}

/// This command's own executable.
pub(crate) fn executable() -> Result<OsString, Failure> {
    let executable = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Environment, format!("cannot find this command's own file: {error}"))
    })?;
    Ok(executable.into())
}

/// Runs something to its end unless a signal comes first.
pub(crate) async fn until<T>(
    interrupted: impl Future<Output = ()>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        () = interrupted => Err(Failure::new(Exit::Environment, "interrupted")),
        done = work => done,
    }
}
