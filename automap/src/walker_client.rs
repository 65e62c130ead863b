//! Asking a walker to diagnose a recording: upload, progress, answer.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use automap_proto::{
    frame_stream::CHUNK_BYTES,
    v1::{
        self, diagnose_recording_request, diagnose_recording_response,
        walker_service_client::WalkerServiceClient,
    },
};
use automap_service_kit::{
    client,
    error::{ErrorCode, ServiceError},
};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::{answer::Answer, failure::Failure};

/// A walker, local or remote.
#[derive(Debug, Clone)]
pub struct WalkerClient {
    client: WalkerServiceClient<Channel>,
    url: String,
}

impl WalkerClient {
    /// # Errors
    /// `url` is no address of a service.
    pub fn new(url: &str) -> Result<Self, Failure> {
        Ok(Self { client: WalkerServiceClient::new(client::channel("server", url)?), url: url.into() })
    }

    /// Uploads the metrics file of an incident and waits for its diagnosis.
    ///
    /// # Errors
    /// The file cannot be read, the walker cannot be reached, or it refused.
    pub async fn diagnose(
        &self,
        incident: v1::RecordedIncident,
        metrics_file: &Path,
        on_progress: &dyn Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Failure> {
        use diagnose_recording_request::Part;
        let data = read_in_chunks(metrics_file)?;
        let first = futures::stream::iter([Part::Incident(incident)]);
        let requests = first
            .chain(ReceiverStream::new(data).map(|chunk| Part::Data(chunk.into())))
            .map(|part| v1::DiagnoseRecordingRequest { part: Some(part) });
        let mut client = self.client.clone();
        let mut answer =
            client.diagnose_recording(requests).await.map_err(|status| self.failed(status))?.into_inner();
        while let Some(message) = answer.message().await.map_err(|status| self.failed(status))? {
            match message.part {
                Some(diagnose_recording_response::Part::Progress(progress)) => on_progress(&progress),
                Some(diagnose_recording_response::Part::Diagnosis(diagnosis)) => {
                    return Ok(Answer::try_from(diagnosis).context("the walker's answer is not valid")?);
                }
                None => {}
            }
        }
        Err(anyhow::anyhow!("the walker's answer ended before its diagnosis").into())
    }

    /// Names the walker where it is the walker that failed.
    fn failed(&self, status: tonic::Status) -> ServiceError {
        let error = ServiceError::from(status);
        match error.code() {
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => {
                error.context(&format!("walker at {}", self.url))
            }
            _ => error,
        }
    }
}

/// Reads a file on a thread of its own, at the pace at which it is sent.
pub(crate) fn read_in_chunks(path: &Path) -> anyhow::Result<mpsc::Receiver<Vec<u8>>> {
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (sender, receiver) = mpsc::channel(4);
    let name = path.display().to_string();
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Vec::new();
            match file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
                Ok(0) => break,
                Ok(_) if sender.blocking_send(chunk).is_ok() => {}
                Ok(_) => break,
                Err(error) => {
                    // The upload ends early, and the collector says what it got.
                    tracing::error!(file = name, %error, "reading stopped");
                    break;
                }
            }
        }
    });
    Ok(receiver)
}
