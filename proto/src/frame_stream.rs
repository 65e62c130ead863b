//! A frame on its way: a header, then its samples as little-endian bytes in chunks.

use ndarray::Array2;

use crate::{
    edge_frame::{EdgeFrame, EdgeMetric},
    frame::{MetricFrame, SeriesKey},
    invalid::Invalid,
    metric::MetricKind,
    sample_bytes::{self, SAMPLE_BYTES, SampleBytes},
    time::TimeGrid,
    v1,
};

pub use crate::sample_bytes::CHUNK_BYTES;

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
    sample_bytes::chunks(frame.values().as_slice().unwrap_or_default())
}

/// Puts a frame together from its header and chunks.
///
/// Memory grows with the bytes that really arrive, never with what a header promises.
#[derive(Debug)]
pub struct FrameAssembler {
    grid: TimeGrid,
    series: Vec<SeriesKey>,
    samples: SampleBytes,
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
        Ok(Self { grid, series, samples: SampleBytes::new(expected_samples) })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More bytes came than the header announced.
    pub fn push(&mut self, data: &[u8]) -> Result<(), Invalid> {
        self.samples.push(data)
    }

    /// The frame, when everything has arrived.
    ///
    /// # Errors
    /// Bytes are missing, or [`MetricFrame::new`] refuses the content.
    pub fn finish(self) -> Result<MetricFrame, Invalid> {
        let shape = (self.series.len(), self.grid.samples());
        let values = Array2::from_shape_vec(shape, self.samples.finish()?)
            .map_err(|error| Invalid::new("frame.values", error.to_string()))?;
        MetricFrame::new(self.grid, self.series, values)
    }
}

/// Puts measured calls together from their header and chunks.
#[derive(Debug)]
struct EdgeAssembler {
    edges: Vec<(String, String)>,
    samples: usize,
    bytes: SampleBytes,
}

impl EdgeAssembler {
    fn new(header: v1::EdgeFrameHeader, max_bytes: usize) -> Result<Self, Invalid> {
        let edges: Vec<(String, String)> =
            header.edges.into_iter().map(|call| (call.caller, call.callee)).collect();
        let samples = usize::try_from(header.samples).unwrap_or(usize::MAX);
        let expected = edges
            .len()
            .checked_mul(EdgeMetric::ALL.len())
            .and_then(|rows| rows.checked_mul(samples))
            .filter(|count| *count <= max_bytes / SAMPLE_BYTES)
            .ok_or_else(|| {
                Invalid::new(
                    "edges",
                    format!(
                        "announces {} edges of {samples} samples, more than the limit of {} MiB; narrow the window, widen \
                         the step, or raise server.max-frame-mib",
                        edges.len(),
                        max_bytes >> 20
                    ),
                )
            })?;
        Ok(Self { edges, samples, bytes: SampleBytes::new(expected) })
    }

    fn finish(self, samples: usize) -> Result<EdgeFrame, Invalid> {
        if self.samples != samples {
            let problem = format!("has {} samples where the frame has {samples}", self.samples);
            return Err(Invalid::new("edges.samples", problem));
        }
        let shape = (self.edges.len() * EdgeMetric::ALL.len(), samples);
        let values = Array2::from_shape_vec(shape, self.bytes.finish()?)
            .map_err(|error| Invalid::new("edges.values", error.to_string()))?;
        EdgeFrame::new(self.edges, values)
    }
}

/// What a collector answers: a frame, perhaps measured calls over the same grid, and a summary.
#[derive(Debug, Clone)]
pub struct FrameAnswer {
    /// All series.
    pub frame: MetricFrame,
    /// What callers measured, where the source has it.
    pub edges: Option<EdgeFrame>,
    /// What the source said besides.
    pub summary: v1::FrameSummary,
}

/// Puts a frame and its summary together from the parts in which a collector answers.
#[derive(Debug)]
pub struct PartAssembler {
    max_bytes: usize,
    frame: Option<FrameAssembler>,
    edges: Option<EdgeAssembler>,
    summary: Option<v1::FrameSummary>,
}

impl PartAssembler {
    /// Takes frames of at most `max_bytes` of samples, and of measured calls as many again.
    pub const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, frame: None, edges: None, summary: None }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// The part is empty, out of order, or it, or the frame that it belongs to, is refused.
    pub fn push(&mut self, part: Option<v1::FramePart>) -> Result<(), Invalid> {
        use v1::frame_part::Part;
        let open = self.frame.is_some() && self.summary.is_none();
        match (part.and_then(|whole| whole.part), self.frame.as_mut(), self.edges.as_mut()) {
            (Some(Part::Header(header)), None, _) => {
                self.frame = Some(FrameAssembler::new(&header, self.max_bytes)?);
            }
            (Some(Part::Chunk(chunk)), Some(frame), None) if open => frame.push(&chunk.data)?,
            (Some(Part::EdgeHeader(header)), _, None) if open => {
                self.edges = Some(EdgeAssembler::new(header, self.max_bytes)?);
            }
            (Some(Part::EdgeChunk(chunk)), _, Some(edges)) if open => edges.bytes.push(&chunk.data)?,
            (Some(Part::Summary(summary)), _, _) if open => self.summary = Some(summary),
            _ => {
                return Err(Invalid::new(
                    "part",
                    "is empty or not one header, chunks, perhaps edges and their chunks, and one summary in this order",
                ));
            }
        }
        Ok(())
    }

    /// The whole answer.
    ///
    /// # Errors
    /// A part is missing, or what came does not fit together.
    pub fn finish(self) -> Result<FrameAnswer, Invalid> {
        let (Some(frame), Some(summary)) = (self.frame, self.summary) else {
            return Err(Invalid::new("part", "ended before the summary"));
        };
        let frame = frame.finish()?;
        let samples = frame.grid().samples();
        let edges = self.edges.map(|edges| edges.finish(samples)).transpose()?;
        Ok(FrameAnswer { frame, edges, summary })
    }
}

/// The samples of measured calls in chunks of at most [`CHUNK_BYTES`].
pub fn edge_chunks(edges: &EdgeFrame) -> impl Iterator<Item = v1::FrameChunk> + '_ {
    sample_bytes::chunks(edges.values().as_slice().unwrap_or_default())
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
        assert_eq!(bits(&whole.finish().unwrap().frame), bits(&sent));
        assert!(PartAssembler::new(1 << 20).finish().is_err());
    }

    #[test]
    fn measured_calls_travel_behind_their_frame_and_on_its_grid() {
        use v1::frame_part::Part;
        let sent = frame(2, 4);
        let pairs = vec![("s000".to_owned(), "s001".to_owned())];
        let edges = EdgeFrame::new(pairs, Array2::from_elem((3, 4), 0.5)).unwrap();
        let part = |part| Some(v1::FramePart { part: Some(part) });
        let begun = || {
            let mut whole = PartAssembler::new(1 << 20);
            whole.push(part(Part::Header(header(&sent)))).unwrap();
            whole.push(part(Part::Chunk(chunks(&sent).next().unwrap()))).unwrap();
            whole
        };
        let mut whole = begun();
        whole.push(part(Part::EdgeHeader(edges.header()))).unwrap();
        assert!(whole.push(part(Part::Chunk(chunks(&sent).next().unwrap()))).is_err());
        whole.push(part(Part::EdgeChunk(edge_chunks(&edges).next().unwrap()))).unwrap();
        whole.push(part(Part::Summary(v1::FrameSummary::default()))).unwrap();
        let received = whole.finish().unwrap().edges.unwrap();
        assert_eq!((received.edges(), received.values()), (edges.edges(), edges.values()));

        let mut other = begun();
        let short = v1::EdgeFrameHeader { samples: 3, ..edges.header() };
        other.push(part(Part::EdgeHeader(short))).unwrap();
        other.push(part(Part::Summary(v1::FrameSummary::default()))).unwrap();
        assert_eq!(other.finish().unwrap_err().field(), "edges.samples");
        let large = v1::EdgeFrameHeader { samples: u64::MAX, ..edges.header() };
        assert_eq!(begun().push(part(Part::EdgeHeader(large))).unwrap_err().field(), "edges");
        assert!(PartAssembler::new(1 << 20).push(part(Part::EdgeHeader(edges.header()))).is_err());
    }
}
