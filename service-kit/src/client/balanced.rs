//! Calls spread over the addresses of a name.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::Service;

use super::{fault::meaning, members::Members, token::ShownToken};
use crate::{
    deadline,
    error::{ErrorCode, ServiceError},
};

/// Calls one service, wherever it runs. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Balanced {
    members: Arc<Members>,
    token: Option<ShownToken>,
}

impl Balanced {
    pub(super) const fn new(members: Arc<Members>, token: Option<ShownToken>) -> Self {
        Self { members, token }
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let member = self.members.pick().await.map_err(unavailable)?;
        let mut connection = member.connection.clone();
        let sent = match poll_fn(|context| connection.poll_ready(context)).await {
            Ok(()) => connection.call(request).await,
            Err(error) => Err(error),
        };
        sent.inspect(|_| member.worked()).map_err(|error| {
            let cause = member.told.get().unwrap_or_else(|| meaning(&error));
            let status = Status::try_from_error(Box::new(error));
            match status.map(ServiceError::from) {
                // The time that the caller allowed is over, which is no fault of this address.
                Ok(error) if error.code() == ErrorCode::DeadlineExceeded => error.into(),
                _ => {
                    self.members.failed(&member);
                    unavailable(cause)
                }
            }
        })
    }
}

impl Service<Request<Body>> for Balanced {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // What every call takes along.
        deadline::to_headers(request.headers_mut());
        if let Some(token) = &self.token {
            token.to_headers(request.headers_mut());
        }
        Box::pin(self.clone().send(request))
    }
}

fn unavailable(cause: String) -> Status {
    ServiceError::new(ErrorCode::Unavailable, cause).into()
}
