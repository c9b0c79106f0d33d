//! The containers of one mesh.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::process::Command;

use super::{Containers, Engine, LABEL, OWNER, confinement, owner};
use crate::error::{Error, Part};
use crate::launch::{self, Launch};
use crate::run_dir::{self, RunDir};
use crate::supervise::{Handle, Supervised};
use crate::survivor::Survivor;

/// What starts the containers of one mesh, and makes sure that none of them stays behind.
#[derive(Debug)]
pub(crate) struct Run {
    engine: Engine,
    image: String,
    /// The value of their label.
    label: String,
    /// What their names begin with.
    prefix: String,
    /// How many there were: a name may be in use for a moment longer than its container runs.
    started: usize,
    reaper: Survivor,
}

/// A container, by way of the `docker run` that is attached to it.
#[derive(Debug)]
struct Container {
    engine: Engine,
    name: String,
    shadow: Box<dyn Supervised>,
    is_gone: bool,
}

// === impl Run ===

impl Run {
    /// Removes what dead runs left, and has somebody watch over what this one will.
    pub(crate) async fn new(containers: Containers, run_dir: &RunDir) -> Result<Self, Error> {
        let Containers { image, reaper } = containers;
        sweep(&image.engine).await;
        let path = run_dir.path();
        let label = path.display().to_string();
        let prefix = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reaper = Survivor::start(&reaper, label.as_ref())?;
        Ok(Self { engine: image.engine, image: image.name, label, prefix, started: 0, reaper })
    }

    pub(crate) fn start(&mut self, envoy: &Launch<'_>) -> Result<Box<dyn Supervised>, Error> {
        self.started = self.started.saturating_add(1);
        let name = format!("{}-{}-{}", self.prefix, envoy.region, self.started);
        let mut command = Command::new(&self.engine.program);
        command.args(["run", "--rm", "--network", "host", "--name", &name, "--label"]);
        command.arg(format!("{LABEL}={}", self.label));
        command.arg("--label").arg(format!("{OWNER}={}", owner()));
        command.arg("--mount").arg(mount(envoy.run_dir));
        command.args(confinement());
        // By name only: the value goes from our environment to the engine, past command lines.
        for (name, _) in envoy.env.iter() {
            command.arg("--env").arg(name);
        }
        command.envs(envoy.env.iter());
        command.arg(&self.image).args(envoy.arguments);
        let shadow = launch::process(envoy.region, Part::Envoy, &mut command, envoy.log)?;
        Ok(Box::new(Container { engine: self.engine.clone(), name, shadow, is_gone: false }))
    }

    pub(crate) async fn end(self) {
        self.reaper.end().await;
    }
}

/// Removes the containers of dead runs. Best effort, as for their directories. An engine may serve
/// others as well, whose directories are not to be seen from here: theirs are left alone.
async fn sweep(engine: &Engine) {
    let found = engine.containers(OWNER, &owner()).await.unwrap_or_default();
    let dead = found.into_iter().filter(|(_, run)| run_dir::is_over(Path::new(run)));
    let dead: Vec<String> = dead.map(|(id, _)| id).collect();
    let _ = engine.remove(&dead).await;
}

/// The directory at its own path. A path may hold what separates the fields; quotes keep it whole.
fn mount(directory: &Path) -> OsString {
    let path = directory.display().to_string().replace('"', "\"\"");
    format!("type=bind,\"source={path}\",\"target={path}\"").into()
}

// === impl Container ===

impl Supervised for Container {
    fn handle(&self) -> Handle {
        Handle::Container(self.name.clone())
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let end = self.shadow.poll_end(context);
        if let Poll::Ready(status) = &end {
            // A `docker run` ends with an exit code, after its container. One that was killed
            // itself has left the container alone.
            self.is_gone = !status.starts_with("signal");
        }
        end
    }

    /// `docker run` passes the signal on.
    fn ask_to_end(&mut self) {
        self.shadow.ask_to_end();
    }

    /// Removes the container, upon which `docker run` ends.
    fn kill(&mut self) {
        if self.is_gone {
            return;
        }
        let mut command = Command::new(&self.engine.program);
        command.args(["rm", "--force", &self.name]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        #[cfg(unix)]
        command.process_group(0);
        // What cannot be killed now is the reaper's.
        let _ = command.spawn();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_what_has_an_odd_name() {
        assert_eq!(
            mount(Path::new("/t/a,b\"c")),
            "type=bind,\"source=/t/a,b\"\"c\",\"target=/t/a,b\"\"c\""
        );
    }
}
