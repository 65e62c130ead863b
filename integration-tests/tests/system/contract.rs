//! The guard of the contract lets additions pass and stops what would break a caller.

use std::{fs, path::Path, process::Command};

use automap_integration_tests::{command::Ended, foreign};

/// A repository of its own with the project's contract and its guard.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let repository = Self(tempfile::tempdir().unwrap());
        for file in fs::read_dir(project.join("proto/proto/automap/v1")).unwrap() {
            let file = file.unwrap();
            repository.write(
                &format!("proto/proto/automap/v1/{}", file.file_name().to_str().unwrap()),
                &fs::read_to_string(file.path()).unwrap(),
            );
        }
        for name in ["proto/proto/buf.yaml", ".ci/contract"] {
            repository.write(name, &fs::read_to_string(project.join(name)).unwrap());
        }
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        repository.commit("Write the contract");
        repository
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let author =
            ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"];
        let git = Command::new("git").args(author).args(arguments).current_dir(self.0.path()).output();
        let git = git.unwrap();
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// Changes one file of the contract.
    fn replace(&self, file: &str, from: &str, to: &str) {
        let name = format!("proto/proto/automap/v1/{file}");
        let text = fs::read_to_string(self.0.path().join(&name)).unwrap();
        assert!(text.contains(from), "{from}");
        self.write(&name, &text.replacen(from, to, 1));
    }

    fn guard(&self) -> Ended {
        guard(self.0.path())
    }
}

fn guard(directory: &Path) -> Ended {
    let mut command = Command::new("bash");
    command.arg(".ci/contract").env("BUF", foreign::buf().unwrap()).current_dir(directory);
    command.output().unwrap().into()
}

const FIELD: &str = "  uint64 seed = 2;\n";

#[test]
fn additions_pass_and_removals_are_stopped_even_commits_later() {
    let repository = Repository::new();
    assert_eq!(repository.guard().code, 0, "{:?}", repository.guard());
    repository.replace("walker.proto", FIELD, &format!("{FIELD}  uint64 pace = 77;\n"));
    assert_eq!(repository.guard().code, 0, "{:?}", repository.guard());
    repository.commit("Add a field");
    assert_eq!(repository.guard().code, 0, "{:?}", repository.guard());
    repository.replace("walker.proto", FIELD, "");
    let stopped = repository.guard();
    assert_ne!(stopped.code, 0);
    assert!(stopped.stdout.contains("seed") && stopped.stderr.contains("Breaks-contract"), "{stopped:?}");
    repository.commit("Remove a field");
    repository.write("README.md", "nothing of the contract");
    repository.commit("Say nothing");
    assert_ne!(repository.guard().code, 0, "a break stays one when others commit on top of it");
    repository.git(&["checkout", "--quiet", "-b", "meant"]);
    repository.replace("walker.proto", "  uint64 pace = 77;\n", "");
    repository.commit("Remove another field\n\nNobody could use it.\n\nBreaks-contract: it never worked");
    assert_eq!(repository.guard().code, 0, "{:?}", repository.guard());

    // A clone of one branch has all that the guard needs; one without history says so.
    let clones = tempfile::tempdir().unwrap();
    let from = format!("file://{}", repository.0.path().display());
    for (name, more, code) in [("whole", "--no-tags", 0), ("shallow", "--depth=1", 1)] {
        repository.git(&[
            "clone",
            "--quiet",
            "--single-branch",
            more,
            &from,
            clones.path().join(name).to_str().unwrap(),
        ]);
        let ended = guard(&clones.path().join(name));
        assert_eq!(ended.code, code, "{name}: {ended:?}");
    }
    assert!(guard(&clones.path().join("shallow")).stderr.contains("git fetch --unshallow"));
}

#[test]
fn the_style_of_the_contract_is_guarded() {
    let repository = Repository::new();
    repository.replace("walker.proto", FIELD, &format!("{FIELD}  uint64 wrongCase = 77;\n"));
    let stopped = repository.guard();
    assert_ne!(stopped.code, 0);
    assert!(stopped.stdout.contains("wrong_case"), "{stopped:?}");
}
