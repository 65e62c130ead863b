//! Asking a walker to diagnose a recording: upload, progress, answer.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use automap_proto::{
    frame_stream::CHUNK_BYTES,
    v1::{
        self, diagnose_recording_request, diagnose_recording_response, diagnose_response,
        learn_recording_request, walker_service_client::WalkerServiceClient,
    },
};
use automap_service_kit::{
    client::{self, Channel, ClientConfig, Dialer},
    error::{ErrorCode, ServiceError},
    retry,
    tls::ClientTlsConfig,
};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{answer::Answer, arguments::RemoteArgs, failure::Failure, incident_request::Upload, stdout};

/// Tries of a walker that is full.
const ATTEMPTS: usize = 3;

/// What a walker tells while it diagnoses.
enum News {
    Progress(v1::DiagnosisProgress),
    Walk(v1::WalkSteps),
    Diagnosis(Box<v1::Diagnosis>),
}

/// A walker, local or remote.
#[derive(Debug, Clone)]
pub struct WalkerClient {
    client: WalkerServiceClient<Channel>,
    url: String,
}

impl WalkerClient {
    /// A walker of this process, in clear.
    ///
    /// # Errors
    /// `url` is no address of a service.
    pub fn new(url: &str) -> Result<Self, Failure> {
        Ok(Self { client: WalkerServiceClient::new(client::channel("server", url)?), url: url.into() })
    }

    /// A walker elsewhere, reached as flags say.
    ///
    /// # Errors
    /// `url` is no address of a service, or a certificate cannot be used.
    pub fn remote(url: &str, args: &RemoteArgs) -> Result<Self, Failure> {
        Ok(Self { client: WalkerServiceClient::new(remote_channel(url, &tls(args))?), url: url.into() })
    }

    /// Uploads the files of an incident and waits for its diagnosis. A walker that is full is asked again when it
    /// says so.
    ///
    /// # Errors
    /// A file cannot be read, the walker cannot be reached, or it refused.
    pub async fn diagnose(
        &self,
        upload: Upload,
        on_progress: &dyn Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Failure> {
        let asked = retry::idempotent(ATTEMPTS, || async {
            match self.ask(upload.clone(), on_progress).await {
                Err(failure) => failure.overload().map_or(Ok(Err(failure)), Err),
                answer => Ok(answer),
            }
        });
        asked.await?
    }

    async fn ask(
        &self,
        upload: Upload,
        on_progress: &dyn Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Failure> {
        use diagnose_recording_request::Part;
        let data = read_in_chunks(&upload.metrics_file)?;
        let edges = upload.edges_file.as_deref().map(read_in_chunks).transpose()?;
        let edges = futures::stream::iter(edges).flat_map(ReceiverStream::new);
        let first = futures::stream::iter([Some(Part::Incident(upload.incident))]);
        let requests = first
            .chain(edges.map(|chunk| chunk.map(|bytes| Part::Edges(bytes.into()))))
            .chain(ReceiverStream::new(data).map(|chunk| chunk.map(|bytes| Part::Data(bytes.into()))))
            .map(|part| v1::DiagnoseRecordingRequest { part });
        let mut client = self.client.clone();
        let answer =
            client.diagnose_recording(requests).await.map_err(|status| self.failed(status))?.into_inner();
        self.listen(answer, on_progress, |message| {
            use diagnose_recording_response::Part;
            Some(match message.part? {
                Part::Progress(progress) => News::Progress(progress),
                Part::Walk(steps) => News::Walk(steps),
                Part::Diagnosis(diagnosis) => News::Diagnosis(Box::new(diagnosis)),
            })
        })
        .await
    }

    /// Has an incident diagnosed whose metrics the walker's collector asks for, and waits for the answer. A walker that is
    /// full is asked again when it says so.
    ///
    /// # Errors
    /// The walker cannot be reached, or it refused.
    pub async fn diagnose_source(
        &self,
        request: v1::DiagnoseRequest,
        on_progress: &dyn Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Failure> {
        let asked = retry::idempotent(ATTEMPTS, || async {
            match self.ask_of_source(request.clone(), on_progress).await {
                Err(failure) => failure.overload().map_or(Ok(Err(failure)), Err),
                answer => Ok(answer),
            }
        });
        asked.await?
    }

    async fn ask_of_source(
        &self,
        request: v1::DiagnoseRequest,
        on_progress: &dyn Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Failure> {
        let mut client = self.client.clone();
        let answer = client.diagnose(request).await.map_err(|status| self.failed(status))?.into_inner();
        self.listen(answer, on_progress, |message| {
            use diagnose_response::Part;
            Some(match message.part? {
                Part::Progress(progress) => News::Progress(progress),
                Part::Walk(steps) => News::Walk(steps),
                Part::Diagnosis(diagnosis) => News::Diagnosis(Box::new(diagnosis)),
            })
        })
        .await
    }

    async fn listen<M>(
        &self,
        mut answer: tonic::Streaming<M>,
        on_progress: &dyn Fn(&v1::DiagnosisProgress),
        news: impl Fn(M) -> Option<News>,
    ) -> Result<Answer, Failure> {
        let mut walk = Vec::new();
        while let Some(message) = answer.message().await.map_err(|status| self.failed(status))? {
            match news(message) {
                Some(News::Progress(progress)) => on_progress(&progress),
                Some(News::Walk(steps)) => walk.push(steps),
                Some(News::Diagnosis(diagnosis)) => {
                    // Nothing follows but the end of the call, without which it would count as cut off by its caller.
                    answer.trailers().await.ok();
                    let found = Answer::try_from(*diagnosis).context("the walker's answer is not valid")?;
                    return Ok(Answer { walk, ..found });
                }
                None => {}
            }
        }
        Err(anyhow::anyhow!("the walker's answer ended before its diagnosis").into())
    }

    /// Uploads the metrics file of a recording, to have its normal rows remembered.
    ///
    /// # Errors
    /// The file cannot be read, the walker cannot be reached, or it refused.
    pub async fn learn(
        &self,
        recording: v1::LearnedRecording,
        metrics_file: &Path,
    ) -> Result<v1::Learned, Failure> {
        use learn_recording_request::Part;
        let data = read_in_chunks(metrics_file)?;
        let first = futures::stream::iter([Some(Part::Recording(recording))]);
        let requests = first
            .chain(ReceiverStream::new(data).map(|chunk| chunk.map(|bytes| Part::Data(bytes.into()))))
            .map(|part| v1::LearnRecordingRequest { part });
        let answer = self.client.clone().learn_recording(requests).await;
        let learned = answer.map_err(|status| self.failed(status))?.into_inner().learned;
        Ok(learned.context("the walker's answer is empty")?)
    }

    /// Has the normal rows of metrics remembered that the walker's collector asks for.
    ///
    /// # Errors
    /// The walker cannot be reached, or it refused.
    pub async fn learn_source(&self, request: v1::LearnSourceRequest) -> Result<v1::Learned, Failure> {
        let answer = self.client.clone().learn_source(request).await;
        let learned = answer.map_err(|status| self.failed(status))?.into_inner().learned;
        Ok(learned.context("the walker's answer is empty")?)
    }

    /// Names the walker where it is the walker that failed.
    fn failed(&self, status: tonic::Status) -> ServiceError {
        let error = ServiceError::from(status);
        match error.code() {
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Internal => {
                error.context(&format!("walker at {}", self.url))
            }
            _ => error,
        }
    }
}

fn tls(args: &RemoteArgs) -> ClientTlsConfig {
    ClientTlsConfig {
        ca: args.ca.clone(),
        certificate: args.cert.clone(),
        key: args.key.clone(),
        server_name: args.server_name.clone(),
        ..ClientTlsConfig::default()
    }
}

/// A channel to a service elsewhere, reached as flags say.
///
/// # Errors
/// `url` is no address of a service, or a certificate cannot be used.
pub(crate) fn remote_channel(url: &str, tls: &ClientTlsConfig) -> Result<Channel, Failure> {
    let config = ClientConfig { tls: tls.clone(), ..ClientConfig::default() };
    Dialer::new("client", &config, &[url])
        .and_then(|dialer| dialer.channel("--server", url))
        .map_err(|invalid| Failure::Usage(format!("{}: {}", flag(invalid.field()), invalid.problem())))
}

/// The flag that sets a field of the client's configuration.
fn flag(field: &str) -> &str {
    match field {
        "client.tls.ca" => "--ca",
        "client.tls.certificate" => "--cert",
        "client.tls.key" => "--key",
        "client.tls.server-name" => "--server-name",
        other => other,
    }
}

/// Reads a file on a thread of its own, at the pace at which it is sent. `None` stands for a read that failed: sent on as a
/// message without a part, it keeps the server from taking what came so far for the whole file.
pub(crate) fn read_in_chunks(path: &Path) -> anyhow::Result<mpsc::Receiver<Option<Vec<u8>>>> {
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (sender, receiver) = mpsc::channel(4);
    let name = path.display().to_string();
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Vec::new();
            let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            if let Err(error) = &read {
                stdout::error(&format!("cannot read {name}: {error}"));
            }
            let broken = read.is_err();
            let ended = matches!(read, Ok(0));
            if ended || sender.blocking_send((!broken).then_some(chunk)).is_err() || broken {
                break;
            }
        }
    });
    Ok(receiver)
}
