//! TLS and mutual TLS from files, read again when they change.
//!
//! | module | what it holds |
//! |---|---|
//! | [`material`] | certificates and keys in PEM files, checked |
//! | [`server`] | what a server shows and demands |
//! | [`client`] | what a client shows and trusts |
//! | [`reload`] | a value built from files that follows them |

pub mod client;
pub mod material;
pub mod reload;
pub mod server;

pub use client::ClientTlsConfig;
pub use server::ServerTlsConfig;

/// The protocol that gRPC speaks, as TLS negotiates it.
const HTTP2: &[u8] = b"h2";
/// HTTP/1.1 as TLS negotiates it.
pub const HTTP1: &[u8] = b"http/1.1";
