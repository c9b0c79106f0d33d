//! What runs the Envoys of a mesh: the machine itself, a container engine, or somebody else.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::process::Command;

use crate::docker;
use crate::envoy::EnvoyBinary;
use crate::error::{Error, Part};
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::supervise::Supervised;

/// What runs the Envoys of a mesh. The upstreams are processes in any case.
#[derive(Debug, Clone)]
pub enum Runtime {
    /// The machine: they are processes of this executable.
    Process(PathBuf),
    /// A container engine, by its command line.
    Docker(docker::Containers),
    /// Somebody else, such as a container library of a test.
    Other(Arc<dyn Launcher>),
}

/// Starts Envoys by means of its own.
///
/// An Envoy has to see the run directory under its own path, be able to write there, and listen on
/// the loopback addresses of this machine. Whoever starts it also keeps the promise that it does
/// not outlive us.
pub trait Launcher: fmt::Debug + Send + Sync {
    /// Starts an Envoy. It need not be ready yet.
    fn launch<'a>(&'a self, envoy: &'a Launch<'a>) -> Launched<'a>;
}

/// An Envoy on its way.
pub type Launched<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Supervised>, Error>> + 'a>>;

/// Variables of an environment, whose values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(Vec<(OsString, OsString)>);

/// An Envoy to start.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The region that it serves.
    pub region: &'a str,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Additional variables of its environment. They may be secrets: not for a command line.
    pub env: &'a Variables,
    /// The directory with its files.
    pub run_dir: &'a Path,
    /// Where what it prints has to be appended.
    pub log: &'a Path,
}

/// A [`Runtime`] at work for one mesh.
#[derive(Debug)]
pub(crate) enum Starter {
    Process(PathBuf),
    Docker(Box<docker::Run>),
    Other(Arc<dyn Launcher>),
}

/// Starts a process of ours, whose output is appended to a file.
///
/// # Errors
///
/// [`Error::Spawn`].
pub fn process(
    region: &str,
    part: Part,
    command: &mut Command,
    log: &Path,
) -> Result<Box<dyn Supervised>, Error> {
    match Process::start(command, log) {
        Ok(process) => Ok(Box::new(process)),
        Err(source) => Err(Error::Spawn {
            region: region.to_owned(),
            part,
            program: command.as_std().get_program().to_string_lossy().into_owned(),
            source,
        }),
    }
}

// === impl Variables ===

impl Variables {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl FromIterator<(OsString, OsString)> for Variables {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for Variables {
    /// The names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

// === impl Runtime ===

impl From<EnvoyBinary> for Runtime {
    fn from(envoy: EnvoyBinary) -> Self {
        Self::Process(envoy.path)
    }
}

// === impl Starter ===

impl Starter {
    pub(crate) async fn new(runtime: Runtime, run_dir: &RunDir) -> Result<Self, Error> {
        Ok(match runtime {
            Runtime::Process(executable) => Self::Process(executable),
            Runtime::Docker(containers) => {
                Self::Docker(Box::new(docker::Run::new(containers, run_dir).await?))
            }
            Runtime::Other(launcher) => Self::Other(launcher),
        })
    }

    pub(crate) async fn start(&mut self, envoy: &Launch<'_>) -> Result<Box<dyn Supervised>, Error> {
        match self {
            Self::Process(executable) => {
                let mut command = Command::new(executable);
                command.args(envoy.arguments);
                command.envs(envoy.env.iter());
                process(envoy.region, Part::Envoy, &mut command, envoy.log)
            }
            Self::Docker(run) => run.start(envoy),
            Self::Other(launcher) => launcher.launch(envoy).await,
        }
    }

    /// After everything was stopped.
    pub(crate) async fn end(self) {
        match self {
            Self::Docker(run) => run.end().await,
            Self::Process(_) | Self::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_variables_are_not_shown() {
        let env: Variables = [("KEY".into(), "hush".into())].into_iter().collect();
        let path = Path::new("run");
        let envoy = Launch { region: "tokyo", arguments: &[], env: &env, run_dir: path, log: path };
        let shown = format!("{envoy:?}");
        assert!(shown.contains("KEY") && !shown.contains("hush"), "{shown}");
    }

    #[tokio::test]
    async fn says_what_cannot_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("/nonexistent/envoy");
        let log = dir.path().join("log");
        let error = process("tokyo", Part::Upstream, &mut command, &log).unwrap_err().to_string();
        assert!(error.starts_with(
            "cannot start the upstream of region `tokyo` (/nonexistent/envoy): No such file"
        ));
    }
}
