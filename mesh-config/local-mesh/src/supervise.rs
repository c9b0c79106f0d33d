//! Whatever runs for a region: watched, stopped, killed, and quoted when it died.
//!
//! The rest of the crate does not care whether an Envoy is a process, a container that the Docker
//! command line runs, or one that a library of a test runs. All it asks of it is [`Supervised`].

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Part};

/// How long a process may take to end after it was asked to.
pub const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How long the system may take to end a process after it was killed.
const KILL_LIMIT: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 16 << 10;
const TAIL_COLUMNS: usize = 500;

/// Something that runs until it is ended, or ends by itself.
///
/// Dropping it kills it, or has it killed soon.
pub trait Supervised: fmt::Debug + Send {
    /// Where to find it on this machine.
    fn handle(&self) -> Handle;

    /// Ready once it has ended, with exit code or signal in words. Asked again and again, also
    /// after the end; the task has to be woken when there is an end to tell.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<String>;

    /// Asks it to end in its own time: SIGTERM.
    fn ask_to_end(&mut self);

    /// Ends it now: SIGKILL. Without effect on what has ended.
    fn kill(&mut self);
}

/// Where something that runs is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handle {
    /// A process of this number.
    Process(u32),
    /// A container of this name.
    Container(String),
}

/// The end of a process that should have gone on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The region.
    pub region: String,
    /// Which of its processes.
    pub part: Part,
    /// Exit code or signal.
    pub status: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// A part of a region that runs, or has ended without our asking and waits to be noticed.
#[derive(Debug)]
pub(crate) struct Child {
    region: String,
    part: Part,
    running: Box<dyn Supervised>,
    log: Log,
}

/// Where something writes its output, and where in there its own begins: who is restarted appends.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    start: u64,
}

// === impl Handle ===

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Container(name) => write!(f, "container {name}"),
        }
    }
}

// === impl Death ===

impl From<Death> for Error {
    fn from(Death { region, part, status, log }: Death) -> Self {
        Self::ChildDied { region, part, status, log }
    }
}

// === impl Log ===

impl Log {
    /// The log of what is about to be started.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let open = File::options().create(true).append(true).open(&path);
        match open.and_then(|file| file.metadata()) {
            Ok(metadata) => Ok(Self { path, start: metadata.len() }),
            Err(error) => Err(Error::io("write", &path, error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

// === impl Child ===

impl Child {
    pub(crate) fn new(region: &str, part: Part, running: Box<dyn Supervised>, log: Log) -> Self {
        Self { region: region.to_owned(), part, running, log }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.running.handle()
    }

    /// The last lines that it wrote.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        tail(&self.log.path, self.log.start).unwrap_or_default()
    }

    fn death(&self, status: String) -> Death {
        let log = self.last_lines();
        Death { region: self.region.clone(), part: self.part, status, log }
    }

    async fn end(&mut self) -> String {
        std::future::poll_fn(|context| self.running.poll_end(context)).await
    }

    async fn kill(mut self) {
        self.running.kill();
        // A process that hangs in the kernel dies when it comes back from there: waiting is all.
        let _ = tokio::time::timeout(KILL_LIMIT, self.end()).await;
    }
}

/// Stops side by side: SIGTERM, and SIGKILL for those that are not gone in time.
pub(crate) async fn stop(mut children: Vec<Child>) {
    for child in &mut children {
        child.running.ask_to_end();
    }
    let deadline = Instant::now() + STOP_LIMIT;
    for mut child in children {
        if tokio::time::timeout_at(deadline, child.end()).await.is_err() {
            child.kill().await;
        }
    }
}

/// Kills side by side and waits until they are gone.
pub(crate) async fn kill(mut children: Vec<Child>) {
    for child in &mut children {
        child.running.kill();
    }
    for child in children {
        child.kill().await;
    }
}

/// Waits for the first to end and takes it out of its slot.
///
/// Dropped early, it loses nothing.
pub(crate) async fn first_death(mut slots: Vec<&mut Option<Child>>) -> Death {
    std::future::poll_fn(move |context| {
        for slot in &mut slots {
            let Some(child) = slot else { continue };
            // The state of waiting is in the child and not in this short-lived future.
            if let Poll::Ready(status) = child.running.poll_end(context) {
                let death = child.death(status);
                **slot = None;
                return Poll::Ready(death);
            }
        }
        Poll::Pending
    })
    .await
}

/// The last lines of a file from `start` on, fit to be shown in a terminal.
fn tail(path: &Path, start: u64) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = start.max(length.saturating_sub(TAIL_BYTES));
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // In the middle of the file the first line is half a line.
    let lines: Vec<&str> = text.lines().skip(usize::from(from > start)).collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
    let plain = |c: char| if c.is_control() && c != '\t' { '?' } else { c };
    Ok(shown.map(|line| line.chars().take(TAIL_COLUMNS).map(plain).collect()).collect())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    //! With shells as processes: how they end, and what is quoted of them.

    use tokio::process::Command;

    use super::*;
    use crate::process::Process;
    use crate::run_dir::is_alive;

    fn shell(dir: &Path, script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let log = Log::open(dir.join("log")).unwrap();
        let process = Process::start(&mut command, log.path()).unwrap();
        Child::new("tokyo", Part::Envoy, Box::new(process), log)
    }

    fn pid(child: &Child) -> u32 {
        let Handle::Process(pid) = child.handle() else { panic!("{child:?}") };
        pid
    }

    async fn line(child: &Child, wanted: &str) {
        let seen = async {
            while !child.last_lines().iter().any(|line| line == wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), seen).await.expect("the line is logged");
    }

    #[tokio::test]
    async fn quotes_the_last_lines_of_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), "of an earlier run\n").unwrap();
        let script = "for i in $(seq 20); do echo line $i; done; printf '\\033[2Jx\\n' >&2; exit 7";
        let mut slot = Some(shell(dir.path(), script));
        let death = first_death(vec![&mut slot]).await;
        assert!(slot.is_none());
        assert_eq!(death.status, "exit status: 7");
        assert_eq!(death.log.len(), TAIL_LINES);
        assert_eq!(death.log.first().unwrap(), "line 7");
        assert_eq!(death.log.last().unwrap(), "?[2Jx");
        let error = Error::from(death);
        assert_eq!(
            error.to_string(),
            "the Envoy of region `tokyo` ended unexpectedly (exit status: 7)"
        );
        assert!(error.help().unwrap().contains("\n  line 20\n"));
    }

    #[tokio::test]
    async fn quotes_only_its_own_output() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), "of an earlier run\n").unwrap();
        let mut slot = Some(shell(dir.path(), "echo mine"));
        assert_eq!(first_death(vec![&mut slot]).await.log, ["mine"]);
    }

    #[tokio::test]
    async fn stops_the_polite_and_the_stubborn() {
        let dir = tempfile::tempdir().unwrap();
        let start = |name: &str, script: &str| {
            let dir = dir.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            shell(&dir, script)
        };
        let polite =
            start("a", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done");
        let stubborn = start("b", "trap '' TERM; echo up; while :; do sleep 0.01; done");
        line(&polite, "up").await;
        line(&stubborn, "up").await;
        let pids = [pid(&polite), pid(&stubborn)];
        let polite_log = polite.log.path.clone();
        stop(vec![polite, stubborn]).await;
        assert!(!pids.iter().any(|pid| is_alive(*pid)));
        assert_eq!(tail(&polite_log, 0).unwrap(), ["up", "bye"]);
    }

    #[tokio::test]
    async fn kills_and_waits() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "exec sleep 1000");
        let pid = pid(&child);
        assert!(is_alive(pid));
        kill(vec![child]).await;
        assert!(!is_alive(pid));
    }

    #[tokio::test]
    async fn kills_what_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "exec sleep 1000");
        let pid = pid(&child);
        drop(child);
        let gone = async {
            while is_alive(pid) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the process is gone");
    }

    #[tokio::test]
    async fn has_a_process_group_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "exec sleep 1000");
        let raw = rustix::process::Pid::from_raw(i32::try_from(pid(&child)).unwrap());
        assert_eq!(rustix::process::getpgid(raw).unwrap(), raw.unwrap());
        kill(vec![child]).await;
    }
}
