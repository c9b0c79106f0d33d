//! Waiting for the user, or the system, to ask for an end.

/// Resolves when the process is asked to end: SIGINT, SIGTERM or SIGHUP (Ctrl-C on Windows).
///
/// The signals lose their default effect when this is first polled, and not before: a caller that
/// never awaits it dies of Ctrl-C as usual. Where a handler cannot be installed the future waits
/// for the other signals, and for ever if there is none.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        tokio::select! {
            () = one(SignalKind::interrupt()) => {}
            () = one(SignalKind::terminate()) => {}
            () = one(SignalKind::hangup()) => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn one(kind: tokio::signal::unix::SignalKind) {
    match tokio::signal::unix::signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
