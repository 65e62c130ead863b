//! Certificates and keys in PEM files, checked as far as they can be before anybody connects.

use std::{path::Path, sync::Arc, time::SystemTime};

use automap_proto::invalid::Invalid;
use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, time::ASN1Time};

/// The cryptography of every connection.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A certificate with the chain above it, and its key.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Reads an identity; `table` is where `certificate` and `key` are set.
///
/// # Errors
/// A file cannot be read, holds something else, or its certificate is not valid now.
pub(super) fn identity(table: &str, certificate: &Path, key: &Path) -> Result<Identity, Invalid> {
    let field = format!("{table}.certificate");
    let chain = certificates(&field, certificate)?;
    for link in &chain {
        check_validity(&field, certificate, link, SystemTime::now())?;
    }
    let field = format!("{table}.key");
    let text = read(&field, key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            Invalid::new(&field, format!("{} holds no private key in PEM form", key.display()))
        }
        other => Invalid::new(&field, format!("{} is damaged: {other}", key.display())),
    })?;
    Ok(Identity { chain, key })
}

/// Reads the certificates of authorities that are trusted. One that is not valid now is left out: bundles keep old ones.
///
/// # Errors
/// The file cannot be read, holds something else, or none of its certificates is valid now.
pub(super) fn authorities(field: &str, file: &Path) -> Result<RootCertStore, Invalid> {
    let mut roots = RootCertStore::empty();
    let mut refused = None;
    for certificate in certificates(field, file)? {
        if let Err(invalid) = check_validity(field, file, &certificate, SystemTime::now()) {
            refused = Some(invalid);
            continue;
        }
        roots.add(certificate).map_err(|error| {
            Invalid::new(field, format!("{} holds no certificate of an authority: {error}", file.display()))
        })?;
    }
    match refused {
        Some(invalid) if roots.is_empty() => Err(invalid),
        _ => Ok(roots),
    }
}

fn certificates(field: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let text = read(field, file)?;
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| Invalid::new(field, format!("{} is damaged: {error}", file.display())))?;
    if found.is_empty() {
        return Err(Invalid::new(field, format!("{} holds no certificate in PEM form", file.display())));
    }
    Ok(found)
}

/// rustls would show an expired certificate without a word, and every client would refuse it.
fn check_validity(
    field: &str,
    file: &Path,
    certificate: &CertificateDer<'_>,
    now: SystemTime,
) -> Result<(), Invalid> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| Invalid::new(field, format!("{} holds no certificate: {error}", file.display())))?;
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Ok(now) = ASN1Time::from_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX)) else {
        return Ok(());
    };
    let validity = parsed.validity();
    let wrong = if now > validity.not_after {
        format!("expired at {}; renew it", validity.not_after)
    } else if now < validity.not_before {
        format!("is not valid before {}; check the clock of this machine", validity.not_before)
    } else {
        return Ok(());
    };
    Err(Invalid::new(field, format!("the certificate of {} in {} {wrong}", parsed.subject(), file.display())))
}

fn read(field: &str, file: &Path) -> Result<Vec<u8>, Invalid> {
    std::fs::read(file)
        .map_err(|error| Invalid::new(field, format!("{} cannot be read: {error}", file.display())))
}
