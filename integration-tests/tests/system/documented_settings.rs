//! The configuration that documents show can be used as it stands.

use std::{
    fs,
    path::{Path, PathBuf},
};

use automap_integration_tests::command;

const ROLES: [&str; 4] = ["walker", "collector", "graph-builder", "profiler"];

/// Blocks of TOML in a document, with the line on which each begins.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((place, line)) = lines.next() {
        if line.trim() == "```toml" {
            let block = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            found.push((place + 1, block.map(|line| format!("{line}\n")).collect()));
        }
    }
    found
}

/// Documents for people: those of the root and of `docs` and `deploy`.
fn documents(root: &Path) -> Vec<PathBuf> {
    let directories = [root.to_owned(), root.join("docs"), root.join("deploy")];
    let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
    let mut documents: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    documents.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    documents.sort();
    documents
}

#[test]
fn every_configuration_in_a_document_passes_the_check_of_its_services() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let home = tempfile::tempdir().unwrap();
    let mut checked = Vec::new();
    for document in documents(&root) {
        for (line, block) in blocks(&fs::read_to_string(&document).unwrap()) {
            let tables = |role: &&str| {
                block
                    .lines()
                    .any(|line| line.trim_start_matches('[').starts_with(role) && line.starts_with('['))
            };
            let role = match ROLES.into_iter().filter(tables).collect::<Vec<_>>()[..] {
                // Files of tokens and plans of experiments are of another kind.
                [] => continue,
                [role] => role,
                _ => "all",
            };
            let place = format!("{}:{line}", document.display());
            fs::write(home.path().join("automap.toml"), &block).unwrap();
            let ended =
                command::run(home.path(), &["config", "show", role, "--config", "automap.toml"]).unwrap();
            assert_eq!(ended.code, 0, "{place}: {}", ended.stderr);
            checked.push(place);
        }
    }
    for document in ["README.md", "alerting.md"] {
        assert!(checked.iter().any(|place| place.contains(document)), "{document} has none: {checked:?}");
    }
    assert!(checked.len() >= 6, "{checked:?}");
}
