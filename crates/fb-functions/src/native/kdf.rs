//! Keys from passwords. Both functions are made to be slow, so both are bounded.

use rquickjs::{Ctx, Object};

use super::bytes::{Failure, Input, Output};
use super::hash::Algorithm;
use super::{Stop, define, give};

/// Longest key in bytes.
const MAX_KEY: usize = 1024;
/// Iterations times blocks of PBKDF2. Takes about two seconds; the call's time is looked at meanwhile.
const MAX_ITERATIONS: u64 = 2_000_000;
/// N × r × p of scrypt: twice Node's defaults.
const MAX_SCRYPT: u64 = 16_384 * 8 * 2;

pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let s = stop.clone();
    define(
        native,
        "pbkdf2",
        move |ctx: Ctx<'js>, name: String, password: Input, salt: Input, iterations: f64, length: f64| {
            give(
                &ctx,
                pbkdf2(&name, &password.0, &salt.0, iterations, length, &s).map(Output),
            )
        },
    )?;
    let s = stop.clone();
    define(
        native,
        "scrypt",
        move |ctx: Ctx<'js>, password: Input, salt: Input, n: f64, r: f64, p: f64, length: f64| {
            give(&ctx, scrypt(&password.0, &salt.0, [n, r, p], length, &s).map(Output))
        },
    )
}

fn key_length(length: f64) -> Result<usize, Failure> {
    if (0.0..=MAX_KEY as f64).contains(&length) {
        Ok(length as usize)
    } else {
        Err(Failure::new(
            "ERR_OUT_OF_RANGE",
            format!("keylen must be 0 to {MAX_KEY}"),
        ))
    }
}

/// RFC 8018, 5.2.
fn pbkdf2(
    name: &str,
    password: &[u8],
    salt: &[u8],
    iterations: f64,
    length: f64,
    stop: &Stop,
) -> Result<Vec<u8>, Failure> {
    let algorithm = Algorithm::parse(name)
        .map_err(|_| Failure::new("ERR_CRYPTO_INVALID_DIGEST", format!("Invalid digest: {name}")))?;
    let length = key_length(length)?;
    let keyed = algorithm.keyed(password)?;
    let n_blocks = length.div_ceil(keyed.finish().len());
    if !(1.0..=MAX_ITERATIONS as f64).contains(&iterations) || iterations as u64 * n_blocks as u64 > MAX_ITERATIONS {
        return Err(Failure::new(
            "ERR_OUT_OF_RANGE",
            format!("iterations times blocks of the key must be 1 to {MAX_ITERATIONS}"),
        ));
    }
    let mut key = Vec::with_capacity(length + 64);
    for block in 1..=n_blocks as u32 {
        let mut first = keyed.copy();
        first.update(salt);
        first.update(&block.to_be_bytes());
        let mut last = first.finish();
        let mut sum = last.clone();
        for i in 1..iterations as u64 {
            if i % 1024 == 0 && stop() {
                return Err(Failure::out_of_time());
            }
            let mut next = keyed.copy();
            next.update(&last);
            last = next.finish();
            for (sum, byte) in sum.iter_mut().zip(&last) {
                *sum ^= byte;
            }
        }
        key.extend_from_slice(&sum);
    }
    key.truncate(length);
    Ok(key)
}

fn scrypt(password: &[u8], salt: &[u8], cost: [f64; 3], length: f64, stop: &Stop) -> Result<Vec<u8>, Failure> {
    let length = key_length(length)?;
    let invalid = |reason: &str| {
        Failure::new(
            "ERR_CRYPTO_INVALID_SCRYPT_PARAMS",
            format!("Invalid scrypt params: {reason}"),
        )
    };
    let [n, r, p] = cost.map(|value| {
        if (1.0..=MAX_SCRYPT as f64).contains(&value) {
            value as u64
        } else {
            0
        }
    });
    if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
        return Err(invalid(
            "N is a power of two above 1, r and p are at least 1, and none is too large",
        ));
    }
    if n.saturating_mul(r).saturating_mul(p) > MAX_SCRYPT {
        return Err(invalid(&format!("N × r × p may be at most {MAX_SCRYPT}")));
    }
    if stop() {
        return Err(Failure::out_of_time());
    }
    let params =
        scrypt::Params::new(n.trailing_zeros() as u8, r as u32, p as u32).map_err(|_| invalid("out of range"))?;
    let mut key = vec![0; length];
    if length > 0 {
        scrypt::scrypt(password, salt, &params, &mut key).map_err(|_| invalid("out of range"))?;
    }
    Ok(key)
}
