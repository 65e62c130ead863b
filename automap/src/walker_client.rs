//! A walker to ask, in this process or elsewhere: [`automap_client`] with answers checked and failures in words of flags.

use std::path::Path;

use anyhow::Context as _;
use automap_client::{Client, Error, Upload};
use automap_proto::{invalid::Invalid, v1};
use automap_service_kit::{
    client::{Channel, ClientConfig, Dialer},
    error::{ErrorCode, ServiceError},
    tls::ClientTlsConfig,
};
use tonic::Code;

use crate::{
    answer::Answer,
    arguments::{ConnectionArgs, RemoteArgs},
    failure::Failure,
};

/// A walker, local or remote.
#[derive(Debug, Clone)]
pub struct WalkerClient {
    client: Client,
    /// Whether it runs in this process, at an address that nobody chose and nobody needs to know.
    is_own: bool,
}

impl WalkerClient {
    /// A walker of this process, in clear.
    ///
    /// # Errors
    /// `url` is no address of a service.
    pub fn new(url: &str) -> Result<Self, Failure> {
        Ok(Self { client: Client::builder(url).connect()?, is_own: true })
    }

    /// A walker elsewhere, reached as flags say.
    ///
    /// # Errors
    /// `url` is no address of a service, or a certificate or the token cannot be used.
    pub fn remote(url: &str, args: &RemoteArgs) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::builder(url).config(args.connection.client_config()).connect()?,
            is_own: false,
        })
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
        checked(self.told(self.client.diagnose_upload(&upload, on_progress).await)?)
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
        checked(self.told(self.client.diagnose_source(request, on_progress).await)?)
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
        self.told(self.client.learn(recording, metrics_file).await)
    }

    /// Has the normal rows of metrics remembered that the walker's collector asks for.
    ///
    /// # Errors
    /// The walker cannot be reached, or it refused.
    pub async fn learn_source(&self, request: v1::LearnSourceRequest) -> Result<v1::Learned, Failure> {
        self.told(self.client.learn_source(request).await)
    }

    fn told<T>(&self, answer: Result<T, Error>) -> Result<T, Failure> {
        let url = self.client.url();
        answer.map_err(|error| {
            let Error::Service(error) = error else { return error.into() };
            // What this server itself said; what it heard from another names that one too.
            let said = error.message().strip_prefix(&format!("walker at {url}: ")).unwrap_or(error.message());
            if self.is_own {
                return error.with_message(said).into();
            }
            if is_of_another_role(&error.with_message(said)) {
                return Failure::Usage(format!(
                    "--server {url}: there is no walker at this address; name the address of one (port 4310 by default)"
                ));
            }
            error.into()
        })
    }
}

/// Whether a server answered that knows no such call: it is another role.
pub(crate) fn is_of_another_role(error: &ServiceError) -> bool {
    error.code() == ErrorCode::Internal && error.message() == Code::Unimplemented.description()
}

fn checked(answer: automap_client::Answer) -> Result<Answer, Failure> {
    let found = Answer::try_from(answer.diagnosis).context("the walker's answer is not valid")?;
    Ok(Answer { walk: answer.walk, ..found })
}

impl ConnectionArgs {
    /// How a service elsewhere is reached.
    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig {
            token_file: self.token_file.clone(),
            token_in_clear: self.token_in_clear,
            tls: ClientTlsConfig {
                ca: self.ca.clone(),
                certificate: self.cert.clone(),
                key: self.key.clone(),
                server_name: self.server_name.clone(),
                ..ClientTlsConfig::default()
            },
            ..ClientConfig::default()
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(invalid) => wrong_flag(&invalid),
            Error::Service(error) => error.into(),
            other => Self::Failed(anyhow::Error::new(other)),
        }
    }
}

/// A channel to a service elsewhere, reached as flags say.
///
/// # Errors
/// `url` is no address of a service, or a certificate or the token cannot be used.
pub(crate) fn remote_channel(url: &str, config: &ClientConfig) -> Result<Channel, Failure> {
    Dialer::new("client", config, &[url])
        .and_then(|dialer| dialer.channel("server", url))
        .map_err(|invalid| wrong_flag(&invalid))
}

/// Names the flag that sets a field of the client's configuration.
fn wrong_flag(invalid: &Invalid) -> Failure {
    let flag = match invalid.field() {
        "server" => "--server",
        "client.tls.ca" => "--ca",
        "client.tls.certificate" => "--cert",
        "client.tls.key" => "--key",
        "client.tls.server-name" => "--server-name",
        "client.token-file" => "--token-file",
        other => other,
    };
    let problem = invalid.problem().replace("client.token-in-clear", "--token-in-clear");
    Failure::Usage(format!("{flag}: {problem}"))
}
