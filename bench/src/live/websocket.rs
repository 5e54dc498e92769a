//! Just enough WebSocket (RFC 6455) for a load client: the handshake, masked frames out, unmasked ones in.
//!
//! No extensions, no fragments: whoever sends either is refused. The accept key is not looked at, because the server is
//! the one that was just started.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::http;

/// Frames longer than this are taken for nonsense.
const MAX_PAYLOAD: u64 = 64 << 20;
/// Any key will do where nobody stands between.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message.
    Text,
    /// The end; the payload is a code and a reason.
    Close,
    /// To be answered with the same payload.
    Ping,
    /// Whatever else there is.
    Other,
}

/// A complete frame at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'b> {
    /// What it is.
    pub(crate) kind: Kind,
    /// What it carries.
    pub(crate) payload: &'b [u8],
    /// Its length with the header.
    pub(crate) len: usize,
}

/// Asks for a WebSocket on a fresh connection; bytes that came behind the answer, mostly none.
pub(crate) fn open(stream: &mut TcpStream, host: &str, path: &str) -> Result<Vec<u8>> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).context("asking for a WebSocket")?;
    let mut buffer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).context("waiting for a WebSocket")?;
        ensure!(count > 0, "the server closed a connection that asked for a WebSocket");
        buffer.extend_from_slice(&chunk[..count]);
        if let Some(head_len) = http::find_head_end(&buffer) {
            let head = String::from_utf8_lossy(&buffer[..head_len]).into_owned();
            ensure!(
                head.starts_with("HTTP/1.1 101 "),
                "no WebSocket but {}",
                String::from_utf8_lossy(&buffer)
            );
            return Ok(buffer.split_off(head_len));
        }
    }
}

/// Appends a message.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_frame(out, 0x1, text.as_bytes());
}

/// Appends the answer to a ping.
pub(crate) fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_frame(out, 0xa, payload);
}

fn write_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    write_length(out, 0x80, payload.len());
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends a length with the bit that says whether the payload is masked.
fn write_length(out: &mut Vec<u8>, mask_bit: u8, len: usize) {
    match len {
        0..126 => out.push(mask_bit | len as u8),
        126..=0xffff => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Finds the frame at the start of `buffer`; `None` while it is incomplete.
pub(crate) fn next_frame(buffer: &[u8]) -> Result<Option<Frame<'_>>> {
    let [first, second, rest @ ..] = buffer else {
        return Ok(None);
    };
    ensure!(second & 0x80 == 0, "a frame of the server is masked");
    let (extended, short) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, short),
    };
    let Some(length) = rest.get(..extended) else {
        return Ok(None);
    };
    let length = match extended {
        0 => u64::from(short),
        _ => length.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
    };
    ensure!(length <= MAX_PAYLOAD, "a frame claims {length} bytes");
    let start = 2 + extended;
    let len = start + length as usize;
    let kind = match first {
        0x81 => Kind::Text,
        0x88 => Kind::Close,
        0x89 => Kind::Ping,
        0x8a => Kind::Other,
        other => bail!("a frame begins with {other:#x}"),
    };
    Ok(buffer.get(start..len).map(|payload| Frame { kind, payload, len }))
}

/// Appends a message of a server's.
pub(crate) fn write_unmasked_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(0x81);
    write_length(out, 0, text.len());
    out.extend_from_slice(text);
}

/// Finds a client's message at the start of a buffer; gives it with the length of its frame.
pub(crate) fn next_masked(buffer: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let Some(second) = buffer.get(1) else { return Ok(None) };
    ensure!(second & 0x80 != 0, "a frame of the client is not masked");
    // The same without the mask, which stands between header and payload.
    let mut unmasked = buffer.to_vec();
    unmasked[1] &= 0x7f;
    let header = 2 + match unmasked[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(mask) = buffer.get(header..header + 4) else {
        return Ok(None);
    };
    unmasked.drain(header..header + 4);
    Ok(next_frame(&unmasked)?.map(|frame| {
        let text = frame
            .payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask);
        (text.collect(), frame.len + 4)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_lengths_are_found_once_they_are_complete() {
        for len in [0, 1, 125, 126, 300, 0xffff, 0x1_0000] {
            let payload = vec![b'x'; len];
            let mut bytes = Vec::new();
            write_unmasked_text(&mut bytes, &payload);
            for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                assert_eq!(next_frame(&bytes[..end]).unwrap(), None, "{len} cut at {end}");
            }
            let whole = bytes.len();
            bytes.extend_from_slice(b"\x81\x01");
            let frame = next_frame(&bytes).unwrap().unwrap();
            assert_eq!(
                (frame.kind, frame.len, frame.payload),
                (Kind::Text, whole, &payload[..])
            );
        }
    }

    #[test]
    fn what_is_sent_is_masked() {
        let mut out = Vec::new();
        write_text(&mut out, "Hello");
        assert_eq!(out[..6], [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
        // The example of RFC 6455, 5.7.
        assert_eq!(out[6..], [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn what_is_sent_is_understood() {
        for len in [0, 1, 125, 126, 300, 0x1_0000] {
            let text = "x".repeat(len);
            let mut bytes = Vec::new();
            write_text(&mut bytes, &text);
            assert_eq!(next_masked(&bytes[..bytes.len() - 1]).unwrap(), None);
            let whole = bytes.len();
            bytes.push(b'y');
            assert_eq!(next_masked(&bytes).unwrap(), Some((text.into_bytes(), whole)));
        }
    }

    #[test]
    fn fragments_and_masked_frames_are_refused() {
        assert!(next_frame(b"\x01\x01a").is_err());
        assert!(next_frame(b"\x81\x81aaaaa").is_err());
    }
}
