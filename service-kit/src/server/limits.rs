//! How many calls at once, and until when: a call beyond the limit is refused at once, and one whose time is over ends,
//! answer begun or not.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::config::ServerConfig;
use crate::{
    access::{
        Caller,
        quota::{Place, Quota},
    },
    deadline,
    error::{ErrorCode, ServiceError},
};

/// When a refused call may come again.
const COME_BACK: Duration = Duration::from_secs(1);

/// How much earlier than its caller's clock a call ends, so that the answer is this server's and not a broken stream.
const HEAD_START: Duration = Duration::from_millis(2);

/// What every call of this contract passes. Health and reflection are not counted: they must answer under load.
#[derive(Debug, Clone)]
pub(super) struct LimitsLayer {
    places: Arc<Semaphore>,
    quota: Quota,
    longest: Duration,
}

impl LimitsLayer {
    pub(super) fn new(config: &ServerConfig, quota: &Quota) -> Self {
        Self {
            places: Arc::new(Semaphore::new(config.max_calls)),
            quota: quota.clone(),
            longest: config.max_call(),
        }
    }

    /// A place for a call, and one among those of its client where these are limited.
    fn enter(&self, request: &Request<Body>) -> Result<Places, ServiceError> {
        let caller = request.extensions().get::<Caller>();
        let of_client = caller.map(|caller| self.quota.enter(&caller.client())).transpose()?.flatten();
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| overloaded())?;
        Ok(Places { _call: place, _of_client: of_client })
    }
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limits: self.clone() }
    }
}

/// What a call holds until its answer ends.
struct Places {
    _call: OwnedSemaphorePermit,
    _of_client: Option<Place>,
}

/// A service within the limits.
#[derive(Debug, Clone)]
pub(super) struct Limited<S> {
    inner: S,
    limits: LimitsLayer,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer<Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !request.uri().path().starts_with("/automap.") {
            return Box::pin(self.inner.call(request));
        }
        let places = match self.limits.enter(&request) {
            Ok(places) => places,
            Err(error) => return Box::pin(std::future::ready(Ok(Status::from(error).into_http()))),
        };
        let allowed = deadline::from_headers(request.headers()).map(|time| time.saturating_sub(HEAD_START));
        let time = allowed.unwrap_or(self.limits.longest).min(self.limits.longest);
        let until = Instant::now() + time;
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout_at(until, deadline::within(until, answer)).await {
                Ok(Ok(response)) => {
                    let over = Box::pin(tokio::time::sleep_until(until));
                    Ok(response.map(|body| Body::new(Bounded { running: Some((body, places)), over })))
                }
                Ok(Err(never)) => Err(never),
                Err(_) => Ok(too_late().into_http()),
            }
        })
    }
}

fn overloaded() -> ServiceError {
    ServiceError::new(
        ErrorCode::Overloaded,
        "this service has server.max-calls calls under way; try again later",
    )
    .retry_after(COME_BACK)
}

fn too_late() -> Status {
    ServiceError::new(ErrorCode::DeadlineExceeded, "the deadline passed before the answer was complete")
        .into()
}

/// An answer that ends with its deadline, and holds its place until it ends.
struct Bounded {
    running: Option<(Body, Places)>,
    over: Pin<Box<Sleep>>,
}

impl http_body::Body for Bounded {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let Some((body, _)) = &mut self.running else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            if frame.is_none() {
                self.running = None;
            }
            return Poll::Ready(frame);
        }
        match self.over.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                // Dropping the answer stops the work behind it.
                self.running = None;
                let mut trailers = http::HeaderMap::new();
                match too_late().add_header(&mut trailers) {
                    Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Err(status) => Poll::Ready(Some(Err(status))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.running.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.running.as_ref().map_or_else(SizeHint::default, |(body, _)| body.size_hint())
    }
}
