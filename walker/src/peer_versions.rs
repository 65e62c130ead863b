//! Which version of each service answered.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use automap_service_kit::server::VERSION_HEADER;
use tonic::metadata::MetadataMap;

/// The newest known versions of the services that the walker calls. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerVersions(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl PeerVersions {
    /// Takes what an answer of `service` says.
    pub(crate) fn note(&self, service: &'static str, metadata: &MetadataMap) {
        let Some(version) = metadata.get(VERSION_HEADER).and_then(|version| version.to_str().ok()) else {
            return;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(service).is_none_or(|known| known != version) {
            known.insert(service, version.to_owned());
        }
    }

    /// Those of these services, by their names.
    pub(crate) fn of(&self, services: &[&str]) -> impl Iterator<Item = (String, String)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<(String, String)> = known
            .iter()
            .filter(|(service, _)| services.contains(service))
            .map(|(service, version)| ((*service).to_owned(), version.clone()))
            .collect();
        found.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_and_silence_says_nothing() {
        let versions = PeerVersions::default();
        let mut metadata = MetadataMap::new();
        versions.note("collector", &metadata);
        assert_eq!(versions.of(&["collector"]).next(), None);
        for version in ["0.1.0", "0.2.0"] {
            metadata.insert(VERSION_HEADER, version.parse().unwrap());
            versions.note("collector", &metadata);
        }
        assert_eq!(versions.of(&["collector"]).next(), Some(("collector".into(), "0.2.0".into())));
        assert_eq!(versions.of(&["profiler"]).next(), None);
    }
}
