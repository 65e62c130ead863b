//! The RPCs of the collector.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use automap_proto::{
    invalid::{Invalid, did_you_mean},
    time::{TimeGrid, UnixMillis},
    v1::{self, collect_recording_request::Part, collector_service_server::CollectorService},
};
use automap_service_kit::{error::ServiceError, work};
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    collect::{CollectedFrame, read_frame},
    config::CollectorConfig,
    coverage::coverage,
    edges::{EDGES_FILE, read_edges},
    frame_answer,
    layout::RecordingDescription,
    limits::{FrameLimits, SampleBounds},
    query::{
        config::{QuerySourceConfig, Step},
        failures::Failures,
        source::{QueryServer, QuerySource},
    },
    recording::RecordingSource,
    source::{MetricSource, SourceFrame},
    upload::{self, UploadSender},
    upload_pace::Pace,
};

/// Largest message of an upload, bytes.
const MAX_DATA_BYTES: usize = 1 << 20;

type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service: decodes requests, has them computed off the async threads, and encodes answers.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    config: CollectorConfig,
    servers: Arc<BTreeMap<String, QueryServer>>,
}

/// A source that a request names.
enum NamedSource {
    Recording(RecordingSource),
    Query(QuerySource),
}

impl MetricSource for NamedSource {
    async fn frame(&self, bounds: SampleBounds) -> Result<SourceFrame, ServiceError> {
        match self {
            Self::Recording(source) => source.frame(bounds).await,
            Self::Query(source) => source.frame(bounds).await,
        }
    }

    async fn services(&self) -> Result<Vec<String>, ServiceError> {
        match self {
            Self::Recording(source) => source.services().await,
            Self::Query(source) => source.services().await,
        }
    }
}

impl Collector {
    /// # Errors
    /// A source cannot be used as it is configured.
    pub(crate) fn new(config: CollectorConfig, failures: &Failures) -> Result<Self, Invalid> {
        let max_bytes = config.server.max_frame_bytes();
        let server = |(name, source): (&String, &QuerySourceConfig)| {
            let table = format!("collector.sources.{name}");
            let server = QueryServer::counting(&table, source.clone(), max_bytes, failures.clone())?;
            Ok((name.clone(), server))
        };
        let servers = config.sources.iter().map(server).collect::<Result<_, Invalid>>()?;
        Ok(Self { config, servers: Arc::new(servers) })
    }

    fn max_bytes(&self) -> usize {
        self.config.server.max_frame_bytes()
    }

    fn source(&self, wire: Option<v1::MetricSource>) -> Result<NamedSource, ServiceError> {
        match wire.and_then(|source| source.source) {
            None => Err(Invalid::missing("source").into()),
            Some(v1::metric_source::Source::Recording(name)) => {
                let root = self.config.recordings_root.as_ref().ok_or_else(|| {
                    Invalid::new(
                        "source.recording",
                        "cannot be served: set recordings-root in the collector's configuration to the directory that \
                         holds recorded incidents, or upload the recording",
                    )
                })?;
                Ok(NamedSource::Recording(RecordingSource::new(root, name, self.max_bytes())))
            }
            Some(v1::metric_source::Source::Query(query)) => {
                Ok(NamedSource::Query(self.query_source(&query)?))
            }
        }
    }

    fn query_source(&self, query: &v1::QuerySource) -> Result<QuerySource, Invalid> {
        let known = || self.servers.keys().map(String::as_str);
        let server = self.servers.get(&query.name).ok_or_else(|| {
            let way_out = match did_you_mean(&query.name, known()) {
                Some(near) => format!("did you mean {near}?"),
                None if self.servers.is_empty() => {
                    "the collector's configuration has none: set collector.sources.NAME.url".into()
                }
                None => {
                    format!("the collector's configuration has {}", known().collect::<Vec<_>>().join(", "))
                }
            };
            Invalid::new("source.query.name", format!("{:?} is no source; {way_out}", query.name))
        })?;
        let step = query
            .step
            .as_ref()
            .map(|step| {
                let milliseconds = step.seconds.checked_mul(1000).and_then(|found| {
                    u64::try_from(found.checked_add(i64::from(step.nanos / 1_000_000))?).ok()
                });
                match milliseconds {
                    Some(found @ 1..=TimeGrid::MAX_STEP_MS) => Ok(Step::Fixed(found)),
                    _ => Err(Invalid::new("step", "must lie between one millisecond and 366 days")),
                }
            })
            .transpose();
        step.and_then(|step| server.source(&query.preset, step))
            .map_err(|invalid| invalid.within("source.query"))
    }

    async fn collect_upload(
        &self,
        mut requests: Streaming<v1::CollectRecordingRequest>,
    ) -> Result<SourceFrame, ServiceError> {
        let mut pace = Pace::begin(Duration::from_secs(self.config.patience_seconds));
        let description = match next_part(&mut requests, &pace).await? {
            Some(Part::Description(wire)) => RecordingDescription::try_from(&wire)?,
            _ => return Err(Invalid::new("part", "must be the description in the first message").into()),
        };
        let limits = FrameLimits::all_within(self.max_bytes());
        let (sender, reader) = upload::channel();
        let parsing = work::run(move |_| Ok(read_frame(reader, &description, &limits)?));
        // Either side that fails ends the other one; the parser then only knows that its data stopped.
        let (fed, parsed) = futures::join!(feed(requests, sender, &mut pace, limits.max_bytes), parsing);
        let edges_file = fed?;
        let collected = parsed?;
        let CollectedFrame { frame, mut warnings, left_out } = collected;
        let Some(edges_file) = edges_file else {
            return Ok(SourceFrame { left_out, ..SourceFrame::new(frame, warnings, None) });
        };
        work::run(move |_| {
            let found = read_edges(edges_file.as_slice(), EDGES_FILE, &frame, &limits)?;
            warnings.extend(found.warnings);
            Ok(SourceFrame { edges: found.edges, left_out, ..SourceFrame::new(frame, warnings, None) })
        })
        .await
    }
}

/// Hands uploaded bytes to the parser until the upload or the parser ends; answers the file of measured calls that came
/// before them, at most `max_bytes`.
async fn feed(
    mut requests: Streaming<v1::CollectRecordingRequest>,
    sender: UploadSender,
    pace: &mut Pace,
    max_bytes: usize,
) -> Result<Option<Vec<u8>>, ServiceError> {
    let mut edges: Option<Vec<u8>> = None;
    let mut begun = false;
    while let Some(part) = next_part(&mut requests, pace).await? {
        let data = match part {
            Part::Data(data) => data,
            Part::Edges(data) if !begun && data.len() <= MAX_DATA_BYTES => {
                pace.brought(data.len(), Duration::ZERO);
                let known = edges.get_or_insert_default();
                known.extend_from_slice(&data);
                if known.len() > max_bytes {
                    let problem = format!("bring more than {} MiB; narrow the window", max_bytes >> 20);
                    return Err(Invalid::new("edges", problem).into());
                }
                continue;
            }
            _ => {
                return Err(Invalid::new(
                    "part",
                    "must be data in every message after the first, or before them edges in messages of at most 1 MiB",
                )
                .into());
            }
        };
        begun = true;
        if data.len() > MAX_DATA_BYTES {
            return Err(Invalid::new(
                "data",
                format!("brings {} bytes; send at most {MAX_DATA_BYTES} in a message", data.len()),
            )
            .into());
        }
        let length = data.len();
        let waiting = Instant::now();
        if !sender.send(data).await {
            return Ok(edges);
        }
        // The time that the parser took is not the caller's.
        pace.brought(length, waiting.elapsed());
    }
    sender.finish().await;
    Ok(edges)
}

/// The next part; `None` at the end of the upload.
async fn next_part(
    requests: &mut Streaming<v1::CollectRecordingRequest>,
    pace: &Pace,
) -> Result<Option<Part>, ServiceError> {
    match tokio::time::timeout_at(pace.next_by(), requests.message()).await {
        Err(_) => Err(pace.too_slow()),
        Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(message))) => match message.part {
            Some(part) => Ok(Some(part)),
            None => Err(Invalid::missing("part").into()),
        },
        Ok(Err(status)) => Err(ServiceError::from(status).context("the upload broke off")),
    }
}

fn bounds(
    start: Option<prost_types::Timestamp>,
    end: Option<prost_types::Timestamp>,
) -> Result<SampleBounds, Invalid> {
    let decode = |field: &str, value: Option<prost_types::Timestamp>| {
        value.map(|instant| UnixMillis::from_wire(field, Some(instant))).transpose()
    };
    SampleBounds::new(decode("start", start)?, decode("end", end)?)
}

#[tonic::async_trait]
impl CollectorService for Collector {
    type CollectFrameStream = ResponseStream<v1::CollectFrameResponse>;
    type CollectRecordingStream = ResponseStream<v1::CollectRecordingResponse>;

    async fn collect_frame(
        &self,
        request: Request<v1::CollectFrameRequest>,
    ) -> Result<Response<Self::CollectFrameStream>, Status> {
        let request = request.into_inner();
        let bounds = bounds(request.start, request.end).map_err(ServiceError::from)?;
        let collected = self.source(request.source)?.frame(bounds).await?;
        let answer = frame_answer::stream(collected, |part| v1::CollectFrameResponse { part: Some(part) })?;
        Ok(Response::new(Box::pin(answer)))
    }

    async fn collect_recording(
        &self,
        request: Request<Streaming<v1::CollectRecordingRequest>>,
    ) -> Result<Response<Self::CollectRecordingStream>, Status> {
        let collected = self.collect_upload(request.into_inner()).await?;
        let answer =
            frame_answer::stream(collected, |part| v1::CollectRecordingResponse { part: Some(part) })?;
        Ok(Response::new(Box::pin(answer)))
    }

    async fn list_services(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let services = self.source(request.into_inner().source)?.services().await?;
        Ok(Response::new(v1::ListServicesResponse { services }))
    }

    async fn check_source(
        &self,
        request: Request<v1::CheckSourceRequest>,
    ) -> Result<Response<v1::CheckSourceResponse>, Status> {
        let collected = match self.source(request.into_inner().source)? {
            NamedSource::Recording(source) => source.frame(SampleBounds::ALL).await?,
            NamedSource::Query(source) => source.recent_frame().await?,
        };
        Ok(Response::new(v1::CheckSourceResponse {
            grid: Some((*collected.frame.grid()).into()),
            coverage: coverage(&collected.frame).iter().map(Into::into).collect(),
            warnings: collected.warnings,
        }))
    }
}
