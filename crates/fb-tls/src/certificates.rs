//! All certificates of a server, and which of them a handshake gets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Certificate, CertificateError};

/// The protocol of the challenge over TLS (RFC 8737).
pub(crate) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// All certificates of a server: one for each host that was obtained for it, and the default one.
///
/// Choosing takes no lock. Certificates are swapped while handshakes go on; those that are under way keep theirs.
#[derive(Default)]
pub struct Certificates {
    default: ArcSwapOption<Certificate>,
    /// By host, lower-case. Replaced as a whole: it changes a few times a day.
    of_hosts: ArcSwap<HashMap<String, Certificate>>,
    /// Answers to challenges over HTTP that are under way: token → text. Looked at for challenge paths alone.
    answers: RwLock<HashMap<String, String>>,
    /// Certificates that answer challenges over TLS: host → certificate. Looked at in such handshakes alone.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates")
            .field("default", &self.default.load())
            .field("of_hosts", &self.of_hosts.load())
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// The certificate for all hosts that have none of their own, and for clients that name no host.
    pub fn set_default(&self, certificate: Certificate) {
        self.default.store(Some(Arc::new(certificate)));
    }

    /// Sets or removes the certificate of a host (lower-case).
    pub fn set(&self, host: &str, certificate: Option<Certificate>) {
        self.of_hosts.rcu(|old| {
            let mut new = HashMap::clone(old);
            match &certificate {
                Some(certificate) => new.insert(host.to_owned(), certificate.clone()),
                None => new.remove(host),
            };
            new
        });
    }

    /// True if the default certificate is for this host.
    pub fn default_is_for(&self, host: &str) -> bool {
        self.default.load().as_ref().is_some_and(|default| default.is_for(host))
    }

    /// True if clients that ask for this host (lower-case, a name or an address) get a certificate for it.
    pub fn has(&self, host: &str) -> bool {
        self.of_hosts.load().contains_key(host) || self.default_is_for(host)
    }

    /// What a handshake gets whose client asks for `host` (lower-case): the default certificate where it is for that host,
    /// because it was put there by hand; else the host's own; else the default one, for whoever does not check.
    fn choose(&self, host: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let default = self.default.load();
        if let Some(host) = host
            && let Some(own) = self.of_hosts.load().get(host)
            && !default.as_ref().is_some_and(|default| default.is_for(host))
        {
            return Some(own.key().clone());
        }
        default.as_ref().map(|default| default.key().clone())
    }

    /// The answer to the HTTP challenge with this token, while it is under way (RFC 8555, section 8.3).
    pub fn challenge_answer(&self, token: &str) -> Option<String> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.get(token).cloned()
    }
}

impl Certificates {
    /// Answers the HTTP challenge with this token as long as the result exists.
    pub(crate) fn answer_over_http(&self, token: &str, answer: &str) -> Answering<'_> {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), answer.to_owned());
        Answering {
            certificates: self,
            token: Some(token.to_owned()),
            host: None,
        }
    }

    /// Answers TLS challenges for this host as long as the result exists. `digest` is the SHA-256 that the authority wants
    /// to see in the certificate (RFC 8737, section 3).
    pub(crate) fn answer_over_tls(&self, host: &str, digest: &[u8]) -> Result<Answering<'_>, CertificateError> {
        let unusable = |error: rcgen::Error| CertificateError::Unusable { source: error.into() };
        let mut params = CertificateParams::new([host.to_owned()]).map_err(unusable)?;
        params
            .custom_extensions
            .push(CustomExtension::new_acme_identifier(digest));
        let key = KeyPair::generate().map_err(unusable)?;
        let certificate = params.self_signed(&key).map_err(unusable)?;
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| CertificateError::Unusable { source: error.into() })?;
        // Not checked against each other: the extension is critical and strange to every parser.
        let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        challenges.insert(host.to_owned(), Arc::new(certified));
        Ok(Answering {
            certificates: self,
            token: None,
            host: Some(host.to_owned()),
        })
    }
}

/// A challenge that is answered as long as this exists.
pub(crate) struct Answering<'c> {
    certificates: &'c Certificates,
    token: Option<String>,
    host: Option<String>,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let all = self.certificates;
        if let Some(token) = &self.token {
            all.answers
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(token);
        }
        if let Some(host) = &self.host {
            let mut challenges = all.challenges.write().unwrap_or_else(PoisonError::into_inner);
            challenges.remove(host);
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().map(lower);
        // A validator offers this protocol alone; whoever offers others as well is a client like any other.
        if let Some(mut protocols) = hello.alpn()
            && protocols.next() == Some(CHALLENGE_PROTOCOL)
            && protocols.next().is_none()
        {
            let challenges = self.challenges.read().unwrap_or_else(PoisonError::into_inner);
            return challenges.get(&*host?).cloned();
        }
        self.choose(host.as_deref())
    }
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::certificate;

    #[test]
    fn challenges_are_answered_while_they_are_under_way() {
        let all = Certificates::default();
        let answering = all.answer_over_http("token", "token.thumb");
        assert_eq!(all.challenge_answer("token").as_deref(), Some("token.thumb"));
        assert_eq!(all.challenge_answer("other"), None);
        drop(answering);
        assert_eq!(all.challenge_answer("token"), None);
        let answering = all.answer_over_tls("a.b.test", &[7; 32]).unwrap();
        assert!(all.challenges.read().unwrap().contains_key("a.b.test"));
        assert!(!all.has("a.b.test"), "nobody else gets it");
        drop(answering);
        assert!(all.challenges.read().unwrap().is_empty());
    }

    #[test]
    fn a_host_gets_its_own_certificate_unless_the_default_one_is_for_it() {
        let all = Certificates::default();
        assert!(all.choose(Some("a.b.test")).is_none() && all.choose(None).is_none());
        assert!(!all.has("a.b.test"));

        let own = certificate(&["a.b.test"]);
        all.set("a.b.test", Some(own.clone()));
        let is = |found: Option<Arc<CertifiedKey>>, expected: &Certificate| {
            found.is_some_and(|found| Arc::ptr_eq(&found, expected.key()))
        };
        assert!(is(all.choose(Some("a.b.test")), &own));
        assert!(all.choose(Some("d.b.test")).is_none() && all.choose(None).is_none());
        assert!(all.has("a.b.test") && !all.has("d.b.test"));

        let default = certificate(&["d.b.test"]);
        all.set_default(default.clone());
        assert!(is(all.choose(Some("a.b.test")), &own));
        assert!(is(all.choose(Some("c.b.test")), &default) && is(all.choose(None), &default));
        assert!(all.has("d.b.test") && !all.has("c.b.test"));

        let wide = certificate(&["*.b.test"]);
        all.set_default(wide.clone());
        assert!(is(all.choose(Some("a.b.test")), &wide));
        all.set("a.b.test", None);
        assert!(all.has("a.b.test"));
    }
}
