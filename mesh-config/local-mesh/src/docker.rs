//! Envoys in containers, by the Docker command line.
//!
//! The command line and not a library: it knows the user's contexts and credentials, and it is
//! nothing to compile. A container runs attached, with a `docker run` of ours as its shadow: what
//! the container prints comes out there, and it ends with the container.
//!
//! The containers use the network of the machine. The listeners of a region are loopback
//! addresses, its upstream is a process, and the same bootstraps serve both kinds of run; so there
//! is no network to make, and none to leave behind. Where an engine cannot give its containers the
//! network of this machine, it cannot be used: [`Error::NoHostNetwork`].
//!
//! A container belongs to the engine and not to us, so the kernel does not end it when we are
//! killed: that is the work of a [`Survivor`](crate::survivor::Survivor).

mod build;
mod reap;
mod run;

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::Output;
use std::time::Duration;

use crate::envoy;
use crate::error::Error;
use crate::process;

pub use reap::reap;
pub(crate) use run::Run;

/// The image of an Envoy version as its makers publish it.
pub fn official_image(version: &str) -> String {
    format!("envoyproxy/envoy:v{version}")
}

/// The tag of an image that [`Engine::build`] makes of an Envoy version.
pub fn local_image(version: &str) -> String {
    format!("meshfence/envoy:{version}")
}

/// The label of a container, whose value is the directory of the run that it belongs to.
pub const LABEL: &str = "dev.meshfence.run";

/// The label of a container, whose value says who of which machine started it.
pub const OWNER: &str = "dev.meshfence.owner";

/// How long the engine may take to answer a question.
const ASK_LIMIT: Duration = Duration::from_secs(30);
/// About 60 MB over a slow line.
const PULL_LIMIT: Duration = Duration::from_mins(15);

/// A container engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    program: OsString,
    /// Whether its containers can have the network of this machine, or why not.
    network: Result<(), &'static str>,
}

/// An image with an Envoy inside, which was started once to ask for its version.
#[derive(Debug, Clone)]
pub struct Image {
    engine: Engine,
    /// Its name.
    pub name: String,
    /// The version of its Envoy, such as `1.40.0`.
    pub version: String,
}

/// What a mesh needs to run its Envoys in containers.
#[derive(Debug, Clone)]
pub struct Containers {
    /// The image of all of them.
    pub image: Image,
    /// Program and first arguments that run [`reap`]; the run is appended.
    pub reaper: Vec<OsString>,
}

// === impl Engine ===

impl Engine {
    /// Asks the engine that the Docker command line of this user leads to.
    ///
    /// # Errors
    ///
    /// [`Error::NoEngine`].
    pub async fn connect() -> Result<Self, Error> {
        Self::connect_by(OsString::from("docker")).await
    }

    async fn connect_by(program: OsString) -> Result<Self, Error> {
        let network = Ok(());
        let engine = Self { program, network };
        let format = "{{.OSType}}\n{{.OperatingSystem}}\n{{json .SecurityOptions}}";
        let output = engine.ask(&["info", "--format", format], ASK_LIMIT).await?;
        if !output.status.success() {
            return Err(Error::NoEngine { why: complaint(&output) });
        }
        let info = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Self { network: network_of_this_machine(&info), ..engine })
    }

    /// Fails where containers cannot have the network of this machine.
    ///
    /// # Errors
    ///
    /// [`Error::NoHostNetwork`].
    pub fn require_host_network(&self) -> Result<(), Error> {
        self.network.map_err(|why| Error::NoHostNetwork { why })
    }

    /// Whether the engine has an image already.
    ///
    /// # Errors
    ///
    /// [`Error::NoEngine`] when it does not answer.
    pub async fn has(&self, image: &str) -> Result<bool, Error> {
        let found =
            self.ask(&["image", "inspect", "--format", "{{.Id}}", image], ASK_LIMIT).await?;
        Ok(found.status.success())
    }

    /// Gets an image, pulling it if the engine does not have it, and asks its Envoy for the version.
    ///
    /// # Errors
    ///
    /// [`Error::NoHostNetwork`], [`Error::NoImage`], and [`Error::ImageUnusable`] for one without
    /// an Envoy.
    pub async fn image(&self, name: &str, progress: &mut dyn FnMut(&str)) -> Result<Image, Error> {
        self.require_host_network()?;
        if !self.has(name).await? {
            progress(&format!("pulling {name} (once)"));
            let no_image = |why| Error::NoImage { image: name.to_owned(), why };
            let pulled = self.run(&["pull", "--quiet", name], PULL_LIMIT).await;
            let pulled = pulled.map_err(|error| no_image(error.to_string()))?;
            if !pulled.status.success() {
                return Err(no_image(complaint(&pulled)));
            }
        }
        let image = self.started_once(name).await?;
        if !envoy::is_supported(&image.version) {
            progress(&format!(
                "warning: Envoy {} ({name}) is outside of the tested 1.36–1.40",
                image.version
            ));
        }
        Ok(image)
    }

    async fn started_once(&self, name: &str) -> Result<Image, Error> {
        let unusable = |why: String| Error::ImageUnusable { image: name.to_owned(), why };
        let mut arguments: Vec<OsString> = vec!["run".into(), "--rm".into(), "--network".into()];
        arguments.push("none".into());
        arguments.extend(confinement());
        arguments.extend([name.into(), "--version".into()]);
        let arguments: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        let output = process::ask(&self.program, &arguments, ASK_LIMIT).await;
        let output = output.map_err(|error| unusable(format!("does not start: {error}")))?;
        if !output.status.success() {
            return Err(unusable(format!("does not start: {}", complaint(&output))));
        }
        let version = envoy::parse_version(&String::from_utf8_lossy(&output.stdout));
        let version = version.ok_or_else(|| unusable("holds another program".to_owned()))?;
        Ok(Image { engine: self.clone(), name: name.to_owned(), version })
    }

    async fn ask(&self, arguments: &[&str], limit: Duration) -> Result<Output, Error> {
        self.run(arguments, limit).await.map_err(|error| Error::NoEngine {
            why: match error.kind() {
                io::ErrorKind::NotFound => "there is no `docker` command".to_owned(),
                io::ErrorKind::TimedOut => "it does not answer".to_owned(),
                _ => error.to_string(),
            },
        })
    }

    async fn run(&self, arguments: &[&str], limit: Duration) -> io::Result<Output> {
        let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        process::ask(&self.program, &arguments, limit).await
    }

    /// The containers with a label: their ids, and the run that each belongs to.
    async fn containers(&self, label: &str, value: &str) -> Result<Vec<(String, String)>, Error> {
        let filter = format!("label={label}={value}");
        let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}");
        let arguments = ["ps", "--all", "--no-trunc", "--filter", &filter, "--format", &format];
        let output = self.ask(&arguments, ASK_LIMIT).await?;
        if !output.status.success() {
            return Err(Error::NoEngine { why: complaint(&output) });
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(id, run)| (id.to_owned(), run.to_owned())).collect())
    }

    /// Kills and removes containers. One that is gone already is none to complain of.
    async fn remove(&self, ids: &[String]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let arguments: Vec<&str> =
            ["rm", "--force"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        self.ask(&arguments, ASK_LIMIT).await.map(|_| ())
    }
}

/// This user on this machine, as long as it runs. The name of the host is part of it because
/// containers that use the engine of their machine share its kernel, and see other directories.
pub fn owner() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    #[cfg(unix)]
    let (user, host) = (
        rustix::process::geteuid().as_raw(),
        rustix::system::uname().nodename().to_string_lossy().into_owned(),
    );
    #[cfg(not(unix))]
    let (user, host) = ("", "");
    format!("{user}@{host}/{}", boot.trim())
}

/// What no container of ours needs is taken from it. The user is ours, who owns the run directory;
/// the official image would else become a user of its own.
fn confinement() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut add = |name: &str, value: &str| arguments.extend([name.into(), value.into()]);
    add("--pull", "never");
    // What it prints is in the log of the run.
    add("--log-driver", "none");
    add("--cap-drop", "ALL");
    add("--security-opt", "no-new-privileges");
    // Without this SELinux keeps it from reading the run directory.
    add("--security-opt", "label=disable");
    #[cfg(unix)]
    {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        add("--user", &format!("{}:{}", user.as_raw(), group.as_raw()));
        add("--env", &format!("ENVOY_UID={}", user.as_raw()));
    }
    arguments.push("--read-only".into());
    arguments
}

/// Whether an engine that says this of itself can give containers the network of this machine.
fn network_of_this_machine(info: &str) -> Result<(), &'static str> {
    let mut lines = info.lines();
    let (kind, system, security) = (lines.next(), lines.next(), lines.next());
    if !cfg!(target_os = "linux") {
        Err("that takes Linux")
    } else if kind != Some("linux") {
        Err("the engine runs no Linux containers")
    } else if system.is_some_and(|system| system.contains("Docker Desktop")) {
        Err("Docker Desktop runs its containers in a virtual machine")
    } else if security.is_some_and(|security| security.contains("name=rootless")) {
        Err("the engine is rootless and has a network of its own")
    } else {
        Ok(())
    }
}

/// What the command line has to say: its first line, without who says it.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let Some(mut line) = first else { return format!("docker ended with {}", output.status) };
    for prefix in ["docker: ", "Error response from daemon: ", "error during connect: "] {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    line.chars().take(300).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
