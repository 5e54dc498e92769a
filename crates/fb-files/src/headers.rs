//! Which response headers a file may carry.

use std::collections::BTreeMap;

/// Most headers of one file.
const MAX_HEADERS: usize = 32;
/// Most bytes of their names and values.
const MAX_BYTES: usize = 8 << 10;

/// Said by the server itself, about this message or this connection, or told to proxies, which send other files instead of
/// the answer if they are asked to. A prefix ends with `-`.
const RESERVED: &[&str] = &[
    "accept-ranges",
    "access-control-",
    "age",
    "authorization",
    "baqend-",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "freshbase-",
    "host",
    "keep-alive",
    "last-modified",
    "proxy-",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
    "x-accel-",
    "x-content-type-options",
    "x-lighttpd-send-",
    "x-litespeed-",
    "x-request-id",
    "x-sendfile",
    "x-sendfile2",
];

/// Change what a browser does with the site as a whole, or with what comes after this response.
const POWERFUL: &[&str] = &[
    "accept-ch",
    "activate-storage-access",
    "alt-svc",
    "attribution-reporting-",
    "clear-site-data",
    "content-disposition",
    "content-security-policy",
    "content-security-policy-report-only",
    "critical-ch",
    "cross-origin-",
    "document-policy",
    "link",
    "location",
    "nel",
    "observe-browsing-topics",
    "origin-agent-cluster",
    "origin-trial",
    "permissions-policy",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "sec-session-",
    "secure-session-",
    "service-worker-",
    "set-cookie",
    "set-cookie2",
    "set-login",
    "sourcemap",
    "speculation-rules",
    "strict-transport-security",
    "supports-loading-mode",
    "use-as-dictionary",
    "x-dns-prefetch-control",
    "x-frame-options",
    "x-xss-protection",
];

fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('-') {
        Some(_) => name.starts_with(entry),
        None => name == *entry,
    })
}

/// True for headers that whoever may merely upload must not set. `name` is in lower case.
pub fn is_powerful(name: &str) -> bool {
    is_in(POWERFUL, name)
}

/// True for headers that only the server sets. `name` is in lower case.
pub fn is_reserved(name: &str) -> bool {
    is_in(RESERVED, name)
}

/// True for headers by which shared caches are told to keep what `Cache-Control` says is nobody else's business (RFC 9213,
/// and what came before it). `name` is in lower case.
pub fn is_for_shared_caches(name: &str) -> bool {
    name.ends_with("-cache-control")
        || matches!(
            name,
            "cdn-ttl" | "edge-control" | "expires" | "pragma" | "surrogate-control"
        )
}

/// Checks headers by lower-case name: names and values must be those of HTTP headers (RFC 9110, section 5), few, small, and
/// none that the server says itself. The error says what to change.
pub fn check(headers: &BTreeMap<String, String>) -> Result<(), String> {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_BYTES {
        return Err(format!(
            "a file has at most {MAX_HEADERS} headers of {MAX_BYTES} bytes together"
        ));
    }
    for (name, value) in headers {
        let echo: String = name.chars().take(80).collect();
        let is_token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("`{echo}` is no header name"));
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) || value.trim() != value {
            return Err(format!(
                "the header {echo} has characters that are none of headers: use printable ASCII"
            ));
        }
        if is_reserved(name) {
            return Err(format!("the header {echo} is the server's"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn s13_only_what_is_a_header_and_not_the_servers_is_taken() {
        for (name, value) in [
            ("x-note", "hi"),
            ("cache-control", "public, max-age=60"),
            ("x-empty", ""),
            ("set-cookie", "a=b"),
            ("server-timing", "a"),
        ] {
            assert_eq!(check(&one(name, value)), Ok(()), "{name}");
        }
        for (name, value) in [
            ("", "x"),
            ("X-Upper", "x"),
            ("x y", "x"),
            ("x:", "x"),
            ("x\r\ny", "x"),
            ("ü", "x"),
            ("x-note", "a\r\nset-cookie: a=b"),
            ("x-note", "a\0"),
            ("x-note", "ü"),
            ("x-note", " a"),
            ("content-type", "text/html"),
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
            ("access-control-allow-origin", "*"),
            ("baqend-acl", "{}"),
            ("freshbase-caller", "e30"),
            ("x-content-type-options", ""),
            ("x-accel-redirect", "/internal"),
            ("x-sendfile", "/etc/passwd"),
            ("x-note", &"x".repeat(9000)),
        ] {
            assert!(check(&one(name, value)).is_err(), "{name}: {value}");
        }
        let many = (0..40).map(|i| (format!("x-{i}"), String::new())).collect();
        assert!(check(&many).is_err());
    }

    #[test]
    fn s39_what_shared_caches_listen_to_is_known() {
        for name in [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "surrogate-control",
            "expires",
        ] {
            assert!(is_for_shared_caches(name), "{name}");
        }
        for name in ["cache-control", "x-note", "content-language"] {
            assert!(!is_for_shared_caches(name), "{name}");
        }
    }

    #[test]
    fn s29_powerful_headers_are_known() {
        for name in [
            "set-cookie",
            "content-security-policy",
            "service-worker-allowed",
            "cross-origin-opener-policy",
            "secure-session-registration",
        ] {
            assert!(is_powerful(name), "{name}");
        }
        for name in ["x-note", "cache-control", "expires", "content-language"] {
            assert!(!is_powerful(name), "{name}");
        }
    }
}
