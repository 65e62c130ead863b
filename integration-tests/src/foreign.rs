//! Clients that others wrote, in other languages: what they know of AutoMAP comes from reflection.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{command::Ended, python};

/// Seconds that a call may take.
const TIMEOUT: u32 = 60;

/// How a client proves who it is, and whom it believes; paths of PEM files.
#[derive(Debug, Clone, Serialize)]
pub struct Tls {
    /// Certificates of authorities that it believes.
    pub ca: PathBuf,
    /// Its own certificate and key, where it has one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What grpcio made of a call.
#[derive(Debug, Clone, Deserialize)]
pub struct Answered {
    /// The messages that came.
    pub answers: Vec<Value>,
    /// The code as grpcio names it, `INVALID_ARGUMENT`.
    pub code: String,
    /// What the server said.
    pub message: String,
    /// Details of an error, each with its `type`.
    pub details: Vec<Value>,
}

impl Answered {
    /// The detail of this type.
    ///
    /// # Errors
    /// There is none.
    pub fn detail(&self, kind: &str) -> anyhow::Result<&Value> {
        self.details
            .iter()
            .find(|detail| detail["type"] == kind)
            .with_context(|| format!("no {kind} in {self:?}"))
    }
}

/// Calls `method` (`automap.v1.WalkerService/Diagnose`) with Python's grpcio. `address` is that of a service,
/// `http://127.0.0.1:port`.
///
/// # Errors
/// Python was not set up, or the client broke down before it had an answer.
pub fn grpcio(address: &str, tls: Option<&Tls>, method: &str, requests: &Value) -> anyhow::Result<Answered> {
    grpcio_as(address, tls, None, method, requests)
}

/// The same with the token of a file.
///
/// # Errors
/// Python was not set up, or the client broke down before it had an answer.
pub fn grpcio_as(
    address: &str,
    tls: Option<&Tls>,
    token_file: Option<&Path>,
    method: &str,
    requests: &Value,
) -> anyhow::Result<Answered> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let tls = match tls {
        None => Value::Null,
        Some(Tls { ca, identity: None }) => json!({ "ca": read(ca)? }),
        Some(Tls { ca, identity: Some((certificate, key)) }) => {
            json!({ "ca": read(ca)?, "certificate": read(certificate)?, "key": read(key)? })
        }
    };
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    let asked = json!({
        "address": address,
        "method": method,
        "requests": requests,
        "tls": tls,
        "token": token_file.map(read).transpose()?.map(|token| token.trim().to_owned()),
        "timeout": TIMEOUT,
    });
    Ok(serde_json::from_value(python::run("grpc_client.py", &asked)?)?)
}

/// Path of buf, which `.ci/test` installs beside the builds.
///
/// # Errors
/// It was not installed.
pub fn buf() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("a test knows its own path")?;
    let target = test.ancestors().nth(3).context("tests lie two directories below target")?;
    let path = target.join("ci-tools/node_modules/.bin/buf");
    ensure!(path.is_file(), "{} is missing: run `bash .ci/test`, which installs it", path.display());
    Ok(path)
}

/// Calls `method` with `buf curl`, which asks the server for the contract.
///
/// # Errors
/// buf was not installed.
pub fn buf_curl(address: &str, tls: Option<&Tls>, method: &str, request: &Value) -> anyhow::Result<Ended> {
    buf_curl_as(address, tls, None, method, request)
}

/// The same with the token of a file.
///
/// # Errors
/// buf was not installed, or the file cannot be read.
pub fn buf_curl_as(
    address: &str,
    tls: Option<&Tls>,
    token_file: Option<&Path>,
    method: &str,
    request: &Value,
) -> anyhow::Result<Ended> {
    let mut command = Command::new(buf()?);
    command.args(["curl", "--protocol", "grpc", "--connect-timeout", &TIMEOUT.to_string()]);
    match tls {
        None => {
            command.arg("--http2-prior-knowledge");
        }
        Some(Tls { ca, identity }) => {
            command.arg("--cacert").arg(ca);
            if let Some((certificate, key)) = identity {
                command.arg("--cert").arg(certificate).arg("--key").arg(key);
            }
        }
    }
    if let Some(file) = token_file {
        let token = std::fs::read_to_string(file)?;
        command.args(["--header", &format!("authorization: Bearer {}", token.trim())]);
    }
    command.args(["--data", &request.to_string()]).arg(format!("{address}/{method}"));
    Ok(command.output().context("cannot start buf")?.into())
}

/// The objects that a program printed one after the other.
///
/// # Errors
/// The text is something else.
pub fn objects(text: &str) -> anyhow::Result<Vec<Value>> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value {
            Ok(value) => found.push(value),
            Err(error) => bail!("{text} is no list of objects: {error}"),
        }
    }
    Ok(found)
}
