//! The HTTP port of the walker: what people look at, and where alerts come in.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | who calls, and logging in |
//! | [`error`] | errors as JSON with the status that belongs to them |
//! | [`guard`] | pages of others that use a reader's browser, and headers that keep browsers strict |

mod access;
pub(crate) mod error;
mod guard;

use std::{net::SocketAddr, time::Duration};

use automap_service_kit::{
    access::Access,
    http::{HttpConfig, HttpLimits, HttpServer},
    server::ServeError,
    tls::HTTP1,
};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    alerts::{self, Alerts},
    page::{self, failure},
    service::WalkerRpc,
};
use access::Door;
use error::HttpError;
use guard::Guard;

/// Opens the port where one is wanted.
///
/// # Errors
/// A setting below `walker.http` is wrong, or the address cannot be bound.
pub(crate) async fn open(
    walker: &WalkerRpc,
    alerts: Alerts,
    (config, access): (&HttpConfig, Access),
    drain_seconds: u64,
    shutdown: &CancellationToken,
) -> Result<Option<HttpServer>, ServeError> {
    config.check("walker.http")?;
    let Some(address) = config.listen else {
        return Ok(None);
    };
    let refused = |source| ServeError::Http { address, source };
    let tls = config.tls.start_speaking("walker.http.tls", HTTP1)?;
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let limits = HttpLimits { drain: Duration::from_secs(drain_seconds), ..HttpLimits::default() };
    let router = router(walker.clone(), alerts, (config, access), bound);
    let server = HttpServer::open(listener, router, limits, tls, shutdown.clone()).map_err(refused)?;
    let url = config.url(bound);
    tracing::info!(role = "walker", address = %bound, url, "the page of diagnoses is open");
    Ok(Some(server))
}

/// Everything that is answered on the port, which listens on `bound`.
fn router(
    walker: WalkerRpc,
    alerts: Alerts,
    (config, access): (&HttpConfig, Access),
    bound: SocketAddr,
) -> Router {
    let (guard, door) = (Guard::new(config, bound), Door::new(access, config));
    page::routes(walker.clone())
        .merge(door.routes())
        .merge(alerts::routes(alerts, walker))
        .fallback(async || HttpError::not_found("nothing is here; the list of diagnoses is at /diagnoses"))
        .layer(middleware::from_fn_with_state(door, access::judge))
        .layer(middleware::from_fn_with_state(guard, guard::judge))
        .layer(middleware::from_fn(failure::show))
}
