//! A process that outlives us on purpose, to remove what we can no longer remove.
//!
//! It holds the reading end of a pipe whose writing end we hold. When we end, however we end, the
//! kernel closes our end, and the survivor sets to work. Before an orderly end we write a byte, which
//! says that there should be nothing to do.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use crate::error::Error;

/// How long an orderly end may take.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How long a survivor goes on trying.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// The survivor of one run, as long as that goes on. Dropping it sets it to work.
#[derive(Debug)]
pub struct Survivor {
    process: Child,
    pipe: ChildStdin,
}

impl Survivor {
    /// Starts one: program and first arguments of what removes a run, and the run.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be started; without one nothing must be made that it would remove.
    pub fn start(program: &[OsString], run: &OsStr) -> Result<Self, Error> {
        let failed =
            |source| Error::Io { what: "start what cleans up after the run".to_owned(), source };
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

/// Waits for the end of the parent, which is the end of `pipe`, and says whether it was orderly.
pub(crate) fn outlive(mut pipe: impl Read) -> bool {
    io::copy(&mut pipe, &mut io::sink()).is_ok_and(|told| told > 0)
}
