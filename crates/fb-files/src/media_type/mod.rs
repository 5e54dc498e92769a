//! Media types of files: their normal form, which type a file without one has, and what browsers may do with it.
//!
//! Pure functions. The rules on where which type is served as what are the caller's.

mod browser;
mod extensions;
mod hashed_name;
mod normal;
mod sniff;

pub use browser::{Disposition, disposition, is_compressible};
pub use hashed_name::is_hashed_name;
pub use normal::{MediaType, normalise};

/// The type of a file that came without one: by the extension of its name, else by its first bytes (300 are plenty), else
/// `application/octet-stream`.
///
/// `path` is the name as the client gave it, not encoded. Bytes alone never make a type that a browser would run, such as
/// HTML or SVG. Text types get `charset=utf-8`, except HTML, which says its encoding itself.
pub fn guess(path: &str, first_bytes: &[u8]) -> MediaType {
    extensions::by_name(path, first_bytes)
        .or_else(|| sniff::by_bytes(first_bytes))
        .map_or_else(MediaType::octet_stream, MediaType::known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_before_bytes_and_bytes_before_nothing() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        for (path, bytes, expected) in [
            ("/www/index.html", &b"x"[..], "text/html"),
            ("/www/INDEX.HTM", b"", "text/html"),
            ("/www/app.js", b"", "text/javascript; charset=utf-8"),
            ("/www/app.js.map", b"", "application/json; charset=utf-8"),
            ("/www/a.b/c.css", b"", "text/css; charset=utf-8"),
            ("/www/data.json", b"", "application/json; charset=utf-8"),
            ("/www/logo.svg", b"", "image/svg+xml"),
            ("/www/logo.png", b"GIF89a", "image/png"),
            ("/www/7c9e6679-7425-40de-944b-e07fc1f90ae7", png, "image/png"),
            ("/www/a.unknown", png, "image/png"),
            ("/www/png", png, "image/png"),
            ("/www/a.b/png", b"x", "application/octet-stream"),
            ("/www/.html", b"x", "application/octet-stream"),
            ("/www/page.", b"x", "application/octet-stream"),
            ("", b"", "application/octet-stream"),
            ("/www/archive.tar.gz", b"", "application/gzip"),
            ("/www/clip.ts", b"G\0", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(guess(path, bytes).as_str(), expected, "{path}");
        }
        let mut stream = [0; 200];
        stream[0] = b'G';
        stream[188] = b'G';
        assert_eq!(guess("a.ts", &stream).as_str(), "video/mp2t");
    }

    #[test]
    fn bytes_never_make_an_active_type() {
        for bytes in [
            &b"<!DOCTYPE html><script>alert(1)</script>"[..],
            b"<html>",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>",
            b"<?xml version=\"1.0\"?><x/>",
            b"\xef\xbb\xbf<html>",
            b"  <script>",
            b"alert(1)",
        ] {
            assert_eq!(guess("name", bytes).as_str(), "application/octet-stream");
        }
    }
}
