//! The incidents that `automap demo` replays: recorded by `automap experiment run` on the testbed of `deploy/pymicro`.

use std::{fs, path::Path};

use anyhow::Context as _;
use automap_proto::invalid::did_you_mean;
use include_dir::{Dir, include_dir};

use crate::{
    evaluate::label::{LABEL_FILE, Label},
    failure::Failure,
};

/// Files of each incident, in a directory named after its round.
static INCIDENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../examples/pymicro");

/// An incident that was recorded on real processes.
#[derive(Debug, Clone, Copy)]
pub struct RecordedIncident {
    files: &'static Dir<'static>,
}

/// Names of all, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = INCIDENTS.dirs().filter_map(|one| one.path().to_str()).collect();
    names.sort_unstable();
    names
}

impl RecordedIncident {
    /// The incident of this name.
    ///
    /// # Errors
    /// There is none; `others` are names that are known besides.
    pub fn named(name: &str, others: &[&str]) -> Result<Self, Failure> {
        if let Some(files) = INCIDENTS.get_dir(name) {
            return Ok(Self { files });
        }
        let known = [others, &names()].concat();
        let hint = did_you_mean(name, known.iter().copied()).map_or_else(
            || format!("; name one of {}", known.join(", ")),
            |near| format!("; did you mean {near}?"),
        );
        Err(Failure::Usage(format!("--incident {name}: there is none{hint}")))
    }

    /// What was done to which service.
    ///
    /// # Errors
    /// The recording has no label.
    pub fn label(&self) -> anyhow::Result<Label> {
        let file = self.files.files().find(|file| file.path().ends_with(LABEL_FILE));
        let file = file.context("a recorded incident without label")?;
        Label::parse(file.contents_utf8().context("a label that is no text")?)
    }

    /// Writes the files that a person on call would have into the new directory `path`; with `label` also the answer.
    ///
    /// # Errors
    /// The directory exists already, or cannot be written.
    pub fn write(&self, path: &Path, label: bool) -> anyhow::Result<()> {
        fs::create_dir(path).with_context(|| {
            format!("cannot create {}; name a directory that does not exist yet", path.display())
        })?;
        for file in self.files.files() {
            let name = file.path().file_name().context("a file without name")?;
            if label || name != LABEL_FILE {
                let place = path.join(name);
                fs::write(&place, file.contents())
                    .with_context(|| format!("cannot write {}", place.display()))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_incidents_are_many_and_of_several_faults_and_their_answers_stay_behind() {
        let home = tempfile::tempdir().unwrap();
        let names = names();
        assert!(names.len() >= 12, "{names:?}");
        let mut faults = BTreeSet::new();
        for name in &names {
            let incident = RecordedIncident::named(name, &[]).unwrap();
            faults.insert(incident.label().unwrap().fault_type);
            let place = home.path().join(name);
            incident.write(&place, false).unwrap();
            assert!(place.join("metrics.csv").exists() && !place.join(LABEL_FILE).exists());
        }
        assert!(faults.len() >= 4, "{faults:?}");
    }

    #[test]
    fn an_unknown_name_is_told_its_nearest() {
        let error = RecordedIncident::named("simulatd", &["simulated"]).unwrap_err();
        assert!(error.to_string().contains("did you mean simulated?"), "{error}");
    }
}
