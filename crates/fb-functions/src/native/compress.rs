//! gzip, zlib, deflate and Brotli, whole inputs at once.

use std::io::Read;

use flate2::Compression;
use flate2::bufread::{DeflateDecoder, DeflateEncoder, GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder};
use rquickjs::{Ctx, Object};

use super::bytes::{Failure, Input, MAX_BYTES, Output};
use super::{Stop, define, gate, give};

pub(super) fn install<'js>(native: &Object<'js>, stop: &Stop) -> rquickjs::Result<()> {
    let s = stop.clone();
    define(
        native,
        "compress",
        move |ctx: Ctx<'js>, format: String, bytes: Input, level: i32| {
            give(
                &ctx,
                gate(&s, bytes.0.len()).and_then(|()| compress(&format, &bytes.0, level).map(Output)),
            )
        },
    )?;
    let s = stop.clone();
    define(
        native,
        "decompress",
        move |ctx: Ctx<'js>, format: String, bytes: Input, limit: f64| {
            // What a few bytes grow to is not known before.
            give(
                &ctx,
                gate(&s, usize::MAX).and_then(|()| decompress(&format, &bytes.0, limit).map(Output)),
            )
        },
    )
}

/// The effort that is asked for, as far as it can be had in some 50 ms: what is large is compressed with less.
fn affordable(format: &str, level: i32, n_bytes: usize) -> u32 {
    let most = if format == "brotli" {
        match n_bytes {
            0..=0x8000 => 11,
            0x8001..=0x4_0000 => 9,
            0x4_0001..=0x10_0000 => 5,
            0x10_0001..=0x40_0000 => 2,
            _ => 0,
        }
    } else {
        match n_bytes {
            0..=0x8_0000 => 9,
            0x8_0001..=0x20_0000 => 6,
            _ => 1,
        }
    };
    let level = match (level, format) {
        (level, _) if level >= 0 => level.unsigned_abs(),
        (_, "brotli") => 11,
        _ => 6,
    };
    level.min(most)
}

fn compress(format: &str, bytes: &[u8], level: i32) -> Result<Vec<u8>, Failure> {
    let effort = affordable(format, level, bytes.len());
    let level = Compression::new(effort);
    let mut out = Vec::new();
    let read = match format {
        "gzip" => GzEncoder::new(bytes, level).read_to_end(&mut out),
        "deflate" => ZlibEncoder::new(bytes, level).read_to_end(&mut out),
        "deflateRaw" => DeflateEncoder::new(bytes, level).read_to_end(&mut out),
        "brotli" => brotli::CompressorReader::new(bytes, 4096, effort, 18).read_to_end(&mut out),
        _ => return Err(unknown()),
    };
    read.map_err(|_| Failure::new("Z_STREAM_ERROR", "cannot be compressed"))?;
    Ok(out)
}

fn decompress(format: &str, bytes: &[u8], limit: f64) -> Result<Vec<u8>, Failure> {
    let limit = if limit >= 1.0 {
        (limit as usize).min(MAX_BYTES)
    } else {
        MAX_BYTES
    };
    let is_gzip = bytes.starts_with(&[0x1f, 0x8b]);
    match format {
        "gzip" => gunzip(bytes, limit),
        "unzip" if is_gzip => decompress("gzip", bytes, limit as f64),
        "deflate" | "unzip" => limited(ZlibDecoder::new(bytes), limit, "incorrect header check", bytes),
        "deflateRaw" => limited(DeflateDecoder::new(bytes), limit, "invalid stored block lengths", bytes),
        "brotli" => match limited(
            brotli::Decompressor::new(bytes, 4096),
            limit,
            "Decompression failed",
            bytes,
        ) {
            Err(failure) if failure.code() == "ERR_BUFFER_TOO_LARGE" => Err(failure),
            Err(_) => Err(Failure::new("ERR__ERROR_FORMAT_PADDING_1", "Decompression failed")),
            Ok(out) => Ok(out),
        },
        _ => Err(unknown()),
    }
}

/// Member after member. What follows the last one and does not begin like one is ignored, as in Node.
fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
    let wrong = "incorrect header check";
    if !bytes.is_empty() && bytes[0] != 0x1f {
        return Err(Failure::new("Z_DATA_ERROR", wrong));
    }
    let mut rest = bytes;
    let mut out = limited(GzDecoder::new(&mut rest), limit, wrong, bytes)?;
    while rest.starts_with(&[0x1f, 0x8b]) {
        let before = rest;
        // One byte more than allowed is one byte too many.
        let room = limit.saturating_sub(out.len());
        out.extend(limited(GzDecoder::new(&mut rest), room, wrong, before)?);
    }
    Ok(out)
}

fn limited(mut reader: impl Read, limit: usize, what: &str, input: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let result = reader.by_ref().take(limit as u64 + 1).read_to_end(&mut out);
    if out.len() > limit {
        return Err(Failure::new(
            "ERR_BUFFER_TOO_LARGE",
            format!("Cannot create a Buffer larger than {limit} bytes"),
        ));
    }
    match result {
        Ok(_) if !input.is_empty() => Ok(out),
        Ok(_) => Err(Failure::new("Z_BUF_ERROR", "unexpected end of file")),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(Failure::new("Z_BUF_ERROR", "unexpected end of file"))
        }
        Err(_) => Err(Failure::new("Z_DATA_ERROR", what)),
    }
}

fn unknown() -> Failure {
    Failure::new("ERR_INVALID_ARG_VALUE", "no such format")
}
