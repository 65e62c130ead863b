//! What a broken connection means, as a sentence that says the way out.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// What a person is told, in place of the words of a transport.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Sentence(String);

impl Sentence {
    /// An error with this meaning.
    pub(super) fn error(kind: io::ErrorKind, sentence: impl Into<String>) -> io::Error {
        io::Error::new(kind, Self(sentence.into()))
    }

    /// The meaning of an error that has one.
    pub(super) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Gives an error of a TLS connection its meaning; others pass as they are.
pub(super) fn of_tls(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(found) => Sentence::error(error.kind(), sentence(found)),
        None => error,
    }
}

/// The same while the connection opens.
pub(super) fn of_handshake(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Sentence::error(
            error.kind(),
            "the server closed the connection in the middle of TLS: if it speaks in clear, use http://",
        );
    }
    of_tls(error)
}

fn sentence(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is not signed by a trusted authority: name its authority in tls.ca (--ca)".into()
        }
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired: renew it on the server".into()
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the server's certificate is for another name: use a name it is for, or set tls.server-name \
             (--server-name) ({error})"
        ),
        TlsError::InvalidCertificate(_) => format!("the server's certificate cannot be trusted: {error}"),
        TlsError::InvalidMessage(_) => "the server does not speak TLS: use http://".into(),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate: set tls.certificate and tls.key (--cert and --key)".into()
        }
        TlsError::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::AccessDenied,
        ) => format!(
            "the server refuses this client's certificate: show one that its authority signed and that is valid ({error})"
        ),
        TlsError::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server does not speak HTTP/2, so it is no gRPC service".into()
        }
        other => format!("TLS failed: {other}"),
    }
}

/// What an error of a connection means: the sentence in it, else its innermost cause, which the transport wraps in words
/// that say nothing.
pub(crate) fn meaning(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        // An io::Error hides what it wraps from `source`.
        if let Some(sentence) = cause.downcast_ref().and_then(Sentence::of) {
            return sentence.to_string();
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => return format!("the connection broke: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn a_sentence_is_found_below_the_words_of_the_transport_and_other_causes_are_told_as_breaks() {
        let sentence = Sentence::error(io::ErrorKind::InvalidData, "the server speaks TLS: use https://");
        assert_eq!(meaning(&Wrapped(sentence)), "the server speaks TLS: use https://");
        let cut = Wrapped(io::Error::other("bytes remaining on stream"));
        assert_eq!(meaning(&cut), "the connection broke: bytes remaining on stream");
    }
}
