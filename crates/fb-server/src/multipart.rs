//! Forms with files (RFC 7578), as far as they are small and in memory.

/// Most parts.
const MAX_PARTS: usize = 16;

/// One part of a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'b> {
    /// The field's name.
    pub(crate) name: String,
    /// The file's name, for files.
    pub(crate) filename: Option<String>,
    pub(crate) content: &'b [u8],
}

/// The parts of a body with this `Content-Type`, or what is wrong with it. Cost: linear in the body, nothing is copied.
pub(crate) fn parse<'b>(content_type: &str, body: &'b [u8]) -> Result<Vec<Part<'b>>, &'static str> {
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err("its type is another one");
    }
    let boundary = parameter(parameters, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()));
    let boundary = boundary.ok_or("its boundary is missing")?;
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut rest = match body.strip_prefix(first.as_bytes()) {
        Some(rest) => rest,
        None => {
            split(body, next.as_bytes())
                .ok_or("it does not begin with its boundary")?
                .1
        }
    };
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let part = rest.strip_prefix(b"\r\n").ok_or("a boundary does not end its line")?;
        let (part, behind) = split(part, next.as_bytes()).ok_or("it ends too early")?;
        let (head, content) = match part.strip_prefix(b"\r\n") {
            Some(content) => (&b""[..], content),
            None => split(part, b"\r\n\r\n").ok_or("a part has no content")?,
        };
        let head = std::str::from_utf8(head).map_err(|_| "the head of a part is not UTF-8")?;
        let disposition = head
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"));
        let (_, disposition) = disposition.ok_or("a part has no name")?;
        parts.push(Part {
            name: parameter(disposition, "name").ok_or("a part has no name")?,
            filename: parameter(disposition, "filename"),
            content,
        });
        if parts.len() > MAX_PARTS {
            return Err("it has too many parts");
        }
        rest = behind;
    }
    Ok(parts)
}

/// What stands before and behind the first `separator`.
fn split<'b>(bytes: &'b [u8], separator: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}

/// `name=value` or `name="value"` between semicolons. Browsers write quotes in values as `%22`, so none stands in them.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let (found, behind) = rest.split_at(end);
        let Some(behind) = behind.strip_prefix('=') else {
            rest = behind;
            continue;
        };
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_at(behind.find(';').unwrap_or(behind.len())),
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_browsers_and_of_curl_are_read() {
        let body = b"--xYz\r\nContent-Disposition: form-data; name=\"keyId\"\r\n\r\nABC\r\n--xYz\r\n\
            content-disposition: form-data; filename=\"a; name=b.p8\"; name=\"key\"\r\nContent-Type: x/y\r\n\r\n\
            one\r\n--xY\r\ntwo\r\n\r\n--xYz--\r\n";
        let parts = [
            Part {
                name: "keyId".into(),
                filename: None,
                content: b"ABC",
            },
            Part {
                name: "key".into(),
                filename: Some("a; name=b.p8".into()),
                content: b"one\r\n--xY\r\ntwo\r\n",
            },
        ];
        for content_type in [
            "multipart/form-data; boundary=xYz",
            "Multipart/Form-Data;charset=utf-8;boundary=\"xYz\"",
        ] {
            assert_eq!(parse(content_type, body).as_deref(), Ok(&parts[..]), "{content_type}");
        }
        let with_preamble = [b"ignored\r\n", &body[..]].concat();
        assert_eq!(
            parse("multipart/form-data; boundary=xYz", &with_preamble).as_deref(),
            Ok(&parts[..])
        );
        assert_eq!(
            parse("multipart/form-data; boundary=x", b"--x--").as_deref(),
            Ok(&[][..])
        );
    }

    #[test]
    fn broken_forms_are_refused() {
        let part = "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b";
        let many = format!("--b{}--", part.repeat(MAX_PARTS + 1));
        for (content_type, body) in [
            ("application/json", "{}"),
            ("multipart/form-data", "--b--"),
            ("multipart/form-data; boundary=", "----"),
            ("multipart/form-data; boundary=b", ""),
            ("multipart/form-data; boundary=b", "--c--"),
            ("multipart/form-data; boundary=b", "--b"),
            ("multipart/form-data; boundary=b", "--b\r\n"),
            ("multipart/form-data; boundary=b", "--b\r\n\r\nx\r\n--b--"),
            (
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
            ),
            (
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b--",
            ),
            (
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
            ),
            ("multipart/form-data; boundary=b", &many),
        ] {
            assert!(parse(content_type, body.as_bytes()).is_err(), "{content_type} {body}");
        }
    }
}
