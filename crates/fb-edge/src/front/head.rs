//! The head of a request, as far as it is read before HTTP is spoken.
//!
//! hyper reads each request that is not answered here, by the same parser (`httparse`) and by all its rules. So what is not plain here
//! is not refused but left to it.

use http::header::HeaderName;
use httparse::{EMPTY_HEADER, Header, Status};

use crate::lines::{Lines, text};

/// More fields than this, and hyper has a look.
const MAX_FIELDS: usize = 48;

/// Fields that decide how a message is read, or what becomes of its connection.
const FRAMING: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "http2-settings",
];

/// Fields with which a request is more than one for what is stored: of those, [`Ask`](crate::ask::Ask) knows what they mean.
pub(crate) const SPECIAL: [&str; 7] = [
    "cache-control",
    "pragma",
    "range",
    "if-range",
    "if-match",
    "if-modified-since",
    "if-unmodified-since",
];

/// What the first bytes of a connection, or those behind the last request, are.
#[derive(Debug)]
pub(crate) enum Seen<T> {
    /// A request of so many bytes, which has no body, and behind which the next one comes; and what was made of it, if it is plain.
    Request { len: usize, of_plain: Option<T> },
    /// The beginning of a request, perhaps.
    Part,
    /// Anything else.
    Other,
}

/// A `GET` with nothing in it that [`Ask`](crate::ask::Ask) would look at, but for the tags that the client knows.
#[derive(Debug)]
pub(crate) struct Plain<'b> {
    pub(crate) host: &'b str,
    /// Path and query.
    pub(crate) path: &'b str,
    fields: &'b [Header<'b>],
}

impl Lines for Plain<'_> {
    fn lines<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let is_it = move |field: &&Header<'_>| field.name.eq_ignore_ascii_case(name.as_str());
        self.fields.iter().filter(is_it).map(|field| field.value)
    }
}

/// Looks at bytes that may begin with a request; `read` makes something of a plain one.
pub(crate) fn look<T>(bytes: &[u8], read: impl FnOnce(&Plain<'_>) -> Option<T>) -> Seen<T> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let len = match request.parse(bytes) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) => return Seen::Part,
        Err(_) => return Seen::Other,
    };
    let (Some("GET" | "HEAD" | "OPTIONS" | "DELETE"), Some(1)) = (request.method, request.version) else {
        return Seen::Other;
    };
    let is_one_of = |field: &Header<'_>, names: &[&str]| names.iter().any(|name| field.name.eq_ignore_ascii_case(name));
    let is_left_open = |field: &Header<'_>| {
        !field.name.eq_ignore_ascii_case("connection") || field.value.eq_ignore_ascii_case(b"keep-alive")
    };
    let fields = &*request.headers;
    if fields
        .iter()
        .any(|field| is_one_of(field, &FRAMING) || !is_left_open(field))
    {
        return Seen::Other;
    }
    let mut hosts = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    let of_plain = match (request.method, request.path, hosts.next(), hosts.next()) {
        (Some("GET"), Some(path), Some(host), None)
            if path.starts_with('/') && !fields.iter().any(|field| is_one_of(field, &SPECIAL)) =>
        {
            text(host.value).and_then(|host| read(&Plain { host, path, fields }))
        }
        _ => None,
    };
    Seen::Request { len, of_plain }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, IF_NONE_MATCH};

    use super::*;

    /// `Some((length, whether it is plain))` of a request without a body.
    fn seen(text: &str) -> Option<(usize, bool)> {
        match look(text.as_bytes(), |_| Some(())) {
            Seen::Request { len, of_plain } => Some((len, of_plain.is_some())),
            Seen::Part | Seen::Other => None,
        }
    }

    #[test]
    fn a_plain_get_is_read_and_what_follows_is_left() {
        let text =
            "GET /a?b HTTP/1.1\r\nHOST: app.example\r\nIf-None-Match: \"1\"\r\naccept: a\r\nAccept: b\r\n\r\nGET /next";
        let seen = look(text.as_bytes(), |plain| {
            assert_eq!((plain.host, plain.path), ("app.example", "/a?b"));
            assert_eq!(plain.texts(&ACCEPT).collect::<Vec<_>>(), ["a", "b"]);
            assert!(plain.has(&IF_NONE_MATCH));
            Some(())
        });
        assert!(matches!(seen, Seen::Request { len, of_plain: Some(()) } if &text[len..] == "GET /next"));
    }

    #[test]
    fn a_request_that_asks_for_more_is_none_that_is_plain() {
        let with = |field: &str| seen(&format!("GET /a HTTP/1.1\r\nhost: a\r\n{field}\r\n\r\n"));
        for name in SPECIAL {
            assert!(matches!(with(&format!("{name}: x")), Some((_, false))), "{name}");
            assert!(
                matches!(with(&format!("{}: x", name.to_uppercase())), Some((_, false))),
                "{name}"
            );
        }
        assert!(matches!(with("host: b"), Some((_, false))), "two hosts");
        assert!(matches!(with("accept: x\r\nconnection: Keep-Alive"), Some((_, true))));
        for (line, is_plain) in [
            ("HEAD /a", false),
            ("OPTIONS /a", false),
            ("GET http://a/a", false),
            ("GET /a", true),
        ] {
            let seen = seen(&format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n"));
            assert_eq!(seen.map(|(_, is_plain)| is_plain), Some(is_plain), "{line}");
        }
        assert!(matches!(seen("GET /a HTTP/1.1\r\n\r\n"), Some((_, false))), "no host");
    }

    #[test]
    fn s39_whatever_decides_where_a_message_ends_is_left_to_hyper() {
        for name in FRAMING {
            assert_eq!(
                seen(&format!("GET /a HTTP/1.1\r\nhost: a\r\n{name}: 0\r\n\r\n")),
                None,
                "{name}"
            );
        }
        for text in [
            "GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "GET /a HTTP/1.1\r\nhost: a\r\nconnection: x-a\r\n\r\n",
            "GET /a HTTP/1.0\r\nhost: a\r\n\r\n",
            "POST /a HTTP/1.1\r\nhost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /a HTTP/1.1\r\nhost : a\r\n\r\n",
            "GET /a HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert!(matches!(look(text.as_bytes(), |_| Some(())), Seen::Other), "{text:?}");
        }
        let many: String = (0..=MAX_FIELDS).map(|n| format!("x{n}: y\r\n")).collect();
        assert_eq!(seen(&format!("GET /a HTTP/1.1\r\nhost: a\r\n{many}\r\n")), None);
    }

    #[test]
    fn the_rest_of_a_request_is_waited_for() {
        let text = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
        for end in 0..text.len() {
            assert!(
                matches!(look(&text.as_bytes()[..end], |_| Some(())), Seen::Part),
                "{end}"
            );
        }
    }
}
