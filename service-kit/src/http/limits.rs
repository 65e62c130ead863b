//! What an HTTP server bears.

use std::time::Duration;

/// Limits of an HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at once; more are closed as they come.
    pub connections: usize,
    /// How long a connection may take for TLS, to send the head of a request, and from one request to the next.
    pub head: Duration,
    /// How long a handler may take to begin its answer, the body of the request included.
    pub answer: Duration,
    /// Largest body of a request, bytes.
    pub body_bytes: usize,
    /// How long requests under way may go on after the shutdown.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            body_bytes: 2 << 20,
            drain: Duration::from_secs(10),
        }
    }
}
