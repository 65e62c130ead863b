//! How a walker is reached, and what is shown to it.

use std::{path::PathBuf, time::Duration};

use automap_proto::{invalid::Invalid, v1::walker_service_client::WalkerServiceClient};
use automap_service_kit::client::{ClientConfig, Dialer};

use crate::{Client, Error};

/// The longest time that the header of gRPC has digits for.
const LONGEST: Duration = Duration::from_secs(99_999_999 * 3600);

/// How a walker is reached, and what is shown to it.
#[derive(Debug, Clone)]
#[must_use = "nothing is connected before `connect`"]
pub struct ClientBuilder {
    url: String,
    config: ClientConfig,
    deadline: Option<Duration>,
}

impl ClientBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.into(), config: ClientConfig::default(), deadline: None }
    }

    /// Trusts the authorities of this PEM file, in place of those of the system.
    pub fn ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.config.tls.ca = Some(file.into());
        self
    }

    /// Shows the certificate of this PEM file, with its key.
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.config.tls.certificate = Some(certificate.into());
        self.config.tls.key = Some(key.into());
        self
    }

    /// Demands that the walker proves this name, in place of the host of its address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.config.tls.server_name = Some(name.into());
        self
    }

    /// Shows the token of this file with each call; the file is followed when it changes.
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config.token_file = Some(file.into());
        self
    }

    /// Shows the token also over `http://` to another machine, where something else keeps it secret on the way.
    pub fn token_in_clear(mut self) -> Self {
        self.config.token_in_clear = true;
        self
    }

    /// Ends each call after this time; without it after what the walker allows.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Tries of a call whose fault may pass, the first one included; 3 unless set.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.config.attempts = attempts;
        self
    }

    /// Everything at once, as a configuration has it; settings made before are forgotten.
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.config = config;
        self
    }

    /// Makes the client. It connects with its first call. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address, a certificate or the token cannot be used, or the token would travel in clear; `client.tls.ca`,
    /// `client.token-file` and the like name what is wrong.
    pub fn connect(self) -> Result<Client, Error> {
        let channel = Dialer::new("client", &self.config, &[&self.url])?.channel("server", &self.url)?;
        let walker = WalkerServiceClient::new(channel);
        if self.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err(Invalid::new("deadline", "is zero, in which nothing is answered").into());
        }
        if self.deadline.is_some_and(|deadline| deadline > LONGEST) {
            let problem = "is longer than gRPC can tell, 99999999 hours; leave it away to wait for ever";
            return Err(Invalid::new("deadline", problem).into());
        }
        Ok(Client::new(walker, self.url, self.deadline, self.config.attempts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_that_cannot_be_told_is_refused() {
        let connect = |deadline| Client::builder("http://127.0.0.1:1").deadline(deadline).connect();
        for wrong in [Duration::ZERO, LONGEST + Duration::from_nanos(1), Duration::MAX] {
            let error = connect(wrong).unwrap_err();
            assert!(error.to_string().contains("deadline"), "{error}");
        }
        assert!(connect(LONGEST).is_ok());
    }
}
