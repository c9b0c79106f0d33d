//! `meshfence image`: an Envoy image for `up --docker` where none can be pulled.

use crate::cli::Image;
use crate::commands::runtime::IMAGE_VARIABLE;
use crate::exit::Failure;
use crate::terminal::{self, BOLD, Progress};
use local_mesh::docker::{Engine, local_image};
use local_mesh::envoy::{self, Pinned};

pub(crate) async fn run(arguments: Image) -> Result<(), Failure> {
    let progress = Progress::new();
    let built = build(&arguments, &progress).await;
    progress.done();
    let built = built?;
    terminal::print(&format!(
        "{BOLD}{}{BOLD:#} holds Envoy {}. Use it with:\n\n  {IMAGE_VARIABLE}={} meshfence up --docker",
        built.name, built.version, built.name
    ))
}

async fn build(
    arguments: &Image,
    progress: &Progress,
) -> Result<local_mesh::docker::Image, Failure> {
    let say = &mut |what: &str| progress.say(what);
    // First, so that nobody waits for a download to hear that there is no engine.
    let engine = Engine::connect().await?;
    let envoy = match &arguments.envoy {
        Some(file) => envoy::find(Some(file), say).await?,
        None => envoy::find_pinned(Pinned::Newest, say).await?,
    };
    let tag = arguments.tag.clone().unwrap_or_else(|| local_image(&envoy.version));
    Ok(engine.build(&envoy, &tag, say).await?)
}
