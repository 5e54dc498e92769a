//! What is stored: which answers, for how long, and with what.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request, response};
use http_cache_semantics::{CacheOptions, CachePolicy};

use crate::callers::Guard;
use crate::content::Content;
use crate::directives::Directives;
use crate::front::Heads;
use crate::groups::Group;
use crate::headers::{SURROGATE_KEY, has_secrets, strip_hop_by_hop};
use crate::lines::Lines;
use crate::proof::{FOR_EDGES, SURROGATE_CONTROL};
use crate::purge::{Coherence, FenceKey, Stamp};
use crate::respond::{CACHE_STATUS, CONTENT_HEADERS};
use crate::target::Target;
use crate::warm::{Wanted, is_momentary};

/// More keys than this in `Surrogate-Key`, and the answer is not stored.
const MAX_KEYS: usize = 64;

/// Explicit lifetimes count, and nothing is guessed.
const RULES: CacheOptions = CacheOptions {
    shared: true,
    cache_heuristic: 0.0,
    immutable_min_time_to_live: Duration::ZERO,
    ignore_cargo_cult: false,
};

/// When a request went to the origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) stamp: Stamp,
}

/// An answer in memory.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Of the whole answer, without what concerns the edge only. `Age` and `Cache-Status` hold places, so that setting them for
    /// each client moves nothing.
    pub(crate) headers: HeaderMap,
    /// The same, of an answer to who has the content already.
    pub(crate) known_headers: HeaderMap,
    pub(crate) content: Content,
    /// Beside the headers: they are looked at for each client.
    validators: Validators,
    /// Who may have it; `None`: everybody.
    pub(crate) guard: Option<Arc<Guard>>,
    /// What requests for it are counted by.
    group: Option<Arc<Group>>,
    /// What it is purged by, for confirmations that do not say it again.
    keys: Vec<HeaderValue>,
    sent: Sent,
    terms: Terms,
    was_wanted: Once,
    /// Where it is noted that a client wants it, if it is kept warm.
    wanted: OnceLock<Wanted>,
    /// Made when they are first used.
    heads: OnceLock<Option<Heads>>,
}

/// Whether something has happened. A copy begins anew.
#[derive(Debug, Default)]
struct Once(AtomicBool);

impl Clone for Once {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// On which terms an answer may be kept.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// How old the answer was when its request was sent; the time that it took counts as age.
    age: Duration,
    /// From then on.
    lifetime: Duration,
    /// The time after the end of its lifetime for which the answer is better than none. `None` forbids it.
    stale_if_error: Option<Duration>,
    /// Whether the origin says by what the answer is purged.
    pub(crate) is_purgeable: bool,
    /// Whether those who say who they are may have it as well.
    pub(crate) is_for_all: bool,
    fences: Box<[FenceKey]>,
}

impl Terms {
    /// For how long the answer may be kept, from when its request was sent.
    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The marks of the answer's URL, and of what it is made of.
    pub(crate) fn fences(&self) -> &[FenceKey] {
        &self.fences
    }

    /// The terms of an answer to a request that the edge composed. `None`: it must not be stored.
    pub(crate) fn of(
        request: &request::Parts,
        answer: &response::Parts,
        target: &Target<'_>,
        coherence: &Coherence,
    ) -> Option<Self> {
        // Errors, redirects and parts are not for everybody who asks later.
        if answer.status != StatusCode::OK || has_secrets(&answer.headers) {
            return None;
        }
        let directives = Directives::of(&answer.headers);
        if !directives.has("max-age") && !directives.has("s-maxage") {
            return None;
        }
        let age = match answer.headers.get(AGE) {
            Some(age) => age.to_str().ok()?.trim().parse().map(Duration::from_secs).ok()?,
            None => Duration::ZERO,
        };
        // Whoever is told of purges may keep it for longer than others.
        let surrogate = Directives::of_header(&answer.headers, &SURROGATE_CONTROL);
        let is_purgeable = answer.headers.contains_key(SURROGATE_KEY);
        let policy = CachePolicy::new_options(request, answer, SystemTime::UNIX_EPOCH, RULES);
        let lifetime = match surrogate.seconds("max-age").filter(|_| is_purgeable) {
            Some(lifetime) => lifetime.saturating_sub(age),
            None => policy.time_to_live(SystemTime::UNIX_EPOCH),
        };
        if !policy.is_storable() || lifetime.is_zero() {
            return None;
        }
        let fences = fences(answer, target, coherence)?;
        // `s-maxage` alone would forbid stale answers as well (RFC 9111, section 4.2.4); who says `stale-if-error` beside it means
        // caches like this one.
        let forbids_stale = ["must-revalidate", "proxy-revalidate", "no-cache"]
            .iter()
            .any(|name| directives.has(name));
        Some(Self {
            age,
            lifetime,
            stale_if_error: [&directives, &surrogate]
                .iter()
                .find_map(|said| said.seconds("stale-if-error"))
                .filter(|grace| !forbids_stale && !grace.is_zero()),
            is_purgeable,
            is_for_all: ["public", "s-maxage", "must-revalidate"]
                .iter()
                .any(|name| directives.has(name)),
            fences,
        })
    }

    /// The terms of an answer that is not for everybody: it may be used as long as the origin says and nothing of it is purged, and never
    /// if the origin is down. `None`: it must not be stored.
    pub(crate) fn guarded(answer: &response::Parts, target: &Target<'_>, coherence: &Coherence) -> Option<Self> {
        let lifetime = Directives::of_header(&answer.headers, &SURROGATE_CONTROL).seconds("max-age")?;
        let directives = Directives::of(&answer.headers);
        let is_meant = answer.status == StatusCode::OK && directives.has("private") && !directives.has("no-store");
        let is_plain = !has_secrets(&answer.headers) && !answer.headers.contains_key(AGE);
        if !is_meant || !is_plain || lifetime.is_zero() || !answer.headers.contains_key(SURROGATE_KEY) {
            return None;
        }
        Some(Self {
            age: Duration::ZERO,
            lifetime,
            stale_if_error: None,
            is_purgeable: true,
            is_for_all: false,
            fences: fences(answer, target, coherence)?,
        })
    }
}

/// The marks of an answer's URL and keys. `None`: there are too many.
fn fences(answer: &response::Parts, target: &Target<'_>, coherence: &Coherence) -> Option<Box<[FenceKey]>> {
    let mut fences = vec![coherence.fence_of_url(&target.url())];
    for keys in answer.headers.get_all(SURROGATE_KEY) {
        let keys = keys.to_str().ok()?.split_ascii_whitespace();
        fences.extend(keys.map(|key| coherence.fence_of_key(key)));
    }
    (fences.len() <= MAX_KEYS + 1).then(|| fences.into())
}

impl Entry {
    pub(crate) fn new(mut headers: HeaderMap, body: Bytes, sent: Sent, terms: Terms) -> Self {
        strip_hop_by_hop(&mut headers);
        let keys = headers.get_all(SURROGATE_KEY).iter().cloned().collect();
        for name in FOR_EDGES.iter().chain(&[AGE, HeaderName::from_static("x-request-id")]) {
            headers.remove(name);
        }
        headers.insert(AGE, HeaderValue::from_static("0"));
        headers.insert(CACHE_STATUS, HeaderValue::from_static("freshbase-edge"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let mut known_headers = headers.clone();
        CONTENT_HEADERS.iter().for_each(|name| drop(known_headers.remove(name)));
        Self {
            validators: Validators::of(&headers),
            headers,
            known_headers,
            content: Content::Memory(body),
            guard: None,
            group: None,
            keys,
            sent,
            terms,
            was_wanted: Once::default(),
            wanted: OnceLock::new(),
            heads: OnceLock::new(),
        }
    }

    /// Its heads as text. `None` if they are not all of it.
    pub(crate) fn heads(&self) -> Option<&Heads> {
        let heads = self.heads.get_or_init(|| Heads::of(&self.headers, &self.known_headers));
        heads.as_ref()
    }

    /// From now on it is noted here that a client wants it.
    pub(crate) fn note_by(&self, wanted: Wanted) {
        // Whoever came first has the same.
        let _ = self.wanted.set(wanted);
    }

    /// Notes that a client gets it from memory, if that is all there is to be done about it. Nothing is for the first one.
    pub(crate) fn note_wanted(&self, now: Duration) -> bool {
        match self.wanted.get() {
            Some(wanted) => wanted.note(now),
            None if is_momentary(self) => return false,
            None => {}
        }
        self.was_wanted.0.load(Ordering::Relaxed)
    }

    /// Notes that a client gets it from memory. Whether it is the first one.
    pub(crate) fn is_wanted_first(&self) -> bool {
        // Most look only, which does not take the line from other threads.
        !self.was_wanted.0.load(Ordering::Relaxed) && !self.was_wanted.0.swap(true, Ordering::Relaxed)
    }

    /// The same for those whom the guard lets.
    pub(crate) fn guarded_by(self, guard: Arc<Guard>) -> Self {
        Self {
            guard: Some(guard),
            ..self
        }
    }

    /// The same, counted by this group.
    pub(crate) fn in_group(self, group: Option<Arc<Group>>) -> Self {
        Self { group, ..self }
    }

    /// Counts a client's request that it was the answer to, with none to the origin.
    pub(crate) fn count_hit(&self) {
        if let Some(group) = &self.group {
            group.hit();
        }
    }

    /// The same with its body elsewhere.
    pub(crate) fn with_content(&self, content: Content) -> Self {
        Self {
            content,
            ..self.clone()
        }
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Headers of the whole answer after the origin confirmed it (RFC 9111, section 3.2).
    pub(crate) fn confirmed(&self, news: &HeaderMap) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove(AGE);
        headers.remove(CACHE_STATUS);
        for keys in &self.keys {
            headers.append(SURROGATE_KEY, keys.clone());
        }
        for name in news
            .keys()
            .filter(|name| !["content-length", "content-encoding", "content-range"].contains(&name.as_str()))
        {
            headers.remove(name);
            for value in news.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    pub(crate) fn age(&self, now: Duration) -> Duration {
        self.terms.age + now.saturating_sub(self.sent.at)
    }

    /// Its age in seconds, rounded up: copies may live too short, but not too long.
    pub(crate) fn whole_seconds(&self, now: Duration) -> u64 {
        let age = self.age(now);
        age.as_secs() + u64::from(age.subsec_nanos() > 0)
    }

    /// What is left of its lifetime.
    pub(crate) fn time_left(&self, now: Duration) -> Duration {
        (self.sent.at + self.terms.lifetime).saturating_sub(now)
    }

    /// Whether nothing that the answer is made of was purged since it was asked for.
    pub(crate) fn is_current(&self, coherence: &Coherence) -> bool {
        coherence.is_current(self.sent.stamp, &self.terms.fences)
    }

    /// Whether it may be the answer without asking the origin.
    pub(crate) fn is_fresh(&self, coherence: &Coherence, now: Duration) -> bool {
        !self.time_left(now).is_zero() && coherence.is_intact(now) && self.is_current(coherence)
    }

    /// Whether the app prefers it to an error now. Never if it was purged: then it is known to be wrong, and perhaps forbidden.
    pub(crate) fn is_better_than_nothing(&self, coherence: &Coherence, now: Duration) -> bool {
        let Some(grace) = self.terms.stale_if_error else {
            return false;
        };
        let expired = self.sent.at + self.terms.lifetime;
        let good_until = match coherence.is_intact(now) {
            true => expired,
            false => expired.min(coherence.last_intact().unwrap_or_default().max(self.sent.at)),
        };
        self.is_current(coherence) && now.saturating_sub(good_until) <= grace
    }

    /// What makes the origin's answer to a revalidation short.
    pub(crate) fn validator(&self) -> Option<&HeaderValue> {
        self.validators.tag.as_ref()
    }

    /// Whether the copy that a client has is this one.
    pub(crate) fn is_known_to(&self, request: &impl Lines) -> bool {
        self.validators.are_known_to(request)
    }

    /// Bytes of memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            // In two maps, and as text.
            .map(|(name, value)| 3 * (name.as_str().len() + value.len()) + 64)
            .sum();
        self.content.weight() + headers + self.terms.fences.len() * 4 + 256
    }
}

/// What an answer is known by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Validators {
    tag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Validators {
    /// Those of an answer with these headers.
    pub(crate) fn of(answer: &HeaderMap) -> Self {
        Self {
            tag: answer.get(ETAG).cloned(),
            modified: answer.get(LAST_MODIFIED).cloned(),
        }
    }

    /// Whether a request's conditions say that the client has the answer (RFC 9110, section 13.2.2).
    pub(crate) fn are_known_to(&self, request: &impl Lines) -> bool {
        use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
        if request.has(&IF_NONE_MATCH) {
            let Some(tag) = self.tag.as_ref().and_then(|tag| tag.to_str().ok()) else {
                return false;
            };
            let tag = without_weakness(tag);
            return request
                .texts(&IF_NONE_MATCH)
                .flat_map(|value| value.split(','))
                .any(|known| known.trim() == "*" || without_weakness(known) == tag);
        }
        match (request.lines(&IF_MODIFIED_SINCE).next(), &self.modified) {
            // As origins do: the very date that they sent. Dates are not compared otherwise.
            (Some(since), Some(modified)) => since == modified,
            _ => false,
        }
    }
}

/// For the comparison that conditions of `GET` use, which does not care about weakness.
fn without_weakness(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}
