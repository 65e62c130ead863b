//! What a broken connection means, as a sentence that says the way out.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

/// Gives an error of TLS its meaning; others pass as they are.
pub(super) fn of_tls(error: io::Error) -> io::Error {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let sentence = match found {
        Some(error) => sentence(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection in the middle of TLS: if it speaks in clear, use http://"
                .to_owned()
        }
        None => return error,
    };
    io::Error::new(error.kind(), sentence)
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

/// The innermost cause of an error: the transport wraps it in words that say nothing.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // An io::Error hides what it wraps from `source`.
    cause.to_string()
}
