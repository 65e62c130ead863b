//! Every call on its way through the check of who calls and what he may do.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, header::AUTHORIZATION};
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::Span;

use super::{Access, Caller, Policy, Role, audit};
use crate::{error::ServiceError, server::Peer};

/// What every call of a server passes, before anything is counted or read. Health and reflection are open: probes show
/// nothing, and the contract is public.
#[derive(Debug, Clone)]
pub(crate) struct AccessLayer {
    access: Access,
    policy: &'static Policy,
}

impl AccessLayer {
    pub(crate) const fn new(access: Access, policy: &'static Policy) -> Self {
        Self { access, policy }
    }

    fn judge(&self, request: &Request<Body>) -> Result<Caller, ServiceError> {
        let peer = request.extensions().get::<Peer>();
        // What is no text is no token either.
        let authorization =
            request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let caller = self.access.judge(
            authorization,
            peer.and_then(|peer| peer.certificate.as_deref()),
            peer.and_then(|peer| peer.address),
        )?;
        Span::current().record("caller", caller.name());
        let (rpc, role) = self.policy.of(request.uri().path());
        caller.require_role(role, rpc)?;
        if !self.policy.knows_systems && !caller.systems().are_all() {
            return Err(caller.denied_by_blind_service());
        }
        if role >= Role::Confirm {
            audit::record(&caller, rpc, "");
        }
        Ok(caller)
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, layer: self.clone() }
    }
}

/// A service that callers reach only when they may.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    layer: AccessLayer,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if request.uri().path().starts_with("/grpc.") {
            return Box::pin(self.inner.call(request));
        }
        match self.layer.judge(&request) {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                Box::pin(self.inner.call(request))
            }
            Err(error) => Box::pin(std::future::ready(Ok(Status::from(error).into_http()))),
        }
    }
}
