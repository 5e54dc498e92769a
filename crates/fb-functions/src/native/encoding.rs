//! Text and bytes. What JavaScript has itself (`toBase64`, `toHex`) is not repeated; decoding is, because Node is lenient.

use rquickjs::{Ctx, Object};

use super::bytes::{Failure, Input, Output};
use super::{Stop, define, gate, give};

pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let s = stop.clone();
    define(native, "utf8Encode", move |ctx: Ctx<'js>, text: String| {
        give(&ctx, gate(&s, text.len()).map(|()| Output(text.into_bytes())))
    })?;
    define(native, "utf8Length", |text: String| text.len())?;
    let s = stop.clone();
    define(native, "utf8Decode", move |ctx: Ctx<'js>, bytes: Input, fatal: bool| {
        give(&ctx, gate(&s, bytes.0.len()).and_then(|()| utf8_decode(bytes.0, fatal)))
    })?;
    let s = stop.clone();
    define(native, "latin1Decode", move |ctx: Ctx<'js>, bytes: Input| {
        give(&ctx, gate(&s, bytes.0.len()).map(|()| latin1_decode(&bytes.0)))
    })?;
    let s = stop.clone();
    define(native, "latin1Encode", move |ctx: Ctx<'js>, text: String| {
        give(&ctx, gate(&s, text.len()).map(|()| Output(latin1_encode(&text))))
    })?;
    let s = stop.clone();
    define(native, "base64Decode", move |ctx: Ctx<'js>, text: String| {
        give(&ctx, gate(&s, text.len()).map(|()| Output(base64_decode(&text))))
    })?;
    let s = stop.clone();
    define(native, "hexDecode", move |ctx: Ctx<'js>, text: String| {
        give(&ctx, gate(&s, text.len()).map(|()| Output(hex_decode(&text))))
    })?;
    let s = stop.clone();
    define(native, "compare", move |ctx: Ctx<'js>, a: Input, b: Input| {
        give(&ctx, gate(&s, a.0.len()).map(|()| a.0.cmp(&b.0) as i32))
    })?;
    let s = stop.clone();
    define(native, "timingSafeEqual", move |ctx: Ctx<'js>, a: Input, b: Input| {
        let equal = || bool::from(subtle::ConstantTimeEq::ct_eq(&a.0[..], &b.0[..]));
        give(&ctx, gate(&s, a.0.len().max(b.0.len())).map(|()| equal()))
    })
}

fn utf8_decode(bytes: Vec<u8>, fatal: bool) -> Result<String, Failure> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) if fatal => Err(Failure::new(
            "ERR_ENCODING_INVALID_ENCODED_DATA",
            "The encoded data was not valid for encoding utf-8",
        )),
        Err(error) => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

fn latin1_decode(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The lower byte of each UTF-16 unit, as Node.
fn latin1_encode(text: &str) -> Vec<u8> {
    text.encode_utf16().map(|unit| unit.to_le_bytes()[0]).collect()
}

/// Both alphabets; what belongs to neither is skipped; the end is the first `=`.
fn base64_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut bits = 0_u32;
    let mut n_bits = 0;
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits & 0xff) as u8);
        }
    }
    bytes
}

/// Up to the first pair that is none.
fn hex_decode(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks_exact(2)
        .map_while(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

fn digit(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).map(|value| value as u8)
}
