//! Certificates for tests.

use std::path::{Path, PathBuf};

use automap_service_kit::tls::{ClientTlsConfig, ServerTlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the certificate of the authority.
    pub(crate) fn write(&self, file: &Path) -> PathBuf {
        std::fs::write(file, self.0.pem()).unwrap();
        file.into()
    }

    /// Writes a certificate for `name` with its key, as `NAME.pem` and `NAME.key`.
    pub(crate) fn issue(&self, directory: &Path, name: &str) -> Issued {
        self.issue_until(directory, name, 2100)
    }

    /// As [`Self::issue`], valid from 2000 to the start of a year.
    pub(crate) fn issue_until(&self, directory: &Path, name: &str, year: i32) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let issued = Issued {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        std::fs::write(&issued.certificate, certificate.pem()).unwrap();
        std::fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}

/// Where a certificate and its key are.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Issued {
    pub(crate) fn server(&self, client_ca: Option<PathBuf>) -> ServerTlsConfig {
        ServerTlsConfig {
            certificate: Some(self.certificate.clone()),
            key: Some(self.key.clone()),
            client_ca,
            reload_seconds: 1,
        }
    }

    pub(crate) fn client(&self, ca: PathBuf) -> ClientTlsConfig {
        ClientTlsConfig {
            ca: Some(ca),
            certificate: Some(self.certificate.clone()),
            key: Some(self.key.clone()),
            ..ClientTlsConfig::default()
        }
    }
}
