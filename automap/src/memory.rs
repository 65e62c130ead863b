//! The memory of the embedded profiler during one command.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::anyhow;
use automap_profiler::{
    ProfilerConfig,
    store::{ProfileStore, error::StoreError},
};
use tempfile::TempDir;

use crate::{arguments::MemoryArgs, stdout, store_place};

/// An open store.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What the profiler serves.
    pub(crate) store: Arc<dyn ProfileStore>,
    /// Where it is; a scratch one is removed with it.
    scratch: Option<TempDir>,
}

impl Memory {
    /// The store that was named, else the user's; `config` learns where it is.
    ///
    /// # Errors
    /// It cannot be opened; the message says what else can be done.
    pub(crate) async fn open(named: Option<&Path>, config: &mut ProfilerConfig) -> anyhow::Result<Self> {
        let path = match named {
            Some(store) => store.to_owned(),
            None => store_place::of_user()?,
        };
        fs::create_dir_all(&path).map_err(|error| {
            anyhow!("cannot create {} ({error}); name a store with --store DIR", path.display())
        })?;
        config.path = path;
        let store = automap_profiler::open_store(config).await.map_err(|error| anyhow!(problem(&error)))?;
        Ok(Self { store, scratch: None })
    }

    /// The same for who needs an answer more than a memory: where there is none, a scratch one does, and a warning tells.
    ///
    /// # Errors
    /// There is no place even for a scratch one.
    pub(crate) async fn open_or_scratch(
        args: &MemoryArgs,
        config: &mut ProfilerConfig,
    ) -> anyhow::Result<Self> {
        if args.no_record && args.store.is_none() {
            return Self::scratch(config).await;
        }
        match Self::open(args.store.as_deref(), config).await {
            Ok(memory) => Ok(memory),
            Err(error) => {
                let scratch = Self::scratch(config).await?;
                stdout::warning(&without_memory(&error));
                Ok(scratch)
            }
        }
    }

    /// Whether what is told it is forgotten with the command.
    pub(crate) const fn is_scratch(&self) -> bool {
        self.scratch.is_some()
    }

    async fn scratch(config: &mut ProfilerConfig) -> anyhow::Result<Self> {
        // The second is memory of the machine: there when the disk is full.
        let mut problems = Vec::new();
        for place in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
            match Self::scratch_in(&place, config).await {
                Ok(memory) => return Ok(memory),
                Err(error) => problems.push(format!("{}: {error:#}", place.display())),
            }
        }
        Err(anyhow!(
            "there is no room for what is remembered during a diagnosis ({}); free some, or name another directory with \
             TMPDIR",
            problems.join("; ")
        ))
    }

    async fn scratch_in(place: &Path, config: &mut ProfilerConfig) -> anyhow::Result<Self> {
        let scratch = tempfile::tempdir_in(place)?;
        config.path = scratch.path().into();
        let store = automap_profiler::open_store(config).await.map_err(|error| anyhow!(problem(&error)))?;
        Ok(Self { store, scratch: Some(scratch) })
    }
}

/// What is told of a diagnosis without a memory: what ails it, with the way out, and what can be done besides.
fn without_memory(error: &anyhow::Error) -> String {
    format!(
        "{error:#}. This diagnosis knows no past and is not remembered: --store DIR names another memory, --no-record does \
         without one"
    )
}

/// What ails a store, in words of a command's flags.
pub(crate) fn problem(error: &StoreError) -> String {
    match error {
        StoreError::InUse(path) => format!(
            "the store {} is in use by another process; wait until that has ended, or name another store with --store DIR",
            path.display()
        ),
        StoreError::Damaged { record, problem } => format!(
            "{record} is damaged: {problem}; run the command again, which rebuilds it from the store's journal where that is \
             whole"
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_without_a_memory_tells_the_way_out() {
        let damaged = StoreError::Open {
            path: "here".into(),
            problem: "the engine lost its state: `automap store salvage` writes what is readable".into(),
        };
        let told = without_memory(&anyhow!(problem(&damaged)));
        for part in ["lost its state", "automap store salvage", "is not remembered", "--no-record"] {
            assert!(told.contains(part), "no {part:?} in {told}");
        }
        let record = StoreError::Damaged { record: "incident inc-1".into(), problem: "bad checksum".into() };
        let told = problem(&record);
        assert!(told.starts_with("incident inc-1 is damaged: bad checksum; run the command again"), "{told}");
        let told = problem(&StoreError::InUse("here".into()));
        assert!(told.contains("here is in use") && !told.contains("profiler.path"), "{told}");
    }
}
