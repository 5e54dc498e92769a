//! What many tests begin with.

use serde_json::{Map, Value, json};

use crate::{Client, Server, root};

/// A server with its administrator, and somebody who is not logged in.
pub fn with_callers(server: Server) -> (Server, Client, Client) {
    let admin = root(&server);
    let anybody = server.client();
    (server, admin, anybody)
}

/// Creates a class, or adds to it: pairs of field name and type.
pub fn class(admin: &Client, name: &str, fields: &[(&str, &str)]) {
    let fields: Map<String, Value> = fields
        .iter()
        .map(|(name, ty)| ((*name).to_owned(), json!({ "type": format!("/db/{ty}") })))
        .collect();
    admin
        .post(&format!("/schema/{name}"), &json!({ "fields": fields }))
        .expect(200);
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32, rgb: [u8; 3]) -> Vec<u8> {
    let mut rows = Vec::new();
    for _ in 0..height {
        rows.push(0);
        rows.extend(std::iter::repeat_n(rgb, width as usize).flatten());
    }
    let mut stream = vec![0x78, 0x01];
    let mut pieces = rows.chunks(0xffff).peekable();
    while let Some(piece) = pieces.next() {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(pieces.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(piece);
    }
    let (a, b) = rows.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend((b << 16 | a).to_be_bytes());
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header), (b"IDAT", &stream), (b"IEND", &Vec::new())] {
        let chunk = [&kind[..], data].concat();
        png.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        png.extend(&chunk);
        png.extend(crc32(&chunk).to_be_bytes());
    }
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
