//! The names that a client's certificate proves.

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// The names of a certificate that was verified: common name, DNS names, URIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateNames(Vec<String>);

impl CertificateNames {
    /// Those of a certificate in DER form, the common name first; `None` when it cannot be read or has none.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let mut names: Vec<String> = common.map(str::to_owned).collect();
        if let Ok(Some(alternatives)) = certificate.subject_alternative_name() {
            names.extend(alternatives.value.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
                _ => None,
            }));
        }
        (!names.is_empty()).then_some(Self(names))
    }

    /// The first one, under which its owner is logged where nobody chose a name for him.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// Whether it is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn common_name_dns_names_and_uris_count() {
        let mut params = CertificateParams::new(vec!["walker.automap".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "walker");
        params.subject_alt_names.push(SanType::URI("spiffe://example.org/walker".try_into().unwrap()));
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = CertificateNames::of(der.der()).unwrap();
        assert_eq!(names.first(), "walker");
        for name in ["walker", "walker.automap", "spiffe://example.org/walker"] {
            assert!(names.contains(name), "{names:?}");
        }
        assert!(!names.contains("automap"));
        assert!(CertificateNames::of(b"no certificate").is_none());
    }
}
