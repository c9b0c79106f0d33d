//! The regions as a whole: started, watched, killed, restarted, reloaded and stopped.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::client::{self, RawRequest};
use crate::error::{Error, Part};
use crate::launch::{self, Launch, Runtime, Starter, Variables};
use crate::ports::{self, Ports};
use crate::run_dir::RunDir;
use crate::supervise::{self, Child, Log};

pub use crate::supervise::{Death, Handle};

/// How long all processes that are started together may take to get ready.
pub const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long the system may take to free the ports of a killed region.
const FREE_LIMIT: Duration = Duration::from_secs(5);
/// How long one answer to the question "ready?" may take.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// Time with zone, level, logger, text: what a reader needs, without Envoy's source positions.
const LOG_FORMAT: &str = "%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v";

/// One region: an Envoy and the upstream behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its name, of letters, digits, `-` and `_`, and its addresses. The echo upstream is started at
    /// that of the application.
    pub ports: Ports,
    /// Envoy's bootstrap as YAML, or as JSON if it begins with `{`. It has a listener at the edge,
    /// Envoy's admin interface at `admin` and a cluster that leads to the application.
    pub bootstrap: String,
}

/// What Envoy logs at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What a developer of Envoy wants to know.
    Debug,
    /// What an operator might want to know.
    Info,
    /// What is wrong but not fatal.
    #[default]
    Warn,
    /// What failed.
    Error,
    /// What ends Envoy.
    Critical,
    /// Nothing.
    Off,
}

/// Everything a [`Mesh`] is started with.
#[derive(Debug)]
pub struct Options {
    /// What runs the Envoys.
    pub envoy: Runtime,
    /// Program and first arguments that run an echo; `--region NAME --listen ADDRESS` is appended.
    pub echo: Vec<OsString>,
    /// The regions.
    pub regions: Vec<Region>,
    /// Worker threads of each Envoy; at least one.
    pub workers: u32,
    /// The files of this run; they go when the mesh goes.
    pub run_dir: RunDir,
    /// What Envoy logs at least.
    pub log_level: LogLevel,
    /// Exceptions for single loggers, such as `("wasm", LogLevel::Info)`.
    pub component_log_levels: Vec<(String, LogLevel)>,
    /// Additional environment variables of every Envoy, such as keys that a plugin's VM reads. They
    /// do not appear in its command line or in a file.
    pub env: Variables,
}

/// A step on the way, for a progress line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A process or a container was started.
    Started {
        /// The region.
        region: String,
        /// Which of its processes.
        part: Part,
        /// Where to find it.
        handle: Handle,
    },
    /// A process answers.
    Ready {
        /// The region.
        region: String,
        /// Which of its processes.
        part: Part,
    },
}

/// Running regions.
///
/// Dropping it kills all processes and removes all files; [`Mesh::stop`] does the same in order and
/// waits for the end.
#[derive(Debug)]
pub struct Mesh {
    // In this order: what writes to the directory is killed before that goes.
    regions: Vec<Running>,
    starter: Starter,
    settings: Settings,
    run_dir: RunDir,
}

#[derive(Debug)]
struct Running {
    region: Region,
    bootstrap: PathBuf,
    envoy: Option<Child>,
    upstream: Option<Child>,
}

#[derive(Debug)]
struct Settings {
    echo: Vec<OsString>,
    workers: u32,
    log_level: LogLevel,
    component_log_levels: Vec<(String, LogLevel)>,
    env: Variables,
}

// === impl Mesh ===

impl Mesh {
    /// Starts all regions and waits until all of them answer.
    ///
    /// # Errors
    ///
    /// [`Error::PortInUse`] before anything is started; [`Error::ChildDied`] or [`Error::NotReady`]
    /// with the last lines of the log; [`Error::BadName`] for a name that cannot be a file name or
    /// occurs twice. After an error nothing runs.
    pub async fn start(
        options: Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, Error> {
        let Options {
            envoy,
            echo,
            regions,
            workers,
            run_dir,
            log_level,
            component_log_levels,
            env,
        } = options;
        check_names(&regions)?;
        ports::check_free(
            &regions.iter().flat_map(|region| region.ports.named()).collect::<Vec<_>>(),
        )?;
        let regions: Result<Vec<Running>, Error> = regions
            .into_iter()
            .map(|region| {
                let bootstrap = region.write_bootstrap(&run_dir)?;
                Ok(Running { region, bootstrap, envoy: None, upstream: None })
            })
            .collect();
        let regions = regions?;
        let settings = Settings { echo, workers, log_level, component_log_levels, env };
        let starter = Starter::new(envoy, &run_dir).await?;
        let mut mesh = Self { regions, starter, settings, run_dir };
        let all: Vec<usize> = (0..mesh.regions.len()).collect();
        match mesh.bring_up(&all, progress).await {
            Ok(()) => Ok(mesh),
            Err(error) => {
                mesh.stop().await;
                Err(error)
            }
        }
    }

    /// Stops the Envoys, then the upstreams, and removes the files.
    pub async fn stop(mut self) {
        supervise::stop(self.take(None, Part::Envoy)).await;
        supervise::stop(self.take(None, Part::Upstream)).await;
        self.starter.end().await;
    }

    /// Kills a region as a power cut would, and waits until both processes are gone.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRegion`].
    pub async fn kill_region(&mut self, name: &str) -> Result<(), Error> {
        let index = self.index(name)?;
        self.kill(index).await;
        Ok(())
    }

    /// Starts a region that was killed or died, and waits until it answers. What of it still runs
    /// is stopped first.
    ///
    /// # Errors
    ///
    /// Those of [`Mesh::start`]; nothing of the region runs then.
    pub async fn restart_region(
        &mut self,
        name: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let index = self.index(name)?;
        supervise::stop(self.take(Some(index), Part::Envoy)).await;
        supervise::stop(self.take(Some(index), Part::Upstream)).await;
        let result = async {
            self.until_free(index).await?;
            self.bring_up(&[index], progress).await
        };
        let result = result.await;
        if result.is_err() {
            self.kill(index).await;
        }
        result
    }

    /// Gives regions new bootstraps: their Envoys stop and start again, the upstreams stay.
    ///
    /// A region that is down stays down and gets the new bootstrap when it is restarted. If an
    /// Envoy does not accept its new bootstrap, all that were named go back to the ones they had.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRegion`], and [`Error::BadName`] for a region named twice, before anything
    /// happens; else those of [`Mesh::start`].
    pub async fn reload(
        &mut self,
        bootstraps: Vec<(String, String)>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let named: Result<Vec<(usize, String)>, Error> =
            bootstraps.into_iter().map(|(name, text)| Ok((self.index(&name)?, text))).collect();
        let mut named = named?;
        for (position, (index, _)) in named.iter().enumerate() {
            if named.iter().take(position).any(|(other, _)| other == index) {
                let name = self.regions.get(*index).map(|running| running.region.name().to_owned());
                let why = "it is given two bootstraps";
                return Err(Error::BadName { name: name.unwrap_or_default(), why });
            }
        }
        let running = |mesh: &Self, index: usize| {
            mesh.regions.get(index).is_some_and(|running| running.envoy.is_some())
        };
        let up: Vec<usize> =
            named.iter().map(|(index, _)| *index).filter(|index| running(self, *index)).collect();
        self.swap(&mut named)?;
        let result = self.replace_envoys(&up, progress).await;
        if result.is_err() {
            self.swap(&mut named)?;
            // The first error is the one to tell: if going back fails too, its cause is the same or
            // the machine's, and the regions are down.
            let _ = self.replace_envoys(&up, progress).await;
        }
        result
    }

    /// Waits until a process ends that nobody asked to. Never resolves while there is none to wait
    /// for. Dropped early, it loses nothing; called again, it waits for the next death.
    pub async fn wait_for_death(&mut self) -> Death {
        supervise::first_death(self.slots(None)).await
    }

    /// The regions as they were given, in their order.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().map(|running| &running.region)
    }

    /// Everything that was started and not seen to end.
    pub fn running(&self) -> Vec<(&str, Part, Handle)> {
        let all = self.regions.iter().flat_map(|running| {
            let name = running.region.name();
            [(name, Part::Envoy, &running.envoy), (name, Part::Upstream, &running.upstream)]
        });
        all.filter_map(|(name, part, child)| Some((name, part, child.as_ref()?.handle()))).collect()
    }

    /// That of it which is a process of ours.
    pub fn pids(&self) -> Vec<(&str, Part, u32)> {
        let processes =
            self.running().into_iter().filter_map(|(name, part, handle)| match handle {
                Handle::Process(pid) => Some((name, part, pid)),
                Handle::Container(_) => None,
            });
        processes.collect()
    }

    /// The files of this run; also says where each region logs.
    pub fn run_dir(&self) -> &RunDir {
        &self.run_dir
    }

    /// Starts what does not run of the given regions: upstreams first, as Envoy needs them.
    async fn bring_up(
        &mut self,
        indices: &[usize],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        for part in [Part::Upstream, Part::Envoy] {
            for index in indices {
                let Some(running) = self.regions.get_mut(*index) else { continue };
                let slot = match part {
                    Part::Envoy => &mut running.envoy,
                    Part::Upstream => &mut running.upstream,
                };
                if slot.is_some() {
                    continue;
                }
                let name = running.region.name();
                let child = match part {
                    Part::Envoy => {
                        let log = Log::open(self.run_dir.envoy_log(name))?;
                        let envoy = Launch {
                            region: name,
                            arguments: &self.settings.envoy(&running.bootstrap),
                            env: &self.settings.env,
                            run_dir: self.run_dir.path(),
                            log: log.path(),
                        };
                        let running = self.starter.start(&envoy).await?;
                        Child::new(name, part, running, log)
                    }
                    Part::Upstream => {
                        let log = Log::open(self.run_dir.upstream_log(name))?;
                        let mut command = self.settings.echo(&running.region)?;
                        let running = launch::process(name, part, &mut command, log.path())?;
                        Child::new(name, part, running, log)
                    }
                };
                let handle = child.handle();
                progress(Progress::Started { region: name.to_owned(), part, handle });
                *slot = Some(child);
            }
            self.until_ready(indices, part, progress).await?;
        }
        Ok(())
    }

    async fn until_ready(
        &mut self,
        indices: &[usize],
        part: Part,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let deadline = Instant::now() + READY_LIMIT;
        let targets: Vec<(usize, Region)> = indices
            .iter()
            .filter_map(|index| Some((*index, self.regions.get(*index)?.region.clone())))
            .collect();
        let all_ready = async {
            for (index, region) in targets {
                until_answer(&region, part, deadline).await.map_err(|why| (index, why))?;
                progress(Progress::Ready { region: region.ports.region, part });
            }
            Ok(())
        };
        let result = tokio::select! {
            biased;
            // Also the death of a process that was ready before: it makes waiting pointless. The
            // deaths of other regions are for `wait_for_death` to tell.
            death = supervise::first_death(self.slots(Some(indices))) => return Err(death.into()),
            result = all_ready => result,
        };
        result.map_err(|(index, why): (usize, String)| {
            let running = self.regions.get(index);
            let child = running.and_then(|running| match part {
                Part::Envoy => running.envoy.as_ref(),
                Part::Upstream => running.upstream.as_ref(),
            });
            Error::NotReady {
                region: running.map(|running| running.region.name().to_owned()).unwrap_or_default(),
                part,
                seconds: READY_LIMIT.as_secs(),
                why,
                log: child.map(Child::last_lines).unwrap_or_default(),
            }
        })
    }

    /// Exchanges the bootstraps of regions with the given ones, in memory and on disk.
    fn swap(&mut self, named: &mut [(usize, String)]) -> Result<(), Error> {
        for (index, text) in named {
            let Some(running) = self.regions.get_mut(*index) else { continue };
            std::mem::swap(&mut running.region.bootstrap, text);
            running.bootstrap = running.region.write_bootstrap(&self.run_dir)?;
        }
        Ok(())
    }

    async fn replace_envoys(
        &mut self,
        indices: &[usize],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let mut old = Vec::new();
        for index in indices {
            old.extend(self.take(Some(*index), Part::Envoy));
        }
        supervise::stop(old).await;
        self.bring_up(indices, progress).await
    }

    async fn until_free(&self, index: usize) -> Result<(), Error> {
        let Some(running) = self.regions.get(index) else { return Ok(()) };
        let deadline = Instant::now() + FREE_LIMIT;
        loop {
            match ports::check_free(&running.region.ports.named()) {
                Err(Error::PortInUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(PROBE_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    async fn kill(&mut self, index: usize) {
        let mut children = self.take(Some(index), Part::Envoy);
        children.extend(self.take(Some(index), Part::Upstream));
        supervise::kill(children).await;
    }

    /// Takes the processes of one kind out of one region or all.
    fn take(&mut self, only: Option<usize>, part: Part) -> Vec<Child> {
        let wanted = self.regions.iter_mut().enumerate();
        let wanted = wanted.filter(|(index, _)| only.is_none_or(|only| only == *index));
        wanted
            .filter_map(|(_, running)| match part {
                Part::Envoy => running.envoy.take(),
                Part::Upstream => running.upstream.take(),
            })
            .collect()
    }

    /// The places of all processes of the given regions, or of all.
    fn slots(&mut self, only: Option<&[usize]>) -> Vec<&mut Option<Child>> {
        let wanted = self.regions.iter_mut().enumerate();
        let wanted = wanted.filter(|(index, _)| only.is_none_or(|only| only.contains(index)));
        // An upstream that dies is the cause of what its Envoy then complains of.
        wanted.flat_map(|(_, r)| [&mut r.upstream, &mut r.envoy]).collect()
    }

    fn index(&self, name: &str) -> Result<usize, Error> {
        let found = self.regions.iter().position(|running| running.region.name() == name);
        found.ok_or_else(|| Error::UnknownRegion {
            name: name.to_owned(),
            known: self.regions().map(|region| region.name().to_owned()).collect(),
        })
    }
}

/// Asks until the answer is yes; the error is the last answer that was not.
async fn until_answer(region: &Region, part: Part, deadline: Instant) -> Result<(), String> {
    let (addr, target, wanted) = match part {
        Part::Envoy => (region.ports.admin, "/ready", "LIVE"),
        Part::Upstream => (region.ports.application, "/health", "ok"),
    };
    let request = RawRequest::new("GET", target);
    loop {
        let why = match client::send(addr, &request, PROBE_LIMIT).await {
            Ok(response) if response.status == 200 && response.text().trim() == wanted => {
                return Ok(());
            }
            Ok(response) => {
                let text: String = response.text().trim().chars().take(100).collect();
                format!("{target} answers {} {text}", response.status)
            }
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(why);
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

fn check_names(regions: &[Region]) -> Result<(), Error> {
    for (index, region) in regions.iter().enumerate() {
        let name = region.name();
        let bad = |why| Err(Error::BadName { name: name.to_owned(), why });
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(1..=63).contains(&name.len()) || !name.bytes().all(plain) {
            return bad("a region is 1 to 63 letters, digits, `-` or `_`");
        }
        if regions.iter().take(index).any(|other| other.name() == name) {
            return bad("two regions have it");
        }
    }
    Ok(())
}

// === impl Region ===

impl Region {
    fn name(&self) -> &str {
        &self.ports.region
    }

    fn write_bootstrap(&self, run_dir: &RunDir) -> Result<PathBuf, Error> {
        // Envoy chooses its parser by the name. JSON is nearly YAML, but only nearly.
        let json = self.bootstrap.trim_start().starts_with('{');
        let kind = if json { "json" } else { "yaml" };
        run_dir.write(&format!("{}-bootstrap.{kind}", self.name()), self.bootstrap.as_bytes())
    }
}

// === impl Settings ===

impl Settings {
    /// The arguments of an Envoy.
    fn envoy(&self, bootstrap: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["-c".into(), bootstrap.into()];
        let mut add = |name: &str, value: &str| arguments.extend([name.into(), value.into()]);
        add("--concurrency", &self.workers.max(1).to_string());
        // The access log is read while the mesh runs; ten seconds, the default, is long to wait.
        add("--file-flush-interval-msec", "20");
        add("-l", self.log_level.as_str());
        add("--log-format", LOG_FORMAT);
        if !self.component_log_levels.is_empty() {
            let levels = self.component_log_levels.iter();
            let levels = levels.map(|(name, level)| format!("{name}:{}", level.as_str()));
            add("--component-log-level", &levels.collect::<Vec<_>>().join(","));
        }
        // Hot restart needs shared memory under a number that all Envoys of a machine compete for.
        arguments.push("--disable-hot-restart".into());
        arguments
    }

    fn echo(&self, region: &Region) -> Result<Command, Error> {
        let Some((program, arguments)) = self.echo.split_first() else {
            return Err(Error::Spawn {
                region: region.name().to_owned(),
                part: Part::Upstream,
                program: String::new(),
                source: std::io::ErrorKind::InvalidInput.into(),
            });
        };
        let mut command = Command::new(program);
        command.args(arguments).arg("--region").arg(region.name());
        command.arg("--listen").arg(region.ports.application.to_string());
        Ok(command)
    }
}

// === impl LogLevel ===

impl LogLevel {
    /// Envoy's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Off => "off",
        }
    }
}

// === impl Progress ===

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { region, part, handle } => {
                write!(f, "started the {part} of `{region}` ({handle})")
            }
            Self::Ready { region, part } => write!(f, "the {part} of `{region}` is ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    //! What is refused before anything is started. The rest needs an Envoy: `tests/mesh.rs`.

    use super::*;

    fn region(name: &str) -> Region {
        let ports = ports::plan(10_000, &[name]).unwrap().remove(0);
        Region { ports, bootstrap: String::new() }
    }

    #[test]
    fn refuses_names_that_are_no_file_names() {
        for name in ["", "a/b", "..", "a b", "é", &"x".repeat(64)] {
            assert!(check_names(&[region(name)]).is_err(), "{name}");
        }
        let error = check_names(&[region("a"), region("b"), region("a")]).unwrap_err();
        assert_eq!(error.to_string(), "`a` cannot be used as a name: two regions have it");
        check_names(&[region("ap-northeast-1"), region("tokyo_2")]).unwrap();
    }

    #[test]
    fn names_the_bootstrap_after_its_syntax() {
        let dir = RunDir::create().unwrap();
        for (text, name) in [
            ("admin: {}", "tokyo-bootstrap.yaml"),
            ("\n { \"admin\": {} }", "tokyo-bootstrap.json"),
        ] {
            let region = Region { bootstrap: text.to_owned(), ..region("tokyo") };
            let path = region.write_bootstrap(&dir).unwrap();
            assert_eq!(path.file_name().unwrap(), name);
        }
    }
}
