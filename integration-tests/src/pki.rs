//! Authorities and certificates for tests, as PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use crate::foreign;

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// File with the certificate.
    pub certificate: PathBuf,
    /// File with its key.
    pub key: PathBuf,
}

/// An authority that signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// File with its certificate.
    pub file: PathBuf,
}

impl Authority {
    /// A new authority, whose certificate is written as `NAME-ca.pem`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(home: &Path, name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let file = home.join(format!("{name}-ca.pem"));
        fs::write(&file, issuer.pem())?;
        Ok(Self { issuer, file })
    }

    /// Its certificate in PEM form.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes a certificate of services on this machine, and of `name`, with its key, as `NAME.pem` and `NAME.key`;
    /// files that are there are replaced.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn issue(&self, home: &Path, name: &str) -> anyhow::Result<Identity> {
        self.issue_until(home, name, 2100)
    }

    /// The same, valid from 2000 to the start of `year`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn issue_until(&self, home: &Path, name: &str, year: i32) -> anyhow::Result<Identity> {
        let names = [name, "localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let identity =
            Identity { certificate: home.join(format!("{name}.pem")), key: home.join(format!("{name}.key")) };
        replace(&identity.certificate, &certificate.pem())?;
        replace(&identity.key, &key.serialize_pem())?;
        Ok(identity)
    }
}

/// Writes a file so that whoever reads it finds the old text or the new one.
///
/// # Errors
/// It cannot be written.
pub fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let next = file.with_extension("next");
    fs::write(&next, text)?;
    fs::rename(next, file)
}

/// An authority with a server and a client of its own, and with those who must not be let in.
#[derive(Debug)]
pub struct Pki {
    /// The authority that all trust.
    pub authority: Authority,
    /// What servers show.
    pub server: Identity,
    /// What clients show.
    pub client: Identity,
    /// A client of the authority whose certificate has expired.
    pub expired: Identity,
    /// An authority that nobody trusts.
    pub other_authority: Authority,
    /// A client of that one.
    pub stranger: Identity,
}

impl Pki {
    /// Writes all of it into `home`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(home: &Path) -> anyhow::Result<Self> {
        let authority = Authority::new(home, "ours")?;
        let other_authority = Authority::new(home, "others")?;
        Ok(Self {
            server: authority.issue(home, "server")?,
            client: authority.issue(home, "client")?,
            expired: authority.issue_until(home, "expired", 2001)?,
            stranger: other_authority.issue(home, "stranger")?,
            authority,
            other_authority,
        })
    }

    /// How a foreign client proves that it may call.
    pub fn foreign_client(&self) -> foreign::Tls {
        let Identity { certificate, key } = self.client.clone();
        foreign::Tls { ca: self.authority.file.clone(), identity: Some((certificate, key)) }
    }

    /// The flags of `automap diagnose` for a client with this identity.
    pub fn flags<'a>(&'a self, identity: &'a Identity) -> [&'a Path; 6] {
        let [ca, cert, key] = ["--ca", "--cert", "--key"].map(Path::new);
        [ca, &self.authority.file, cert, &identity.certificate, key, &identity.key]
    }
}
