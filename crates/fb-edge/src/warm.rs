//! Answers that may be kept for a moment only are asked for again before it ends, while clients want them.
//!
//! Without this, whoever comes after a pause of a second waits for the origin: that is each client's first request, `connect`. An answer from memory
//! is still no older than the origin allows, because nothing but the time of the request to the origin is another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::request::Parts;

use crate::edge::{Asked, Inner};
use crate::entry::Entry;
use crate::fill::{Filled, Filling};
use crate::headers::Peer;
use crate::target::{Key, Target};
use crate::vary::Fields;

/// What lives for longer is not worth it: few clients find it ended.
const MOMENT: Duration = Duration::from_secs(2);
/// For how long after the last client that wanted it.
const WANTED: Duration = Duration::from_secs(30);
/// Answers at once. With lifetimes of a second this is at most 128 requests per second to the origin, whatever clients ask for.
const MOST: usize = 64;

/// When clients last wanted an answer, in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted(Arc<AtomicU64>);

impl Wanted {
    /// A client wants it now.
    pub(crate) fn note(&self, now: Duration) {
        self.0
            .store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// The answers that are asked for again, and when clients last wanted them.
#[derive(Debug, Default)]
pub(crate) struct Warm(Mutex<HashMap<Key, Wanted>>);

impl Warm {
    /// Held for a look or a change of one entry.
    fn wanted(&self) -> MutexGuard<'_, HashMap<Key, Wanted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a client wants it, and where that is noted. True if somebody has to begin to ask for it. `None`: there are too many.
    fn want(&self, key: &Key, now: Duration) -> Option<(Wanted, bool)> {
        let mut wanted = self.wanted();
        let (known, is_new) = match wanted.get(key) {
            Some(known) => (known.clone(), false),
            None if wanted.len() < MOST => (Wanted::default(), true),
            None => return None,
        };
        known.note(now);
        if is_new {
            wanted.insert(key.clone(), known.clone());
        }
        Some((known, is_new))
    }

    /// Whether it is still wanted. If not, it is forgotten.
    fn is_wanted(&self, key: &Key, now: Duration) -> bool {
        let mut wanted = self.wanted();
        let is_wanted = wanted
            .get(key)
            .is_some_and(|known| now.saturating_sub(known.last()) <= WANTED);
        if !is_wanted {
            wanted.remove(key);
        }
        is_wanted
    }

    fn forget(&self, key: &Key) {
        self.wanted().remove(key);
    }
}

impl Inner {
    /// A client gets this answer: if it is one for a moment, others shall find it.
    pub(crate) fn want(
        self: &Arc<Self>,
        entry: &Entry,
        target: &Target<'_>,
        client: &Parts,
        peer: Peer,
        fields: Fields,
    ) {
        let now = self.ticks.now();
        // Addresses with a query are as many as clients make up.
        if !is_momentary(entry) || client.uri.query().is_some() {
            return;
        }
        let Some(variant) = fields.variant(&client.headers) else {
            return;
        };
        let key = target.key(&variant).to_key();
        let Some((wanted, is_new)) = self.warm.want(&key, now) else {
            return;
        };
        entry.note_by(wanted);
        if is_new {
            let filling = Filling::of(client, peer, None, fields).of_nobody();
            tokio::spawn(self.clone().keep_warm(key, filling, entry.time_left(now)));
        }
    }

    /// The same of an answer that just came in.
    pub(crate) fn want_filled(self: &Arc<Self>, entry: &Entry, asked: &Asked<'_>) {
        // What it varies by may be news.
        if let (_, Some(fields)) = self.shelf.find(&asked.target, &asked.parts.headers) {
            self.want(entry, &asked.target, asked.parts, asked.peer, fields);
        }
    }

    async fn keep_warm(self: Arc<Self>, key: Key, mut filling: Filling, mut left: Duration) {
        loop {
            tokio::time::sleep(left / 2).await;
            if !self.warm.is_wanted(&key, self.ticks.now()) {
                return;
            }
            match self.fill_again(&mut filling).await {
                Some(entry) => left = entry.time_left(self.ticks.now()),
                // The next client finds out what is the matter.
                None => return self.warm.forget(&key),
            }
        }
    }

    /// `None`: there is no such answer any more, or the origin does not give it.
    async fn fill_again(&self, filling: &mut Filling) -> Option<Arc<Entry>> {
        match self.try_fill(filling).await {
            Ok(Filled::Stored(entry)) if is_momentary(&entry) => {
                filling.confirm(entry.clone());
                Some(entry)
            }
            Ok(_) | Err(_) => None,
        }
    }
}

/// Whether the answer is for everybody, and only its age limits how long it is kept.
pub(crate) fn is_momentary(entry: &Entry) -> bool {
    let terms = entry.terms();
    terms.is_for_all && !terms.is_purgeable && terms.lifetime() <= MOMENT
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use bytes::Bytes;
    use http::{Request, Response};

    use super::*;
    use crate::edge::Edge;
    use crate::entry::{Sent, Terms};
    use crate::options::EdgeOptions;
    use crate::time::Monotonic;

    fn key(path: &str) -> Key {
        let target = Target {
            is_tls: false,
            authority: "app.example".into(),
            path,
        };
        target.key("").to_key()
    }

    #[test]
    fn what_nobody_wants_any_more_is_forgotten() {
        let (warm, x) = (Warm::default(), key("/x"));
        let is_new = |now| warm.want(&x, now).unwrap().1;
        assert!(is_new(Duration::ZERO));
        assert!(!is_new(WANTED), "somebody asks for it already");
        assert!(warm.is_wanted(&x, 2 * WANTED));
        let (wanted, _) = warm.want(&x, WANTED).unwrap();
        wanted.note(2 * WANTED);
        assert!(warm.is_wanted(&x, 3 * WANTED));
        assert!(!warm.is_wanted(&x, 3 * WANTED + Duration::from_millis(1)));
        assert!(is_new(4 * WANTED), "it is asked for anew");
    }

    #[test]
    fn no_more_answers_are_asked_for_than_there_are_places() {
        let warm = Warm::default();
        let keys: Vec<Key> = (0..=MOST).map(|i| key(&format!("/{i}"))).collect();
        let n_wanted = keys
            .iter()
            .filter(|key| warm.want(key, Duration::ZERO).is_some())
            .count();
        assert_eq!(n_wanted, MOST);
        warm.forget(&keys[0]);
        assert!(warm.want(&keys[MOST], Duration::ZERO).is_some());
    }

    /// Whether an answer like this to a request for the address is asked for again.
    fn is_kept_warm(uri: &str, answer: &[(&str, &str)]) -> bool {
        let edge = Edge::new(EdgeOptions::of("http://127.0.0.1:9"), Arc::new(Monotonic::default())).unwrap();
        let (client, ()) = Request::get(uri)
            .header("host", "app.example")
            .body(())
            .unwrap()
            .into_parts();
        let target = Target::of(&client, false).unwrap();
        let mut head = Response::builder();
        for (name, value) in answer {
            head = head.header(*name, *value);
        }
        let (head, ()) = head.body(()).unwrap().into_parts();
        let inner = &edge.inner;
        let terms = Terms::of(&client, &head, &target, &inner.coherence).unwrap();
        let sent = Sent {
            at: inner.ticks.now(),
            stamp: inner.coherence.stamp(),
        };
        let entry = Entry::new(head.headers, Bytes::new(), sent, terms);
        let peer = Peer {
            ip: Ipv4Addr::LOCALHOST.into(),
            is_tls: false,
        };
        inner.want(&entry, &target, &client, peer, Fields::default());
        inner.warm.wanted().len() == 1
    }

    #[tokio::test]
    async fn only_public_answers_for_a_moment_are_asked_for_again() {
        let moment = ("cache-control", "public, max-age=0, s-maxage=1");
        assert!(is_kept_warm("/x", &[moment]));
        assert!(
            !is_kept_warm("/x?1", &[moment]),
            "there is no end of addresses with a query"
        );
        assert!(!is_kept_warm("/x", &[moment, ("surrogate-key", "x")]), "it is purged");
        assert!(!is_kept_warm("/x", &[("cache-control", "public, s-maxage=60")]));
    }
}
