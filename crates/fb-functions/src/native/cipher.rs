//! AES in the modes CBC, CTR and GCM, piece by piece.

use aes::cipher::{Array, Block, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, StreamCipher};
use aes::{Aes128, Aes192, Aes256};
use ctr::cipher::KeyInit;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use rquickjs::function::{MutFn, Opt};
use rquickjs::{Ctx, Function, Object};
use subtle::ConstantTimeEq;

use super::bytes::{Failure, Input, Output};
use super::{Stop, define, gate, give};

const BLOCK: usize = 16;

/// What a mode does with pieces of text.
trait Mode {
    /// Takes text and gives what can be given already.
    fn update(&mut self, bytes: &[u8]) -> Vec<u8>;
    /// Gives the rest. `tag` is what GCM is to be checked against; encrypting GCM ends with the tag.
    fn finish(&mut self, tag: Option<&[u8]>) -> Result<Vec<u8>, Failure>;
    /// Takes data that is authenticated only, before any text.
    fn authenticate(&mut self, bytes: &[u8]);
}

/// `native.cipher(name, key, iv, decrypts, pads)` gives a function `(step, bytes?)`; steps are `aad`, `update`, `final`.
pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let stop = stop.clone();
    define(
        native,
        "cipher",
        move |ctx: Ctx<'js>, name: String, key: Input, iv: Input, decrypts: bool, pads: bool| {
            let mode = give(&ctx, open(&name, &key.0, &iv.0, decrypts, pads))?;
            steps(&ctx, mode, stop.clone())
        },
    )
}

fn steps<'js>(ctx: &Ctx<'js>, mut mode: Box<dyn Mode>, stop: Stop) -> rquickjs::Result<Function<'js>> {
    Function::new(
        ctx.clone(),
        MutFn::from(move |ctx: Ctx<'js>, step: String, bytes: Opt<Option<Input>>| {
            let bytes = bytes.0.flatten().map(|input| input.0);
            let text = bytes.as_deref().unwrap_or_default();
            give(&ctx, gate(&stop, text.len()))?;
            let result = match step.as_str() {
                "aad" => {
                    mode.authenticate(text);
                    Ok(Vec::new())
                }
                "update" => Ok(mode.update(text)),
                _ => mode.finish(bytes.as_deref()),
            };
            give(&ctx, result.map(Output))
        }),
    )
}

fn open(name: &str, key: &[u8], iv: &[u8], decrypts: bool, pads: bool) -> Result<Box<dyn Mode>, Failure> {
    match name {
        "aes-128-cbc" => cbc::<Aes128>(key, iv, decrypts, pads),
        "aes-192-cbc" => cbc::<Aes192>(key, iv, decrypts, pads),
        "aes-256-cbc" => cbc::<Aes256>(key, iv, decrypts, pads),
        "aes-128-ctr" => ctr::<Aes128>(key, iv),
        "aes-192-ctr" => ctr::<Aes192>(key, iv),
        "aes-256-ctr" => ctr::<Aes256>(key, iv),
        "aes-128-gcm" => gcm::<Aes128>(key, iv, decrypts),
        "aes-192-gcm" => gcm::<Aes192>(key, iv, decrypts),
        "aes-256-gcm" => gcm::<Aes256>(key, iv, decrypts),
        _ => Err(Failure::new("ERR_CRYPTO_UNKNOWN_CIPHER", "Unknown cipher")),
    }
}

/// What the modes want of AES.
trait Aes:
    BlockCipherEncrypt<BlockSize = ghash::universal_hash::consts::U16> + aes::cipher::BlockCipherDecrypt + KeyInit + 'static
{
}

impl Aes for Aes128 {}
impl Aes for Aes192 {}
impl Aes for Aes256 {}

fn aes<A: Aes>(key: &[u8]) -> Result<A, Failure> {
    A::new_from_slice(key).map_err(|_| Failure::new("ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length"))
}

fn iv_block(iv: &[u8]) -> Result<Array<u8, ghash::universal_hash::consts::U16>, Failure> {
    Array::try_from(iv).map_err(|_| invalid_iv())
}

fn invalid_iv() -> Failure {
    Failure::new("ERR_CRYPTO_INVALID_IV", "Invalid initialization vector")
}

fn cbc<A: Aes>(key: &[u8], iv: &[u8], decrypts: bool, pads: bool) -> Result<Box<dyn Mode>, Failure> {
    let (aes, iv) = (aes::<A>(key)?, iv_block(iv)?);
    Ok(if decrypts {
        Box::new(CbcDecrypt {
            mode: cbc::Decryptor::inner_iv_init(aes, &iv),
            rest: Vec::new(),
            pads,
        })
    } else {
        Box::new(CbcEncrypt {
            mode: cbc::Encryptor::inner_iv_init(aes, &iv),
            rest: Vec::new(),
            pads,
        })
    })
}

struct CbcEncrypt<A: Aes> {
    mode: cbc::Encryptor<A>,
    /// Less than a block.
    rest: Vec<u8>,
    pads: bool,
}

impl<A: Aes> Mode for CbcEncrypt<A> {
    fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut out: Vec<u8> = self.rest.drain(..self.rest.len() / BLOCK * BLOCK).collect();
        for chunk in out.chunks_exact_mut(BLOCK) {
            if let Ok(block) = <&mut Block<A>>::try_from(chunk) {
                self.mode.encrypt_block(block);
            }
        }
        out
    }

    fn finish(&mut self, _tag: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        if self.pads {
            let n_padding = BLOCK - self.rest.len();
            return Ok(self.update(&vec![n_padding as u8; n_padding]));
        }
        if self.rest.is_empty() {
            return Ok(Vec::new());
        }
        Err(Failure::new(
            "ERR_OSSL_WRONG_FINAL_BLOCK_LENGTH",
            "wrong final block length",
        ))
    }

    fn authenticate(&mut self, _bytes: &[u8]) {}
}

struct CbcDecrypt<A: Aes> {
    mode: cbc::Decryptor<A>,
    /// Up to a block; with padding the last one has to wait for the end.
    rest: Vec<u8>,
    pads: bool,
}

impl<A: Aes> CbcDecrypt<A> {
    fn decrypt(&mut self, n_blocks: usize) -> Vec<u8> {
        let mut out: Vec<u8> = self.rest.drain(..n_blocks * BLOCK).collect();
        for chunk in out.chunks_exact_mut(BLOCK) {
            if let Ok(block) = <&mut Block<A>>::try_from(chunk) {
                self.mode.decrypt_block(block);
            }
        }
        out
    }
}

impl<A: Aes> Mode for CbcDecrypt<A> {
    fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let kept = usize::from(self.pads);
        self.decrypt((self.rest.len().saturating_sub(kept)) / BLOCK)
    }

    fn finish(&mut self, _tag: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        if !self.pads && self.rest.is_empty() {
            return Ok(Vec::new());
        }
        if self.rest.len() != BLOCK {
            return Err(Failure::new(
                "ERR_OSSL_WRONG_FINAL_BLOCK_LENGTH",
                "wrong final block length",
            ));
        }
        let mut last = self.decrypt(1);
        let n_padding = usize::from(last.last().copied().unwrap_or_default());
        if !(1..=BLOCK).contains(&n_padding)
            || last[BLOCK - n_padding..]
                .iter()
                .any(|&byte| usize::from(byte) != n_padding)
        {
            return Err(Failure::new("ERR_OSSL_BAD_DECRYPT", "bad decrypt"));
        }
        last.truncate(BLOCK - n_padding);
        Ok(last)
    }

    fn authenticate(&mut self, _bytes: &[u8]) {}
}

fn ctr<A: Aes>(key: &[u8], iv: &[u8]) -> Result<Box<dyn Mode>, Failure> {
    Ok(Box::new(Ctr(ctr::Ctr128BE::from_core(ctr::CtrCore::inner_iv_init(
        aes::<A>(key)?,
        &iv_block(iv)?,
    )))))
}

struct Ctr<A: Aes>(ctr::Ctr128BE<A>);

impl<A: Aes> Mode for Ctr<A> {
    fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        self.0.apply_keystream(&mut out);
        out
    }

    fn finish(&mut self, _tag: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    fn authenticate(&mut self, _bytes: &[u8]) {}
}

/// NIST SP 800-38D.
fn gcm<A: Aes>(key: &[u8], iv: &[u8], decrypts: bool) -> Result<Box<dyn Mode>, Failure> {
    if iv.is_empty() {
        return Err(invalid_iv());
    }
    let aes = aes::<A>(key)?;
    let mut subkey = Block::<A>::default();
    aes.encrypt_block(&mut subkey);
    let hash = GHash::new(&subkey);
    let mut counter = [0; BLOCK];
    if iv.len() == 12 {
        counter[..12].copy_from_slice(iv);
        counter[15] = 1;
    } else {
        let mut hash = hash.clone();
        hash.update_padded(iv);
        hash.update(&[lengths(0, iv.len())]);
        counter.copy_from_slice(&hash.finalize());
    }
    let mut stream = ctr::Ctr32BE::from_core(ctr::CtrCore::inner_iv_init(aes, &Array::from(counter)));
    let mut mask = [0; BLOCK];
    stream.apply_keystream(&mut mask);
    Ok(Box::new(Gcm {
        stream,
        mask,
        hash,
        rest: Vec::new(),
        n_aad: 0,
        n_text: 0,
        decrypts,
    }))
}

fn lengths(n_aad: usize, n_text: usize) -> ghash::Block {
    let mut block = [0; BLOCK];
    block[..8].copy_from_slice(&(n_aad as u64 * 8).to_be_bytes());
    block[8..].copy_from_slice(&(n_text as u64 * 8).to_be_bytes());
    block.into()
}

struct Gcm<A: Aes> {
    stream: ctr::Ctr32BE<A>,
    /// The first block of the key stream: what the tag is encrypted with.
    mask: [u8; BLOCK],
    hash: GHash,
    /// Less than a block that is not hashed yet.
    rest: Vec<u8>,
    n_aad: usize,
    n_text: usize,
    decrypts: bool,
}

impl<A: Aes> Gcm<A> {
    fn hash(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole: Vec<u8> = self.rest.drain(..self.rest.len() / BLOCK * BLOCK).collect();
        self.hash.update_padded(&whole);
    }

    fn pad(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        self.hash.update_padded(&rest);
    }
}

impl<A: Aes> Mode for Gcm<A> {
    fn update(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.n_text == 0 {
            self.pad();
        }
        self.n_text += bytes.len();
        let mut out = bytes.to_vec();
        self.stream.apply_keystream(&mut out);
        self.hash(if self.decrypts { bytes } else { &out });
        out
    }

    fn finish(&mut self, tag: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        self.pad();
        let mut hash = self.hash.clone();
        hash.update(&[lengths(self.n_aad, self.n_text)]);
        let mut computed = hash.finalize().to_vec();
        for (byte, mask) in computed.iter_mut().zip(self.mask) {
            *byte ^= mask;
        }
        if !self.decrypts {
            return Ok(computed);
        }
        let tag = tag.unwrap_or_default();
        // Shorter tags are allowed down to what Node allows; which length is expected is the caller's business.
        if matches!(tag.len(), 4 | 8 | 12..=16) && bool::from(computed[..tag.len()].ct_eq(tag)) {
            return Ok(Vec::new());
        }
        Err(Failure::new("", "Unsupported state or unable to authenticate data"))
    }

    fn authenticate(&mut self, bytes: &[u8]) {
        self.n_aad += bytes.len();
        self.hash(bytes);
    }
}
