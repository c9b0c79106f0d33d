//! Processes: their output goes to a file, and they never outlive us.
//!
//! | what ends us | what ends the process |
//! |---|---|
//! | an orderly stop | SIGTERM, three seconds, SIGKILL |
//! | an error, a cancelled future | SIGKILL when its handle is dropped |
//! | Ctrl-C | we do, in order: its own process group keeps the terminal's SIGINT away |
//! | SIGKILL | on Linux the kernel, when the thread that started it is gone |

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use crate::supervise::{Handle, Supervised};

/// A process of our own.
#[derive(Debug)]
pub(crate) struct Process {
    child: tokio::process::Child,
    pid: u32,
}

// === impl Process ===

impl Process {
    /// Starts a command whose output is appended to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let err = out.try_clone()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        bind_to_us(command);
        let child = command.spawn()?;
        let pid = child.id().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { child, pid })
    }
}

impl Supervised for Process {
    fn handle(&self) -> Handle {
        Handle::Process(self.pid)
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<String> {
        // Tokio keeps the state of waiting in the child and not in this short-lived future.
        std::pin::pin!(self.child.wait()).poll(context).map(|status| match status {
            Ok(status) => status.to_string(),
            Err(error) => format!("unknown: {error}"),
        })
    }

    fn ask_to_end(&mut self) {
        #[cfg(unix)]
        {
            // `id` is none once the process has been waited for; before that its number cannot
            // belong to another process.
            let id = self.child.id().and_then(|id| i32::try_from(id).ok());
            if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        #[cfg(not(unix))]
        let _ = self.child.start_kill();
    }

    fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
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

/// Runs a program to its end, with its output in memory and a deadline.
///
/// For small tools that are asked a question; [`Process`] is for what goes on running.
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
    //! How processes end is in `supervise`; this is about those that are only asked.

    use super::*;

    #[tokio::test]
    async fn does_not_wait_for_an_answer_for_ever() {
        let arguments = ["-c", "exec sleep 1000"].map(OsStr::new);
        let error = ask(OsStr::new("sh"), &arguments, Duration::from_millis(30)).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
