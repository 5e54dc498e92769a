//! Signatures with keys in PEM or DER: RSA (PKCS #1 v1.5 and PSS), ECDSA on P-256 and P-384, Ed25519. Computed by ring.

use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaEncoding, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rquickjs::{Ctx, Object};
use rustls_pki_types::pem::{PemObject, SectionKind};

use super::bytes::{Failure, Input, Output};
use super::{Stop, define, gate, give};

const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// `scheme` is `<hash>` or `<hash>/pss` for RSA, `<hash>` or `<hash>/fixed` (r and s one after the other) for ECDSA, and any for Ed25519.
pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let s = stop.clone();
    define(
        native,
        "sign",
        move |ctx: Ctx<'js>, scheme: String, key: Input, data: Input| {
            give(
                &ctx,
                gate(&s, usize::MAX).and_then(|()| sign(&scheme, &key.0, &data.0).map(Output)),
            )
        },
    )?;
    let s = stop.clone();
    define(
        native,
        "verify",
        move |ctx: Ctx<'js>, scheme: String, key: Input, data: Input, signature: Input| {
            give(
                &ctx,
                gate(&s, usize::MAX).and_then(|()| verify(&scheme, &key.0, &data.0, &signature.0)),
            )
        },
    )?;
    define(native, "keyType", |ctx: Ctx<'js>, key: Input, is_private: bool| {
        give(&ctx, key_type(&key.0, is_private))
    })
}

fn unsupported(what: &str) -> Failure {
    Failure::new("ERR_OSSL_UNSUPPORTED", format!("{what} is not supported"))
}

fn bad_key() -> Failure {
    Failure::new(
        "ERR_OSSL_UNSUPPORTED",
        "the key cannot be read; PEM or DER of an RSA, P-256, P-384 or Ed25519 key is expected",
    )
}

/// A private key in its wrapping.
enum Private {
    Pkcs8(Kind, Vec<u8>),
    Pkcs1(Vec<u8>),
    Sec1(Kind, Vec<u8>, Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn of(algorithm: &[u8], curve: Option<&[u8]>) -> Option<Self> {
        match (algorithm, curve) {
            (OID_RSA, _) => Some(Self::Rsa),
            (OID_EC, Some(OID_P256)) => Some(Self::P256),
            (OID_EC, Some(OID_P384)) => Some(Self::P384),
            (OID_ED25519, _) => Some(Self::Ed25519),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 | Self::P384 => "ec",
            Self::Ed25519 => "ed25519",
        }
    }
}

fn key_type(key: &[u8], is_private: bool) -> Result<&'static str, Failure> {
    if !is_private {
        return read_public(key).map(|(kind, _)| kind.name());
    }
    Ok(match read_private(key)? {
        Private::Pkcs8(kind, _) | Private::Sec1(kind, _, _) => kind.name(),
        Private::Pkcs1(_) => "rsa",
    })
}

fn sign(scheme: &str, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Failure> {
    let rng = SystemRandom::new();
    let failed = |_| Failure::new("ERR_OPERATION_FAILED", "signing failed");
    match read_private(key)? {
        Private::Pkcs1(der) => sign_rsa(scheme, RsaKeyPair::from_der(&der), data),
        Private::Pkcs8(Kind::Rsa, der) => sign_rsa(scheme, RsaKeyPair::from_pkcs8(&der), data),
        Private::Pkcs8(Kind::Ed25519, der) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map(|pair| pair.sign(data).as_ref().to_vec())
            .map_err(|_| bad_key()),
        Private::Pkcs8(kind, der) => {
            let pair = EcdsaKeyPair::from_pkcs8(ecdsa_signing(kind, scheme)?, &der, &rng).map_err(|_| bad_key())?;
            pair.sign(&rng, data)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed)
        }
        Private::Sec1(kind, private, public) => {
            let algorithm = ecdsa_signing(kind, scheme)?;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &public, &rng)
                .map_err(|_| bad_key())?;
            pair.sign(&rng, data)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed)
        }
    }
}

fn sign_rsa(scheme: &str, pair: Result<RsaKeyPair, ring::error::KeyRejected>, data: &[u8]) -> Result<Vec<u8>, Failure> {
    let encoding: &dyn RsaEncoding = match scheme {
        "sha256" => &signature::RSA_PKCS1_SHA256,
        "sha384" => &signature::RSA_PKCS1_SHA384,
        "sha512" => &signature::RSA_PKCS1_SHA512,
        "sha256/pss" => &signature::RSA_PSS_SHA256,
        "sha384/pss" => &signature::RSA_PSS_SHA384,
        "sha512/pss" => &signature::RSA_PSS_SHA512,
        _ => return Err(unsupported(&format!("signing with RSA and {scheme}"))),
    };
    let pair = pair.map_err(|_| bad_key())?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), data, &mut signature)
        .map_err(|_| Failure::new("ERR_OPERATION_FAILED", "signing failed"))?;
    Ok(signature)
}

fn ecdsa_signing(kind: Kind, scheme: &str) -> Result<&'static EcdsaSigningAlgorithm, Failure> {
    match (kind, scheme) {
        (Kind::P256, "sha256") => Ok(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        (Kind::P256, "sha256/fixed") => Ok(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        (Kind::P384, "sha384") => Ok(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        (Kind::P384, "sha384/fixed") => Ok(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => Err(unsupported(&format!("this curve with {scheme}"))),
    }
}

fn verify(scheme: &str, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool, Failure> {
    let (kind, public) = read_public(key)?;
    let algorithm: &'static dyn VerificationAlgorithm = match (kind, scheme) {
        (Kind::Ed25519, _) => &signature::ED25519,
        (Kind::Rsa, "sha1") => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Kind::Rsa, "sha256") => &signature::RSA_PKCS1_2048_8192_SHA256,
        (Kind::Rsa, "sha384") => &signature::RSA_PKCS1_2048_8192_SHA384,
        (Kind::Rsa, "sha512") => &signature::RSA_PKCS1_2048_8192_SHA512,
        (Kind::Rsa, "sha256/pss") => &signature::RSA_PSS_2048_8192_SHA256,
        (Kind::Rsa, "sha384/pss") => &signature::RSA_PSS_2048_8192_SHA384,
        (Kind::Rsa, "sha512/pss") => &signature::RSA_PSS_2048_8192_SHA512,
        (Kind::P256, "sha256") => &signature::ECDSA_P256_SHA256_ASN1,
        (Kind::P256, "sha384") => &signature::ECDSA_P256_SHA384_ASN1,
        (Kind::P256, "sha256/fixed") => &signature::ECDSA_P256_SHA256_FIXED,
        (Kind::P384, "sha256") => &signature::ECDSA_P384_SHA256_ASN1,
        (Kind::P384, "sha384") => &signature::ECDSA_P384_SHA384_ASN1,
        (Kind::P384, "sha384/fixed") => &signature::ECDSA_P384_SHA384_FIXED,
        _ => return Err(unsupported(&format!("verifying with this key and {scheme}"))),
    };
    Ok(UnparsedPublicKey::new(algorithm, public)
        .verify(data, signature)
        .is_ok())
}

fn sections(key: &[u8]) -> Option<(SectionKind, Vec<u8>)> {
    key.starts_with(b"-----")
        .then(|| <(SectionKind, Vec<u8>)>::from_pem_slice(key).ok())
        .flatten()
}

fn read_private(key: &[u8]) -> Result<Private, Failure> {
    match sections(key) {
        Some((SectionKind::RsaPrivateKey, der)) => Ok(Private::Pkcs1(der)),
        Some((SectionKind::EcPrivateKey, der)) => read_sec1(&der).ok_or_else(bad_key),
        Some((SectionKind::PrivateKey, der)) => read_pkcs8(der).ok_or_else(bad_key),
        Some(_) => Err(bad_key()),
        None => read_pkcs8(key.to_vec()).ok_or_else(bad_key),
    }
}

/// RFC 5958.
fn read_pkcs8(der: Vec<u8>) -> Option<Private> {
    let mut reader = Der(Der(&der).take(0x30)?);
    reader.take(0x02)?;
    let mut algorithm = Der(reader.take(0x30)?);
    let kind = Kind::of(algorithm.take(0x06)?, algorithm.take(0x06))?;
    Some(Private::Pkcs8(kind, der))
}

/// RFC 5915.
fn read_sec1(der: &[u8]) -> Option<Private> {
    let mut reader = Der(Der(der).take(0x30)?);
    reader.take(0x02)?;
    let private = reader.take(0x04)?.to_vec();
    let curve = Der(reader.take(0xa0)?).take(0x06)?;
    let bits = Der(reader.take(0xa1)?).take(0x03)?;
    Some(Private::Sec1(
        Kind::of(OID_EC, Some(curve))?,
        private,
        bits.get(1..)?.to_vec(),
    ))
}

/// The key as ring wants it: what is in a `SubjectPublicKeyInfo` (RFC 5280, 4.1).
fn read_public(key: &[u8]) -> Result<(Kind, Vec<u8>), Failure> {
    let der = match sections(key) {
        Some((SectionKind::PublicKey, der)) => der,
        Some(_) => return Err(bad_key()),
        // `RSA PUBLIC KEY` is nothing the PEM reader knows.
        None => match pkcs1_pem(key) {
            Some(der) => return Ok((Kind::Rsa, der)),
            None => key.to_vec(),
        },
    };
    read_spki(&der).ok_or_else(bad_key)
}

fn read_spki(der: &[u8]) -> Option<(Kind, Vec<u8>)> {
    let mut reader = Der(Der(der).take(0x30)?);
    let mut algorithm = Der(reader.take(0x30)?);
    let kind = Kind::of(algorithm.take(0x06)?, algorithm.take(0x06))?;
    Some((kind, reader.take(0x03)?.get(1..)?.to_vec()))
}

fn pkcs1_pem(key: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(key).ok()?;
    let body = text
        .trim()
        .strip_prefix("-----BEGIN RSA PUBLIC KEY-----")?
        .strip_suffix("-----END RSA PUBLIC KEY-----")?;
    let plain: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    data_encoding::BASE64.decode(&plain).ok()
}

/// Reads elements of DER one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element if it has this tag; else nothing is read.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let [found, first, rest @ ..] = self.0 else { return None };
        if *found != tag {
            return None;
        }
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => (
                usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?),
                rest.get(2..)?,
            ),
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}
