//! One supervised process: its output goes to a file, and it never outlives us.
//!
//! | what ends us | what ends the process |
//! |---|---|
//! | an orderly stop | SIGTERM, three seconds, SIGKILL |
//! | an error, a cancelled future | SIGKILL when its handle is dropped |
//! | Ctrl-C | we do, in order: its own process group keeps the terminal's SIGINT away |
//! | SIGKILL | on Linux the kernel, when the thread that started it is gone |

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::error::{Error, Part};

/// How long a process may take to end after SIGTERM.
pub const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How long the system may take to end a process after SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 16 << 10;
const TAIL_COLUMNS: usize = 500;

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

/// What to start.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) region: &'a str,
    pub(crate) part: Part,
    pub(crate) command: Command,
    pub(crate) log: PathBuf,
}

/// A process that runs, or has ended without our asking and waits to be noticed.
#[derive(Debug)]
pub(crate) struct Child {
    region: String,
    part: Part,
    process: tokio::process::Child,
    pid: u32,
    log: PathBuf,
    /// Where its own output begins: a restarted process appends.
    log_start: u64,
}

// === impl Death ===

impl From<Death> for Error {
    fn from(Death { region, part, status, log }: Death) -> Self {
        Self::ChildDied { region, part, status, log }
    }
}

// === impl Child ===

impl Child {
    pub(crate) fn start(program: Program<'_>) -> Result<Self, Error> {
        let Program { region, part, mut command, log } = program;
        let open = || {
            let file = File::options().create(true).append(true).open(&log)?;
            Ok((file.metadata()?.len(), file.try_clone()?, file))
        };
        let (log_start, out, err) = open().map_err(|error| Error::io("write", &log, error))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        bind_to_us(&mut command);
        let spawned = command.spawn().and_then(|process| {
            let pid = process.id().ok_or(io::ErrorKind::NotFound)?;
            Ok((process, pid))
        });
        match spawned {
            Ok((process, pid)) => {
                Ok(Self { region: region.to_owned(), part, process, pid, log, log_start })
            }
            Err(source) => Err(Error::Spawn {
                region: region.to_owned(),
                part,
                program: command.as_std().get_program().to_string_lossy().into_owned(),
                source,
            }),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The last lines that this process wrote.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        tail(&self.log, self.log_start).unwrap_or_default()
    }

    fn death(&self, status: &io::Result<ExitStatus>) -> Death {
        Death {
            region: self.region.clone(),
            part: self.part,
            status: match status {
                Ok(status) => status.to_string(),
                Err(error) => format!("unknown: {error}"),
            },
            log: self.last_lines(),
        }
    }

    fn ask_to_end(&mut self) {
        #[cfg(unix)]
        {
            // `id` is none once the process has been waited for; before that its number cannot
            // belong to another process.
            let id = self.process.id().and_then(|id| i32::try_from(id).ok());
            if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        #[cfg(not(unix))]
        let _ = self.process.start_kill();
    }

    async fn kill(mut self) {
        let _ = self.process.start_kill();
        // A process that hangs in the kernel dies when it comes back from there: waiting is all.
        let _ = tokio::time::timeout(KILL_LIMIT, self.process.wait()).await;
    }
}

/// Stops processes side by side: SIGTERM, and SIGKILL for those that are not gone in time.
pub(crate) async fn stop(mut children: Vec<Child>) {
    children.iter_mut().for_each(Child::ask_to_end);
    let deadline = Instant::now() + STOP_LIMIT;
    for mut child in children {
        if tokio::time::timeout_at(deadline, child.process.wait()).await.is_err() {
            child.kill().await;
        }
    }
}

/// Kills processes side by side and waits until they are gone.
pub(crate) async fn kill(mut children: Vec<Child>) {
    for child in &mut children {
        let _ = child.process.start_kill();
    }
    for child in children {
        child.kill().await;
    }
}

/// Waits for the first process to end and takes it out of its slot.
///
/// Dropped early, it loses nothing.
pub(crate) async fn first_death(mut slots: Vec<&mut Option<Child>>) -> Death {
    std::future::poll_fn(move |context| {
        for slot in &mut slots {
            let Some(child) = slot else { continue };
            // Tokio keeps the state of waiting in the child and not in this short-lived future.
            let polled = std::pin::pin!(child.process.wait()).poll(context);
            if let Poll::Ready(status) = polled {
                let death = child.death(&status);
                **slot = None;
                return Poll::Ready(death);
            }
        }
        Poll::Pending
    })
    .await
}

/// Makes sure that a process neither outlives us nor gets our terminal's signals.
pub(crate) fn bind_to_us(command: &mut Command) {
    command.kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let us = rustix::process::getpid();
        #[expect(unsafe_code, reason = "the only way to have the kernel end a child after SIGKILL")]
        // SAFETY: between fork and exec only async-signal-safe calls are allowed, and no
        // allocation: this makes two system calls and builds its errors from numbers.
        unsafe {
            command.pre_exec(move || {
                let signal = rustix::process::Signal::KILL;
                rustix::process::set_parent_process_death_signal(Some(signal))?;
                // Had we died before that call, the signal would never come.
                if rustix::process::getppid() != Some(us) {
                    return Err(rustix::io::Errno::SRCH.into());
                }
                Ok(())
            });
        }
    }
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

/// Runs a program to its end, with its output in memory and a deadline.
///
/// For small tools that are asked a question; [`Child`] is for what goes on running.
pub(crate) async fn ask(
    program: &OsStr,
    arguments: &[&OsStr],
    limit: Duration,
) -> io::Result<std::process::Output> {
    let deadline = Instant::now() + limit;
    loop {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        bind_to_us(&mut command);
        match tokio::time::timeout_at(deadline, command.output()).await {
            // A file just written may for a moment be open for writing in a child of another
            // thread that has not reached its exec yet.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                if Instant::now() >= deadline {
                    return Err(error);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(result) => return result,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    //! With shells as processes: how they end, and what is quoted of them.

    use super::*;
    use crate::run_dir::is_alive;

    fn shell(dir: &Path, script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let log = dir.join("log");
        Child::start(Program { region: "tokyo", part: Part::Envoy, command, log }).unwrap()
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
        let pids = [polite.pid(), stubborn.pid()];
        let polite_log = polite.log.clone();
        stop(vec![polite, stubborn]).await;
        assert!(!pids.iter().any(|pid| is_alive(*pid)));
        assert_eq!(tail(&polite_log, 0).unwrap(), ["up", "bye"]);
    }

    #[tokio::test]
    async fn kills_and_waits() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "exec sleep 1000");
        let pid = child.pid();
        assert!(is_alive(pid));
        kill(vec![child]).await;
        assert!(!is_alive(pid));
    }

    #[tokio::test]
    async fn kills_what_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "exec sleep 1000");
        let pid = child.pid();
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
        let raw = rustix::process::Pid::from_raw(i32::try_from(child.pid()).unwrap());
        assert_eq!(rustix::process::getpgid(raw).unwrap(), raw.unwrap());
        kill(vec![child]).await;
    }

    #[tokio::test]
    async fn says_what_cannot_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let command = Command::new("/nonexistent/envoy");
        let log = dir.path().join("log");
        let error = Child::start(Program { region: "tokyo", part: Part::Upstream, command, log });
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(
            "cannot start the upstream of region `tokyo` (/nonexistent/envoy): No such file"
        ));
    }

    #[tokio::test]
    async fn does_not_wait_for_an_answer_for_ever() {
        let arguments = ["-c", "exec sleep 1000"].map(OsStr::new);
        let error = ask(OsStr::new("sh"), &arguments, Duration::from_millis(30)).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
