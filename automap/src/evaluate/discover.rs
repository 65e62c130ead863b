//! Finding labelled incidents below a directory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::label::LABEL_FILE;

/// Levels of directories that are searched.
const MAX_DEPTH: usize = 4;

/// A folder of incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Name of the folder.
    pub name: String,
    /// Directories of its incidents, sorted.
    pub incidents: Vec<PathBuf>,
}

/// Finds every directory with a label below `roots`. Incidents in one folder are one dataset, named after the folder;
/// datasets are sorted by path.
///
/// # Errors
/// A directory cannot be read, or no incident is found.
pub fn datasets(roots: &[PathBuf]) -> anyhow::Result<Vec<Dataset>> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for root in roots {
        let root = root.canonicalize().with_context(|| format!("cannot open {}", root.display()))?;
        search(&root, MAX_DEPTH, &mut folders)?;
    }
    let found: Vec<Dataset> = folders
        .into_iter()
        .map(|(folder, mut incidents)| {
            incidents.sort_unstable();
            incidents.dedup();
            let name =
                folder.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy().into_owned());
            Dataset { name, incidents }
        })
        .collect();
    anyhow::ensure!(
        !found.is_empty(),
        "no labelled incident ({LABEL_FILE}) was found within {MAX_DEPTH} levels below {}",
        roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    Ok(found)
}

fn search(
    directory: &Path,
    depth: usize,
    folders: &mut BTreeMap<PathBuf, Vec<PathBuf>>,
) -> anyhow::Result<()> {
    if directory.join(LABEL_FILE).is_file() {
        let folder = directory.parent().unwrap_or(directory);
        folders.entry(folder.into()).or_default().push(directory.into());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.is_dir() {
            search(&path, depth - 1, folders)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(root: &Path, path: &str) {
        std::fs::create_dir_all(root.join(path)).unwrap();
        std::fs::write(root.join(path).join(LABEL_FILE), "{}").unwrap();
    }

    #[test]
    fn a_folder_of_incidents_is_a_dataset_named_after_it() {
        let root = tempfile::tempdir().unwrap();
        for path in ["shop/b", "shop/a", "tickets/x"] {
            incident(root.path(), path);
        }
        let found = datasets(&[root.path().into(), root.path().join("shop/a")]).unwrap();
        let names: Vec<(&str, usize)> =
            found.iter().map(|dataset| (dataset.name.as_str(), dataset.incidents.len())).collect();
        assert_eq!(names, [("shop", 2), ("tickets", 1)]);
    }

    #[test]
    fn a_directory_without_incidents_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(datasets(&[root.path().into()]).unwrap_err().to_string().contains("no labelled incident"));
        assert!(datasets(&[root.path().join("nowhere")]).is_err());
    }
}
