//! A frame on its way: a header, then its samples as little-endian bytes in chunks.

use bytes::Bytes;
use ndarray::Array2;

use crate::{
    frame::{MetricFrame, SeriesKey},
    invalid::Invalid,
    metric::MetricKind,
    time::TimeGrid,
    v1,
};

/// Largest chunk of samples, bytes.
pub const CHUNK_BYTES: usize = 1 << 20;

const SAMPLE_BYTES: usize = size_of::<f64>();

/// The header that announces `frame`.
pub fn header(frame: &MetricFrame) -> v1::MetricFrameHeader {
    let mut series = Vec::with_capacity(frame.series().len());
    for service in 0..frame.services().len() {
        for key in &frame.series()[frame.series_of(service)] {
            series.push(v1::SeriesKey {
                service: service as u32,
                metric: key.metric.to_wire().into(),
                name: key.name.clone(),
            });
        }
    }
    v1::MetricFrameHeader { grid: Some((*frame.grid()).into()), services: frame.services().to_vec(), series }
}

/// The samples of `frame` in chunks of at most [`CHUNK_BYTES`].
pub fn chunks(frame: &MetricFrame) -> impl Iterator<Item = v1::FrameChunk> + '_ {
    let samples = frame.values().as_slice().unwrap_or_default();
    samples.chunks(CHUNK_BYTES / SAMPLE_BYTES).map(|part| {
        let data = if cfg!(target_endian = "little") {
            Bytes::copy_from_slice(bytemuck::cast_slice(part))
        } else {
            part.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        v1::FrameChunk { data }
    })
}

/// Puts a frame together from its header and chunks.
///
/// Memory grows with the bytes that really arrive, never with what a header promises.
#[derive(Debug)]
pub struct FrameAssembler {
    grid: TimeGrid,
    series: Vec<SeriesKey>,
    expected_samples: usize,
    values: Vec<f64>,
    /// Bytes of a sample that the last chunk cut.
    cut: Vec<u8>,
}

impl FrameAssembler {
    /// Checks a header against the limit of `max_bytes` for all samples.
    ///
    /// # Errors
    /// A field of the header is bad, or the frame would be larger than the limit.
    pub fn new(header: &v1::MetricFrameHeader, max_bytes: usize) -> Result<Self, Invalid> {
        let grid = TimeGrid::try_from(header.grid.as_ref().ok_or_else(|| Invalid::missing("frame.grid"))?)
            .map_err(|error| error.within("frame"))?;
        let mut series = Vec::with_capacity(header.series.len());
        for (index, key) in header.series.iter().enumerate() {
            let field = format!("frame.series[{index}]");
            let service = header.services.get(key.service as usize).ok_or_else(|| {
                Invalid::new(
                    format!("{field}.service"),
                    format!("is {} where {} services are named", key.service, header.services.len()),
                )
            })?;
            let metric = MetricKind::from_wire(&format!("{field}.metric"), key.metric)?;
            series.push(SeriesKey { service: service.clone(), metric, name: key.name.clone() });
        }
        let expected_samples = grid
            .samples()
            .checked_mul(series.len())
            .filter(|count| *count <= max_bytes / SAMPLE_BYTES)
            .ok_or_else(|| {
                Invalid::new(
                    "frame",
                    format!(
                        "announces {} series of {} samples, more than the limit of {} MiB; \
                         narrow the window, widen the step, or raise server.max-frame-mib",
                        series.len(),
                        grid.samples(),
                        max_bytes >> 20
                    ),
                )
            })?;
        Ok(Self { grid, series, expected_samples, values: Vec::new(), cut: Vec::new() })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More bytes came than the header announced.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), Invalid> {
        let received = self.values.len() * SAMPLE_BYTES + self.cut.len();
        if data.len() > self.expected_samples * SAMPLE_BYTES - received {
            return Err(Invalid::new(
                "chunk.data",
                format!(
                    "brings more than the {} bytes that the header announced",
                    self.expected_samples * SAMPLE_BYTES
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

    /// The frame, when everything has arrived.
    ///
    /// # Errors
    /// Bytes are missing, or [`MetricFrame::new`] refuses the content.
    pub fn finish(self) -> Result<MetricFrame, Invalid> {
        if self.values.len() != self.expected_samples {
            return Err(Invalid::new(
                "chunk.data",
                format!(
                    "ended after {} of the {} bytes that the header announced",
                    self.values.len() * SAMPLE_BYTES + self.cut.len(),
                    self.expected_samples * SAMPLE_BYTES
                ),
            ));
        }
        let shape = (self.series.len(), self.grid.samples());
        let values = Array2::from_shape_vec(shape, self.values)
            .map_err(|error| Invalid::new("frame.values", error.to_string()))?;
        MetricFrame::new(self.grid, self.series, values)
    }
}

/// Puts a frame and its summary together from the parts in which a collector answers.
#[derive(Debug)]
pub struct PartAssembler {
    max_bytes: usize,
    frame: Option<FrameAssembler>,
    summary: Option<v1::FrameSummary>,
}

impl PartAssembler {
    /// Takes frames of at most `max_bytes` of samples.
    pub const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, frame: None, summary: None }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// The part is empty, out of order, or [`FrameAssembler`] refuses it.
    pub fn push(&mut self, part: Option<v1::FramePart>) -> Result<(), Invalid> {
        use v1::frame_part::Part;
        match (part.and_then(|whole| whole.part), self.frame.as_mut()) {
            (Some(Part::Header(header)), None) => {
                self.frame = Some(FrameAssembler::new(&header, self.max_bytes)?);
            }
            (Some(Part::Chunk(chunk)), Some(frame)) if self.summary.is_none() => frame.push(&chunk.data)?,
            (Some(Part::Summary(summary)), Some(_)) if self.summary.is_none() => self.summary = Some(summary),
            _ => {
                return Err(Invalid::new(
                    "part",
                    "is empty or not one header, chunks and one summary in this order",
                ));
            }
        }
        Ok(())
    }

    /// The frame and its summary.
    ///
    /// # Errors
    /// A part is missing, or [`FrameAssembler::finish`] refuses.
    pub fn finish(self) -> Result<(MetricFrame, v1::FrameSummary), Invalid> {
        match (self.frame, self.summary) {
            (Some(frame), Some(summary)) => Ok((frame.finish()?, summary)),
            _ => Err(Invalid::new("part", "ended before the summary")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::UnixMillis;

    fn frame(services: usize, samples: usize) -> MetricFrame {
        let series = (0..services)
            .map(|index| SeriesKey {
                service: format!("s{index:03}"),
                metric: MetricKind::Cpu,
                name: "cpu".into(),
            })
            .collect();
        let values = Array2::from_shape_fn((services, samples), |(row, column)| {
            if (row + column) % 7 == 3 { f64::NAN } else { row as f64 - column as f64 / 3.0 }
        });
        let grid = TimeGrid::new(UnixMillis(1_000), 1_000, samples).unwrap();
        MetricFrame::new(grid, series, values).unwrap()
    }

    fn bits(frame: &MetricFrame) -> Vec<u64> {
        frame.values().iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn a_frame_larger_than_a_chunk_survives_the_wire() {
        let sent = frame(300, 1000);
        assert!(chunks(&sent).count() > 2);
        let mut assembler = FrameAssembler::new(&header(&sent), 1 << 30).unwrap();
        for chunk in chunks(&sent) {
            assert!(chunk.data.len() <= CHUNK_BYTES);
            assembler.push(&chunk.data).unwrap();
        }
        let received = assembler.finish().unwrap();
        assert_eq!(received.series(), sent.series());
        assert_eq!(bits(&received), bits(&sent));
    }

    proptest! {
        #[test]
        fn chunks_may_end_anywhere(cuts in proptest::collection::vec(1_usize..40, 1..60)) {
            let sent = frame(3, 11);
            let bytes: Vec<u8> = chunks(&sent).flat_map(|chunk| chunk.data.to_vec()).collect();
            let mut assembler = FrameAssembler::new(&header(&sent), 1 << 20).unwrap();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                assembler.push(now).unwrap();
                rest = later;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(bits(&assembler.finish().unwrap()), bits(&sent));
        }
    }

    #[test]
    fn a_byte_length_that_contradicts_the_shape_is_refused() {
        let sent = frame(2, 4);
        let mut short = FrameAssembler::new(&header(&sent), 1 << 20).unwrap();
        short.push(&[0; 63]).unwrap();
        let error = short.finish().unwrap_err();
        assert!(error.problem().contains("63 of the 64 bytes"), "{error}");
        let mut long = FrameAssembler::new(&header(&sent), 1 << 20).unwrap();
        long.push(&[0; 60]).unwrap();
        assert_eq!(long.push(&[0; 5]).unwrap_err().field(), "chunk.data");
    }

    #[test]
    fn a_header_that_promises_too_much_takes_no_memory() {
        let mut header = header(&frame(2, 4));
        header.grid = Some(TimeGrid::new(UnixMillis(0), 1, TimeGrid::MAX_SAMPLES).unwrap().into());
        assert_eq!(FrameAssembler::new(&header, 1 << 20).unwrap_err().field(), "frame");
        header.series[1].service = 9;
        assert_eq!(FrameAssembler::new(&header, 1 << 40).unwrap_err().field(), "frame.series[1].service");
    }

    #[test]
    fn parts_out_of_order_or_missing_are_refused() {
        use v1::frame_part::Part;
        let sent = frame(2, 4);
        let part = |part| Some(v1::FramePart { part: Some(part) });
        let chunk = || part(Part::Chunk(chunks(&sent).next().unwrap()));
        assert!(PartAssembler::new(1 << 20).push(chunk()).is_err());
        assert!(PartAssembler::new(1 << 20).push(None).is_err());
        let mut whole = PartAssembler::new(1 << 20);
        whole.push(part(Part::Header(header(&sent)))).unwrap();
        assert!(whole.push(part(Part::Header(header(&sent)))).is_err());
        whole.push(chunk()).unwrap();
        whole.push(part(Part::Summary(v1::FrameSummary::default()))).unwrap();
        assert!(whole.push(chunk()).is_err());
        assert_eq!(bits(&whole.finish().unwrap().0), bits(&sent));
        assert!(PartAssembler::new(1 << 20).finish().is_err());
    }
}
