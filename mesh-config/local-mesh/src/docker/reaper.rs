//! A process that outlives us on purpose, to remove the containers that we can no longer remove.
//!
//! It holds the reading end of a pipe whose writing end we hold. When we end, however we end, the
//! kernel closes our end, and the reaper removes every container with the label of our run. Before
//! an orderly end we write a byte, which says that there should be nothing to do.

use std::ffi::OsString;
use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::Instant;

use super::{Engine, LABEL};
use crate::error::Error;

/// How long an orderly end may take.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How long the reaper goes on trying.
const REAP_LIMIT: Duration = Duration::from_mins(2);
/// A `docker run` that was killed may have asked for a container that comes a moment later.
const REAP_PAUSE: Duration = Duration::from_secs(1);

/// The reaper of one run, as long as that goes on. Dropping it sets it to work.
#[derive(Debug)]
pub struct Reaper {
    process: Child,
    pipe: ChildStdin,
}

impl Reaper {
    /// Starts a reaper: program and first arguments that run [`reap`], and the run.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be started; without one there must be no containers.
    pub fn start(program: &[OsString], run: &str) -> Result<Self, Error> {
        let failed = |source| Error::Io { what: "start the reaper of the run".to_owned(), source };
        let missing = || failed(io::ErrorKind::InvalidInput.into());
        let (program, arguments) = program.split_first().ok_or_else(missing)?;
        let mut command = Command::new(program);
        command.args(arguments).arg(run);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // The terminal's Ctrl-C is not for it, and unlike all else that we start it does not end
        // with us.
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn().map_err(failed)?;
        let pipe = process.stdin.take().ok_or_else(missing)?;
        Ok(Self { process, pipe })
    }

    /// Ends it after everything was stopped. It has one look.
    pub async fn end(self) {
        let Self { mut process, mut pipe } = self;
        let orderly = async {
            let _ = pipe.write_all(b".").await;
            drop(pipe);
            let _ = process.wait().await;
        };
        let _ = tokio::time::timeout(END_LIMIT, orderly).await;
    }
}

/// Waits for the end of the parent, which is the end of `pipe`, and removes the containers of the
/// run.
///
/// # Errors
///
/// [`Error::NoEngine`] when the engine does not answer any more.
pub async fn reap(run: &str, pipe: impl Read) -> Result<(), Error> {
    reap_by(Engine::connect, run, pipe, REAP_PAUSE).await
}

pub(super) async fn reap_by<F>(
    connect: impl Fn() -> F,
    run: &str,
    mut pipe: impl Read,
    pause: Duration,
) -> Result<(), Error>
where
    F: Future<Output = Result<Engine, Error>>,
{
    let is_orderly = io::copy(&mut pipe, &mut io::sink()).is_ok_and(|told| told > 0);
    let deadline = Instant::now() + REAP_LIMIT;
    let mut seen_none = false;
    loop {
        let removed = async { remove_all(&connect().await?, run).await };
        let removed = removed.await;
        let none = matches!(removed, Ok(0));
        if is_orderly || (none && seen_none) || Instant::now() >= deadline {
            return removed.map(|_| ());
        }
        seen_none = none;
        tokio::time::sleep(pause).await;
    }
}

/// Removes the containers of a run and says how many there were.
async fn remove_all(engine: &Engine, run: &str) -> Result<usize, Error> {
    let found = engine.containers(LABEL, run).await?;
    let ids: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
    engine.remove(&ids).await?;
    Ok(ids.len())
}
