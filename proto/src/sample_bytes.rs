//! Samples on their way: little-endian doubles in chunks that may end anywhere.

use bytes::Bytes;

use crate::{invalid::Invalid, v1};

/// Largest chunk of samples, bytes.
pub const CHUNK_BYTES: usize = 1 << 20;

pub(crate) const SAMPLE_BYTES: usize = size_of::<f64>();

/// Samples in chunks of at most [`CHUNK_BYTES`].
pub(crate) fn chunks(samples: &[f64]) -> impl Iterator<Item = v1::FrameChunk> + '_ {
    samples.chunks(CHUNK_BYTES / SAMPLE_BYTES).map(|part| {
        let data = if cfg!(target_endian = "little") {
            Bytes::copy_from_slice(bytemuck::cast_slice(part))
        } else {
            part.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        v1::FrameChunk { data }
    })
}

/// Puts samples together from chunks. Memory grows with the bytes that really arrive, never with what was announced.
#[derive(Debug)]
pub(crate) struct SampleBytes {
    expected: usize,
    values: Vec<f64>,
    /// Bytes of a sample that the last chunk cut.
    cut: Vec<u8>,
}

impl SampleBytes {
    /// Takes `expected` samples.
    pub(crate) const fn new(expected: usize) -> Self {
        Self { expected, values: Vec::new(), cut: Vec::new() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More bytes came than were announced.
    pub(crate) fn push(&mut self, mut data: &[u8]) -> Result<(), Invalid> {
        let received = self.values.len() * SAMPLE_BYTES + self.cut.len();
        if data.len() > self.expected * SAMPLE_BYTES - received {
            return Err(Invalid::new(
                "chunk.data",
                format!(
                    "brings more than the {} bytes that the header announced",
                    self.expected * SAMPLE_BYTES
                ),
            ));
        }
        if !self.cut.is_empty() {
            let missing = (SAMPLE_BYTES - self.cut.len()).min(data.len());
            self.cut.extend_from_slice(&data[..missing]);
            data = &data[missing..];
            if let Ok(whole) = <[u8; SAMPLE_BYTES]>::try_from(self.cut.as_slice()) {
                self.values.push(f64::from_le_bytes(whole));
                self.cut.clear();
            }
        }
        let (samples, rest) = data.as_chunks::<SAMPLE_BYTES>();
        self.values.extend(samples.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        self.cut.extend_from_slice(rest);
        Ok(())
    }

    /// The samples, when all have arrived.
    ///
    /// # Errors
    /// Bytes are missing.
    pub(crate) fn finish(self) -> Result<Vec<f64>, Invalid> {
        if self.values.len() != self.expected {
            return Err(Invalid::new(
                "chunk.data",
                format!(
                    "ended after {} of the {} bytes that the header announced",
                    self.values.len() * SAMPLE_BYTES + self.cut.len(),
                    self.expected * SAMPLE_BYTES
                ),
            ));
        }
        Ok(self.values)
    }
}
