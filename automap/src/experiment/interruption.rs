//! Ctrl-C and the signals that ask a process to end.

use std::io;

use tokio_util::sync::CancellationToken;

/// A token that is cancelled when the process is asked to end, which then is for its owner to do.
///
/// # Errors
/// The system lets no signal be waited for.
#[cfg(unix)]
pub fn watch() -> io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let asked = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let (mut signals, asked) = (signal(kind)?, asked.clone());
        tokio::spawn(async move {
            signals.recv().await;
            asked.cancel();
        });
    }
    Ok(asked)
}

/// A token that is cancelled by Ctrl-C.
///
/// # Errors
/// None on this system.
#[cfg(not(unix))]
pub fn watch() -> io::Result<CancellationToken> {
    let asked = CancellationToken::new();
    let watched = asked.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            watched.cancel();
        }
    });
    Ok(asked)
}
