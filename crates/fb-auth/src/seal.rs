//! Secrets at rest: encrypted under a key that is not in the database.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::BASE64;
use sha2::Digest;

use crate::secret::{NoRandomness, Secret, random_bytes};

/// What sealed texts begin with.
const MARK: &str = "sealed:1:";
const NONCE: usize = 24;

/// Encrypts and decrypts the secrets of a node with XChaCha20-Poly1305.
#[derive(Clone)]
pub struct Sealer(XChaCha20Poly1305);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

/// A sealed text cannot be opened: it was sealed under another key or for another place, or it is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret was sealed under another master key")]
pub struct CannotOpen;

impl Sealer {
    /// The key is derived from `master`, a text with at least 128 random bits.
    pub fn new(master: &Secret) -> Self {
        let key = sha2::Sha256::new()
            .chain_update(b"freshbase sealer 1\0")
            .chain_update(master.expose().as_bytes())
            .finalize();
        Self(XChaCha20Poly1305::new(&key))
    }

    /// Encrypts. `place` says whose secret it is and what for; it opens nowhere else.
    pub fn seal(&self, place: &str, secret: &Secret) -> Result<String, NoRandomness> {
        let nonce = random_bytes::<NONCE>()?;
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: place.as_bytes(),
        };
        // It fails for texts of many gigabytes only.
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| NoRandomness)?;
        Ok(format!(
            "{MARK}{}",
            BASE64.encode(&[nonce.as_slice(), &sealed].concat())
        ))
    }

    /// Decrypts what was sealed for the same place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, CannotOpen> {
        let bytes = sealed.strip_prefix(MARK).ok_or(CannotOpen)?;
        let bytes = BASE64.decode(bytes.as_bytes()).map_err(|_| CannotOpen)?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE>().ok_or(CannotOpen)?;
        let payload = Payload {
            msg,
            aad: place.as_bytes(),
        };
        let opened = self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| CannotOpen)?;
        String::from_utf8(opened).map(Secret::new).map_err(|_| CannotOpen)
    }

    /// True for texts that [`Self::seal`] made.
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s47_a_sealed_secret_opens_in_its_place_and_under_its_key_only() {
        let sealer = Sealer::new(&Secret::new("a"));
        let secret = Secret::new("canary");
        let sealed = sealer.seal("app/mfa/1", &secret).unwrap();
        assert!(Sealer::is_sealed(&sealed) && !sealed.contains("canary"));
        assert_ne!(sealed, sealer.seal("app/mfa/1", &secret).unwrap());
        assert_eq!(sealer.open("app/mfa/1", &sealed), Ok(secret));
        assert_eq!(sealer.open("app/mfa/2", &sealed), Err(CannotOpen));
        assert_eq!(
            Sealer::new(&Secret::new("b")).open("app/mfa/1", &sealed),
            Err(CannotOpen)
        );
        for bad in [
            "",
            "canary",
            MARK,
            &sealed[..sealed.len() - 8],
            &sealed.replace(':', ";"),
        ] {
            assert_eq!(sealer.open("app/mfa/1", bad), Err(CannotOpen), "{bad}");
        }
        assert_eq!(format!("{sealer:?}"), "Sealer(***)");
    }
}
