//! A value built from files that follows them: certificates and tokens are renewed while connections go on.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use automap_proto::invalid::Invalid;

/// Holds the newest value that could be built.
#[derive(Debug)]
pub struct Reloading<T> {
    current: RwLock<Arc<T>>,
}

impl<T: Send + Sync + 'static> Reloading<T> {
    /// Builds the value from `files` with `what`, such as certificates, and anew whenever their content changed, which is
    /// looked up `every` so often: mounted secrets are swapped by links, which tell no watcher. While files do not fit each other, as in the middle of
    /// a renewal, the last value stays. Ends when the answer is dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The first value cannot be built.
    pub fn start(
        what: &'static str,
        files: Vec<PathBuf>,
        every: Duration,
        build: impl Fn() -> Result<T, Invalid> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, Invalid> {
        // Read before the value is built: a change in between is seen as one.
        let mut built_from: Vec<Option<Vec<u8>>> =
            files.iter().map(|file| std::fs::read(file).ok()).collect();
        let reloading = Arc::new(Self { current: RwLock::new(Arc::new(build()?)) });
        let holder = Arc::downgrade(&reloading);
        tokio::spawn(async move {
            let mut refused = None;
            loop {
                tokio::time::sleep(every).await;
                let Some(reloading) = holder.upgrade() else { return };
                let now = contents(&files).await;
                if now == built_from {
                    refused = None;
                    continue;
                }
                match build() {
                    Ok(value) => {
                        *reloading.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
                        tracing::info!(?files, "{what} were renewed and count from now on");
                        (built_from, refused) = (now, None);
                    }
                    Err(error) if refused.as_ref() != Some(&now) => {
                        tracing::warn!(%error, "renewed {what} cannot be used; the old ones stay");
                        refused = Some(now);
                    }
                    Err(_) => {}
                }
            }
        });
        Ok(reloading)
    }

    /// The newest value.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the files hold; small enough to be compared whole.
async fn contents(files: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::new();
    for file in files {
        found.push(tokio::fs::read(file).await.ok());
    }
    found
}
