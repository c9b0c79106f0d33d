//! Removes the containers of a run that can no longer do so itself.

use std::io::Read;
use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, LABEL};
use crate::error::Error;
use crate::survivor;

/// A `docker run` that was killed may have asked for a container that comes a moment later.
const REAP_PAUSE: Duration = Duration::from_secs(1);

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
    pipe: impl Read,
    pause: Duration,
) -> Result<(), Error>
where
    F: Future<Output = Result<Engine, Error>>,
{
    let is_orderly = survivor::outlive(pipe);
    let deadline = Instant::now() + survivor::LIMIT;
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
