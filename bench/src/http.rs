//! Just enough HTTP/1.1 for a load client: writing requests and finding the end of an answer.
//!
//! Knows nothing of sockets. It reads answers with `content-length`, with chunked encoding, and
//! those that have no body by their status; it keeps no header but these.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail, ensure};

/// Longest head (status line and headers) that is accepted from a server.
const MAX_HEAD: usize = 16 * 1024;

/// What a request says beside method and path; everything that stays equal within a run.
#[derive(Debug, Clone)]
pub(crate) struct RequestHeaders {
    /// Lines that every request carries, each ending in CRLF.
    common: Vec<u8>,
}

impl RequestHeaders {
    /// Headers for `host` (`address:port`), with a user's token if there is one.
    pub(crate) fn new(host: &str, token: Option<&str>) -> Self {
        let mut common = format!("host: {host}\r\naccept: application/json\r\n").into_bytes();
        if let Some(token) = token {
            common.extend_from_slice(format!("authorization: BAT {token}\r\n").as_bytes());
        }
        Self { common }
    }

    /// Headers of an operator.
    pub(crate) fn with_bearer(host: &str, token: &str) -> Self {
        let mut headers = Self::new(host, None);
        headers
            .common
            .extend_from_slice(format!("authorization: Bearer {token}\r\n").as_bytes());
        headers
    }

    /// Appends a request without a body.
    pub(crate) fn write_get(&self, out: &mut Vec<u8>, path: &str) {
        self.write_get_with(out, path, "");
    }

    /// The same with further header lines, each ending in CRLF.
    pub(crate) fn write_get_with(&self, out: &mut Vec<u8>, path: &str, extra: &str) {
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(&self.common);
        out.extend_from_slice(extra.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// Appends a request with a JSON body. `extra` holds further header lines, each ending in CRLF.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>, method: &str, path: &str, extra: &str, body: &[u8]) {
        out.extend_from_slice(method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(&self.common);
        out.extend_from_slice(extra.as_bytes());
        out.extend_from_slice(b"content-type: application/json;charset=utf-8\r\ncontent-length: ");
        write!(out, "{}", body.len()).expect("writing to a Vec does not fail");
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
    }
}

/// Percent-encodes everything but unreserved characters, as `encodeURIComponent` does for ASCII.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A complete answer at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// Length of status line and headers including the blank line.
    pub(crate) head_len: usize,
    /// Length of the whole answer on the wire; the body is what follows `head_len`, still chunked
    /// if it came chunked.
    pub(crate) total_len: usize,
}

impl Answer {
    /// Whether the status is 200 … 299, or 304.
    pub(crate) fn is_success(self) -> bool {
        (200..300).contains(&self.status) || self.status == 304
    }
}

/// Finds the answer at the start of `buffer`; `None` while it is incomplete.
///
/// Cost: linear in the head; a body with a length is not looked at.
pub(crate) fn parse_answer(buffer: &[u8]) -> Result<Option<Answer>> {
    let Some(head_len) = find_head_end(buffer) else {
        ensure!(
            buffer.len() <= MAX_HEAD,
            "the head of an answer exceeds {MAX_HEAD} bytes"
        );
        return Ok(None);
    };
    let head = &buffer[..head_len];
    ensure!(
        head.starts_with(b"HTTP/1.1 ") && head_len > 14,
        "not an HTTP/1.1 answer"
    );
    let status = parse_number(&head[9..12]).context("reading the status code")?;
    let status = u16::try_from(status).context("reading the status code")?;

    let body_len = match body_framing(head, status)? {
        Framing::Length(length) => length,
        Framing::Chunked => match chunked_len(&buffer[head_len..])? {
            Some(length) => length,
            None => return Ok(None),
        },
    };
    let total_len = head_len + body_len;
    Ok((buffer.len() >= total_len).then_some(Answer {
        status,
        head_len,
        total_len,
    }))
}

/// The value of the first header called `name` (lower case) in `head`.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    header_lines(head).find_map(|line| {
        let value = header_value(line, name.as_bytes())?;
        std::str::from_utf8(value).ok()
    })
}

/// The body of `answer` as the sender meant it, chunk headers removed.
pub(crate) fn decode_body(buffer: &[u8], answer: Answer) -> Result<Vec<u8>> {
    let body = &buffer[answer.head_len..answer.total_len];
    match body_framing(&buffer[..answer.head_len], answer.status)? {
        Framing::Length(_) => Ok(body.to_vec()),
        Framing::Chunked => {
            let mut decoded = Vec::with_capacity(body.len());
            let mut rest = body;
            while let Some((start, size)) = chunk_header(rest)? {
                if size == 0 {
                    break;
                }
                decoded.extend_from_slice(&rest[start..start + size]);
                rest = &rest[start + size + 2..];
            }
            Ok(decoded)
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
}

/// Length of status line and headers including the blank line, if that is there.
pub(crate) fn find_head_end(buffer: &[u8]) -> Option<usize> {
    memchr::memmem::find(buffer, b"\r\n\r\n").map(|start| start + 4)
}

fn header_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').skip(1)
}

fn header_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    if !start.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.strip_prefix(b":")?.trim_ascii())
}

fn body_framing(head: &[u8], status: u16) -> Result<Framing> {
    if status == 204 || status == 304 {
        return Ok(Framing::Length(0));
    }
    for line in header_lines(head) {
        if let Some(value) = header_value(line, b"content-length") {
            return Ok(Framing::Length(parse_number(value).context("reading content-length")?));
        }
        if let Some(value) = header_value(line, b"transfer-encoding") {
            ensure!(value.eq_ignore_ascii_case(b"chunked"), "unknown transfer-encoding");
            return Ok(Framing::Chunked);
        }
    }
    bail!("an answer with status {status} has neither content-length nor chunked encoding")
}

/// Length of a chunked body on the wire, `None` while it is incomplete. Trailers are not read.
fn chunked_len(body: &[u8]) -> Result<Option<usize>> {
    let mut at = 0;
    loop {
        let Some((start, size)) = chunk_header(&body[at..])? else {
            return Ok(None);
        };
        let end = at + start + size + 2;
        if end > body.len() {
            return Ok(None);
        }
        at = end;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

/// Start of the data and size of the chunk that begins at `body`.
fn chunk_header(body: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(line_end) = body.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let line = std::str::from_utf8(&body[..line_end]).context("reading a chunk size")?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    let size = usize::from_str_radix(digits, 16).context("reading a chunk size")?;
    Ok(Some((line_end + 1, size)))
}

fn parse_number(digits: &[u8]) -> Result<usize> {
    ensure!(!digits.is_empty() && digits.len() < 16, "not a number");
    digits.iter().try_fold(0, |value, digit| {
        ensure!(digit.is_ascii_digit(), "not a number");
        Ok(value * 10 + usize::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Answer> {
        parse_answer(text.as_bytes()).unwrap()
    }

    #[test]
    fn answer_with_length_ends_after_its_body() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1";
        let answer = parse(text).unwrap();
        assert_eq!((answer.status, answer.total_len), (200, text.len() - 8));
        assert_eq!(decode_body(text.as_bytes(), answer).unwrap(), b"{}");
    }

    #[test]
    fn incomplete_answers_wait_for_more() {
        let text = "HTTP/1.1 201 Created\r\ncontent-length: 3\r\n\r\nabc";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), None, "cut at {end}");
        }
        assert!(parse(text).is_some());
    }

    #[test]
    fn chunks_are_joined() {
        let text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), None, "cut at {end}");
        }
        let answer = parse(text).unwrap();
        assert_eq!(answer.total_len, text.len());
        assert_eq!(decode_body(text.as_bytes(), answer).unwrap(), b"abc0123456789");
    }

    #[test]
    fn status_204_has_no_body() {
        let text = "HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n";
        assert_eq!(parse(text).map(|answer| answer.total_len), Some(text.len()));
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head = b"HTTP/1.1 200 OK\r\nBaqend-Authorization-Token: abc\r\n\r\n";
        assert_eq!(header(head, "baqend-authorization-token"), Some("abc"));
        assert_eq!(header(head, "etag"), None);
    }

    #[test]
    fn queries_are_encoded_like_encode_uri_component() {
        assert_eq!(percent_encode(r#"{"a":1}"#), "%7B%22a%22%3A1%7D");
    }
}
