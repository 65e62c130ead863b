//! The calls.

use std::{path::Path, time::Duration};

use automap_proto::v1::{
    self, DiagnosisState, diagnose_recording_request, diagnose_recording_response, diagnose_response,
    learn_recording_request, walker_service_client::WalkerServiceClient,
};
use automap_service_kit::{
    client::Channel,
    error::{ErrorCode, ServiceError},
    retry,
};
use futures::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::{
    ClientBuilder, Error, Recording, Settings, Upload,
    upload::{ReadFault, read_in_chunks},
};

/// Tries of a walker that is full, at least: each comes when the walker said that it would have time.
const WHEN_FULL: usize = 20;

/// Pause between two looks at a diagnosis that was started.
const POLL: Duration = Duration::from_millis(500);

/// A client of a walker.
#[derive(Debug, Clone)]
pub struct Client {
    walker: WalkerServiceClient<Channel>,
    url: String,
    deadline: Option<Duration>,
    attempts: usize,
}

/// A diagnosis.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The diagnosis.
    pub diagnosis: v1::Diagnosis,
    /// The steps of the simulated walks, where they were wanted.
    pub walk: Vec<v1::WalkSteps>,
}

/// What a walker tells while it diagnoses.
enum News {
    Progress(v1::DiagnosisProgress),
    Walk(v1::WalkSteps),
    Diagnosis(Box<v1::Diagnosis>),
}

impl Client {
    /// How the walker at `url`, `http://host:port` or `https://host:port`, is reached.
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    pub(crate) const fn new(
        walker: WalkerServiceClient<Channel>,
        url: String,
        deadline: Option<Duration>,
        attempts: usize,
    ) -> Self {
        Self { walker, url, deadline, attempts }
    }

    /// Uploads a recorded incident and waits for its diagnosis. A walker that is full is asked again when it says so.
    ///
    /// # Errors
    /// A file cannot be read, the walker cannot be reached, or it refused.
    pub async fn diagnose(
        &self,
        recording: &Recording,
        settings: Settings,
        on_progress: impl Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Error> {
        self.diagnose_upload(&recording.upload(settings), on_progress).await
    }

    /// The same for files that were described otherwise.
    ///
    /// # Errors
    /// As [`Self::diagnose`].
    pub async fn diagnose_upload(
        &self,
        upload: &Upload,
        on_progress: impl Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Error> {
        self.when_not_full(|| self.send_upload(upload, &on_progress)).await
    }

    /// Has an incident diagnosed whose metrics the walker's collector asks for, and waits for the answer. A walker that is
    /// full is asked again when it says so.
    ///
    /// # Errors
    /// The walker cannot be reached, or it refused.
    pub async fn diagnose_source(
        &self,
        request: v1::DiagnoseRequest,
        on_progress: impl Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Error> {
        self.when_not_full(|| self.send_request(request.clone(), &on_progress)).await
    }

    /// Begins a diagnosis of metrics that the walker's collector asks for, and answers its id at once. The same `request_id`
    /// never begins a second one, so a call whose answer was lost may be made again.
    ///
    /// # Errors
    /// The walker cannot be reached, or it refused.
    pub async fn start(
        &self,
        request_id: impl Into<String>,
        request: v1::DiagnoseRequest,
    ) -> Result<String, Error> {
        let request = v1::StartDiagnosisRequest { request_id: request_id.into(), diagnosis: Some(request) };
        let answer =
            self.again(request, |mut walker, request| async move { walker.start_diagnosis(request).await });
        Ok(answer.await?.diagnosis_id)
    }

    /// Waits until a diagnosis has ended, however it did: its state says so.
    ///
    /// # Errors
    /// There is no such diagnosis, or the walker cannot be reached.
    pub async fn wait(&self, diagnosis_id: &str) -> Result<v1::Diagnosis, Error> {
        loop {
            let diagnosis = self.get(diagnosis_id).await?;
            if !matches!(diagnosis.state(), DiagnosisState::Running | DiagnosisState::Unspecified) {
                return Ok(diagnosis);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A diagnosis as it stands.
    ///
    /// # Errors
    /// There is none of that id, or the walker cannot be reached.
    pub async fn get(&self, diagnosis_id: &str) -> Result<v1::Diagnosis, Error> {
        let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: diagnosis_id.into() };
        let answer = self
            .again(request, |mut walker, request| async move { walker.get_diagnosis(request).await })
            .await?;
        answer.diagnosis.ok_or(Error::Incomplete("diagnosis"))
    }

    /// A page of diagnoses, newest first.
    ///
    /// # Errors
    /// A field cannot be used, or the walker cannot be reached.
    pub async fn list(
        &self,
        request: v1::WalkerServiceListDiagnosesRequest,
    ) -> Result<v1::WalkerServiceListDiagnosesResponse, Error> {
        self.again(request, |mut walker, request| async move { walker.list_diagnoses(request).await }).await
    }

    /// Stops a diagnosis.
    ///
    /// # Errors
    /// None of that id runs, or the walker cannot be reached.
    pub async fn cancel(&self, diagnosis_id: &str) -> Result<(), Error> {
        let request = v1::CancelDiagnosisRequest { diagnosis_id: diagnosis_id.into() };
        self.again(request, |mut walker, request| async move { walker.cancel_diagnosis(request).await })
            .await?;
        Ok(())
    }

    /// Why a service is ranked where it is, in sentences.
    ///
    /// # Errors
    /// There is no such diagnosis or service, or the walker cannot be reached.
    pub async fn explain(
        &self,
        diagnosis_id: &str,
        service: &str,
    ) -> Result<v1::ExplainServiceResponse, Error> {
        let request =
            v1::ExplainServiceRequest { diagnosis_id: diagnosis_id.into(), service: service.into() };
        self.again(request, |mut walker, request| async move { walker.explain_service(request).await }).await
    }

    /// Says what caused an incident, once: a call whose answer is lost is not made again.
    ///
    /// # Errors
    /// There is no such diagnosis or service, it was not recorded, or the walker cannot be reached.
    pub async fn confirm(
        &self,
        diagnosis_id: &str,
        confirmation: v1::Confirmation,
    ) -> Result<v1::Incident, Error> {
        let request = v1::WalkerServiceConfirmRootCauseRequest {
            diagnosis_id: diagnosis_id.into(),
            confirmation: Some(confirmation),
        };
        let answer = self.walker.clone().confirm_root_cause(self.timed(request)).await;
        let answer = answer.map_err(|status| self.failed(status))?.into_inner();
        answer.incident.ok_or(Error::Incomplete("incident"))
    }

    /// Uploads the metrics file of a recording, to have its normal rows remembered.
    ///
    /// # Errors
    /// The file cannot be read, the walker cannot be reached, or it refused.
    pub async fn learn(
        &self,
        recording: v1::LearnedRecording,
        metrics_file: &Path,
    ) -> Result<v1::Learned, Error> {
        use learn_recording_request::Part;
        let fault = ReadFault::default();
        let data = read_in_chunks(metrics_file, &fault)?;
        let first = futures::stream::iter([Some(Part::Recording(recording))]);
        let requests = first
            .chain(ReceiverStream::new(data).map(|chunk| chunk.map(|bytes| Part::Data(bytes.into()))))
            .map(|part| v1::LearnRecordingRequest { part });
        let answer = self.walker.clone().learn_recording(self.timed(requests)).await;
        let answer = answer.map_err(|status| fault.take().unwrap_or_else(|| self.failed(status).into()))?;
        answer.into_inner().learned.ok_or(Error::Incomplete("summary"))
    }

    /// Has the normal rows of metrics remembered that the walker's collector asks for.
    ///
    /// # Errors
    /// The walker cannot be reached, or it refused.
    pub async fn learn_source(&self, request: v1::LearnSourceRequest) -> Result<v1::Learned, Error> {
        let answer = self.walker.clone().learn_source(self.timed(request)).await;
        let answer = answer.map_err(|status| self.failed(status))?.into_inner();
        answer.learned.ok_or(Error::Incomplete("summary"))
    }

    /// Where the walker is.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn send_upload(
        &self,
        upload: &Upload,
        on_progress: &impl Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Error> {
        use diagnose_recording_request::Part;
        let fault = ReadFault::default();
        let data = read_in_chunks(&upload.metrics_file, &fault)?;
        let edges = upload.edges_file.as_deref().map(|file| read_in_chunks(file, &fault)).transpose()?;
        let edges = futures::stream::iter(edges).flat_map(ReceiverStream::new);
        let first = futures::stream::iter([Some(Part::Incident(upload.incident.clone()))]);
        let requests = first
            .chain(edges.map(|chunk| chunk.map(|bytes| Part::Edges(bytes.into()))))
            .chain(ReceiverStream::new(data).map(|chunk| chunk.map(|bytes| Part::Data(bytes.into()))))
            .map(|part| v1::DiagnoseRecordingRequest { part });
        let answered = async {
            let answer = self.walker.clone().diagnose_recording(self.timed(requests)).await;
            let answer = answer.map_err(|status| self.failed(status))?.into_inner();
            self.listen(answer, on_progress, |message| {
                use diagnose_recording_response::Part;
                Some(match message.part? {
                    Part::Progress(progress) => News::Progress(progress),
                    Part::Walk(steps) => News::Walk(steps),
                    Part::Diagnosis(diagnosis) => News::Diagnosis(Box::new(diagnosis)),
                })
            })
            .await
        };
        // What the walker makes of a file that broke off is less than why it did.
        answered.await.map_err(|error| fault.take().unwrap_or(error))
    }

    async fn send_request(
        &self,
        request: v1::DiagnoseRequest,
        on_progress: &impl Fn(&v1::DiagnosisProgress),
    ) -> Result<Answer, Error> {
        let answer = self.walker.clone().diagnose(self.timed(request)).await;
        let answer = answer.map_err(|status| self.failed(status))?.into_inner();
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
        on_progress: &impl Fn(&v1::DiagnosisProgress),
        news: impl Fn(M) -> Option<News>,
    ) -> Result<Answer, Error> {
        let mut walk = Vec::new();
        while let Some(message) = answer.message().await.map_err(|status| self.failed(status))? {
            match news(message) {
                Some(News::Progress(progress)) => on_progress(&progress),
                Some(News::Walk(steps)) => walk.push(steps),
                Some(News::Diagnosis(diagnosis)) => {
                    // Nothing follows but the end of the call, without which it would count as cut off by its caller.
                    answer.trailers().await.ok();
                    return Ok(Answer { diagnosis: *diagnosis, walk });
                }
                None => {}
            }
        }
        Err(Error::Incomplete("diagnosis"))
    }

    /// Calls again while the walker is full and says when to come back.
    async fn when_not_full<T, F, Call>(&self, mut call: F) -> Result<T, Error>
    where
        F: FnMut() -> Call,
        Call: Future<Output = Result<T, Error>>,
    {
        // Who allows no second try gets none.
        let attempts = if self.attempts > 1 { self.attempts.max(WHEN_FULL) } else { 1 };
        let asked = retry::idempotent(attempts, || {
            let called = call();
            async move {
                match called.await {
                    Err(Error::Service(error))
                        if error.code() == ErrorCode::Overloaded && error.retry_delay().is_some() =>
                    {
                        Err(error)
                    }
                    answer => Ok(answer),
                }
            }
        });
        asked.await?
    }

    /// A call that may be made twice without harm, made again while its fault may pass.
    async fn again<Q, A, Call>(
        &self,
        request: Q,
        call: impl Fn(WalkerServiceClient<Channel>, Request<Q>) -> Call,
    ) -> Result<A, Error>
    where
        Q: Clone,
        Call: Future<Output = Result<Response<A>, Status>>,
    {
        let asked = retry::idempotent(self.attempts, || {
            let called = call(self.walker.clone(), self.timed(request.clone()));
            async move { called.await.map(Response::into_inner).map_err(|status| self.failed(status)) }
        });
        Ok(asked.await?)
    }

    /// A request with the deadline of this client.
    fn timed<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    /// Names the walker where it is the walker that failed.
    fn failed(&self, status: Status) -> ServiceError {
        let error = ServiceError::from(status);
        match error.code() {
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Internal => {
                error.context(&format!("walker at {}", self.url))
            }
            _ => error,
        }
    }
}
