//! Types by the first bytes. Only such as do nothing in a browser: who uploads without a type has not asked for more.

/// What a file begins with, and the normal form of its type.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\0\0\x01\0", "image/vnd.microsoft.icon"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"OTTO\0", "font/otf"),
    (b"\0\x01\0\0\0", "font/ttf"),
    (b"\0asm", "application/wasm"),
];

/// The brands of files in the ISO container, which stand behind `ftyp`.
const BRANDS: &[(&[u8], &str)] = &[
    (b"avif", "image/avif"),
    (b"avis", "image/avif"),
    (b"heic", "image/heic"),
    (b"heix", "image/heic"),
    (b"mif1", "image/heif"),
    (b"msf1", "image/heif"),
    (b"qt  ", "video/quicktime"),
    (b"M4A ", "audio/mp4"),
    (b"M4B ", "audio/mp4"),
    (b"isom", "video/mp4"),
    (b"iso", "video/mp4"),
    (b"mp4", "video/mp4"),
    (b"avc1", "video/mp4"),
    (b"M4V", "video/mp4"),
    (b"MSNV", "video/mp4"),
    (b"dash", "video/mp4"),
    (b"3gp", "video/3gpp"),
];

/// The normal form of the type that goes with what a file begins with.
pub(super) fn by_bytes(bytes: &[u8]) -> Option<&'static str> {
    let known = |table: &'static [(&[u8], &'static str)], bytes: &[u8]| {
        let found = table.iter().find(|(start, _)| bytes.starts_with(start));
        found.map(|(_, text)| *text)
    };
    known(SIGNATURES, bytes)
        .or_else(|| known(BRANDS, part(bytes, 4, b"ftyp")?))
        .or_else(|| riff(bytes))
        .or_else(|| ogg(bytes))
        .or_else(|| matroska(bytes))
        .or_else(|| bitmap(bytes))
        .or_else(|| tar(bytes))
        .or_else(|| mpeg_audio(bytes))
}

/// What follows `mark` at `at`.
fn part<'a>(bytes: &'a [u8], at: usize, mark: &[u8]) -> Option<&'a [u8]> {
    bytes.get(at..)?.strip_prefix(mark)
}

fn riff(bytes: &[u8]) -> Option<&'static str> {
    match part(bytes, 0, b"RIFF")?.get(4..8)? {
        b"WEBP" => Some("image/webp"),
        b"WAVE" => Some("audio/wav"),
        b"AVI " => Some("video/x-msvideo"),
        _ => None,
    }
}

/// Video when the first stream is one; the name of its codec is in the first page.
fn ogg(bytes: &[u8]) -> Option<&'static str> {
    let page = part(bytes, 0, b"OggS")?;
    let page = &page[..page.len().min(64)];
    let is_video = page.windows(7).any(|seven| seven == b"\x80theora");
    Some(if is_video { "video/ogg" } else { "audio/ogg" })
}

fn matroska(bytes: &[u8]) -> Option<&'static str> {
    let head = part(bytes, 0, b"\x1a\x45\xdf\xa3")?;
    let head = &head[..head.len().min(64)];
    let is_webm = head.windows(4).any(|four| four == b"webm");
    Some(if is_webm { "video/webm" } else { "video/matroska" })
}

/// Two letters are few: the size of its header is looked at too.
fn bitmap(bytes: &[u8]) -> Option<&'static str> {
    let header = part(bytes, 0, b"BM")?.get(12..16)?;
    matches!(header, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]).then_some("image/bmp")
}

fn tar(bytes: &[u8]) -> Option<&'static str> {
    part(bytes, 257, b"ustar").map(|_| "application/x-tar")
}

/// A frame without a tag before it: eleven set bits, layer 3, and a bit rate and sampling rate that exist.
fn mpeg_audio(bytes: &[u8]) -> Option<&'static str> {
    let [0xff, second, third, ..] = bytes else { return None };
    let is_layer_3 = matches!(second, 0xfa | 0xfb | 0xf2 | 0xf3);
    let (bit_rate, sampling) = (third >> 4, third >> 2 & 3);
    (is_layer_3 && !matches!(bit_rate, 0 | 15) && sampling != 3).then_some("audio/mpeg")
}

#[cfg(test)]
mod tests {
    use super::super::{Disposition, disposition, normalise};
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let mut tar = vec![0; 257];
        tar.extend_from_slice(b"ustar\0");
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n"[..], "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (b"\0\0\0\x20ftypavif", "image/avif"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"\0\0\0\x20ftypmp42", "video/mp4"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
            (
                b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead",
                "audio/ogg",
            ),
            (
                b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x2a\x80theora",
                "video/ogg",
            ),
            (b"ID3\x04", "audio/mpeg"),
            (b"\xff\xfb\x90\x64", "audio/mpeg"),
            (b"%PDF-1.7", "application/pdf"),
            (b"PK\x03\x04", "application/zip"),
            (b"\x1f\x8b\x08\0", "application/gzip"),
            (b"wOF2\0\x01\0\0", "font/woff2"),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
            (&tar, "application/x-tar"),
        ] {
            assert_eq!(by_bytes(bytes), Some(expected));
        }
    }

    #[test]
    fn short_and_other_bytes_are_nothing() {
        for bytes in [
            &b""[..],
            b"\xff",
            b"\xff\xfb",
            b"\xff\xff\xff\xff",
            b"RIFF",
            b"BMW is a car, nothing else",
            b"\0\0\0\x20ftypxxxx",
        ] {
            assert_eq!(by_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_sniffed_is_inert() {
        for (_, text) in SIGNATURES.iter().chain(BRANDS) {
            let media_type = normalise(text).unwrap();
            assert_eq!(media_type.as_str(), *text);
            let is_data = text.starts_with("application/");
            assert!(is_data || disposition(&media_type) == Disposition::Inline, "{text}");
        }
    }
}
