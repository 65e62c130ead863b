//! The bytes of a connection, with a look at the first ones: a peer that speaks something else is told apart before
//! HTTP/2 chokes on it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{
    fault::{self, Sentence},
    told::Told,
};

/// In clear or over TLS.
#[derive(Debug)]
pub(super) enum Transport {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct PeerStream {
    transport: Transport,
    opening: Opening,
    told: Told,
}

/// The first bytes of the peer, up to the type of its first frame.
#[derive(Debug, Default)]
struct Opening {
    bytes: [u8; 4],
    seen: usize,
}

/// What is told of a peer that closes before it says anything.
const WITHOUT_A_WORD: &str =
    "the server closed the connection without a word: it may be full, or be no gRPC service";

/// The type of the frame that a server of HTTP/2 begins with (RFC 9113, section 3.4).
const SETTINGS: u8 = 4;

impl Opening {
    /// Whether all of it was seen.
    const fn is_seen(&self) -> bool {
        self.seen == self.bytes.len()
    }

    /// Takes what was read; an error says what else the peer speaks.
    fn check(&mut self, read: &[u8]) -> io::Result<()> {
        if self.is_seen() {
            return Ok(());
        }
        let wrong = |sentence: &str| Err(Sentence::error(io::ErrorKind::InvalidData, sentence));
        if read.is_empty() {
            return wrong(WITHOUT_A_WORD);
        }
        let count = read.len().min(self.bytes.len() - self.seen);
        self.bytes[self.seen..self.seen + count].copy_from_slice(&read[..count]);
        self.seen += count;
        let seen = &self.bytes[..self.seen];
        if seen.starts_with(&[0x15, 0x03]) {
            return wrong("the server speaks TLS: use https://");
        }
        if seen.starts_with(b"HTTP") {
            return wrong("the server speaks HTTP/1, so it is no gRPC service: is the port right?");
        }
        if self.is_seen() && self.bytes[3] != SETTINGS {
            return wrong("the server does not speak HTTP/2, so it is no gRPC service: is the port right?");
        }
        Ok(())
    }
}

impl PeerStream {
    pub(super) fn new(transport: Transport, told: Told) -> Self {
        Self { transport, opening: Opening::default(), told }
    }

    /// Reads, and judges what comes.
    fn read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer).map_err(fault::of_tls),
        };
        let judged = match ready!(read) {
            Ok(()) => self.opening.check(&buffer.filled()[before..]),
            Err(error) if error.get_ref().is_none() && !self.opening.is_seen() => {
                Err(Sentence::error(error.kind(), WITHOUT_A_WORD))
            }
            Err(error) => Err(error),
        };
        Poll::Ready(judged.inspect_err(|error| self.told.note(error)))
    }

    /// Puts the reason behind an error of writing in its place: what the peer said before it closed lies unread, or is
    /// just coming in.
    fn explained<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let error = match written {
            Poll::Ready(Err(error)) if is_end(&error) => error,
            other => return other,
        };
        let mut bytes = [0; 1024];
        match self.read(context, &mut ReadBuf::new(&mut bytes)) {
            // The end of a connection can be read as well, and wakes whoever waits for it.
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(said)) if Sentence::of(&said).is_some() => Poll::Ready(Err(said)),
            Poll::Ready(_) => Poll::Ready(Err(error)),
        }
    }
}

/// Whether an error says that the peer has closed the connection.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read(context, buffer)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        self.explained(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
        };
        self.explained(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            Transport::Clear(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        self.explained(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Clear(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pieces: &[&[u8]]) -> Result<(), String> {
        let mut opening = Opening::default();
        pieces.iter().try_for_each(|piece| opening.check(piece)).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_come_first_and_other_protocols_are_named() {
        let settings: &[u8] = &[0, 0, 0x18, 4, 0, 0, 0, 0, 0];
        assert_eq!(judged(&[settings]), Ok(()));
        assert_eq!(judged(&[&settings[..1], &settings[1..3], &settings[3..], b"HTTP", &[]]), Ok(()));
        for (pieces, said) in [
            (&[&[0x15, 0x03, 0x03, 0x00, 0x02][..]][..], "https://"),
            (&[b"HT", b"TP/1.1 400"], "HTTP/1"),
            (&[b"SSH-2.0"], "no gRPC service"),
            (&[b""], "without a word"),
        ] {
            assert!(judged(pieces).unwrap_err().contains(said));
        }
    }
}
