//! Waiting for a condition, never for a time.

use crate::Trouble;
use std::time::Duration;
use tokio::time::Instant;

/// How long anything may take that should happen soon, on a machine with much else to do.
pub const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer.
///
/// # Errors
/// That there was none within [`LIMIT`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> Result<T, Trouble> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask().await {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return Err(Trouble::new(format!("waited in vain: {what}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
