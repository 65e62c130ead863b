//! The inputs that peers left here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use automap_proto::invalid::Invalid;
use automap_service_kit::error::{ErrorCode, ServiceError};

use crate::peer_input::PeerInput;

/// Inputs by content hash, bounded by the memory they take; the one put longest ago goes first.
#[derive(Debug)]
pub(super) struct InputCache {
    max_bytes: usize,
    /// Oldest first.
    inputs: Mutex<VecDeque<Arc<PeerInput>>>,
}

impl InputCache {
    pub(super) const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, inputs: Mutex::new(VecDeque::new()) }
    }

    /// Whether an input that takes so many bytes can be kept.
    pub(super) fn check(&self, bytes: usize) -> Result<(), Invalid> {
        if bytes > self.max_bytes {
            return Err(Invalid::new(
                "description.frame",
                format!(
                    "takes {} MiB with its correlations, more than the {} MiB for inputs of peers; raise \
                     input-cache-mib of the graph-builder",
                    bytes.div_ceil(1 << 20),
                    self.max_bytes >> 20
                ),
            ));
        }
        Ok(())
    }

    /// Keeps an input and drops the oldest until all fit. An input that is here already becomes the newest.
    pub(super) fn insert(&self, input: PeerInput) -> Result<(), Invalid> {
        self.check(input.bytes())?;
        let mut inputs = self.lock();
        let known = inputs.iter().position(|kept| kept.hash() == input.hash());
        let newest = known.and_then(|index| inputs.remove(index)).unwrap_or_else(|| Arc::new(input));
        inputs.push_back(newest);
        let mut bytes: usize = inputs.iter().map(|kept| kept.bytes()).sum();
        while bytes > self.max_bytes
            && let Some(oldest) = inputs.pop_front()
        {
            bytes -= oldest.bytes();
        }
        Ok(())
    }

    /// The input with that hash.
    pub(super) fn get(&self, hash: &str) -> Result<Arc<PeerInput>, ServiceError> {
        let found = self.lock().iter().find(|input| input.hash() == hash).cloned();
        found.ok_or_else(|| {
            ServiceError::new(
                ErrorCode::NotFound,
                "no input with this input_hash is kept here (any more); send it with PutInput, then ask again",
            )
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<PeerInput>>> {
        // No code panics with the lock held half way through a change.
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::metric::MetricKind;
    use ndarray::Array2;

    use super::*;
    use crate::test_frames::{frame_of, key};

    fn input(content: f64) -> PeerInput {
        let series = vec![key("a", MetricKind::Cpu, "cpu")];
        PeerInput::new(&frame_of(series, Array2::from_elem((1, 8), content)), &[0, 1, 2, 3, 4, 5, 6, 7])
    }

    #[test]
    fn the_input_put_longest_ago_makes_room() {
        let size = input(0.0).bytes();
        let cache = InputCache::new(2 * size);
        let hashes = [0.0, 1.0, 2.0].map(|content| input(content).hash().to_owned());
        cache.insert(input(0.0)).unwrap();
        cache.insert(input(1.0)).unwrap();
        cache.insert(input(0.0)).unwrap();
        cache.insert(input(2.0)).unwrap();
        assert!(cache.get(&hashes[0]).is_ok() && cache.get(&hashes[2]).is_ok());
        let error = cache.get(&hashes[1]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound);
        assert!(error.message().contains("PutInput"), "{error}");
    }

    #[test]
    fn an_input_that_never_fits_is_refused() {
        let cache = InputCache::new(10);
        assert_eq!(cache.insert(input(0.0)).unwrap_err().field(), "description.frame");
    }
}
