//! A certificate with its chain and its private key.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fb_types::Timestamp;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use crate::{BoxError, Validity};

/// A certificate with its chain and its private key, ready for handshakes. Clones share everything.
#[derive(Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    validity: Validity,
    /// The DNS names in it, lower-case: read once, because plain requests ask for them.
    names: Arc<[String]>,
    /// False if there is certainly no address in it: checking for one costs a microsecond, and requests by address are
    /// those of probes and load balancers.
    may_have_addresses: bool,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate(until {})", self.validity.not_after)
    }
}

/// A certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no certificate in the PEM text.
    #[error("there is no certificate in it: expected PEM, beginning with the server's own certificate")]
    NoCertificate,
    /// There is no private key in the PEM text, or one that needs a password.
    #[error("there is no private key in it: expected PEM without a password")]
    NoKey,
    /// Certificate or key are malformed, of an unknown kind, or do not belong together.
    #[error("certificate and key cannot be used")]
    Unusable {
        /// Why.
        #[source]
        source: BoxError,
    },
}

fn unusable(source: impl Into<BoxError>) -> CertificateError {
    CertificateError::Unusable { source: source.into() }
}

impl Certificate {
    /// From PEM texts: the server's certificate followed by the chain, and the private key (PKCS #8, PKCS #1 or SEC 1).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(unusable)?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        Self::new(chain, key)
    }

    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let provider = rustls::crypto::ring::default_provider();
        // Names are looked up in it later, so it has to be one as a whole.
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let parsed = webpki::EndEntityCert::try_from(first).map_err(unusable)?;
        // An address in DER: tag 7 of GeneralName (RFC 5280, section 4.2.1.6), and 4 or 16 bytes. It may be something else.
        let may_have_addresses = first.windows(2).any(|pair| matches!(pair, [0x87, 4 | 16]));
        let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
        let validity = Validity::of(first).ok_or_else(|| unusable("its dates cannot be read"))?;
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(unusable)?;
        Ok(Self {
            key: Arc::new(key),
            validity,
            names,
            may_have_addresses,
        })
    }

    /// From PEM files. Blocks.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| CertificateError::File {
                path: path.to_owned(),
                source,
            })
        };
        Self::from_pem(&read(chain)?, &read(key)?)
    }

    /// True if clients accept it for this host (a lower-case name or an address), as far as names are concerned. Cost:
    /// tens of nanoseconds, or about a microsecond for an address where the certificate has some.
    pub fn is_for(&self, host: &str) -> bool {
        if host.parse::<IpAddr>().is_ok() {
            return self.may_have_addresses && self.is_for_address(host);
        }
        // A wildcard stands for one label, and not for one of two (RFC 9525, section 6.3).
        let parent = host
            .split_once('.')
            .filter(|(label, rest)| !matches!(*label, "" | "*") && rest.contains('.'));
        self.names.iter().any(|name| match (name.strip_prefix("*."), parent) {
            (Some(below), Some((_, parent))) => below == parent,
            (Some(_), None) => false,
            (None, _) => name == host,
        })
    }

    fn is_for_address(&self, host: &str) -> bool {
        let Some(certificate) = self.key.cert.first() else {
            return false;
        };
        let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(certificate), ServerName::try_from(host)) else {
            return false;
        };
        verify_server_name(&parsed, &name).is_ok()
    }

    /// From when to when it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// True if it is valid at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        (self.validity.not_before..=self.validity.not_after).contains(&now)
    }

    pub(crate) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pair;

    #[test]
    fn certificates_are_for_their_names_and_what_their_wildcards_cover() {
        let (chain, key) = pair(&["shop.test", "*.apps.test", "192.0.2.7", "2001:db8::7"]);
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        for (host, expected) in [
            ("shop.test", true),
            ("a.apps.test", true),
            ("192.0.2.7", true),
            ("2001:db8::7", true),
            ("2001:db8::8", false),
            ("apps.test", false),
            ("a.b.apps.test", false),
            ("shop.test.evil", false),
            ("192.0.2.8", false),
            ("", false),
            ("not a name", false),
            (".apps.test", false),
            ("*.apps.test", false),
        ] {
            assert_eq!(certificate.is_for(host), expected, "{host}");
            // What clients would say.
            let parsed = ParsedCertificate::try_from(&certificate.key.cert[0]).unwrap();
            let accepted = ServerName::try_from(host).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok());
            assert_eq!(accepted, expected, "{host}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        let (chain, key) = pair(&["a.test"]);
        let (other, _) = pair(&["a.test"]);
        let check = |chain: &str, key: &str| {
            let error = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error} {}", source.unwrap_or_default())
        };
        for (chain, key, expected) in [
            ("", key.as_str(), "no certificate in it"),
            (&key, &key, "no certificate in it"),
            (&chain, "", "no private key in it"),
            (&chain, &chain, "no private key in it"),
            (&other, &key, "KeyMismatch"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                &key,
                "cannot be used",
            ),
        ] {
            let text = check(chain, key);
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none.pem");
        let error = Certificate::from_files(&missing, &missing).unwrap_err();
        assert!(error.to_string().contains("none.pem"), "{error}");
    }
}
