//! Answers from memory, as they go over an HTTP/1.1 connection.

use std::io::Write;

use bytes::Bytes;
use http::header::{AGE, DATE};
use http::{HeaderMap, StatusCode};

use super::head::Plain;
use crate::edge::Inner;
use crate::headers::has_credentials;
use crate::respond::{CACHE_STATUS, From};
use crate::target::Target;

/// Bodies up to this size are copied behind their heads, so that both are one piece.
const COPIED: usize = 4096;

/// An answer's heads up to the digits of its age: of the whole answer, and for who has its content.
#[derive(Debug, Clone)]
pub(crate) struct Heads {
    whole: Box<[u8]>,
    known: Box<[u8]>,
}

impl Heads {
    /// `None`: hyper would add something.
    pub(crate) fn of(whole: &HeaderMap, known: &HeaderMap) -> Option<Self> {
        (whole.contains_key(DATE) && known.contains_key(DATE)).then(|| Self {
            whole: head(StatusCode::OK, whole),
            known: head(StatusCode::NOT_MODIFIED, known),
        })
    }
}

fn head(status: StatusCode, headers: &HeaderMap) -> Box<[u8]> {
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    let mut line = |name: &str, value: &[u8]| {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(piece);
        }
    };
    for (name, value) in headers.iter().filter(|(name, _)| ![AGE, CACHE_STATUS].contains(name)) {
        line(name.as_str(), value.as_bytes());
    }
    line(CACHE_STATUS.as_str(), From::Memory.value().as_bytes());
    head.extend_from_slice(b"age: ");
    head.into()
}

/// An answer on its way to a client.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The head, and a small body.
    pub(super) head: Vec<u8>,
    /// A large one.
    pub(super) body: Bytes,
}

impl Inner {
    /// Writes the answer to a plain request if it is in memory, just as [`look`](Self::look) would find it. `None`: that has to be asked.
    ///
    /// The first client that wants an answer is left to it, for what is to be done then.
    pub(super) fn write_plain(&self, plain: &Plain<'_>, is_tls: bool, output: &mut Output) -> Option<()> {
        let target = Target::new(plain.host, plain.path, is_tls).ok()?;
        let now = self.ticks.now();
        let entry = self.shelf.find(&target, plain).0?;
        let is_for_client = entry.terms().is_for_all || !has_credentials(plain);
        if !is_for_client || !entry.is_fresh(&self.coherence, now) {
            return None;
        }
        let (heads, body) = (entry.heads()?, entry.content.in_memory()?);
        if !entry.note_wanted(now) {
            return None;
        }
        let is_known = entry.is_known_to(plain);
        self.counts.hits.add();
        entry.count_hit();
        let Output { head, body: rest } = output;
        head.clear();
        head.extend_from_slice(if is_known { &heads.known } else { &heads.whole });
        // Writing into memory does not fail.
        let _ = write!(head, "{}\r\n\r\n", entry.whole_seconds(now));
        match (is_known, body.len() <= COPIED) {
            (true, _) => {}
            (false, true) => head.extend_from_slice(&body),
            (false, false) => *rest = body,
        }
        Some(())
    }
}
