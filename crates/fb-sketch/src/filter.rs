//! A filter as clients hold it, and its forms on the wire.

use base64ct::{Base64, Encoding};
use serde::Deserialize;

use crate::KeyHash;

/// Bits a filter from the wire may have: 8 MiB of them.
pub const MAX_BITS: u32 = 1 << 26;

/// Hash functions a filter from the wire may have.
pub const MAX_HASHES: u8 = 32;

/// Bytes that are no filter, or no change of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a filter at all.
    #[error("not an encoded filter: fetch it again")]
    Syntax,
    /// A number of bits or hash functions that no server sends.
    #[error("a filter has 1 to {MAX_BITS} bits and 1 to {MAX_HASHES} hash functions")]
    Size,
    /// A change of another filter than the one at hand.
    #[error("the change belongs to another version: fetch the whole filter")]
    OtherVersion,
}

/// A Bloom filter at rest: answers whether a key may be stale.
///
/// Shape: bit `i` is in byte `i / 8`, mask `1 << (i % 8)`. No false negatives; false positives at the rate of
/// [`false_positives`](Self::false_positives).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    m: u32,
    h: u8,
    bits: Box<[u8]>,
}

impl Filter {
    /// A filter from its parts; `bits` may be short, what is missing is zero.
    ///
    /// # Errors
    /// [`Malformed::Size`] if `m` or `h` is out of range, or there are more bytes than `m` has.
    pub fn new(m: u32, h: u8, bits: &[u8]) -> Result<Self, Malformed> {
        if m == 0 || m > MAX_BITS || h == 0 || h > MAX_HASHES {
            return Err(Malformed::Size);
        }
        let n_bytes = m.div_ceil(8) as usize;
        if bits.len() > n_bytes {
            return Err(Malformed::Size);
        }
        let mut own = vec![0; n_bytes].into_boxed_slice();
        own[..bits.len()].copy_from_slice(bits);
        Ok(Self { m, h, bits: own })
    }

    /// The filter that contains nothing.
    pub fn empty() -> Self {
        Self {
            m: 1,
            h: 1,
            bits: Box::new([0]),
        }
    }

    /// The filter that contains everything.
    pub fn full() -> Self {
        Self {
            m: 8,
            h: 1,
            bits: Box::new([0xff]),
        }
    }

    /// Number of bits.
    pub fn m(&self) -> u32 {
        self.m
    }

    /// Number of hash functions.
    pub fn h(&self) -> u8 {
        self.h
    }

    /// The bits, `m / 8` bytes rounded up.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    pub(crate) fn bits_mut(&mut self) -> &mut [u8] {
        &mut self.bits
    }

    /// Whether a copy of this key may be out of date.
    ///
    /// Cost: at most `h` looks.
    pub fn contains(&self, key: KeyHash) -> bool {
        key.positions(self.m, self.h)
            .all(|i| self.bits[i as usize / 8] & 1 << (i % 8) != 0)
    }

    /// Number of bits that are set.
    pub fn ones(&self) -> u32 {
        self.bits.iter().map(|byte| byte.count_ones()).sum()
    }

    /// How likely a key that is not in it seems to be, from the bits: `(ones / m) ^ h`.
    pub fn false_positives(&self) -> f64 {
        (f64::from(self.ones()) / f64::from(self.m))
            .min(1.0)
            .powi(i32::from(self.h))
    }

    /// Number of keys, estimated from the bits; infinite for a full filter.
    pub fn population(&self) -> f64 {
        let (m, h) = (f64::from(self.m), f64::from(self.h));
        -(m / h) * (-f64::from(self.ones()) / m).ln_1p()
    }

    /// The filter that contains what either contains, as of the *earlier* of their generations. For nodes that each keep a
    /// part of the keys.
    ///
    /// # Errors
    /// [`Malformed::OtherVersion`] if they differ in size or hash functions.
    pub fn union(&self, other: &Self) -> Result<Self, Malformed> {
        if (self.m, self.h) != (other.m, other.h) {
            return Err(Malformed::OtherVersion);
        }
        let bits = self.bits.iter().zip(&other.bits).map(|(a, b)| a | b).collect();
        Ok(Self {
            m: self.m,
            h: self.h,
            bits,
        })
    }

    /// The form of the published clients: `{"m":…,"h":…,"b":"…"}` with standard Base64; zero bytes at the end are left out.
    ///
    /// Source: protocol 07, section 2.
    pub fn to_json(&self) -> String {
        format!(
            r#"{{"m":{},"h":{},"b":"{}"}}"#,
            self.m,
            self.h,
            Base64::encode_string(self.significant())
        )
    }

    /// Reads [`to_json`](Self::to_json); unknown members are ignored.
    ///
    /// # Errors
    /// [`Malformed`]; never panics.
    pub fn from_json(json: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Wire<'a> {
            m: u32,
            h: u8,
            #[serde(borrow)]
            b: std::borrow::Cow<'a, str>,
        }
        let wire: Wire<'_> = serde_json::from_slice(json).map_err(|_| Malformed::Syntax)?;
        let bits = Base64::decode_vec(&wire.b).map_err(|_| Malformed::Syntax)?;
        Self::new(wire.m, wire.h, &bits)
    }

    /// The bits without zero bytes at the end.
    pub(crate) fn significant(&self) -> &[u8] {
        let n = self.bits.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &self.bits[..n]
    }
}

/// How likely a filter of `m` bits and `h` hash functions with `n` keys says yes to another key.
pub fn false_positive_rate(m: u32, h: u8, n: usize) -> f64 {
    let load = f64::from(h) * n as f64 / f64::from(m);
    (1.0 - (-load).exp()).powi(i32::from(h))
}

/// How many keys a filter of `m` bits and `h` hash functions holds until a share `rate` of other keys seems to be in it.
pub fn capacity(m: u32, h: u8, rate: f64) -> usize {
    let h = f64::from(h);
    let n = -(f64::from(m) / h) * (-rate.clamp(0.0, 1.0).powf(1.0 / h)).ln_1p();
    n as usize
}
