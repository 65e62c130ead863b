//! The page asks through the walker's own RPCs, so that it can do what they can and nothing else.

use automap_service_kit::access::{Caller, Role};
use axum::http::Extensions;
use tonic::{Request, metadata::MetadataMap};

/// A call of an RPC with what is known of the caller of a page.
pub(super) fn rpc<T>(message: T, caller: Extensions) -> Request<T> {
    Request::from_parts(MetadataMap::new(), caller, message)
}

/// Whether the reader may confirm, so that he is shown how.
pub(super) fn may_confirm(caller: &Extensions) -> bool {
    Caller::of(caller).is_ok_and(|caller| caller.role() >= Role::Confirm)
}
