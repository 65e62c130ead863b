//! Where a testbed asks a service for faults: an address of loopback, which is closed unless asked for.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::ensure;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    routing::{get, put},
};
use tokio::{sync::Mutex, task::JoinHandle};

use super::{Service, stress::Stress};
use crate::{conditions::ProcessConditions, listening};

/// An open control address; it closes when this is dropped.
#[derive(Debug)]
pub(super) struct Control {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Control {
    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Controlled {
    service: Arc<Service>,
    /// Held while conditions change, so that two changes do not mix.
    stress: Arc<Mutex<Stress>>,
}

/// Opens the control address: `GET /conditions` tells the state, `PUT /conditions` replaces it and answers when it is so.
pub(super) async fn open(
    address: SocketAddr,
    service: Arc<Service>,
    data: PathBuf,
) -> anyhow::Result<Control> {
    ensure!(
        address.ip().is_loopback(),
        "the control address {address} is not of loopback: whoever reaches it can harm the service"
    );
    let listener = listening::bind(address).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/conditions", get(tell))
        .route("/conditions", put(change))
        .with_state(Controlled { service, stress: Arc::new(Mutex::new(Stress::in_directory(data))) });
    let task = tokio::spawn(async move {
        if let Err(error) = listening::serve(listener, router, std::future::pending()).await {
            tracing::error!(%error, "the control address closed");
        }
    });
    Ok(Control { address, task })
}

async fn tell(State(controlled): State<Controlled>) -> Result<String, (StatusCode, String)> {
    // Waits for a change that is under way.
    let _unchanged = controlled.stress.lock().await;
    serde_json::to_string(&controlled.service.conditions())
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn change(State(controlled): State<Controlled>, body: Bytes) -> Result<(), (StatusCode, String)> {
    let conditions: ProcessConditions =
        serde_json::from_slice(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    if !conditions.is_possible() {
        return Err((StatusCode::BAD_REQUEST, format!("these conditions cannot be: {conditions:?}")));
    }
    let mut stress = controlled.stress.lock().await;
    stress
        .become_of(&conditions)
        .await
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
    controlled.service.set_conditions(conditions);
    tracing::info!(?conditions, "conditions changed");
    Ok(())
}
