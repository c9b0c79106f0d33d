//! One user's machine, and the command as it runs there.

use crate::{Check, LIMIT, Trouble, Turn, meshfence_binary, send, turn, until};
use local_mesh::client::RawRequest;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// One user's machine: a temporary directory of its own, so that no other run is in sight.
#[derive(Debug)]
pub struct Machine {
    temp: TempDir,
    _turn: Turn,
}

impl Machine {
    /// One with nothing on it, when no other test has processes running.
    ///
    /// # Errors
    /// No temporary directory.
    pub async fn new() -> Result<Self, Trouble> {
        Ok(Self { _turn: turn().await, temp: tempfile::tempdir()? })
    }

    /// The temporary directory.
    pub fn root(&self) -> &Path {
        self.temp.path()
    }

    /// A file in the temporary directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A copy of the example, changed: a file, what to replace in it, and by what.
    ///
    /// # Errors
    /// That there is nothing to replace.
    pub fn policy_set(
        &self,
        name: &str,
        changes: &[(&str, &str, &str)],
    ) -> Result<PathBuf, Trouble> {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/tpe-tokyo");
        let directory = self.path(name);
        std::fs::create_dir(&directory)?;
        for entry in std::fs::read_dir(example)? {
            let file = entry?.path();
            if let Some(name) = file.file_name()
                && file.is_file()
            {
                std::fs::copy(&file, directory.join(name))?;
            }
        }
        for (file, old, new) in changes {
            let file = directory.join(file);
            let text = std::fs::read_to_string(&file)?;
            if !text.contains(old) {
                return Err(Trouble::new(format!("{} has no `{old}`", file.display())));
            }
            std::fs::write(&file, text.replacen(old, new, 1))?;
        }
        Ok(directory)
    }

    /// The command with arguments, not started yet.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn command(&self, arguments: &[&str]) -> Result<Command, Trouble> {
        let mut command = Command::new(meshfence_binary()?);
        command.args(arguments).env("TMPDIR", self.temp.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).current_dir(self.temp.path());
        Ok(command)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// That it does not end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ended, Trouble> {
        finish(self.command(arguments)?).await
    }

    /// Starts `up` and waits until it says what to try.
    ///
    /// # Errors
    /// That it ends, or takes too long.
    pub async fn up(&self, arguments: &[&str]) -> Result<Up, Trouble> {
        self.up_by(self.command(&["up", "--base-port", "0"])?, arguments).await
    }

    /// The same with a prepared command.
    ///
    /// # Errors
    /// As for [`Machine::up`].
    pub async fn up_by(&self, mut command: Command, arguments: &[&str]) -> Result<Up, Trouble> {
        let out = self.path("up.out");
        command.args(arguments).stdout(std::fs::File::create(&out)?);
        command.stderr(std::fs::File::create(self.path("up.err"))?);
        let mut child = command.spawn()?;
        let text = until("`up` is ready", async || {
            let text = std::fs::read_to_string(&out).ok()?;
            text.contains("Ctrl-C stops everything").then_some(text)
        });
        let text = match text.await {
            Ok(text) => text,
            Err(trouble) => {
                let status = child.try_wait();
                let errors = std::fs::read_to_string(self.path("up.err"))?;
                return Err(Trouble::new(format!("{trouble}: {status:?}\n{errors}")));
            }
        };
        let pid = child.id().ok_or_else(|| Trouble::new("`up` has ended"))?;
        let edge = text.split("edge http://").nth(1).and_then(|rest| rest.split(' ').next());
        let edge = edge.and_then(|edge| edge.parse().ok());
        let edge = edge.ok_or_else(|| Trouble::new(format!("no edge in: {text}")))?;
        let children = children(pid);
        Ok(Up { child, pid, text, edge, children })
    }

    /// Sends the edge of an `up` the tokens that the command makes for it. An account of which is not
    /// accepted, or leads to another region than its country's.
    ///
    /// # Errors
    /// That there is no answer.
    pub async fn use_tokens(&self, up: &Up) -> Result<String, Trouble> {
        let mut account = String::new();
        for (country, region) in [("TW", "taiwan"), ("JP", "tokyo")] {
            let ended = self.run(&["token", "--country", country]).await?;
            account += &ended.check("token", 0, &[]);
            let request = RawRequest::new("GET", "/api/v1/customers/me/profile")
                .header("authorization", format!("Bearer {}", ended.out.trim()));
            let response = send(up.edge, &request).await?;
            let ran = String::from_utf8_lossy(response.header("x-echo-region").unwrap_or_default());
            if (response.status, &*ran) != (200, region) {
                // Writing into a String cannot fail.
                let _ = writeln!(account, "{country}: {} in `{ran}`", response.status);
            }
        }
        Ok(account)
    }

    /// What the last `up` has printed on standard error.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn errors(&self) -> Result<String, Trouble> {
        Ok(std::fs::read_to_string(self.path("up.err"))?)
    }

    /// Kills a run of `up` and waits until nothing is left of it, no process and no file.
    ///
    /// # Errors
    /// That something is left.
    pub async fn kill(&self, up: &mut Up) -> Check {
        up.signal(Signal::KILL)?;
        up.ends().await?;
        up.is_gone().await?;
        self.until_no_files().await
    }

    /// Waits until no run has a directory any more.
    ///
    /// # Errors
    /// That one has.
    pub async fn until_no_files(&self) -> Check {
        until("the files of a killed run are gone", async || {
            self.run_directories().is_ok_and(|left| left.is_empty()).then_some(())
        })
        .await
    }

    /// The directories of runs.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn run_directories(&self) -> Result<Vec<PathBuf>, Trouble> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.temp.path())? {
            let path = entry?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if name.starts_with("meshfence-") && path.is_dir() {
                found.push(path);
            }
        }
        Ok(found)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// That it does not end.
pub async fn finish(mut command: Command) -> Result<Ended, Trouble> {
    let output = tokio::time::timeout(LIMIT * 2, command.output()).await;
    let output = output.map_err(|_| Trouble::new(format!("no end of {command:?}")))??;
    Ok(Ended::of(&output))
}

/// A command that has run.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What is not as expected: the exit code, texts on either stream, and no escape codes.
    pub fn check(&self, what: &str, code: i32, texts: &[&str]) -> String {
        let mut account = String::new();
        let all = format!("{}{}", self.out, self.err);
        // Writing into a String cannot fail.
        if self.code != Some(code) {
            let _ = writeln!(account, "{what}: exit code {:?} and not {code}: {all}", self.code);
        }
        for text in texts.iter().filter(|text| !all.contains(**text)) {
            let _ = writeln!(account, "{what}: nothing of `{text}` in: {all}");
        }
        if all.contains('\u{1b}') {
            let _ = writeln!(account, "{what}: escape codes in {all:?}");
        }
        account
    }
}

/// A running `up`.
#[derive(Debug)]
pub struct Up {
    child: Child,
    /// Its process.
    pub pid: u32,
    /// What it says when it is ready.
    pub text: String,
    /// The edge of the first region.
    pub edge: SocketAddr,
    /// The processes that it started.
    pub children: Vec<u32>,
}

impl Up {
    /// Sends it a signal.
    ///
    /// # Errors
    /// That it is gone.
    pub fn signal(&self, signal: Signal) -> Check {
        kill(self.pid, signal)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// That it goes on.
    pub async fn ends(&mut self) -> Result<ExitStatus, Trouble> {
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        Ok(ended.map_err(|_| Trouble::new("`up` goes on"))??)
    }

    /// Waits until no process that it started is left.
    ///
    /// # Errors
    /// That one is.
    pub async fn is_gone(&self) -> Check {
        until("every child is gone", async || {
            self.children.iter().all(|pid| !runs(*pid)).then_some(())
        })
        .await
    }
}

/// Sends a process a signal.
///
/// # Errors
/// That there is no such process.
pub fn kill(pid: u32, signal: Signal) -> Check {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Trouble::new("no process id"))?;
    kill_process(pid, signal).map_err(|error| Trouble::new(error.to_string()))
}

/// The processes whose parent this is, as the kernel lists them.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids: BTreeSet<u32> = lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    pids.into_iter().collect()
}

/// Whether a process runs; a zombie that nobody has buried yet does not.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The command line of a process, for a reader.
pub fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
