//! Hashes and HMACs that are fed piece by piece.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rquickjs::function::{MutFn, Opt};
use rquickjs::{Ctx, Function, IntoJs, Object, Value};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::bytes::{Failure, Input, Output};
use super::{Stop, define, gate, give};

/// A hash or a keyed hash in the middle of its work.
pub(super) trait Hashing {
    fn update(&mut self, bytes: &[u8]);
    fn finish(&self) -> Vec<u8>;
    fn copy(&self) -> Box<dyn Hashing>;
}

#[derive(Clone)]
struct Plain<D>(D);

impl<D: Digest + Clone + 'static> Hashing for Plain<D> {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> Vec<u8> {
        self.0.clone().finalize().to_vec()
    }

    fn copy(&self) -> Box<dyn Hashing> {
        Box::new(Self(self.0.clone()))
    }
}

struct Keyed<M>(M);

impl<M: Mac + Clone + 'static> Hashing for Keyed<M> {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> Vec<u8> {
        self.0.clone().finalize().into_bytes().to_vec()
    }

    fn copy(&self) -> Box<dyn Hashing> {
        Box::new(Self(self.0.clone()))
    }
}

/// The algorithms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// By Node's names, in any case.
    pub(super) fn parse(name: &str) -> Result<Self, Failure> {
        match name.to_ascii_lowercase().as_str() {
            "md5" | "rsa-md5" => Ok(Self::Md5),
            "sha1" | "sha-1" | "rsa-sha1" => Ok(Self::Sha1),
            "sha224" | "sha-224" | "rsa-sha224" => Ok(Self::Sha224),
            "sha256" | "sha-256" | "rsa-sha256" => Ok(Self::Sha256),
            "sha384" | "sha-384" | "rsa-sha384" => Ok(Self::Sha384),
            "sha512" | "sha-512" | "rsa-sha512" => Ok(Self::Sha512),
            _ => Err(Failure::new("ERR_OSSL_EVP_UNSUPPORTED", "Digest method not supported")),
        }
    }

    fn plain(self) -> Box<dyn Hashing> {
        match self {
            Self::Md5 => Box::new(Plain(Md5::new())),
            Self::Sha1 => Box::new(Plain(Sha1::new())),
            Self::Sha224 => Box::new(Plain(Sha224::new())),
            Self::Sha256 => Box::new(Plain(Sha256::new())),
            Self::Sha384 => Box::new(Plain(Sha384::new())),
            Self::Sha512 => Box::new(Plain(Sha512::new())),
        }
    }

    pub(super) fn keyed(self, key: &[u8]) -> Result<Box<dyn Hashing>, Failure> {
        fn new<M: Mac + KeyInit + Clone + 'static>(key: &[u8]) -> Result<Box<dyn Hashing>, Failure> {
            <M as KeyInit>::new_from_slice(key)
                .map(|mac| Box::new(Keyed(mac)) as Box<dyn Hashing>)
                .map_err(|_| Failure::new("ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length"))
        }
        match self {
            Self::Md5 => new::<Hmac<Md5>>(key),
            Self::Sha1 => new::<Hmac<Sha1>>(key),
            Self::Sha224 => new::<Hmac<Sha224>>(key),
            Self::Sha256 => new::<Hmac<Sha256>>(key),
            Self::Sha384 => new::<Hmac<Sha384>>(key),
            Self::Sha512 => new::<Hmac<Sha512>>(key),
        }
    }
}

/// `native.hasher(name, key?)` is a function: with bytes it takes them in, without it gives the digest so far, with `true` it gives a
/// copy of itself. The state lives in the function and goes with it.
pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let stop = stop.clone();
    define(native, "hasher", move |ctx: Ctx<'js>, name: String, key: Opt<Input>| {
        let state = give(
            &ctx,
            Algorithm::parse(&name).and_then(|algorithm| match key.0 {
                Some(key) => algorithm.keyed(&key.0),
                None => Ok(algorithm.plain()),
            }),
        )?;
        hasher(&ctx, state, stop.clone())
    })
}

fn hasher<'js>(ctx: &Ctx<'js>, mut state: Box<dyn Hashing>, stop: Stop) -> rquickjs::Result<Function<'js>> {
    Function::new(
        ctx.clone(),
        MutFn::from(
            move |ctx: Ctx<'js>, what: Opt<Value<'js>>| -> rquickjs::Result<Value<'js>> {
                let Some(what) = what.0 else {
                    return Output(state.finish()).into_js(&ctx);
                };
                if what.is_bool() {
                    return hasher(&ctx, state.copy(), stop.clone())?.into_js(&ctx);
                }
                let Input(bytes) = what.get()?;
                give(&ctx, gate(&stop, bytes.len()))?;
                state.update(&bytes);
                Ok(Value::new_undefined(ctx))
            },
        ),
    )
}
