//! Questions to the parts of a testbed.

use std::net::SocketAddr;

use axum::body::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Error, QUESTION};
use crate::http_client::HttpClient;

/// Asks the parts.
#[derive(Debug)]
pub(super) struct Questions(HttpClient);

impl Questions {
    pub(super) fn new() -> Self {
        Self(HttpClient::from_address(None))
    }

    /// Sends a request; an answer that is not 200 is an error with what it says.
    pub(super) async fn ask(
        &self,
        method: Method,
        address: SocketAddr,
        path: &str,
        body: String,
    ) -> Result<Bytes, Error> {
        let url = format!("http://{address}{path}");
        let answer = self.0.call(method.clone(), &url, body, QUESTION).await;
        let (status, body) = answer.map_err(|error| Error::Answer(format!("{method} {url}: {error}")))?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let said = String::from_utf8_lossy(&body);
        Err(Error::Answer(format!("{method} {url} answered {status}: {}", said.trim())))
    }

    /// Asks for `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, address: SocketAddr, path: &str) -> Result<T, Error> {
        let body = self.ask(Method::GET, address, path, String::new()).await?;
        parsed(address, path, &body)
    }

    /// Puts `value` to `path`.
    pub(super) async fn put(
        &self,
        address: SocketAddr,
        path: &str,
        value: &impl Serialize,
    ) -> Result<Bytes, Error> {
        let body = serde_json::to_string(value).map_err(|error| Error::Answer(error.to_string()))?;
        self.ask(Method::PUT, address, path, body).await
    }

    /// How many targets Prometheus reaches.
    pub(super) async fn reached(&self, prometheus: SocketAddr) -> Result<usize, Error> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            result: Vec<serde_json::Value>,
        }
        let path = "/api/v1/query?query=up%3D%3D1";
        let answer: Answer = self.get(prometheus, path).await?;
        Ok(answer.data.result.len())
    }
}

/// An answer as JSON.
pub(super) fn parsed<T: DeserializeOwned>(address: SocketAddr, path: &str, body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::Answer(format!("http://{address}{path} answered something else: {error}")))
}
