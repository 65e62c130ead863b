//! Bodies that count their bytes and know when their call is over.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use tonic::codegen::Bytes;

use super::call::Call;

/// A body that counts its bytes.
#[derive(Debug)]
pub(super) struct Counted<B> {
    pub(super) body: B,
    pub(super) bytes: Arc<AtomicU64>,
}

impl<B> Counted<B> {
    fn count<E>(&self, frame: Option<&Result<Frame<Bytes>, E>>) {
        if let Some(Ok(frame)) = frame
            && let Some(data) = frame.data_ref()
        {
            self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.count(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: the call is over when it ends or is dropped.
#[derive(Debug)]
pub struct CallBody<B> {
    counted: Counted<B>,
    call: Option<Call>,
}

impl<B> CallBody<B> {
    pub(super) fn new(body: B, bytes: Arc<AtomicU64>, call: Call) -> Self {
        Self { counted: Counted { body, bytes }, call: Some(call) }
    }
}

impl<B> Body for CallBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let span = this.call.as_ref().map(|call| call.span.clone());
        let _in_call = span.as_ref().map(tracing::Span::enter);
        let frame = ready!(Pin::new(&mut this.counted).poll_frame(context));
        if let Some(call) = &mut this.call {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        call.saw(trailers);
                    }
                }
                Some(Err(error)) => call.broke(error),
                None => {}
            }
        }
        let over =
            matches!(&frame, None | Some(Err(_))) || matches!(&frame, Some(Ok(frame)) if frame.is_trailers());
        if over {
            this.call = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.counted.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.counted.size_hint()
    }
}
